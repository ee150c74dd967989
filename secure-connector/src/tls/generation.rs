//! One connector under one identity: the TLS configuration, the certificate it presents and the sessions it may resume.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    ClientConfig, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    sign::CertifiedKey,
};

use super::sessions::Sessions;
use crate::Identity;

/// A `ClientConfig` with all that hangs on the identity. Rotation replaces it as a whole, by one pointer.
///
/// One configuration lives as long as its identity: a new one for each connection would lose resumption and cost ten times
/// the CPU. One for the connector's whole life with a swapping certificate resolver would be unsafe: tickets of a
/// connection that began before a rotation and arrive after it would be filed as the new identity's, and TLS resumption
/// carries the identity of the connection that earned the ticket. Here late tickets go to the store of their own
/// generation, and rustls itself refuses to resume across configurations with different resolvers.
pub(crate) struct Generation {
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) sessions: Arc<Sessions>,
    asked: AtomicBool,
}

impl Generation {
    /// `base` holds what all generations share: provider, versions, verifier, ALPN.
    pub(crate) fn new(base: &ClientConfig, identity: Option<Arc<Identity>>) -> Self {
        let sessions = Arc::new(Sessions::default());
        let mut config = base.clone();
        config.resumption = Resumption::store(sessions.clone());
        if let Some(identity) = &identity {
            config.client_auth_cert_resolver = Arc::new(Present(identity.certified_key().clone()));
        }
        Self { identity, config: Arc::new(config), sessions, asked: AtomicBool::new(false) }
    }

    pub(crate) fn is_for(&self, identity: &Arc<Identity>) -> bool {
        self.identity.as_ref().is_some_and(|own| Arc::ptr_eq(own, identity))
    }

    /// The identity, if the peer knows it: it asked in this full handshake, or in the one that a resumed session goes
    /// back to.
    pub(crate) fn presented(&self, asked_now: bool, resumed: bool) -> Option<&Arc<Identity>> {
        if !resumed {
            self.asked.store(asked_now, Ordering::Relaxed);
        }
        self.identity.as_ref().filter(|_| self.asked.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("identity", &self.identity).finish_non_exhaustive()
    }
}

thread_local! {
    /// Set when the peer asked for our certificate; taken in the same poll of the handshake, like the verifier's verdict.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the peer asked for our certificate in the poll that has just returned.
pub(crate) fn take_asked() -> bool {
    ASKED.take()
}

struct Present(Arc<CertifiedKey>);

impl ResolvesClientCert for Present {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        ASKED.set(true);
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present([redacted])")
    }
}
