//! The RSA key that client certificates are made for.

use std::fmt;
use std::sync::Arc;

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Reader};
use rustls::SignatureScheme;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use sha1::{Digest, Sha1};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as backend;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as backend;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The private key of the client: RSA of 2048 bits or more.
///
/// EFS is only known to take RSA keys, and the key of the EFS mount helper has 3072 bits. One key serves any number of
/// certificates, so it is made or read once. It cannot be cloned or read back, and is zeroized on drop.
pub struct ClientKey {
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
    pub(crate) public_key: SubjectPublicKeyInfoOwned,
}

impl ClientKey {
    /// Makes an RSA key of 3072 bits on a thread for blocking work: it takes from a tenth of a second to some seconds.
    ///
    /// # Errors
    /// [`KeyError::Generate`] when the cryptographic library fails or the tokio runtime shuts down.
    #[cfg(feature = "aws-lc-rs")]
    pub async fn generate() -> Result<Self, KeyError> {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        use aws_lc_rs::rsa::{KeyPair, KeySize};

        let pkcs8 = tokio::task::spawn_blocking(|| {
            let pkcs8: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa3072)?.as_der()?;
            Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
        })
        .await
        .map_err(|e| KeyError::Generate { source: e.into() })?
        .map_err(|e: aws_lc_rs::error::Unspecified| KeyError::Generate { source: e.into() })?;
        Self::from_pkcs8_der(pkcs8)
    }

    /// The key that all connectors of this process share when none is given: made by [`generate`](Self::generate) when it
    /// is first asked for, and gone with the process. The EFS mount helper shares one among all mounts of a host.
    ///
    /// # Errors
    /// As for [`generate`](Self::generate); a failure is not remembered. [`KeyError::NoGenerator`] without the feature
    /// `aws-lc-rs`: ring does not make RSA keys.
    pub async fn of_this_process() -> Result<Arc<Self>, KeyError> {
        #[cfg(feature = "aws-lc-rs")]
        {
            static KEY: tokio::sync::OnceCell<Arc<ClientKey>> = tokio::sync::OnceCell::const_new();
            KEY.get_or_try_init(|| async { Self::generate().await.map(Arc::new) }).await.cloned()
        }
        #[cfg(not(feature = "aws-lc-rs"))]
        Err(KeyError::NoGenerator)
    }

    /// Reads the first private key of a PEM text, which has to be an unencrypted `PRIVATE KEY` (RFC 7468 section 10).
    ///
    /// # Errors
    /// [`KeyError`], one variant per reason.
    pub fn from_pkcs8_pem(pem: &[u8]) -> Result<Self, KeyError> {
        // The PEM reader's own errors quote lines of the text, so they go no further.
        let blocks = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).filter_map(Result::ok);
        for (kind, der) in blocks.map(|(kind, der)| (kind, Zeroizing::new(der))) {
            match kind {
                SectionKind::PrivateKey => return Self::from_pkcs8_der(der),
                SectionKind::RsaPrivateKey => return Err(KeyError::NotPkcs8 { found: "a PKCS#1 key" }),
                SectionKind::EcPrivateKey => return Err(KeyError::NotPkcs8 { found: "a SEC1 key" }),
                _ => {}
            }
        }
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
        let is_encrypted = pem.windows(encrypted.len()).any(|window| window == encrypted);
        Err(KeyError::NotPkcs8 { found: if is_encrypted { "an encrypted key" } else { "no readable PEM block" } })
    }

    /// Takes an unencrypted PKCS#8 `PrivateKeyInfo` (RFC 5958 section 2) in DER.
    ///
    /// # Errors
    /// [`KeyError`], one variant per reason.
    pub fn from_pkcs8_der(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        check_kind_and_size(&pkcs8)?;
        let signing_key = load(&pkcs8).map_err(|e| KeyError::Unusable { source: e.into() })?;
        let spki = signing_key.public_key().ok_or_else(|| KeyError::Unusable { source: "no public key".into() })?;
        let public_key =
            SubjectPublicKeyInfoOwned::from_der(&spki).map_err(|e| KeyError::Unusable { source: e.into() })?;
        Ok(Self { pkcs8, public_key })
    }

    /// The hash of the public key, which the IAM signature covers.
    pub fn public_key_hash(&self) -> PublicKeyHash {
        PublicKeyHash::of(&self.public_key)
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256, which is deterministic (RFC 8017 section 8.2.1).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        load(&self.pkcs8)?
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .ok_or_else(|| rustls::Error::General("RSA_PKCS1_SHA256 is not compiled in".into()))?
            .sign(message)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("public_key_hash", &self.public_key_hash())
            .field("pkcs8", &"[redacted]")
            .finish()
    }
}

/// SHA-1 of the content of the `subjectPublicKey` BIT STRING: method 1 of RFC 5280 section 4.2.1.2.
///
/// It names the key in the IAM signature and is the SubjectKeyIdentifier of the certificate. Displays as 40 lower-case
/// hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKeyHash([u8; 20]);

impl PublicKeyHash {
    pub(crate) fn of(public_key: &SubjectPublicKeyInfoOwned) -> Self {
        Self(Sha1::digest(public_key.subject_public_key.raw_bytes()).into())
    }

    /// The hash itself.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for PublicKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeyHash({self})")
    }
}

/// Why a private key cannot be the client's. No variant holds any of the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No key was given, and this build cannot make one.
    #[error("no private key: ring does not make RSA keys; give one as PEM, or build with the feature `aws-lc-rs`")]
    NoGenerator,
    /// Not an unencrypted PKCS#8 key.
    #[error(
        "expected an unencrypted PKCS#8 private key, found {found}; convert it with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    NotPkcs8 {
        /// What there was instead.
        found: &'static str,
    },
    /// A key of another algorithm.
    #[error(
        "expected an RSA key, found one of algorithm {algorithm}; make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`"
    )]
    NotRsa {
        /// The object identifier of the algorithm.
        algorithm: String,
    },
    /// An RSA key that can be factored.
    #[error(
        "expected an RSA key of at least 2048 bits, found {bits}; make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`"
    )]
    TooSmall {
        /// The length of the modulus.
        bits: usize,
    },
    /// The cryptographic library refuses the key.
    #[error("the RSA key cannot be used; make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`")]
    Unusable {
        /// The library's reason.
        source: BoxError,
    },
    /// No key could be made.
    #[error("making an RSA key failed")]
    Generate {
        /// The library's or the runtime's reason.
        source: BoxError,
    },
}

fn load(pkcs8: &[u8]) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    backend::sign::any_supported_type(&PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8)))
}

/// The two reasons for a refusal that the cryptographic libraries do not tell apart from a broken key.
fn check_kind_and_size(pkcs8: &[u8]) -> Result<(), KeyError> {
    let (algorithm, key) = read_private_key_info(pkcs8).map_err(|_| KeyError::NotPkcs8 { found: "other bytes" })?;
    if algorithm != RSA_ENCRYPTION {
        return Err(KeyError::NotRsa { algorithm: algorithm.to_string() });
    }
    match modulus_bits(key) {
        Ok(2048..) => Ok(()),
        Ok(bits) => Err(KeyError::TooSmall { bits }),
        Err(e) => Err(KeyError::Unusable { source: e.into() }),
    }
}

fn read_private_key_info(der: &[u8]) -> der::Result<(ObjectIdentifier, &[u8])> {
    AnyRef::from_der(der)?.sequence(|fields| {
        let _version = u8::decode(fields)?;
        let algorithm = AlgorithmIdentifierRef::decode(fields)?;
        let key: &OctetStringRef = Decode::decode(fields)?;
        skip_rest(fields)?;
        Ok((algorithm.oid, key.as_bytes()))
    })
}

/// The length of the first of the numbers of an `RSAPrivateKey` (RFC 8017 appendix A.1.2) that is not the version.
fn modulus_bits(rsa_private_key: &[u8]) -> der::Result<usize> {
    AnyRef::from_der(rsa_private_key)?.sequence(|fields| {
        let _version = u8::decode(fields)?;
        let modulus = UintRef::decode(fields)?.as_bytes();
        skip_rest(fields)?;
        let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros());
        Ok((modulus.len() * 8).saturating_sub(leading_zeros as usize))
    })
}

fn skip_rest<'a>(fields: &mut impl Reader<'a>) -> der::Result<()> {
    fields.read_slice(fields.remaining_len()).map(drop)
}

/// `rsaEncryption`, RFC 8017 appendix A.1.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_2048: &str = include_str!("../tests/keys/rsa-2048.pem");

    #[track_caller]
    fn refusal(pem: &str) -> String {
        ClientKey::from_pkcs8_pem(pem.as_bytes()).unwrap_err().to_string()
    }

    fn der(pem: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_pkcs8_der().to_vec())
    }

    #[test]
    fn an_rsa_key_of_2048_bits_is_taken_as_pem_and_as_der() {
        let key = ClientKey::from_pkcs8_pem(RSA_2048.as_bytes()).unwrap();
        assert_eq!(key.public_key_hash().to_string(), "60d4a4e8ae5823dacfae666d1833134ed4923bbd");
        let same = ClientKey::from_pkcs8_der(der(RSA_2048)).unwrap();
        assert_eq!(same.public_key_hash(), key.public_key_hash());
        assert_eq!(
            format!("{key:?}"),
            "ClientKey { public_key_hash: PublicKeyHash(60d4a4e8ae5823dacfae666d1833134ed4923bbd), pkcs8: \"[redacted]\" }"
        );
    }

    #[test]
    fn other_blocks_before_the_key_do_not_matter() {
        let with_text =
            format!("bag attributes\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{RSA_2048}");
        ClientKey::from_pkcs8_pem(with_text.as_bytes()).unwrap();
    }

    #[test]
    fn what_is_not_an_unencrypted_pkcs8_key_is_refused_with_what_it_is() {
        for (pem, found) in [
            (include_str!("../tests/keys/rsa-2048-pkcs1.pem"), "a PKCS#1 key"),
            (include_str!("../tests/keys/ec-p256-sec1.pem"), "a SEC1 key"),
            (include_str!("../tests/keys/rsa-2048-encrypted.pem"), "an encrypted key"),
            ("", "no readable PEM block"),
            ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "no readable PEM block"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "other bytes"),
        ] {
            let expected = format!(
                "expected an unencrypted PKCS#8 private key, found {found}; convert it with `openssl pkcs8 -topk8 -nocrypt`"
            );
            assert_eq!(refusal(pem), expected);
        }
    }

    #[test]
    fn a_key_that_is_not_rsa_is_refused_with_its_algorithm() {
        let error = ClientKey::from_pkcs8_pem(include_bytes!("../tests/keys/ec-p256.pem")).unwrap_err();
        assert!(matches!(&error, KeyError::NotRsa { algorithm } if algorithm == "1.2.840.10045.2.1"), "{error}");
    }

    #[test]
    fn an_rsa_key_below_2048_bits_is_refused_with_its_size() {
        let error = ClientKey::from_pkcs8_pem(include_bytes!("../tests/keys/rsa-1024.pem")).unwrap_err();
        assert!(matches!(error, KeyError::TooSmall { bits: 1024 }), "{error}");
    }

    #[test]
    fn an_rsa_key_whose_numbers_do_not_fit_is_refused_by_the_library() {
        let mut broken = der(RSA_2048);
        broken[60] ^= 1; // inside the modulus
        let error = ClientKey::from_pkcs8_der(broken).unwrap_err();
        assert!(matches!(error, KeyError::Unusable { .. }), "{error}");
    }

    #[cfg(feature = "aws-lc-rs")]
    #[tokio::test]
    async fn a_key_that_is_made_has_3072_bits() {
        let key = ClientKey::generate().await.unwrap();
        let (_, rsa) = read_private_key_info(&key.pkcs8).unwrap();
        assert_eq!(modulus_bits(rsa).unwrap(), 3072);
    }
}
