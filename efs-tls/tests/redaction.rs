//! What is secret appears in no `Debug`, `Display`, explanation or error.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::error::Error;
use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use efs_tls::{CertificateRequest, ClientKey, CommonName, EfsCertificate};
use proptest::prelude::*;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

const PEM: &str = include_str!("keys/rsa-2048.pem");
static KEY: LazyLock<ClientKey> = LazyLock::new(|| ClientKey::from_pkcs8_pem(PEM.as_bytes()).unwrap());

/// Secrets as AWS issues them, and longer than anything that appears by chance.
const SECRET: &str = "[A-Za-z0-9/+=._~-]{20,120}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn credentials_appear_nowhere(
        secret in SECRET,
        token in proptest::option::of(SECRET),
        fault in 0..5,
        seconds in 900..2_000_000_000_u64,
    ) {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        let credentials = match fault {
            0 => Credentials::new("AKID\n", &secret, token.clone(), None, "test"),
            1 => Credentials::new("AKID", format!("{secret}\n"), token.clone(), None, "test"),
            2 => Credentials::new("AKID", &secret, Some(format!("{} ", token.clone().unwrap_or_default())), None, "test"),
            3 => Credentials::new("AKID", &secret, token.clone(), Some(now), "test"),
            _ => Credentials::new("AKID", &secret, token.clone(), None, "test"),
        };
        let shown = everything_shown(&credentials, now);
        for hidden in std::iter::once(&secret).chain(&token) {
            prop_assert!(!shown.contains(hidden.as_str()), "{shown}");
            prop_assert!(!shown.contains(&percent_encode(hidden)), "{shown}");
            prop_assert!(!shown.contains(&format!("{:?}", hidden.as_bytes())), "{shown}");
        }
    }

    #[test]
    fn a_key_that_is_refused_does_not_appear_in_the_error(at in 0..PEM.len(), byte in any::<u8>()) {
        let mut pem = PEM.as_bytes().to_vec();
        pem[at] = byte;
        if let Err(error) = ClientKey::from_pkcs8_pem(&pem) {
            prop_assert_eq!(key_bytes_in(&error_text(&error)), None);
        }
    }
}

#[test]
fn the_key_appears_nowhere() {
    let credentials = Credentials::new("AKID", "secret", None, None, "test");
    let shown = everything_shown(&credentials, UNIX_EPOCH + Duration::from_secs(1_709_618_828));
    assert_eq!(key_bytes_in(&shown), None);
}

#[test]
fn the_search_for_the_key_finds_it() {
    let der = PrivatePkcs8KeyDer::from_pem_slice(PEM.as_bytes()).unwrap().secret_pkcs8_der().to_vec();
    let line = PEM.lines().nth(5).unwrap();
    for leak in [line.to_owned(), format!("{:?}", &der[100..120]), hex::encode(&der[100..120])] {
        assert!(key_bytes_in(&leak).is_some(), "{leak}");
    }
}

/// The text form of every value that is made of the credentials and the key, whether making it succeeds or not.
fn everything_shown(credentials: &Credentials, now: SystemTime) -> String {
    let common_name = CommonName::from_host_name("host.example");
    let request =
        CertificateRequest::new("fs-0123456789abcdef0".parse().unwrap(), "us-east-1".parse().unwrap(), common_name);
    let mut shown = both(&request) + &both(&*KEY) + &KEY.public_key_hash().to_string();
    match request.issue(&KEY, Some(credentials), now) {
        Ok(certificate) => {
            let read = EfsCertificate::from_der(certificate.der()).unwrap();
            shown += &(both(&certificate) + &certificate.explain() + &both(&read));
            let signed = request.sign(&KEY.public_key_hash(), credentials, now).unwrap();
            shown += &(both(&signed) + &signed.explain() + signed.string_to_sign());
        }
        Err(error) => shown += &error_text(&error),
    }
    shown
}

fn both(value: &impl Debug) -> String {
    format!("{value:?}\n{value:#?}\n")
}

fn error_text(error: &dyn Error) -> String {
    let mut text = format!("{error:?}\n{error:#?}\n");
    let mut next = Some(error);
    while let Some(error) = next {
        text += &format!("{error}\n{error:?}\n");
        next = error.source();
    }
    text
}

fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
        .replace("%7E", "~")
}

/// A piece of the key in `text`: 12 characters of its PEM, or 8 of its bytes in decimal or hexadecimal.
fn key_bytes_in(text: &str) -> Option<String> {
    let base64: Vec<char> = PEM.lines().filter(|line| !line.starts_with('-')).flat_map(str::chars).collect();
    let pem = base64.windows(12).map(|piece| piece.iter().collect::<String>());
    let der = PrivatePkcs8KeyDer::from_pem_slice(PEM.as_bytes()).unwrap().secret_pkcs8_der().to_vec();
    let decimal = der.windows(8).map(|piece| format!("{piece:?}").trim_matches(['[', ']']).to_owned());
    let hexadecimal = der.windows(8).map(hex::encode);
    pem.chain(decimal).chain(hexadecimal).find(|piece| text.contains(piece))
}
