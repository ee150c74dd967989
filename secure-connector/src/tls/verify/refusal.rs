//! From webpki's error to what went wrong, with the certificate at fault. Only ever run when a chain is refused.

use std::iter;

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error};
use x509_parser::{certificate::X509Certificate, time::ASN1Time};

use super::Chain;
use crate::{
    ConnectError, Untrusted,
    tls::{
        certificate::{self, from_unix},
        roots::AnchorFacts,
    },
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
        let parsed: Vec<_> = presented().filter_map(|der| certificate::parse(der).ok()).collect();
        let now = from_unix(at);
        let reason = match &error {
            Error::CertExpired { not_after, .. } => {
                let subject = presented_with(&parsed, *not_after, |c| c.validity().not_after);
                let not_after = from_unix(*not_after);
                match subject {
                    Some(subject) => Untrusted::Expired { subject, not_after, now },
                    None => {
                        let subject = self.anchor_with(|facts| from_unix(facts.not_after) == not_after);
                        Untrusted::AnchorExpired { subject, not_after, now }
                    }
                }
            }
            Error::CertNotValidYet { not_before, .. } => {
                let subject = presented_with(&parsed, *not_before, |c| c.validity().not_before)
                    .unwrap_or_else(|| self.anchor_with(|facts| facts.not_before == *not_before));
                Untrusted::NotYetValid { subject, not_before: from_unix(*not_before), now }
            }
            Error::UnknownIssuer => self.unknown_ca(&parsed),
            Error::CaUsedAsEndEntity => Untrusted::CaUsedAsServer { subject: first_subject(&parsed) },
            Error::RequiredEkuNotFoundContext(context) => Untrusted::WrongPurpose {
                presented: context.present.iter().map(|oid| purpose(oid)).collect::<Vec<_>>().join(", "),
            },
            // webpki verifies no signature of a shorter key than 2048 bits.
            Error::InvalidSignatureForPublicKey => weak(&parsed).unwrap_or_else(|| invalid(&error)),
            Error::CertRevoked => match presented().find_map(|der| self.revoked(der)) {
                Some(revoked) => return revoked,
                None => invalid(&error),
            },
            Error::UnknownRevocationStatus => return unknown("no list of its issuer was given".into()),
            Error::CrlExpired { next_update, .. } => {
                let next_update = crate::Rfc3339(from_unix(*next_update));
                return unknown(format!("the list of its issuer was to be renewed by {next_update}"));
            }
            Error::IssuerNotCrlSigner => {
                return unknown("its issuer may not sign revocation lists (RFC 5280 section 6.3.3 (f))".into());
            }
            Error::InvalidCrlSignatureForPublicKey => {
                return unknown("the list of its issuer was not signed by that issuer".into());
            }
            _ => invalid(&error),
        };
        ConnectError::Untrusted { reason, source: Some(error.into()) }
    }

    fn unknown_ca(&self, presented: &[X509Certificate<'_>]) -> Untrusted {
        let issuer = presented.last().map(|last| certificate::issuer(last)).unwrap_or_default();
        match self.roots.weak_key_of(&issuer) {
            Some(key) => Untrusted::WeakKey { key: key.to_owned(), subject: issuer },
            None => Untrusted::UnknownCa { issuer, anchors: self.roots.anchors().len() },
        }
    }

    fn anchor_with(&self, wanted: impl Fn(&AnchorFacts) -> bool) -> String {
        self.roots.facts().find(|facts| wanted(facts)).map(|facts| facts.subject.clone()).unwrap_or_default()
    }

    fn revoked(&self, der: &CertificateDer<'_>) -> Option<ConnectError> {
        let certificate = EndEntityCert::try_from(der).ok()?;
        self.crls.as_ref()?.of_issuer(certificate.issuer()).find_map(|crl| {
            let entry = crl.list.find_serial(certificate.serial()).ok()??;
            Some(ConnectError::Revoked {
                serial: certificate::lower_hex(certificate.serial()),
                at: Some(from_unix(entry.revocation_date)),
                via: format!("the revocation list of {}", crl.issuer),
            })
        })
    }
}

/// Subject of the presented certificate with this date. A root that is sent along does not count: only the anchor does.
fn presented_with(
    presented: &[X509Certificate<'_>],
    date: UnixTime,
    of: impl Fn(&X509Certificate<'_>) -> ASN1Time,
) -> Option<String> {
    let date = from_unix(date);
    let mut counted = presented.iter().enumerate().filter(|(i, c)| *i == 0 || c.subject() != c.issuer());
    counted.find(|(_, c)| certificate::system_time(&of(c)) == date).map(|(_, c)| certificate::subject(c))
}

fn first_subject(presented: &[X509Certificate<'_>]) -> String {
    presented.first().map(|leaf| certificate::subject(leaf)).unwrap_or_default()
}

fn weak(presented: &[X509Certificate<'_>]) -> Option<Untrusted> {
    presented.iter().find_map(|certificate| {
        let key = certificate::weak_key(certificate)?;
        Some(Untrusted::WeakKey { key, subject: certificate::subject(certificate) })
    })
}

fn unknown(why: String) -> ConnectError {
    ConnectError::RevocationUnknown { why, retryable: false }
}

fn invalid(error: &Error) -> Untrusted {
    let what = match error {
        Error::InvalidSignatureForPublicKey => {
            "a signature is not that of the CA with the issuer's name (a CA made anew under its old name?)"
        }
        Error::NameConstraintViolation => "a CA of the chain may not vouch for this name (RFC 5280 section 4.2.1.10)",
        Error::PathLenConstraintViolated => "there are more CAs in the chain than one of them allows below itself",
        Error::EndEntityUsedAsCa => "a certificate that is no CA has issued another (RFC 5280 section 4.2.1.9)",
        Error::UnsupportedCriticalExtension => "it has a critical extension that is not understood",
        Error::UnsupportedCertVersion => "it is not an X.509 version 3 certificate",
        other => return Untrusted::Invalid { what: other.to_string() },
    };
    Untrusted::Invalid { what: what.into() }
}

/// The names of RFC 5280 section 4.2.1.12.
fn purpose(oid: &[usize]) -> String {
    let name = match oid {
        [1, 3, 6, 1, 5, 5, 7, 3, 1] => "serverAuth",
        [1, 3, 6, 1, 5, 5, 7, 3, 2] => "clientAuth",
        [1, 3, 6, 1, 5, 5, 7, 3, 3] => "codeSigning",
        [1, 3, 6, 1, 5, 5, 7, 3, 4] => "emailProtection",
        [1, 3, 6, 1, 5, 5, 7, 3, 8] => "timeStamping",
        [1, 3, 6, 1, 5, 5, 7, 3, 9] => "OCSPSigning",
        [2, 5, 29, 37, 0] => "anyExtendedKeyUsage",
        other => return other.iter().map(ToString::to_string).collect::<Vec<_>>().join("."),
    };
    name.into()
}
