//! One connector under one identity: the TLS configuration, the certificate it presents and the sessions it may resume.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use rustls::{
    ClientConfig, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    sign::CertifiedKey,
};

use super::{judged::LastJudged, sessions::Sessions};
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
    pub(crate) judged: LastJudged,
    /// Whether the last full handshake sent the identity.
    sent: AtomicU8,
}

const UNKNOWN: u8 = 0;
const NOT_SENT: u8 = 1;
const SENT_IT: u8 = 2;

impl Generation {
    /// `base` holds what all generations share: provider, versions, verifier, ALPN.
    pub(crate) fn new(base: &ClientConfig, identity: Option<Arc<Identity>>) -> Self {
        let sessions = Arc::new(Sessions::default());
        let mut config = base.clone();
        config.resumption = Resumption::store(sessions.clone());
        if let Some(identity) = &identity {
            config.client_auth_cert_resolver = Arc::new(Present(identity.certified_key().clone()));
        }
        Self {
            identity,
            config: Arc::new(config),
            sessions,
            judged: LastJudged::default(),
            sent: AtomicU8::new(UNKNOWN),
        }
    }

    pub(crate) fn is_for(&self, identity: &Arc<Identity>) -> bool {
        self.identity.as_ref().is_some_and(|own| Arc::ptr_eq(own, identity))
    }

    /// The identity, if the peer knows it: it was sent in this full handshake, or in those that sessions go back to.
    ///
    /// Servers behind one name may differ in whether they ask. When one does, the sessions of the others are dropped, so
    /// that a resumed session is known to go back to a handshake like the last full one.
    pub(crate) fn presented(&self, sent_now: bool, resumed: bool) -> Option<&Arc<Identity>> {
        let now = if sent_now { SENT_IT } else { NOT_SENT };
        if !resumed && ![now, UNKNOWN].contains(&self.sent.swap(now, Ordering::Relaxed)) {
            self.sessions.clear();
        }
        self.identity.as_ref().filter(|_| self.sent.load(Ordering::Relaxed) == SENT_IT)
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("identity", &self.identity).finish_non_exhaustive()
    }
}

thread_local! {
    /// Set when our certificate is sent; taken in the same poll of the handshake, like the verifier's verdict.
    static SENT: Cell<bool> = const { Cell::new(false) };
}

/// Whether our certificate was sent in the poll that has just returned.
pub(crate) fn take_sent() -> bool {
    SENT.take()
}

struct Present(Arc<CertifiedKey>);

impl ResolvesClientCert for Present {
    /// A key that the peer cannot verify is not sent: rustls would send an empty certificate instead.
    fn resolve(&self, _root_hint_subjects: &[&[u8]], offered: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(offered)?;
        SENT.set(true);
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
