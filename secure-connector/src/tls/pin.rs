//! Public keys as identities.

use std::{fmt, str::FromStr};

use rustls::pki_types::CertificateDer;

use crate::{
    BoxError,
    tls::{certificate, pem},
};

/// SHA-256 of a certificate's SubjectPublicKeyInfo: the peer is whoever holds the private key.
///
/// Written as 64 hexadecimal digits or as base64 (what HPKP, curl and mobile apps use, RFC 7469 section 2.4), alone or
/// after `sha256:`, `sha256/` or `sha256//`. `Display` is lower-case hexadecimal.
///
/// `openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpkiPin([u8; 32]);

/// Why a text or a certificate gives no pin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Neither spelling.
    #[error(
        "{text:?} is no key pin: write SHA-256 of the SubjectPublicKeyInfo as 64 hexadecimal digits or 44 of base64"
    )]
    Spelling {
        /// The text as given.
        text: String,
    },
    /// The certificate to take the key from cannot be read.
    #[error("no pin can be taken: expected one certificate, PEM or DER")]
    Certificate(#[source] BoxError),
}

impl SpkiPin {
    /// The pin of the first certificate in `certificate`, PEM or DER.
    ///
    /// # Errors
    /// [`PinError::Certificate`].
    pub fn of_certificate(certificate: &[u8]) -> Result<Self, PinError> {
        let der = match certificate::is_der(certificate) {
            true => CertificateDer::from(certificate),
            false => pem::first(certificate).map_err(|e| PinError::Certificate(e.into()))?,
        };
        let parsed = certificate::parse(&der).map_err(|e| PinError::Certificate(e.to_string().into()))?;
        Ok(Self(certificate::spki_sha256(&parsed)))
    }

    pub(crate) fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }
}

impl FromStr for SpkiPin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let digest = ["sha256//", "sha256/", "sha256:"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let digest = digest.unwrap_or(text);
        let bytes = if digest.len() == 64 { from_hex(digest) } else { from_base64(digest) };
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| PinError::Spelling { text: text.to_owned() })
    }
}

impl fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&certificate::lower_hex(&self.0))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    digits?.chunks(2).map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).ok()).collect()
}

/// RFC 4648 section 4, for the one length that 32 octets have: 43 characters and one `=`. Unused bits have to be zero
/// (section 3.5), so that one pin has one spelling.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_suffix('=').filter(|text| text.len() == 43)?;
    let (mut bytes, mut buffer, mut bits) = (Vec::with_capacity(32), 0_u32, 0);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        buffer = buffer << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amazon Root CA 1, by `openssl x509 -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256`.
    const HEX: &str = "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2";
    const BASE64: &str = "++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=";
    const DER: &[u8] = include_bytes!("amazon/root-ca-1.der");

    #[test]
    fn every_spelling_is_the_same_pin() {
        let pin = SpkiPin::of_certificate(DER).unwrap();
        for text in [HEX, &HEX.to_uppercase(), BASE64] {
            for prefix in ["", "sha256:", "sha256/", "sha256//"] {
                assert_eq!(format!("{prefix}{text}").parse::<SpkiPin>().unwrap(), pin);
            }
        }
        assert_eq!(pin.to_string(), HEX);
    }

    #[test]
    fn what_is_not_32_octets_is_no_pin() {
        let unused_bits = BASE64.replace("aI=", "aJ=");
        for text in [
            "",
            &HEX[1..],
            &HEX.replace('f', "g"),
            BASE64.trim_end_matches('='),
            &BASE64.replace('+', "-"),
            &unused_bits,
        ] {
            let Err(PinError::Spelling { text: shown }) = text.parse::<SpkiPin>() else { panic!("{text}") };
            assert_eq!(shown, text);
        }
    }

    #[test]
    fn a_pin_can_be_taken_from_pem_and_not_from_something_else() {
        let pki = secure_connector_testkit::TestPki::new().unwrap();
        let of_pem = SpkiPin::of_certificate(pki.root_pem().as_bytes()).unwrap();
        assert_eq!(of_pem, SpkiPin::of_certificate(pki.root_der()).unwrap());
        for other in [&b"no certificate"[..], &DER[..200]] {
            assert!(matches!(SpkiPin::of_certificate(other), Err(PinError::Certificate(_))));
        }
    }
}
