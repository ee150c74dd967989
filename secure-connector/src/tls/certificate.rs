//! Reading certificates for people: summaries, names, keys. Verification is webpki's.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::{
    asn1_rs::Any,
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate, X509Error},
    public_key::PublicKey,
    time::ASN1Time,
};

use super::distinguished_name::rfc4514;
use crate::{CertificateSummary, PresentedNames};

/// Why a certificate cannot be read.
pub(crate) type ReadError = x509_parser::nom::Err<X509Error>;

/// Whether `bytes` begin like a DER certificate: a SEQUENCE of more than 127 octets. No text begins so.
pub(crate) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x84, ..])
}

pub(crate) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, ReadError> {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate)
}

pub(crate) fn summary(der: &CertificateDer<'_>) -> Result<CertificateSummary, ReadError> {
    let certificate = parse(der)?;
    Ok(CertificateSummary {
        subject: rfc4514(certificate.subject()),
        issuer: rfc4514(certificate.issuer()),
        serial: lower_hex(certificate.raw_serial()),
        sha256: lower_hex(&Sha256::digest(der)),
        not_before: system_time(&certificate.validity().not_before),
        not_after: system_time(&certificate.validity().not_after),
    })
}

/// Names outside 7-bit ASCII and addresses of a wrong length are shown as they are; nothing matches them.
pub(crate) fn presented_names(certificate: &X509Certificate<'_>) -> PresentedNames {
    let mut names = PresentedNames::default();
    if let Ok(Some(san)) = certificate.subject_alternative_name() {
        for name in &san.value.general_names {
            match name {
                GeneralName::DNSName(dns) => names.dns.push((*dns).to_owned()),
                GeneralName::URI(uri) => names.uri.push((*uri).to_owned()),
                GeneralName::IPAddress(bytes) => names.ip.push(ip_text(bytes)),
                _ => {}
            }
        }
    }
    let common_names = certificate.subject().iter_common_name();
    names.common_name.extend(common_names.filter_map(|cn| cn.as_str().ok().map(str::to_owned)));
    names
}

/// SHA-256 of the SubjectPublicKeyInfo, the value that RFC 7469 section 2.4 pins.
pub(crate) fn spki_sha256(certificate: &X509Certificate<'_>) -> [u8; 32] {
    Sha256::digest(certificate.public_key().raw).into()
}

/// `Some(bits)` of an RSA key.
pub(crate) fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            let modulus = key.modulus.iter().skip_while(|byte| **byte == 0);
            let mut significant = modulus.clone();
            let first = significant.next()?;
            Some(8 * significant.count() + 8 - first.leading_zeros() as usize)
        }
        _ => None,
    }
}

/// An RSA key that can be broken: below 2048 bits (NIST SP 800-131A revision 2 section 3 disallows them), as `RSA-1024`.
pub(crate) fn weak_key(certificate: &X509Certificate<'_>) -> Option<String> {
    rsa_bits(certificate).filter(|bits| *bits < 2048).map(|bits| format!("RSA-{bits}"))
}

/// Content of the key's `AlgorithmIdentifier`, parameters included.
pub(crate) fn key_algorithm<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    let (_, spki) = Any::from_der(certificate.public_key().raw).ok()?;
    let (_, algorithm) = Any::from_der(spki.data).ok()?;
    Some(algorithm.data)
}

/// Whole seconds, as certificates count; times before 1970 become 1970.
pub(crate) fn to_unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn from_unix(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

pub(crate) fn system_time(time: &ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    let at = if time.timestamp() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    at.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The subject, for people.
pub(crate) fn subject(certificate: &X509Certificate<'_>) -> String {
    rfc4514(certificate.subject())
}

/// The issuer, for people.
pub(crate) fn issuer(certificate: &X509Certificate<'_>) -> String {
    rfc4514(certificate.issuer())
}

pub(crate) fn lower_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ip_text(bytes: &[u8]) -> String {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        Ipv4Addr::from(octets).to_string()
    } else if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
        Ipv6Addr::from(octets).to_string()
    } else {
        format!("({} octets)", bytes.len())
    }
}
