//! X.509-SVIDs: the rules on certificates, the path to a root of the trust domain, and our own material.

mod anchors;
mod crls;
mod error;
mod explain;
mod issuer;
mod leaf;
mod name_constraints;
mod own;
mod path;

use std::{sync::Arc, time::SystemTime};

use rustls::{crypto::WebPkiSupportedAlgorithms, pki_types::CertificateDer};
use secure_connector::Revocation;

pub use self::crls::CrlError;
pub use self::error::{Signer, X509SvidError};
pub use self::explain::{Finding, Outcome, Report};
pub use self::own::X509Svid;

pub(crate) use self::anchors::Anchors;
use self::{crls::Crls, leaf::Leaf, path::Path};
use crate::{Bundle, BundleSet, SpiffeId, provider};

/// More certificates than this are not looked at. The standard has no number; spiffe-rustls has the same one.
const MAX_CHAIN: usize = 16;

/// Judges the X.509-SVIDs that peers present: X509-SVID.md section 5, with every demand of sections 2 to 4 on what the
/// issuer has made.
///
/// Roots are taken from the bundle of the ID's own trust domain and from no other (Workload API section 4.6). The path to
/// one of them is built and verified by rustls-webpki; what webpki leaves out is judged here: key usage, purposes, the
/// state of the roots, and URI name constraints of roots.
///
/// # Where the standard leaves a choice
/// | case | here |
/// |---|---|
/// | no basic constraints on a leaf | accepted: it is no CA then (RFC 5280 section 4.2.1.9) |
/// | purposes without both serverAuth and clientAuth, leaf or intermediate | refused |
/// | no subject, and a subject alternative name that is not critical | refused |
/// | a root that is expired, not valid yet, no CA, of X.509 version 1, or whose path length is exceeded | not used |
/// | RSA keys below 2048 bits, SHA-1 signatures | refused |
/// | an ID of more than 2048 bytes, capitals in the trust domain | refused |
/// | more than 16 certificates, more than 6 intermediates in a path | refused |
/// | intermediates in another order than TLS 1.2 wants | accepted (RFC 8446 section 4.4.2) |
///
/// # Limitations
/// An intermediate that constrains URIs is refused, and so is a path under directory-name constraints: rustls-webpki fails
/// closed on both. Roots may constrain URIs.
#[derive(Clone, Debug)]
pub struct X509Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    root_state: RootState,
    crls: Option<Arc<Crls>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RootState {
    Judged,
    NotJudged,
}

/// A peer that has proven to be authorised for an ID, as far as its certificates go. Only a verification makes one.
///
/// It does not show that the peer holds the private key. Only a handshake does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerSvid {
    id: SpiffeId,
    not_after: SystemTime,
}

impl X509Verifier {
    /// Every rule, and no revocation lists.
    pub fn new() -> Self {
        Self { algorithms: provider::algorithms(), root_state: RootState::Judged, crls: None }
    }

    /// In addition, no certificate of the path is revoked by these lists, DER or PEM. Every certificate below the root then
    /// needs a list of its issuer that is not out of date.
    ///
    /// # Errors
    /// [`CrlError`].
    pub fn with_crls(mut self, crls: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, CrlError> {
        self.crls = Some(Arc::new(Crls::read(crls)?));
        Ok(self)
    }

    /// Takes roots as a name and a key, whatever else their certificates say: expired ones, too. Their name constraints
    /// hold all the same. RFC 5280 section 6.1.1 (d) allows it.
    #[must_use]
    pub fn danger_ignore_state_of_roots(mut self) -> Self {
        self.root_state = RootState::NotJudged;
        self
    }

    /// Judges what a peer presents, leaf first, DER, at the time `at`. Depends on nothing else.
    ///
    /// # Errors
    /// [`X509SvidError`], one variant per rule.
    pub fn verify(
        &self,
        chain: &[impl AsRef<[u8]>],
        bundles: &BundleSet,
        at: SystemTime,
    ) -> Result<PeerSvid, X509SvidError> {
        let chain = presented(chain)?;
        let leaf = Leaf::read(&chain)?;
        leaf.judge(&self.algorithms)?;
        let id = leaf.id()?;
        let path = self.path(&chain, &leaf, &id, bundles, at)?;
        Ok(PeerSvid { not_after: path.not_after, id })
    }

    /// What is known about revocation of a chain that was accepted.
    pub(crate) fn revocation(&self) -> Revocation {
        self.crls.as_ref().map_or(Revocation::NotChecked, |crls| crls.good())
    }

    fn path(
        &self,
        chain: &[CertificateDer<'_>],
        leaf: &Leaf<'_>,
        id: &SpiffeId,
        bundles: &BundleSet,
        at: SystemTime,
    ) -> Result<Path, X509SvidError> {
        let anchors = roots_of(id, bundles)?.anchors();
        path::find(self, chain, leaf, id, anchors, at)
    }
}

impl PeerSvid {
    /// Who the peer is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// When the first certificate of the path ends, its root included.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

impl Default for X509Verifier {
    fn default() -> Self {
        Self::new()
    }
}

fn presented<'a>(chain: &'a [impl AsRef<[u8]>]) -> Result<Vec<CertificateDer<'a>>, X509SvidError> {
    if chain.len() > MAX_CHAIN {
        return Err(X509SvidError::ChainTooLong { certificates: chain.len(), limit: MAX_CHAIN });
    }
    Ok(chain.iter().map(|der| der.as_ref().into()).collect())
}

fn roots_of<'a>(id: &SpiffeId, bundles: &'a BundleSet) -> Result<&'a Bundle, X509SvidError> {
    let bundle = bundles.get(id.domain_name()).ok_or_else(|| X509SvidError::NoBundle {
        trust_domain: id.trust_domain(),
        known: bundles.iter().map(|bundle| bundle.trust_domain().clone()).collect(),
    })?;
    // "the bundle is effectively empty": every SVID of the domain is untrusted (Bundle section 4.1.3).
    if bundle.anchors().is_empty() {
        return Err(X509SvidError::NoRoots { trust_domain: id.trust_domain() });
    }
    Ok(bundle)
}
