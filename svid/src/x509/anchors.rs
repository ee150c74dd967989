//! The X.509 roots of one trust domain.

use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, TrustAnchor};
use secure_connector::BoxError;

use super::{X509SvidError, error::Signer, name_constraints::UriConstraints};
use crate::certificate::{BasicConstraints, Certificate, KeyUsage};

#[derive(Clone, Debug, Default)]
pub(crate) struct Anchors {
    /// In the form that webpki wants; `facts` has the same order and length.
    trust: Vec<TrustAnchor<'static>>,
    facts: Vec<Facts>,
}

/// What webpki's anchors do not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) place: usize,
    der: Vec<u8>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    pub(super) uri_constraints: UriConstraints,
}

impl Anchors {
    /// A root that is there already is not added again.
    pub(crate) fn add(&mut self, der: &[u8]) -> Result<(), BoxError> {
        if self.facts.iter().any(|facts| facts.der == der) {
            return Ok(());
        }
        let certificate = Certificate::read(der, self.facts.len())?;
        let given = CertificateDer::from(der);
        let mut anchor = webpki::anchor_from_trusted_cert(&given)?.to_owned();
        let mut uri_constraints = UriConstraints::default();
        if let Some(extension) = certificate.name_constraints {
            let (uris, rest) = UriConstraints::split(extension)?;
            uri_constraints = uris;
            anchor.name_constraints = rest.map(Into::into);
        }
        self.facts.push(Facts {
            place: certificate.index,
            der: der.to_vec(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            basic_constraints: certificate.basic_constraints,
            key_usage: certificate.key_usage,
            uri_constraints,
        });
        self.trust.push(anchor);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.trust.is_empty()
    }

    pub(crate) fn ders(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.facts.iter().map(|facts| facts.der.as_slice())
    }

    pub(super) fn trust(&self) -> &[TrustAnchor<'static>] {
        &self.trust
    }

    /// `anchor` is one of [`trust`](Self::trust), by address: two roots may differ in their dates only.
    pub(super) fn facts_of(&self, anchor: &TrustAnchor<'_>) -> Option<&Facts> {
        let place = self.trust.iter().position(|candidate| std::ptr::eq(candidate, anchor))?;
        self.facts.get(place)
    }
}

impl PartialEq for Anchors {
    /// The order in a bundle has no meaning.
    fn eq(&self, other: &Self) -> bool {
        let holds = |other: &Self, der: &[u8]| other.ders().any(|known| known == der);
        self.ders().len() == other.ders().len() && self.ders().all(|der| holds(other, der))
    }
}

impl Eq for Anchors {}

impl Facts {
    /// `below`: how many intermediates that are not self-issued the path has.
    pub(super) fn judge(&self, below: usize, at: SystemTime) -> Result<(), X509SvidError> {
        let signer = Signer::Root(self.place);
        let (not_before, not_after) = (self.not_before, self.not_after);
        if !(not_before..=not_after).contains(&at) {
            return Err(X509SvidError::NotCurrent { signer, not_before, not_after, at });
        }
        let Some(BasicConstraints { ca: true, path_length }) = self.basic_constraints else {
            return Err(X509SvidError::SignerIsNoCa { signer });
        };
        if path_length.is_some_and(|limit| usize::try_from(limit).is_ok_and(|limit| below > limit)) {
            return Err(X509SvidError::PathLength { source: None });
        }
        if self.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(X509SvidError::SignerMayNotSign { signer });
        }
        Ok(())
    }

    /// "If a key usage extension is present in the CRL issuer's certificate, verify that the cRLSign bit is set" (RFC 5280
    /// section 6.3.3 (f)). webpki asks intermediates only.
    pub(super) fn signs_crls(&self) -> bool {
        self.key_usage.is_none_or(KeyUsage::crl_sign)
    }
}
