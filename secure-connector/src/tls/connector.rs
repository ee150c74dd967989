//! The TLS connector: dial, identity, handshake, verdict, report.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use super::{
    builder::TlsConnectorBuilder, generation::Generation, handshake::handshake, stream::TlsStream, verify::PeerVerifier,
};
use crate::{
    Clock, ConnectError, CurrentIdentity, Dial, IdentitySource, IdentityUnavailable, Rfc3339, SecureConnector,
    SecureTransport, Socket, Stage, TcpOptions, Timeouts, Timings, TlsVersion,
};

/// A TLS client for one peer.
///
/// What is dialled ([`Dial`]), what is sent as server name ([`Sni`](crate::Sni)) and what the peer has to prove
/// ([`PeerVerifier`]) are three separate things.
///
/// # Example
/// ```
/// use secure_connector::{Dial, PeerVerifier, Roots, SecureConnector, SecureStream, TlsConnector};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let peer = PeerVerifier::check_host(Roots::amazon(), ["fs-0123456789abcdef0.efs.us-east-1.amazonaws.com".parse()?])?;
/// let connector = TlsConnector::builder(Dial::addresses(["10.0.0.9:2049".parse()?]), peer).build()?;
/// let stream = connector.connect().await?;
/// println!("{}", stream.report());
/// # Ok(())
/// # }
/// ```
///
/// # Sessions
/// Sessions are resumed across connections of one connector, never across identities. TLS does not verify the peer again
/// on resumption; this connector does: expiry, trust anchors and pins are judged from the session's stored chain, and a
/// session that fails is dropped together with all others, followed by one full handshake.
///
/// # Limitations
/// No early data (RFC 8446 section 2.3: it can be replayed) and no key log.
pub struct TlsConnector {
    pub(super) dial: Dial,
    pub(super) server_name: ServerName<'static>,
    pub(super) sni: Option<String>,
    pub(super) peer: PeerVerifier,
    pub(super) minimum: TlsVersion,
    pub(super) timeouts: Timeouts,
    pub(super) tcp: TcpOptions,
    pub(super) clock: Arc<dyn Clock>,
    /// What every generation shares.
    pub(super) base: ClientConfig,
    pub(super) identities: Option<Identities>,
    pub(super) current: Mutex<Arc<Generation>>,
}

impl TlsConnector {
    /// Starts with the two decisions that have no default: where to, and what the peer has to prove.
    pub fn builder(dial: Dial, peer: PeerVerifier) -> TlsConnectorBuilder {
        TlsConnectorBuilder::new(dial, peer)
    }

    /// Connects to another place than the configured one, with everything else as configured: a peer with several
    /// addresses, of which the caller chooses one or tries each. `limit` takes the place of the limit of [`Stage::Total`].
    ///
    /// # Errors
    /// As for [`connect`](SecureConnector::connect).
    pub async fn connect_to(&self, dial: &Dial, limit: Duration) -> Result<TlsStream<Socket>, ConnectError> {
        self.timeouts.with(Stage::Total, limit).run(Stage::Total, self.connect_within_total(dial)).await
    }

    async fn connect_within_total(&self, dial: &Dial) -> Result<TlsStream<Socket>, ConnectError> {
        let mut timings = Timings::default();
        let generation = self.generation(&mut timings).await?;
        match self.dial_and_secure(dial, &generation, timings).await {
            // The stored chain no longer stands, which says nothing about the peer's present one.
            Err(Refused { resumed: true, .. }) => {
                self.dial_and_secure(dial, &generation, timings).await.map_err(|refused| refused.error)
            }
            other => other.map_err(|refused| refused.error),
        }
    }

    async fn dial_and_secure(
        &self,
        dial: &Dial,
        generation: &Generation,
        mut timings: Timings,
    ) -> Result<TlsStream<Socket>, Refused> {
        let socket = dial.open(&self.tcp, &self.timeouts, &mut timings).await?;
        let peer = socket.peer().to_owned();
        let mut stream = self.secure_as(generation, socket, timings).await?;
        let report = stream.report_mut();
        report.peer = Some(peer);
        report.chosen_because = dial.reason().map(str::to_owned);
        Ok(stream)
    }

    async fn secure_as<IO>(&self, generation: &Generation, io: IO, timings: Timings) -> Result<TlsStream<IO>, Refused>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = self.timeouts.of(Stage::Tls);
        let shaken = tokio::time::timeout(limit, handshake(self, generation, io, timings)).await;
        shaken.unwrap_or_else(|_| Err(ConnectError::Timeout { stage: Stage::Tls, limit }.into()))
    }

    /// The generation of the current identity, made when the identity is seen for the first time.
    async fn generation(&self, timings: &mut Timings) -> Result<Arc<Generation>, ConnectError> {
        let Some(Identities { current: identities, .. }) = &self.identities else {
            return Ok(self.lock_current().clone());
        };
        let current = identities.borrow().clone();
        let identity = match current {
            Err(unavailable) if unavailable.pending => {
                let started = Instant::now();
                let first = first_identity(identities.clone());
                let identity = match self.timeouts.run(Stage::Identity, first).await {
                    // What the source says is more than that it took too long.
                    Err(ConnectError::Timeout { .. }) => {
                        identities.borrow().clone().map_err(ConnectError::NoIdentity)?
                    }
                    settled => settled?,
                };
                timings.set(Stage::Identity, started.elapsed());
                identity
            }
            other => other.map_err(ConnectError::NoIdentity)?,
        };
        if !identity.is_current(self.clock.now()) {
            // The source may be about to bring the next one.
            let until = Rfc3339(identity.not_after());
            let reason = format!("our own identity can be used until {until} only: {}", identity.certificate());
            return Err(ConnectError::NoIdentity(IdentityUnavailable::pending(reason)));
        }
        let mut current = self.lock_current();
        if !current.is_for(&identity) {
            *current = Arc::new(Generation::new(&self.base, Some(identity)));
        }
        Ok(current.clone())
    }

    /// A panic elsewhere cannot leave half a pointer.
    fn lock_current(&self) -> MutexGuard<'_, Arc<Generation>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SecureConnector for TlsConnector {
    type Stream = TlsStream<Socket>;

    async fn connect(&self) -> Result<Self::Stream, ConnectError> {
        self.connect_to(&self.dial, self.timeouts.of(Stage::Total)).await
    }
}

/// Secures a transport that is already open; what the connector would dial plays no part.
///
/// A resumed session whose stored chain no longer stands is refused here, since the transport is spent; the next call
/// makes a full handshake.
#[async_trait]
impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecureTransport<IO> for TlsConnector {
    type Stream = TlsStream<IO>;

    async fn secure(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        let secure = async {
            let mut timings = Timings::default();
            let generation = self.generation(&mut timings).await?;
            self.secure_as(&generation, io, timings).await.map_err(|refused| refused.error)
        };
        self.timeouts.run(Stage::Total, secure).await
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector")
            .field("dial", &self.dial)
            .field("sni", &self.sni)
            .field("peer", &self.peer)
            .field("current", &*self.lock_current())
            .finish_non_exhaustive()
    }
}

/// A source and the subscription to it. The source is kept for as long as the connector lives: dropping it ends its
/// renewal.
#[derive(Debug)]
pub(super) struct Identities {
    pub(super) _source: Arc<dyn IdentitySource>,
    pub(super) current: watch::Receiver<CurrentIdentity>,
}

/// A failed attempt, and whether it was a resumed session that failed.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: ConnectError,
    pub(super) resumed: bool,
}

impl From<ConnectError> for Refused {
    fn from(error: ConnectError) -> Self {
        Self { error, resumed: false }
    }
}

async fn first_identity(
    mut identities: watch::Receiver<CurrentIdentity>,
) -> Result<Arc<crate::Identity>, ConnectError> {
    let settled = identities.wait_for(|current| !matches!(current, Err(unavailable) if unavailable.pending)).await;
    let current = match settled {
        Ok(current) => current.clone(),
        Err(_) => Err(IdentityUnavailable::failed("the source of identities ended before it delivered one")),
    };
    current.map_err(ConnectError::NoIdentity)
}
