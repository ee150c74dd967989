//! Choices with a default, two that have none, and the checks on all of them together.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use secure_connector::{
    Clock, ConfigError, Dial, IdentitySource, NameError, PeerVerifier, PostQuantum, Roots, RootsError, Sni,
    SystemClock, TcpOptions, Timeouts, TlsVersion, VerifiedName,
};

use super::{
    RedisConnector,
    nodes::{DialNode, Nodes, TlsOptions},
};
use crate::{
    AuthToken, ClientName, CredentialSource, Credentials, EndpointError, IamCredentials, IamUser, Password,
    ProtocolChoice, RedisEndpoint, ServerRole, Service, StaticCredentials, Username, handshake::Wishes,
};

/// Builds a [`RedisConnector`]. There is no default for what is presented to the server: `A` is [`NeedsCredentials`] until
/// that is said, and only then there is `build`.
#[must_use]
pub struct RedisConnectorBuilder<A = HasCredentials> {
    dial: Dial,
    peer: Peer,
    roots: Option<Roots>,
    options: TlsOptions,
    wishes: Wishes,
    dial_node: Option<DialNode>,
    endpoint: Option<RedisEndpoint>,
    authentication: A,
}

/// It was not said yet what is presented to the server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NeedsCredentials;

/// It was said what is presented to the server.
#[derive(Debug)]
pub struct HasCredentials(Presented);

#[derive(Debug)]
enum Presented {
    Source(Arc<dyn CredentialSource>),
    Iam { user: IamUser, provider: SharedCredentialsProvider },
}

/// What the server has to prove.
enum Peer {
    Verifier(PeerVerifier),
    /// A certificate for this name.
    Named(VerifiedName),
}

/// Why a [`RedisConnector`] cannot be built. Nothing was dialled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConfigError {
    /// The endpoint has no TLS, or IAM cannot be told from its name what to sign for.
    #[error("the endpoint")]
    Endpoint(#[from] EndpointError),
    /// `iam` takes the cache from the endpoint.
    #[error(
        "`iam` takes the cache's name and region from an endpoint, and there is none: begin with \
         `RedisConnector::from_endpoint`, or give `credentials(IamCredentials::new(..))`"
    )]
    IamWithoutEndpoint,
    /// `roots` was called on a connector whose verifier has trust anchors of its own.
    #[error("`roots` sets the trust anchors for an endpoint; here the verifier has its own: give them to it")]
    RootsBesideVerifier,
    /// The TLS configuration.
    #[error("the TLS configuration")]
    Tls(#[from] ConfigError),
}

impl RedisConnectorBuilder<NeedsCredentials> {
    pub(super) fn new(dial: Dial, peer: PeerVerifier) -> Self {
        Self::starting(dial, Peer::Verifier(peer), Sni::default(), None)
    }

    pub(super) fn from_endpoint(endpoint: &RedisEndpoint) -> Result<Self, RedisConfigError> {
        endpoint.require_tls()?;
        let named = |error: NameError| RedisConfigError::Tls(error.into());
        let name = endpoint.host().parse().map_err(named)?;
        let sni = match endpoint.host().parse::<IpAddr>() {
            Ok(_) => Sni::Off,
            Err(_) => Sni::Name(endpoint.host().parse().map_err(named)?),
        };
        let dial = Dial::name(endpoint.host(), endpoint.port());
        Ok(Self::starting(dial, Peer::Named(name), sni, Some(endpoint.clone())))
    }

    fn starting(dial: Dial, peer: Peer, sni: Sni, endpoint: Option<RedisEndpoint>) -> Self {
        let options = TlsOptions {
            sni,
            identity: None,
            minimum: TlsVersion::Tls12,
            maximum: TlsVersion::Tls13,
            post_quantum: PostQuantum::default(),
            timeouts: Timeouts::default(),
            tcp: TcpOptions::default(),
            clock: Arc::new(SystemClock),
        };
        let wishes = Wishes::default();
        Self { dial, peer, roots: None, options, wishes, dial_node: None, endpoint, authentication: NeedsCredentials }
    }

    /// Presents what `source` gives at each connection: [`RotatingCredentials`](crate::RotatingCredentials),
    /// [`IamCredentials`], [`StaticCredentials`], or a source of one's own.
    pub fn credentials(self, source: impl CredentialSource + 'static) -> RedisConnectorBuilder {
        self.presenting(Presented::Source(Arc::new(source)))
    }

    /// Presents the AUTH token of a node-based ElastiCache group.
    pub fn auth_token(self, token: AuthToken) -> RedisConnectorBuilder {
        self.credentials(StaticCredentials::new(Credentials::token(token)))
    }

    /// Presents a user of the server's access control list and its password.
    pub fn user(self, user: Username, password: Password) -> RedisConnectorBuilder {
        self.credentials(StaticCredentials::new(Credentials::user(user, password)))
    }

    /// Presents IAM tokens for the cache that the endpoint's name tells, signed with what `provider` gives.
    pub fn iam(self, user: IamUser, provider: impl ProvideCredentials + 'static) -> RedisConnectorBuilder {
        self.presenting(Presented::Iam { user, provider: SharedCredentialsProvider::new(provider) })
    }

    /// Presents nothing. Unless a client certificate takes its place, the report of every connection warns that the server
    /// serves whoever reaches it.
    pub fn anonymous(self) -> RedisConnectorBuilder {
        self.credentials(StaticCredentials::new(Credentials::none()))
    }

    fn presenting(self, presented: Presented) -> RedisConnectorBuilder {
        let Self { dial, peer, roots, options, wishes, dial_node, endpoint, .. } = self;
        let authentication = HasCredentials(presented);
        RedisConnectorBuilder { dial, peer, roots, options, wishes, dial_node, endpoint, authentication }
    }
}

impl<A> RedisConnectorBuilder<A> {
    /// Dials something else than the endpoint: addresses, a resolver hook, a tunnel's end, a Unix socket. What is sent as
    /// server name and what is verified stay the same.
    pub fn dial(mut self, dial: Dial) -> Self {
        self.dial = dial;
        self
    }

    /// Where [`connect_node`](RedisConnector::connect_node) dials a node of the cluster, by the host and port that the
    /// cluster gives, for clusters behind a tunnel. Default: there.
    pub fn dial_nodes(mut self, dial: impl Fn(&str, u16) -> Dial + Send + Sync + 'static) -> Self {
        self.dial_node = Some(Arc::new(dial));
        self
    }

    /// The trust anchors, for a connector that is made from an endpoint.
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = Some(roots);
        self
    }

    /// What the server has to prove, instead of a certificate for the endpoint's name.
    pub fn verifier(mut self, peer: PeerVerifier) -> Self {
        self.peer = Peer::Verifier(peer);
        self
    }

    /// What is sent as server name. Default: the endpoint's host, or the host name that is dialled.
    pub fn sni(mut self, sni: Sni) -> Self {
        self.options.sni = sni;
        self
    }

    /// The client certificate, for servers that ask for one.
    pub fn identity(mut self, source: impl IdentitySource + 'static) -> Self {
        self.options.identity = Some(Arc::new(source));
        self
    }

    /// The version of the Redis protocol. Default: RESP3, where the server knows it.
    pub fn protocol(mut self, protocol: ProtocolChoice) -> Self {
        self.wishes.protocol = protocol;
        self
    }

    /// The connections' name in `CLIENT LIST`. Default: none.
    pub fn client_name(mut self, name: ClientName) -> Self {
        self.wishes.client_name = Some(name);
        self
    }

    /// The database to select. Default: 0, the only one of a cluster.
    pub fn database(mut self, database: u16) -> Self {
        self.wishes.database = database;
        self
    }

    /// Refuses servers that say that their role is another: after a failover, an endpoint may lead to the old primary for a
    /// while, whose answer to writes is `READONLY`. Default: any.
    pub fn require_role(mut self, role: ServerRole) -> Self {
        self.wishes.role = Some(role);
        self
    }

    /// Sends `READONLY`, so that a replica in a cluster answers reads instead of sending us to its primary.
    pub fn read_from_replica(mut self) -> Self {
        self.wishes.read_from_replica = true;
        self
    }

    /// Sends `PING`, so that a server which authenticates but cannot serve yet (`LOADING`) fails the connection.
    pub fn ping(mut self) -> Self {
        self.wishes.ping = true;
        self
    }

    /// The lowest TLS version to accept. Default: 1.2, which some nodes of ElastiCache need.
    pub fn minimum_version(mut self, version: TlsVersion) -> Self {
        self.options.minimum = version;
        self
    }

    /// The highest TLS version to offer. Default: 1.3.
    pub fn maximum_version(mut self, version: TlsVersion) -> Self {
        self.options.maximum = version;
        self
    }

    /// Whether to offer post-quantum key exchange. Default: yes, where the cryptography library has it.
    pub fn post_quantum(mut self, post_quantum: PostQuantum) -> Self {
        self.options.post_quantum = post_quantum;
        self
    }

    /// The deadlines of the stages.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.options.timeouts = timeouts;
        self
    }

    /// Options of the TCP socket.
    pub fn tcp_options(mut self, options: TcpOptions) -> Self {
        self.options.tcp = options;
        self
    }

    /// The clock that judges certificates and dates IAM tokens. Default: the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.options.clock = Arc::new(clock);
        self
    }
}

impl RedisConnectorBuilder {
    /// Checks the configuration as a whole. Nothing is dialled. Takes milliseconds where the system's trust store is loaded.
    ///
    /// # Errors
    /// [`RedisConfigError`].
    pub fn build(self) -> Result<RedisConnector, RedisConfigError> {
        let source: Arc<dyn CredentialSource> = match self.authentication.0 {
            Presented::Source(source) => source,
            Presented::Iam { user, provider } => {
                let endpoint = self.endpoint.as_ref().ok_or(RedisConfigError::IamWithoutEndpoint)?;
                Arc::new(IamCredentials::new(endpoint.cache()?, user, provider).clock(self.options.clock.clone()))
            }
        };
        let of_aws = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.service() != Service::Other);
        let peer = match (self.peer, self.roots) {
            (Peer::Verifier(peer), None) => peer,
            (Peer::Verifier(_), Some(_)) => return Err(RedisConfigError::RootsBesideVerifier),
            (Peer::Named(name), Some(roots)) => PeerVerifier::check_host(roots, [name])?,
            (Peer::Named(name), None) => {
                let roots = usual_roots(of_aws).map_err(ConfigError::from)?;
                PeerVerifier::check_host(roots, [name])?
            }
        };
        let tls = self.options.connector(self.dial.clone(), peer.clone(), self.options.sni.clone())?;
        Ok(RedisConnector {
            dial: self.dial,
            tls,
            source,
            wishes: self.wishes,
            timeouts: self.options.timeouts,
            tcp: self.options.tcp,
            clock: self.options.clock.clone(),
            nodes: Nodes { peer, options: self.options, dial: self.dial_node, known: Mutex::new(HashMap::new()) },
            endpoint: self.endpoint,
            has_spoken_tls: AtomicBool::new(false),
            wants_authentication: AtomicBool::new(false),
        })
    }
}

fn usual_roots(of_aws: bool) -> Result<Roots, RootsError> {
    match (Roots::native(), of_aws) {
        (Ok(native), true) => Ok(Roots::amazon().and(native)),
        (Err(_), true) => Ok(Roots::amazon()),
        (native, false) => native,
    }
}

impl<A: fmt::Debug> fmt::Debug for RedisConnectorBuilder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnectorBuilder")
            .field("dial", &self.dial)
            .field("wishes", &self.wishes)
            .field("authentication", &self.authentication)
            .finish_non_exhaustive()
    }
}
