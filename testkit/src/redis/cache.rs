//! The cache: its listeners, and what a test can do to it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;

use super::accounts::Accounts;
use super::connection::Front;
use super::state::{Connection, Message, Shared};
use super::topology::{Announce, ClusterMode, Node, Role, Topology};
use super::user::DEFAULT;
use super::{Counters, Engine, IamRules, JournalEntry, Misbehaviour, User};
use crate::listener::FREE_LOOPBACK_PORT;
use crate::rustls_config::server_config;
use crate::{Clock, ServerOptions, TestCertificate, TestPki, TestServer};

/// An ElastiCache or MemoryDB cache on the loopback interface.
///
/// It speaks RESP2 and RESP3 over TLS, and knows the commands that connections are made, kept and tested with: `AUTH`, `HELLO`,
/// `RESET`, `QUIT`, `PING`, `ECHO`, `SELECT`, `ACL WHOAMI`, `CLIENT SETNAME`/`GETNAME`/`ID`/`SETINFO`, `INFO`, `ROLE`, `TIME`, `GET`,
/// `SET`, `DEL`, `EXISTS`, `INCR`, `DBSIZE`, `FLUSHALL`, `MULTI`, `EXEC`, `DISCARD`, `WATCH`, `UNWATCH`, `(P)SUBSCRIBE`, `(P)UNSUBSCRIBE`,
/// `PUBLISH`, `MONITOR`, `READONLY`, `READWRITE` and `CLUSTER SLOTS`/`SHARDS`/`INFO`/`MYID`/`KEYSLOT`. Its replies are those of the
/// [`Engine`] it imitates, to the byte.
///
/// Dropping it closes the ports and every connection.
#[derive(Debug)]
pub struct FakeElastiCache {
    servers: Vec<TestServer>,
    shared: Arc<Shared>,
    tls: Arc<RwLock<Arc<ServerConfig>>>,
    tls_options: ServerOptions,
}

impl FakeElastiCache {
    /// Begins a cache of one node, without a password: everybody may do everything.
    pub fn builder() -> ElastiCacheBuilder {
        ElastiCacheBuilder {
            tokens: Vec::new(),
            users: Vec::new(),
            iam: None,
            engine: Engine::default(),
            shards: 1,
            replicas: 0,
            cluster: ClusterMode::default(),
            announce: Announce::default(),
            tls: ServerOptions::default(),
            encryption: Encryption::default(),
            certificate_names: Vec::new(),
            clock: Clock::default(),
            misbehaviour: None,
        }
    }

    /// Where the first node listens: the primary, until a [`fail_over`](Self::fail_over).
    pub fn addr(&self) -> SocketAddr {
        self.addrs().first().copied().unwrap_or(FREE_LOOPBACK_PORT)
    }

    /// Where the nodes listen: shard by shard, the first primary before its replicas.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(TestServer::addr).collect()
    }

    /// Where the primary of the first shard listens now: what its DNS name would lead to.
    pub fn primary_addr(&self) -> Option<SocketAddr> {
        self.shared.state().topology.primary(0).map(|node| node.addr)
    }

    /// Where the replicas of the first shard listen now: what the reader's DNS name would lead to, or the second port of a
    /// serverless cache.
    pub fn reader_addrs(&self) -> Vec<SocketAddr> {
        self.shared.state().topology.replicas(0).map(|node| node.addr).collect()
    }

    /// Changes the AUTH token with the strategy `ROTATE`: the new one counts besides the newest of those before it.
    ///
    /// On a cache without a token, those who do not authenticate are let in as before until [`set_token`](Self::set_token).
    pub fn rotate_token(&self, token: impl Into<String>) {
        self.shared.state().accounts.rotate_token(token.into());
    }

    /// Changes the AUTH token with the strategy `SET`: only this one counts.
    ///
    /// # Errors
    /// It is none of those that count now: it has to be rotated in first.
    pub fn set_token(&self, token: &str) -> Result<(), UnknownToken> {
        self.shared.state().accounts.set_token(token).then_some(()).ok_or(UnknownToken)
    }

    /// Adds a user, or replaces the one of this name. Connections that act as the user go on, under the new rules.
    pub fn set_user(&self, user: User) {
        self.shared.state().accounts.set_user(user);
    }

    /// Removes a user and closes its connections.
    pub fn remove_user(&self, name: &str) {
        let mut state = self.shared.state();
        state.accounts.remove_user(name);
        state.tell(|| Message::Close, |connection| connection.user.as_deref() == Some(name));
    }

    /// Shows another certificate from now on. Connections go on.
    ///
    /// # Errors
    /// The certificate and options make no TLS configuration (a [`PkiError`](crate::PkiError) inside).
    pub fn replace_certificate(&self, certificate: &TestCertificate) -> io::Result<()> {
        let config = server_config(certificate, &self.tls_options).map_err(io::Error::other)?;
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Makes the next node of the first shard its primary. Connections stay; those to the old primary find a replica, which
    /// answers `READONLY` to writes. The only node of a shard becomes a replica too.
    pub fn fail_over(&self) {
        self.fail_over_shard(0);
    }

    /// As [`fail_over`](Self::fail_over), of any shard.
    pub fn fail_over_shard(&self, shard: usize) {
        self.shared.state().topology.fail_over(shard);
    }

    /// Does something wrong from now on, and nothing else wrong.
    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.shared.state().misbehaviour = Some(misbehaviour);
    }

    /// Does nothing wrong from now on.
    pub fn behave(&self) {
        self.shared.state().misbehaviour = None;
    }

    /// Closes all connections to one node, in order: a maintenance.
    pub fn close_connections(&self, node: usize) {
        self.shared.state().tell(|| Message::Close, |connection| connection.node == node);
    }

    /// Cuts the connections that a request would be the end of: those whose last IAM token is twelve hours old. To be called
    /// when the test's [`Clock`] has moved, for clients that are idle.
    pub fn enforce_time_limit(&self) {
        self.shared.state().tell(|| Message::CheckTimeLimit, |_| true);
    }

    /// The connections that are open, the handshake done.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Whom the open connections act as, and where they come from; `None` for those who did not authenticate.
    pub fn users(&self) -> Vec<(SocketAddr, Option<String>)> {
        let who = |connection: &Connection| (connection.peer, connection.user.clone());
        self.shared.state().connections.values().map(who).collect()
    }

    /// What has happened so far, in order.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.shared.state().journal.clone()
    }

    /// Waits until what has happened is what is waited for, and returns all of it. Cancel-safe; for ever, if it never is.
    pub async fn wait_until(&self, condition: impl Fn(&[JournalEntry]) -> bool) -> Vec<JournalEntry> {
        loop {
            let written = self.shared.written.notified();
            tokio::pin!(written);
            // From here on nothing is missed.
            written.as_mut().enable();
            let journal = self.journal();
            if condition(&journal) {
                return journal;
            }
            written.await;
        }
    }

    /// How often what has happened so far.
    pub fn counters(&self) -> Counters {
        self.shared.state().counters
    }
}

/// [`FakeElastiCache::set_token`] was called with a token that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is none of those that count now: rotate it in first")]
#[non_exhaustive]
pub struct UnknownToken;

/// Whether a cache wants TLS (`TransitEncryptionMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// TLS and nothing else.
    #[default]
    Required,
    /// TLS or not, on the same port.
    Preferred,
    /// No TLS. A ClientHello is never answered, as by the real server.
    Off,
}

/// A [`FakeElastiCache`] about to be started.
#[derive(Debug)]
#[must_use = "nothing listens before `start`"]
pub struct ElastiCacheBuilder {
    tokens: Vec<zeroize::Zeroizing<String>>,
    users: Vec<User>,
    iam: Option<IamRules>,
    engine: Engine,
    shards: usize,
    replicas: usize,
    cluster: ClusterMode,
    announce: Announce,
    tls: ServerOptions,
    encryption: Encryption,
    certificate_names: Vec<String>,
    clock: Clock,
    misbehaviour: Option<Misbehaviour>,
}

impl ElastiCacheBuilder {
    /// An AUTH token: the password of the user `default`. A second one is as if rotated in.
    pub fn auth_token(mut self, token: impl Into<String>) -> Self {
        self.tokens.push(zeroize::Zeroizing::new(token.into()));
        self
    }

    /// Adds a user. One called `default` replaces the default user, who may do everything without a password.
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// The name of the cache and the keys that IAM tokens are judged by, for users made by [`User::iam`]. Its clock becomes
    /// that of the cache, unless [`clock`](Self::clock) gives another one to both.
    pub fn iam(mut self, rules: IamRules) -> Self {
        self.clock = rules.clock.clone();
        if rules.is_serverless() {
            self = self.serverless();
        }
        self.iam = Some(rules);
        self
    }

    /// The server that is imitated. Default: Redis 7.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Cluster mode, with keys divided among so many shards (at least one).
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards.max(1);
        self.cluster = ClusterMode::On;
        self
    }

    /// So many replicas for each primary, each on a port of its own. Default: none.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The shape of a serverless cache: cluster mode with one shard and two ports, the second one for reading.
    pub fn serverless(self) -> Self {
        self.shards(1).replicas(1)
    }

    /// How the nodes of a cluster name each other. Default: by address.
    pub fn announce(mut self, announce: Announce) -> Self {
        self.announce = announce;
        self
    }

    /// Versions, client certificates and resumption.
    pub fn tls(mut self, options: ServerOptions) -> Self {
        self.tls = options;
        self
    }

    /// Whether there is TLS. Default: always.
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = encryption;
        self
    }

    /// Adds a name to the certificate, such as `*.name.xxxxxx.use1.cache.amazonaws.com`, besides `localhost` and 127.0.0.1.
    pub fn certificate_name(mut self, name: impl Into<String>) -> Self {
        self.certificate_names.push(name.into());
        self
    }

    /// The clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Does something wrong from the beginning.
    pub fn misbehave(mut self, misbehaviour: Misbehaviour) -> Self {
        self.misbehaviour = Some(misbehaviour);
        self
    }

    /// Starts the cache with a certificate issued by `pki`.
    ///
    /// # Errors
    /// As [`start_with`](Self::start_with), or when the certificate cannot be issued.
    pub async fn start(self, pki: &TestPki) -> io::Result<FakeElastiCache> {
        let leaf = pki.leaf().dns("localhost").ip([127, 0, 0, 1]);
        let leaf = self.certificate_names.iter().fold(leaf, |leaf, name| leaf.dns(name));
        let certificate = leaf.issue().map_err(io::Error::other)?;
        self.start_with(&certificate).await
    }

    /// Starts the cache with a certificate of your own, such as an expired one.
    ///
    /// # Errors
    /// When a port cannot be opened, or the certificate and options make no TLS configuration (a
    /// [`PkiError`](crate::PkiError) inside).
    pub async fn start_with(self, certificate: &TestCertificate) -> io::Result<FakeElastiCache> {
        let tls = Arc::new(RwLock::new(server_config(certificate, &self.tls).map_err(io::Error::other)?));
        let mut accounts = Accounts::new(self.iam.map(|rules| rules.clock(self.clock.clone())));
        self.users.into_iter().for_each(|user| accounts.set_user(user));
        for token in &self.tokens {
            accounts.rotate_token(token.to_string());
            if accounts.anonymous() == Some(DEFAULT) {
                accounts.set_token(token);
            }
        }
        let topology = Topology { nodes: Vec::new(), cluster: self.cluster, announce: self.announce };
        let shared = Arc::new(Shared::new(self.engine, self.clock, accounts, topology));
        shared.state().misbehaviour = self.misbehaviour;
        let mut servers = Vec::new();
        for shard in 0..self.shards {
            for position in 0..=self.replicas {
                let role = if position == 0 { Role::Primary } else { Role::Replica };
                let front = Front {
                    shared: Arc::clone(&shared),
                    node: servers.len(),
                    encryption: self.encryption,
                    tls: Arc::clone(&tls),
                };
                let server = TestServer::start(move |tcp, peer| front.clone().receive(tcp, peer)).await?;
                shared.state().topology.nodes.push(Node { addr: server.addr(), shard, role });
                servers.push(server);
            }
        }
        Ok(FakeElastiCache { servers, shared, tls, tls_options: self.tls })
    }
}
