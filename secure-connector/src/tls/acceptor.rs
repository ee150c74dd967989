//! The TLS acceptor: identity, handshake, verdict on the client, report.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    builder::RustlsClock,
    certificate,
    connector::Identities,
    diagnose,
    first_bytes::FirstBytes,
    handshake::session,
    provider::{self, PostQuantum},
    stream::TlsStream,
    verify::{self, JudgePeer, PeerVerifier, VerifiedPeer},
};
use crate::{
    Clock, ConnectError, Identity, IdentitySource, IdentityUnavailable, Rfc3339, SecureAcceptor, SecurityReport, Stage,
    SystemClock, Timings, TlsVersion, Untrusted,
};

/// A TLS server that asks every client for a certificate.
///
/// No session is ever resumed: a client proves what it is in every handshake, to the rules that hold at that moment.
///
/// # Limitations
/// One identity for all server names.
pub struct TlsAcceptor {
    identities: Identities,
    clients: PeerVerifier,
    alpn: Vec<Vec<u8>>,
    limit: Duration,
    clock: Arc<dyn Clock>,
    /// The configuration of the identity that was used last.
    current: Mutex<Option<Configured>>,
}

#[derive(Clone)]
struct Configured {
    identity: Arc<Identity>,
    config: Arc<ServerConfig>,
}

impl TlsAcceptor {
    /// Presents the current identity of `identity`, and lets in whom `clients` accepts.
    pub fn new(identity: impl IdentitySource + 'static, clients: Arc<dyn JudgePeer>) -> Self {
        Self {
            identities: Identities { current: identity.subscribe(), _source: Arc::new(identity) },
            clients: PeerVerifier::by_own_rules(clients),
            alpn: Vec::new(),
            limit: Duration::from_secs(10),
            clock: Arc::new(SystemClock),
            current: Mutex::default(),
        }
    }

    /// Application protocols, the preferred one first. Default: none is negotiated.
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// How long a handshake may take. Default: 10 seconds.
    #[must_use]
    pub fn handshake_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Where the time comes from. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    async fn handshake<IO>(&self, io: IO) -> Result<TlsStream<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let started = Instant::now();
        let Configured { identity, config } = self.configured()?;
        let mut accept = tokio_rustls::TlsAcceptor::from(config.clone()).accept(FirstBytes::new(io)).into_fallible();
        let mut verdict = None;
        let shaken = poll_fn(|cx| {
            // A transport that panicked in a handshake on this thread may have left something behind.
            drop(verify::take_verdict());
            let polled = Pin::new(&mut accept).poll(cx);
            if let Some(judged) = verify::take_verdict() {
                verdict = Some(judged);
            }
            polled
        })
        .await;
        let (stream, client) = match (shaken, verdict) {
            (_, Some(Err(error))) => return Err(error),
            (Ok(stream), Some(Ok(client))) => (stream, client),
            (Ok(_), None) => return Err(ConnectError::Untrusted { reason: Untrusted::NoCertificate, source: None }),
            (Err((error, io)), _) => {
                return Err(diagnose::handshake_error(error, io.first_bytes(), TlsVersion::Tls12));
            }
        };
        let mut timings = Timings::default();
        timings.set(Stage::Tls, started.elapsed());
        let report = report(stream.get_ref().1, &config, &identity, &client, timings);
        Ok(TlsStream::new(stream.into(), report))
    }

    /// The configuration of the current identity, made when the identity is seen for the first time.
    fn configured(&self) -> Result<Configured, ConnectError> {
        let identity = self.identities.current.borrow().clone().map_err(ConnectError::NoIdentity)?;
        if !identity.is_current(self.clock.now()) {
            // The source may be about to bring the next one.
            let until = Rfc3339(identity.not_after());
            let reason = format!("our own identity can be used until {until} only: {}", identity.certificate());
            return Err(ConnectError::NoIdentity(IdentityUnavailable::pending(reason)));
        }
        // A panic elsewhere cannot leave half a pointer.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(configured) if Arc::ptr_eq(&configured.identity, &identity) => Ok(configured.clone()),
            _ => {
                let config = self.config(&identity)?;
                Ok(current.insert(Configured { identity, config }).clone())
            }
        }
    }

    fn config(&self, identity: &Identity) -> Result<Arc<ServerConfig>, ConnectError> {
        let provider = provider::provider(PostQuantum::default());
        let verifier = self.clients.client_verifier(&provider);
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(RustlsClock(self.clock.clone())))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(|source| ConnectError::Config { option: "cryptography", source: source.into() })?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Present(identity.certified_key().clone())));
        config.alpn_protocols.clone_from(&self.alpn);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

fn report(
    tls: &rustls::ServerConnection,
    config: &ServerConfig,
    identity: &Identity,
    client: &VerifiedPeer,
    timings: Timings,
) -> SecurityReport {
    let mut report = SecurityReport::new(client.verified().clone());
    let chain = tls.peer_certificates().unwrap_or_default().iter().filter_map(|der| certificate::summary(der).ok());
    report.tls = Some(session(tls, config.fips(), tls.server_name().map(str::to_owned), chain.collect()));
    report.revocation = client.revocation().clone();
    report.identity = Some(identity.certificate().clone());
    report.authenticated_as = identity.authenticates_as().cloned();
    report.timings = timings;
    report
}

#[async_trait]
impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecureAcceptor<IO> for TlsAcceptor {
    type Stream = TlsStream<IO>;

    async fn accept(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        let shaken = tokio::time::timeout(self.limit, self.handshake(io)).await;
        shaken.unwrap_or(Err(ConnectError::Timeout { stage: Stage::Tls, limit: self.limit }))
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").field("clients", &self.clients).finish_non_exhaustive()
    }
}

struct Present(Arc<CertifiedKey>);

impl ResolvesServerCert for Present {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present([redacted])")
    }
}
