//! Bundles: the keys of trust domains (SPIFFE_Trust_Domain_and_Bundle.md).

mod document;
mod error;
mod jwk;
mod set;

use std::{collections::BTreeMap, fmt, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secure_connector::BoxError;

pub use self::error::{BundleError, IgnoredBecause, IgnoredKey, Rollback};
pub(crate) use self::jwk::{Curve, PublicKey};
pub use self::set::{BundleSet, Update};
use crate::{TrustDomain, x509::Anchors};

/// The keys of one trust domain: X.509 roots and keys that sign JWT-SVIDs. Immutable.
///
/// An empty bundle is a bundle: every SVID of its domain is untrusted (section 4.1.3).
#[derive(Clone)]
pub struct Bundle {
    trust_domain: TrustDomain,
    anchors: Anchors,
    jwt_keys: BTreeMap<String, PublicKey>,
    sequence: Option<u64>,
    refresh_hint: Option<Duration>,
    ignored: Vec<IgnoredKey>,
}

/// Between two looks at a bundle document that says nothing of its own (SPIFFE_Federation.md section 4.1.2).
const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
/// A partner that hints at zero must not make us spin, and one that hints at centuries must not cut itself off.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 3600);

impl Bundle {
    /// No key at all: every SVID of this domain is untrusted.
    pub fn empty(trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            anchors: Anchors::default(),
            jwt_keys: BTreeMap::new(),
            sequence: None,
            refresh_hint: None,
            ignored: Vec::new(),
        }
    }

    /// Reads a bundle document, a JWK set (section 4).
    ///
    /// Entries that cannot be used, now or ever, are ignored one by one, as the standard demands: a partner's new kind of
    /// key must not cut off its old ones. [`ignored`](Self::ignored) has them.
    ///
    /// # Where the standard leaves a choice
    /// | case | here |
    /// |---|---|
    /// | `kid` on an x509-svid entry | kept |
    /// | several certificates in `x5c` | the first counts |
    /// | the key is not that of the certificate in `x5c`; the certificate is no CA | ignored |
    /// | two jwt-svid entries with one `kid` | the first is kept |
    /// | `spiffe_sequence` or `spiffe_refresh_hint` negative or no whole number | the document is refused |
    /// | a member twice, a byte order mark | the document is refused |
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn from_jwks(trust_domain: TrustDomain, document: &[u8]) -> Result<Self, BundleError> {
        document::read(trust_domain, document)
    }

    /// X.509 roots from a PEM text.
    ///
    /// # Errors
    /// [`BundleError::Root`]; nothing is left out.
    pub fn from_x509_pem(trust_domain: TrustDomain, pem: &[u8]) -> Result<Self, BundleError> {
        let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let unreadable = |_| BundleError::Root { place: 0, source: BoxError::from("a PEM block cannot be read") };
        Self::from_x509_der(trust_domain, ders.map_err(unreadable)?)
    }

    /// X.509 roots in DER. None makes an [`empty`](Self::empty) bundle.
    ///
    /// # Errors
    /// [`BundleError::Root`]; nothing is left out.
    pub fn from_x509_der(
        trust_domain: TrustDomain,
        roots: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Self, BundleError> {
        let mut bundle = Self::empty(trust_domain);
        for (place, der) in roots.into_iter().enumerate() {
            bundle.anchors.add(der.as_ref()).map_err(|source| BundleError::Root { place, source })?;
        }
        Ok(bundle)
    }

    /// The X.509 roots of this bundle with the JWT keys of `other`: the Workload API sends them apart.
    #[must_use]
    pub fn with_jwt_keys_of(mut self, other: &Self) -> Self {
        self.jwt_keys.clone_from(&other.jwt_keys);
        self
    }

    /// Whose keys these are.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The X.509 roots, DER.
    pub fn x509_roots(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.anchors.ders()
    }

    /// The names (`kid`) of the keys that sign JWT-SVIDs.
    pub fn jwt_key_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.jwt_keys.keys().map(String::as_str)
    }

    /// `spiffe_sequence`: grows with every change.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// `spiffe_refresh_hint`, as published.
    pub fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// How long to wait before the document is read again: the hint, from one second to one day, else five minutes.
    pub fn refresh_interval(&self) -> Duration {
        self.refresh_hint.unwrap_or(DEFAULT_REFRESH).clamp(SHORTEST_REFRESH, LONGEST_REFRESH)
    }

    /// Entries of the document that are not used, each with the reason.
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }

    /// Whether this bundle may take the place of `old`, by rule B-12.
    ///
    /// Numbers never fall. An equal number may come with other content: not every publisher counts. A number that was there
    /// once stays, since a document from before it would otherwise pass.
    ///
    /// # Errors
    /// [`Rollback`].
    pub fn may_replace(&self, old: &Self) -> Result<(), Rollback> {
        match (old.sequence, self.sequence) {
            (Some(known), Some(offered)) if offered < known => Err(Rollback::Older { known, offered }),
            (Some(known), None) => Err(Rollback::Unnumbered { known }),
            _ => Ok(()),
        }
    }

    pub(crate) fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    pub(crate) fn jwt_key(&self, kid: &str) -> Option<&PublicKey> {
        self.jwt_keys.get(kid)
    }
}

impl PartialEq for Bundle {
    /// What is ignored plays no part, nor does the order of roots.
    fn eq(&self, other: &Self) -> bool {
        let key = |bundle: &Self| (bundle.sequence, bundle.refresh_hint);
        self.trust_domain == other.trust_domain
            && key(self) == key(other)
            && self.jwt_keys == other.jwt_keys
            && self.anchors == other.anchors
    }
}

impl Eq for Bundle {}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("trust_domain", &self.trust_domain)
            .field("x509_roots", &self.x509_roots().len())
            .field("jwt_key_ids", &self.jwt_keys.keys())
            .field("sequence", &self.sequence)
            .field("refresh_hint", &self.refresh_hint)
            .field("ignored", &self.ignored)
            .finish()
    }
}

#[cfg(test)]
mod tests;
