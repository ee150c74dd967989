//! From leaf to root: rustls-webpki finds and verifies paths, and each one that holds is judged by what webpki leaves out.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use super::{Anchors, Crls, RootState, X509SvidError, X509Verifier, crls, error::Signer, issuer, leaf::Leaf};
use crate::{SpiffeId, certificate::Certificate};

/// A path that holds.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) not_after: SystemTime,
    /// Places of its signing certificates in what was presented.
    pub(super) intermediates: Vec<usize>,
}

/// What one verification is about.
struct Search<'a> {
    verifier: &'a X509Verifier,
    chain: &'a [CertificateDer<'a>],
    leaf: &'a Leaf<'a>,
    id: &'a SpiffeId,
    anchors: &'a Anchors,
    at: SystemTime,
}

pub(super) fn find(
    verifier: &X509Verifier,
    chain: &[CertificateDer<'_>],
    leaf: &Leaf<'_>,
    id: &SpiffeId,
    anchors: &Anchors,
    at: SystemTime,
) -> Result<Path, X509SvidError> {
    let search = Search { verifier, chain, leaf, id, anchors, at: whole_seconds(at) };
    let (Some(first), intermediates) = (chain.first(), chain.get(1..).unwrap_or_default()) else {
        return Err(X509SvidError::NoCertificate);
    };
    let end_entity = EndEntityCert::try_from(first).map_err(|error| search.refusal(error))?;
    let lists = verifier.crls.as_deref().map(Crls::lists).unwrap_or_default();
    // Called for each path that holds so far. When it refuses one, the search goes on: there may be another path, to a root
    // that is current. The first refusal says the most, should no path be good.
    let judged = RefCell::new(None);
    let judge = |path: &VerifiedPath<'_>| {
        let mut judged = judged.borrow_mut();
        match (search.judge(path), &*judged) {
            (Ok(path), _) => {
                *judged = Some(Ok(path));
                return Ok(());
            }
            (Err(error), None) => *judged = Some(Err(error)),
            (Err(_), Some(_)) => {}
        }
        Err(Error::UnknownIssuer)
    };
    let found = end_entity.verify_for_usage(
        verifier.algorithms.all,
        anchors.trust(),
        intermediates,
        to_unix(at),
        AnyPurpose,
        crls::policy(&lists),
        Some(&judge),
    );
    match (found, judged.take()) {
        (Ok(_), Some(Ok(path))) => Ok(path),
        (_, Some(Err(refusal))) => Err(refusal),
        (found, _) => Err(search.refusal(found.err().unwrap_or(Error::UnknownIssuer))),
    }
}

impl Search<'_> {
    fn judge(&self, path: &VerifiedPath<'_>) -> Result<Path, X509SvidError> {
        let facts = self.anchors.facts_of(path.anchor()).expect("webpki was given these anchors");
        let leaf = &self.leaf.certificate;
        let domain = self.id.trust_domain();
        facts.uri_constraints.judge(&leaf.uris)?;
        let mut found = Path { not_after: leaf.not_after.min(facts.not_after), intermediates: Vec::new() };
        let mut below = 0;
        for intermediate in path.intermediate_certificates() {
            let der = intermediate.der();
            let place = self.chain.iter().position(|presented| *presented == der).unwrap_or_default();
            let certificate = Certificate::read(&der, place)?;
            issuer::judge(&certificate, &domain)?;
            facts.uri_constraints.judge(&certificate.uris)?;
            below += usize::from(intermediate.subject() != intermediate.issuer());
            found.not_after = found.not_after.min(certificate.not_after);
            found.intermediates.push(place);
        }
        if self.verifier.root_state == RootState::Judged {
            facts.judge(below, self.at)?;
        }
        if self.verifier.crls.is_some() && !facts.signs_crls() {
            return Err(X509SvidError::Revoked { source: Error::IssuerNotCrlSigner.into() });
        }
        Ok(found)
    }

    /// The rule that webpki's error is about.
    fn refusal(&self, error: Error) -> X509SvidError {
        match error {
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity => {
                self.not_current().unwrap_or_else(|| self.no_path(error))
            }
            Error::EndEntityUsedAsCa => match self.place(|certificate| !certificate.is_ca()) {
                Some(place) => X509SvidError::SignerIsNoCa { signer: Signer::Presented(place) },
                None => self.no_path(error),
            },
            Error::PathLenConstraintViolated => X509SvidError::PathLength { source: Some(error.into()) },
            Error::NameConstraintViolation => X509SvidError::NameConstraint {
                what:
                    "a signing certificate constrains names, and one of the path is not among those permitted, or it \
                       constrains URIs or directory names, which only a root may"
                        .into(),
                source: Some(error.into()),
            },
            Error::UnsupportedCriticalExtension => {
                let oid = |certificate: &Certificate<'_>| certificate.unknown_critical;
                match self.place(|certificate| oid(certificate).is_some()) {
                    Some(place) => X509SvidError::UnknownCritical {
                        certificate: place,
                        oid: self.read(place).and_then(|c| oid(&c)).map(|oid| oid.to_string()).unwrap_or_default(),
                    },
                    None => self.no_path(error),
                }
            }
            Error::CertRevoked
            | Error::UnknownRevocationStatus
            | Error::CrlExpired { .. }
            | Error::IssuerNotCrlSigner
            | Error::InvalidCrlSignatureForPublicKey => X509SvidError::Revoked { source: error.into() },
            other => self.unreadable().unwrap_or_else(|| self.no_path(other)),
        }
    }

    fn no_path(&self, error: Error) -> X509SvidError {
        X509SvidError::NoTrustedPath {
            trust_domain: self.id.trust_domain(),
            roots: self.anchors.ders().len(),
            source: error.into(),
        }
    }

    fn not_current(&self) -> Option<X509SvidError> {
        (0..self.chain.len()).find_map(|place| not_current(&self.read(place)?, self.at))
    }

    /// A signing certificate that our own reader refuses, too.
    fn unreadable(&self) -> Option<X509SvidError> {
        self.chain.iter().enumerate().skip(1).find_map(|(place, der)| Certificate::read(der, place).err())
    }

    fn place(&self, holds: impl Fn(&Certificate<'_>) -> bool) -> Option<usize> {
        (1..self.chain.len()).find(|place| self.read(*place).is_some_and(|certificate| holds(&certificate)))
    }

    fn read(&self, place: usize) -> Option<Certificate<'_>> {
        Certificate::read(self.chain.get(place)?, place).ok()
    }
}

pub(super) fn not_current(certificate: &Certificate<'_>, at: SystemTime) -> Option<X509SvidError> {
    let Certificate { not_before, not_after, .. } = *certificate;
    let signer = Signer::Presented(certificate.index);
    let current = (not_before..=not_after).contains(&at);
    (!current).then_some(X509SvidError::NotCurrent { signer, not_before, not_after, at })
}

/// Purposes are judged by the rules, which ask for more than one role's.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        purposes.into_iter().try_for_each(|purpose| purpose.map(drop))
    }
}

/// As certificates count; times before 1970 become 1970.
fn to_unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn whole_seconds(time: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(to_unix(time).as_secs())
}
