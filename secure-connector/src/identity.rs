//! Who we are: a certificate chain with its key, and sources that bring new ones.

mod pem_files;

use std::{fmt, sync::Arc, time::SystemTime};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use tokio::sync::watch;
use zeroize::Zeroize;

pub use self::pem_files::{PemFiles, PemFilesError, PemFilesStatus};
use crate::{
    AuthenticatedAs, BoxError, CertificateSummary, IdentityUnavailable,
    tls::{certificate, pem, provider},
};

/// A certificate chain and the private key of its leaf: immutable, checked, and safe to log.
///
/// The key is handed to the cryptography library when the value is made and cannot be read back; every copy of ours is
/// zeroized. An `Identity` whose key does not belong to its leaf cannot exist.
pub struct Identity {
    certified: Arc<CertifiedKey>,
    summary: CertificateSummary,
    authenticates_as: Option<AuthenticatedAs>,
    not_after: SystemTime,
    sensitive: bool,
}

/// What a source offers at the moment.
pub type CurrentIdentity = Result<Arc<Identity>, IdentityUnavailable>;

/// Where identities come from. Rotation is a new value in the watch.
///
/// # What the caller may assume
/// - The receiver holds the current state at once, and every later one.
/// - A connection takes what is current when it starts; a later value never changes a connection that exists.
///
/// # What an implementer must never do
/// - Publish the same `Arc` for different content: a connector takes a new pointer for a new identity, and stops
///   resuming TLS sessions of the old one.
/// - Let the sender's task outlive the source: dropping the source (or its handle) ends renewal. The last identity stays
///   in the watch and in use until it expires.
/// - Publish an error while an identity that is still good could be kept.
pub trait IdentitySource: fmt::Debug + Send + Sync {
    /// Subscribes to the current identity and all later ones.
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity>;
}

/// Why a chain and a key do not make an identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The PEM text holds no certificate.
    #[error("no certificate found: expected at least one PEM block `CERTIFICATE`, leaf first")]
    NoCertificate,
    /// The PEM text holds no private key.
    #[error(
        "no private key found: expected a PEM block `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`, unencrypted"
    )]
    NoPrivateKey,
    /// A certificate cannot be read.
    #[error("certificate {index} of the chain (leaf = 0) cannot be read")]
    Certificate {
        /// Its place in the chain.
        index: usize,
        /// What is wrong with it.
        source: BoxError,
    },
    /// The private key cannot be read or is of a kind that TLS does not use.
    #[error(
        "the private key cannot be used: expected RSA, ECDSA (P-256, P-384, P-521) or Ed25519 in PKCS#8, PKCS#1 or SEC1"
    )]
    PrivateKey {
        /// What is wrong with it; never the key.
        source: BoxError,
    },
    /// The key is not that of the leaf.
    #[error(
        "the private key does not belong to the certificate of {subject}: give the key that this certificate was issued for"
    )]
    KeyMismatch {
        /// Subject of the leaf.
        subject: String,
    },
}

impl Identity {
    /// An identity from PEM text: `chain` leaf first, `key` unencrypted. Text around the PEM blocks is ignored.
    ///
    /// # Errors
    /// [`IdentityError`], one variant per rule.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<CertificateDer<'static>> = pem::blocks(chain)
            .enumerate()
            .map(|(index, der)| der.map_err(|e| IdentityError::Certificate { index, source: e.into() }))
            .collect::<Result<_, _>>()?;
        let mut key = pem::first::<PrivateKeyDer<'_>>(key).map_err(|_| IdentityError::NoPrivateKey)?;
        let identity = Self::new(chain, &key);
        key.zeroize();
        identity
    }

    /// An identity from DER: `chain` leaf first, `key` in PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// [`IdentityError`], one variant per rule.
    pub fn from_der(chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Self, IdentityError> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::try_from(key).map_err(|e| IdentityError::PrivateKey { source: e.into() })?;
        Self::new(chain, &key)
    }

    /// Says what a peer will take this identity for, beyond the certificate. It appears in the report.
    #[must_use]
    pub fn authenticating_as(mut self, who: AuthenticatedAs) -> Self {
        self.authenticates_as = Some(who);
        self
    }

    /// Says that the identity is worth nothing after `end`, though the certificate may live longer: when the credentials
    /// that signed it expire.
    #[must_use]
    pub fn ending_at(mut self, end: SystemTime) -> Self {
        self.not_after = self.not_after.min(end);
        self
    }

    /// Says that the certificate itself holds something that others should not see, such as a session token. TLS 1.2
    /// sends certificates unencrypted (RFC 5246 section 7.4.6); the report of such a connection warns of it.
    #[must_use]
    pub fn with_sensitive_certificate(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// The leaf certificate.
    pub fn certificate(&self) -> &CertificateSummary {
        &self.summary
    }

    /// The chain in DER, leaf first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(|der| der.as_ref())
    }

    /// What a peer takes this identity for, beyond the certificate.
    pub fn authenticates_as(&self) -> Option<&AuthenticatedAs> {
        self.authenticates_as.as_ref()
    }

    /// Whether the identity can be used at `now`: inside the leaf's validity period, both ends included (RFC 5280 section
    /// 4.1.2.5), and not past [`ending_at`](Self::ending_at).
    pub fn is_current(&self, now: SystemTime) -> bool {
        (self.summary.not_before..=self.not_after).contains(&now)
    }

    /// The last moment at which the identity can be used.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(crate) fn has_sensitive_certificate(&self) -> bool {
        self.sensitive
    }

    pub(crate) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, IdentityError> {
        let mut summary = None;
        for (index, der) in chain.iter().enumerate().rev() {
            let read = certificate::summary(der).map_err(|e| IdentityError::Certificate { index, source: e.into() })?;
            summary = Some(read);
        }
        let summary = summary.ok_or(IdentityError::NoCertificate)?;
        let key = provider::signing_key(key).map_err(|e| IdentityError::PrivateKey { source: e.into() })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                return Err(IdentityError::KeyMismatch { subject: summary.subject });
            }
            Err(e) => return Err(IdentityError::PrivateKey { source: e.into() }),
        }
        let not_after = summary.not_after;
        Ok(Self { certified: Arc::new(certified), summary, authenticates_as: None, not_after, sensitive: false })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate", &self.summary)
            .field("authenticates_as", &self.authenticates_as)
            .field("key", &"[redacted]")
            .finish()
    }
}

/// A source with one identity that never changes.
#[derive(Clone, Debug)]
pub struct StaticIdentity(watch::Receiver<CurrentIdentity>);

impl StaticIdentity {
    /// Always `identity`.
    pub fn new(identity: Identity) -> Self {
        Self(watch::channel(Ok(Arc::new(identity))).1)
    }
}

impl IdentitySource for StaticIdentity {
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity> {
        self.0.clone()
    }
}

/// The simplest source that changes: whoever holds the sender publishes.
impl IdentitySource for watch::Receiver<CurrentIdentity> {
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity> {
        self.clone()
    }
}

impl<S: IdentitySource + ?Sized> IdentitySource for Arc<S> {
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity> {
        (**self).subscribe()
    }
}
