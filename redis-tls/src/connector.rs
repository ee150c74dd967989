//! One server, one cluster or one cache, reached over TLS and authenticated.

mod builder;
mod nodes;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use secure_connector::{
    AuthenticatedAs, Clock, ConnectError, Dial, PeerVerifier, SecureConnector, SecureStream, SecureTransport,
    SecurityReport, Socket, Stage, TcpOptions, Timeouts, TlsConnector, TlsStream, Warning,
};
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::builder::{HasCredentials, NeedsCredentials, RedisConfigError, RedisConnectorBuilder};
use self::nodes::Nodes;
use crate::{
    CredentialSource, PlaintextRedis, RedisEndpoint, RedisStream, Username,
    handshake::{Shaken, Wishes, handshake},
    plaintext::speaks_plaintext_redis,
    stream::Session,
};

/// Connections to a Redis or Valkey server: TLS with a verified peer, authenticated, ready for commands.
///
/// - One TLS configuration and one session store for the connector's life, so that connections resume.
/// - Credentials are asked for at every connection. Several candidates are tried in their order; the report says which one
///   worked.
/// - Authentication, the choice of the protocol and all that is asked for besides take one round trip. Servers before
///   Redis 6, which know neither `HELLO` nor users, cost one or two more.
/// - A server without TLS is told from a slow one in milliseconds, on a connection of its own which carries nothing.
///
/// ```
/// use redis_tls::{AuthToken, RedisConnector};
/// use secure_connector::{SecureConnector, SecureStream};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = "master.sessions.abc123.use1.cache.amazonaws.com".parse()?;
/// let token = AuthToken::new(std::fs::read_to_string("/run/secrets/redis")?.trim_end())?;
/// let connector = RedisConnector::from_endpoint(&endpoint)?.auth_token(token).build()?;
/// let stream = connector.connect().await?;
/// println!("{}\n{}", stream.server(), stream.report());
/// # Ok(())
/// # }
/// ```
///
/// # Limitations
/// Over a transport that is given ([`SecureTransport`]), a server without TLS shows itself by the time-out of the TLS
/// handshake only: there is no second connection to ask on.
pub struct RedisConnector {
    pub(crate) dial: Dial,
    tls: TlsConnector,
    source: Arc<dyn CredentialSource>,
    wishes: Wishes,
    pub(crate) timeouts: Timeouts,
    pub(crate) tcp: TcpOptions,
    pub(crate) clock: Arc<dyn Clock>,
    nodes: Nodes,
    endpoint: Option<RedisEndpoint>,
    /// A server that has once spoken TLS is slow when it is silent.
    has_spoken_tls: AtomicBool,
    /// A server that has once asked for authentication is not asked again: `NOAUTH` counts as an error in its statistics.
    wants_authentication: AtomicBool,
}

impl RedisConnector {
    /// Starts with where to connect to and what the server has to prove. What is presented to it comes next.
    pub fn builder(dial: Dial, peer: PeerVerifier) -> RedisConnectorBuilder<NeedsCredentials> {
        RedisConnectorBuilder::new(dial, peer)
    }

    /// Starts with an endpoint, which is dialled, sent as server name and verified.
    ///
    /// The trust anchors are those of the system; for endpoints of AWS the four Amazon roots too, so that an image without
    /// a trust store will do. [`roots`](RedisConnectorBuilder::roots) sets others.
    ///
    /// # Errors
    /// [`RedisConfigError::Endpoint`] when the name is that of an endpoint without encryption in transit.
    pub fn from_endpoint(
        endpoint: &RedisEndpoint,
    ) -> Result<RedisConnectorBuilder<NeedsCredentials>, RedisConfigError> {
        RedisConnectorBuilder::from_endpoint(endpoint)
    }

    /// The endpoint, if the connector was made from one.
    pub fn endpoint(&self) -> Option<&RedisEndpoint> {
        self.endpoint.as_ref()
    }

    /// Where the credentials come from.
    pub fn credential_source(&self) -> &Arc<dyn CredentialSource> {
        &self.source
    }

    /// Connects to another place than the configured one, with everything else as configured: a replica's address, a
    /// tunnel's end. What the server has to prove stays the same.
    ///
    /// # Errors
    /// As for [`connect`](SecureConnector::connect).
    pub async fn connect_to(&self, dial: &Dial) -> Result<RedisStream, ConnectError> {
        self.connect_by(&self.tls, dial).await
    }

    /// Connects to another node of the cluster, as `CLUSTER SLOTS`, `MOVED` or `ASK` name it. An empty host stands for the
    /// one that said so, which is taken to be the configured one.
    ///
    /// The certificate has to be for the node's own name or for that of the configured peer: nodes that are given by
    /// address have certificates for the cluster's name. Every node has a session store of its own.
    ///
    /// # Errors
    /// As for [`connect`](SecureConnector::connect); [`ConnectError::Config`] when `host` is no host.
    pub async fn connect_node(&self, host: &str, port: u16) -> Result<RedisStream, ConnectError> {
        let node = self.nodes.get(host, port, &self.dial)?;
        self.connect_by(&node.tls, &node.dial).await
    }

    async fn connect_by(&self, tls: &TlsConnector, dial: &Dial) -> Result<RedisStream, ConnectError> {
        let connect = async {
            let stream = self.secured(tls, dial).await?;
            self.authenticated(stream).await
        };
        self.timeouts.run(Stage::Total, connect).await
    }

    /// TLS with the configured peer, and no more.
    pub(crate) async fn secured_itself(&self) -> Result<TlsStream<Socket>, ConnectError> {
        self.secured(&self.tls, &self.dial).await
    }

    async fn secured(&self, tls: &TlsConnector, dial: &Dial) -> Result<TlsStream<Socket>, ConnectError> {
        let secured = tls.connect_to(dial, self.timeouts.of(Stage::Total));
        if self.has_spoken_tls.load(Ordering::Relaxed) {
            return secured.await;
        }
        tokio::pin!(secured);
        let suspicion = async {
            tokio::time::sleep(PATIENCE).await;
            speaks_plaintext_redis(dial, &self.tcp, &self.timeouts).await
        };
        let stream = tokio::select! {
            biased;
            stream = &mut secured => stream,
            plaintext = suspicion => match plaintext {
                true => return Err(PlaintextRedis.into()),
                false => secured.await,
            },
        }?;
        self.has_spoken_tls.store(true, Ordering::Relaxed);
        Ok(stream)
    }

    pub(crate) async fn authenticated<IO>(&self, mut stream: TlsStream<IO>) -> Result<RedisStream<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let started = Instant::now();
        let ask_whether_open = !self.wants_authentication.load(Ordering::Relaxed);
        let wishes = Wishes { ask_whether_open, ..self.wishes.clone() };
        let shaken = self.timeouts.run(Stage::Auth, handshake(&mut stream, &wishes, &*self.source)).await?;
        if shaken.open == Some(false) {
            self.wants_authentication.store(true, Ordering::Relaxed);
        }
        let mut report = stream.report().clone();
        report.timings.set(Stage::Auth, started.elapsed());
        enter_authentication(&mut report, &shaken);
        let presented = shaken.credentials.expose_secret().is_some();
        let session = Session {
            report,
            server: shaken.server,
            credentials: presented.then(|| shaken.credentials.label().to_owned()),
            authenticated_at: self.clock.now(),
            left_over: shaken.left_over,
            read: 0,
        };
        Ok(RedisStream::new(stream, session))
    }
}

fn enter_authentication(report: &mut SecurityReport, shaken: &Shaken) {
    let credentials = &shaken.credentials;
    if credentials.expose_secret().is_some() {
        let user = credentials.username().map_or(Username::DEFAULT, Username::as_str);
        let mut who = AuthenticatedAs::new("redis-acl", user).with("credentials", credentials.label());
        if !shaken.refused.is_empty() {
            let refused: Vec<&str> = shaken.refused.iter().map(|refused| refused.label.as_str()).collect();
            who = who.with("refused", refused.join(", "));
        }
        if let Some(certificate) = report.authenticated_as.take() {
            who = who.with("certificate", certificate.to_string());
        }
        report.authenticated_as = Some(who);
    }
    let needs_nothing = credentials.expose_secret().is_none() && report.identity.is_none();
    if needs_nothing || shaken.open == Some(true) {
        report.warnings.push(Warning::AuthenticationOptional);
    }
}

#[async_trait]
impl SecureConnector for RedisConnector {
    type Stream = RedisStream;

    async fn connect(&self) -> Result<Self::Stream, ConnectError> {
        self.connect_to(&self.dial).await
    }
}

#[async_trait]
impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecureTransport<IO> for RedisConnector {
    type Stream = RedisStream<IO>;

    async fn secure(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        let secure = async {
            let stream = self.tls.secure(io).await?;
            self.authenticated(stream).await
        };
        self.timeouts.run(Stage::Total, secure).await
    }
}

impl fmt::Debug for RedisConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnector")
            .field("tls", &self.tls)
            .field("credentials", &self.source)
            .field("wishes", &self.wishes)
            .finish_non_exhaustive()
    }
}

/// A TLS server in the same region has answered by then.
const PATIENCE: Duration = Duration::from_millis(25);
