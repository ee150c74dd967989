//! The X.509-SVID that we present.

use std::{fmt, sync::Arc, time::SystemTime};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secure_connector::{AuthenticatedAs, BoxError, Identity, IdentityError};

use super::{X509SvidError, issuer, leaf::Leaf, presented};
use crate::{SpiffeId, certificate::Certificate, provider};

/// An X.509-SVID of our own: a chain that keeps the rules, with the private key of its leaf.
///
/// The key is in the [`Identity`], where it cannot be read back. An SVID whose key is not the leaf's, or that a careful peer
/// would refuse for what it says, cannot exist; whether it is current and which roots it leads to is for peers to judge.
#[derive(Clone)]
pub struct X509Svid {
    id: SpiffeId,
    identity: Arc<Identity>,
    hint: Option<String>,
}

impl X509Svid {
    /// From DER: the chain leaf first, the key in PKCS#8.
    ///
    /// # Errors
    /// [`X509SvidError`], one variant per rule.
    pub fn from_der(chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Self, X509SvidError> {
        let id = judge(&chain)?;
        Self::new(id, Identity::from_der(chain, key))
    }

    /// From PEM: the chain leaf first, the key unencrypted.
    ///
    /// # Errors
    /// [`X509SvidError`], one variant per rule.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, X509SvidError> {
        let mut ders = Vec::new();
        for der in CertificateDer::pem_slice_iter(chain) {
            let der = der.map_err(|_| X509SvidError::NotDer {
                certificate: ders.len(),
                source: BoxError::from("a PEM block cannot be read"),
            })?;
            ders.push(der.to_vec());
        }
        let id = judge(&ders)?;
        Self::new(id, Identity::from_pem(chain, key))
    }

    /// Marks it with what tells several SVIDs of one workload apart (Workload API section 5.2.1, `hint`).
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Who we are.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The chain and its key, for a connector.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What tells it apart from the other SVIDs of this workload.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The last moment at which it can be used.
    pub fn not_after(&self) -> SystemTime {
        self.identity.not_after()
    }

    fn new(id: SpiffeId, identity: Result<Identity, IdentityError>) -> Result<Self, X509SvidError> {
        let identity = identity.map_err(|source| X509SvidError::PrivateKey { source })?;
        let identity = identity.authenticating_as(AuthenticatedAs::new("spiffe", id.as_str()));
        Ok(Self { id, identity: Arc::new(identity), hint: None })
    }
}

/// The rules on leaf and signing certificates; nothing about time and roots.
fn judge(chain: &[Vec<u8>]) -> Result<SpiffeId, X509SvidError> {
    let chain = presented(chain)?;
    let leaf = Leaf::read(&chain)?;
    leaf.judge(&provider::algorithms())?;
    let id = leaf.id()?;
    let domain = id.trust_domain();
    for (place, der) in chain.iter().enumerate().skip(1) {
        issuer::judge(&Certificate::read(der, place)?, &domain)?;
    }
    Ok(id)
}

impl fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Svid")
            .field("id", &self.id)
            .field("hint", &self.hint)
            .field("identity", &self.identity)
            .finish()
    }
}
