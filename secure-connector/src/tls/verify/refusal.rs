//! From webpki's error to what went wrong, with the certificate at fault. Only ever run when a chain is refused.

use std::iter;

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error};
use x509_parser::certificate::X509Certificate;

use super::Chain;
use crate::{
    ConnectError, Untrusted,
    tls::certificate::{self, from_unix},
};

impl Chain {
    pub(super) fn refusal(
        &self,
        error: Error,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> ConnectError {
        let presented = || iter::once(leaf).chain(intermediates);
        let parsed = || presented().filter_map(|der| certificate::parse(der).ok());
        let reason = match &error {
            Error::CertRevoked => {
                if let Some(revoked) = presented().find_map(|der| self.revoked(der)) {
                    return revoked;
                }
                Untrusted::Invalid { what: "it is revoked".into() }
            }
            Error::UnknownRevocationStatus => return unknown("no list of its issuer was given"),
            Error::CrlExpired { next_update, .. } => {
                let next_update = humantime::format_rfc3339_seconds(from_unix(*next_update));
                return unknown(&format!("the list of its issuer is out of date since {next_update}"));
            }
            Error::CertExpired { not_after, .. } => {
                Untrusted::Expired { not_after: from_unix(*not_after), now: from_unix(at) }
            }
            Error::CertNotValidYet { not_before, .. } => {
                Untrusted::NotYetValid { not_before: from_unix(*not_before), now: from_unix(at) }
            }
            Error::UnknownIssuer => Untrusted::UnknownCa {
                issuer: parsed().last().map(|last| last.issuer().to_string()).unwrap_or_default(),
                anchors: self.roots.anchors().len(),
            },
            Error::CaUsedAsEndEntity => Untrusted::CaUsedAsServer { subject: subject_of(leaf) },
            Error::RequiredEkuNotFoundContext(context) => Untrusted::WrongPurpose {
                presented: context.present.iter().map(|oid| purpose(oid)).collect::<Vec<_>>().join(", "),
            },
            // webpki verifies no signature with a shorter key.
            Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | Error::UnsupportedSignatureAlgorithmContext(_) => weak(parsed()).unwrap_or_else(|| invalid(&error)),
            _ => invalid(&error),
        };
        ConnectError::Untrusted { reason, source: Some(error.into()) }
    }

    fn revoked(&self, der: &CertificateDer<'_>) -> Option<ConnectError> {
        let certificate = EndEntityCert::try_from(der).ok()?;
        let crls = self.crls.as_ref()?.of_issuer(certificate.issuer());
        crls.filter_map(|crl| Some((crl, crl.list().find_serial(certificate.serial()).ok()??))).next().map(
            |(crl, entry)| ConnectError::Revoked {
                serial: certificate::lower_hex(certificate.serial()),
                at: Some(from_unix(entry.revocation_date)),
                via: format!("the revocation list of {}", crl.issuer),
            },
        )
    }
}

fn unknown(why: &str) -> ConnectError {
    ConnectError::RevocationUnknown { why: why.to_owned() }
}

fn weak<'a>(mut presented: impl Iterator<Item = X509Certificate<'a>>) -> Option<Untrusted> {
    presented.find_map(|certificate| {
        Some(Untrusted::WeakKey {
            key: certificate::weak_key(&certificate)?,
            subject: certificate.subject().to_string(),
        })
    })
}

fn subject_of(der: &CertificateDer<'_>) -> String {
    certificate::parse(der).map(|certificate| certificate.subject().to_string()).unwrap_or_default()
}

fn invalid(error: &Error) -> Untrusted {
    Untrusted::Invalid { what: error.to_string() }
}

fn purpose(oid: &[usize]) -> String {
    let known = match oid {
        [1, 3, 6, 1, 5, 5, 7, 3, purpose] => *purpose,
        _ => 0,
    };
    match known {
        1 => "serverAuth".into(),
        2 => "clientAuth".into(),
        3 => "codeSigning".into(),
        4 => "emailProtection".into(),
        8 => "timeStamping".into(),
        9 => "OCSPSigning".into(),
        _ => oid.iter().map(ToString::to_string).collect::<Vec<_>>().join("."),
    }
}
