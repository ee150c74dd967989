//! Hand-over to redis-rs (the crate `redis` 1.x): its connections over ours, which are encrypted, verified, authenticated,
//! and kept so. None of its TLS features is needed, and no password goes into a URL.
//!
//! | for | there is |
//! |---|---|
//! | one connection shared by many tasks | [`RedisClient::multiplexed`] |
//! | the same, and it is made anew when it breaks or the primary changes | [`RedisClient::reconnecting`] |
//! | a cluster, by redis-rs' own cluster client | [`RedisClient::cluster`] |
//! | subscriptions | [`RedisClient::pubsub`], or a push sender in the configuration with RESP3 |
//! | pools | [`RedisClient`] is a manager for bb8 and deadpool (features of these names) |
//! | redis-rs' own TLS with our credentials | [`CredentialStream`] |
//!
//! ```
//! use redis_tls::{RedisConnector, redis::RedisClient};
//!
//! # async fn example(connector: RedisConnector) -> redis::RedisResult<()> {
//! use redis::AsyncCommands;
//!
//! let client = RedisClient::new(connector);
//! let mut connection = client.reconnecting();
//! let visits: u64 = connection.incr("visits", 1).await?;
//! # Ok(())
//! # }
//! ```

mod cluster;
mod credential_stream;
mod reconnecting;

use std::{error::Error, fmt, sync::Arc};

use ::redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, RedisFuture,
    RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
};
use secure_connector::{ConnectError, SecureConnector, SecureStream, SecurityReport};
use tokio::{sync::watch, task::JoinHandle};

pub use self::{
    cluster::{ClusterSeedsMissing, SecureCluster, SecureNode},
    credential_stream::CredentialStream,
    reconnecting::ReconnectingConnection,
};
use crate::{AuthStatus, AuthTotals, KeptAlive, KeptAliveConnector, Protocol, RedisConnector, RedisStream};

/// Makes connections of redis-rs. Clones share the connector underneath.
#[derive(Clone)]
pub struct RedisClient {
    connector: KeptAliveConnector,
    config: AsyncConnectionConfig,
}

/// A multiplexed connection of redis-rs over one of ours. Clones share it; the last one to be dropped ends it.
#[derive(Clone)]
pub struct SecureConnection {
    inner: MultiplexedConnection,
    driver: Arc<Driver>,
    report: Arc<SecurityReport>,
    status: watch::Receiver<AuthStatus>,
}

struct Driver(JoinHandle<()>);

impl RedisClient {
    /// Connects by `connector`.
    pub fn new(connector: impl Into<Arc<RedisConnector>>) -> Self {
        Self { connector: KeptAliveConnector::new(connector), config: AsyncConnectionConfig::new() }
    }

    /// Timeouts of responses, the sender of pushes, the limit of concurrency. What concerns connecting has no effect: that
    /// is the connector's affair. Default: redis-rs' own, with 500 ms for a response.
    #[must_use]
    pub fn config(mut self, config: AsyncConnectionConfig) -> Self {
        self.config = config;
        self
    }

    /// What became of the authentication of all connections, now and whenever that changes.
    pub fn totals(&self) -> watch::Receiver<AuthTotals> {
        self.connector.totals()
    }

    /// A connection to be shared by any number of tasks. When it breaks, it stays broken; see
    /// [`reconnecting`](Self::reconnecting).
    ///
    /// # Errors
    /// What [`RedisConnector`] returns is found by [`connect_error`].
    pub async fn multiplexed(&self) -> RedisResult<SecureConnection> {
        let stream = self.connector.connect().await.map_err(redis_error)?;
        SecureConnection::over(stream, self.config.clone()).await
    }

    /// A connection that is made when it is first used, and anew when it breaks or turns out to lead to a replica.
    pub fn reconnecting(&self) -> ReconnectingConnection {
        ReconnectingConnection::new(self.clone())
    }

    /// A connection for subscriptions. With RESP2 it ends by itself before the server's limit, since a subscriber cannot
    /// authenticate again then; with RESP3, which the connector prefers, it stays.
    ///
    /// # Errors
    /// As for [`multiplexed`](Self::multiplexed).
    pub async fn pubsub(&self) -> RedisResult<PubSub> {
        let stream = self.connector.connect().await.map_err(redis_error)?;
        PubSub::new(&info_for(&stream), stream).await
    }
}

impl SecureConnection {
    async fn over(stream: KeptAlive<RedisStream>, config: AsyncConnectionConfig) -> RedisResult<Self> {
        let info = info_for(&stream);
        let (report, status) = (Arc::new(stream.report().clone()), stream.status());
        let (inner, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
        Ok(Self { inner, driver: Arc::new(Driver(tokio::spawn(driver))), report, status })
    }

    /// What was agreed and proven when the connection was made.
    pub fn report(&self) -> &SecurityReport {
        &self.report
    }

    /// How it is authenticated, now and whenever that changes.
    pub fn auth_status(&self) -> watch::Receiver<AuthStatus> {
        self.status.clone()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.driver.0.is_finished()
    }

    /// redis-rs' connection underneath: subscriptions, timeouts.
    pub fn get_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.inner
    }
}

/// The handshake has been made: redis-rs is left to send nothing, or `HELLO 3` so that it knows what it speaks.
fn info_for(stream: &KeptAlive<RedisStream>) -> RedisConnectionInfo {
    let protocol = match stream.get_ref().server().protocol {
        Protocol::Resp2 => ProtocolVersion::RESP2,
        Protocol::Resp3 => ProtocolVersion::RESP3,
    };
    RedisConnectionInfo::default().set_skip_set_lib_name().set_protocol(protocol)
}

impl ConnectionLike for SecureConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.inner.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.inner.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

/// redis-rs knows no foreign errors but those of input and output.
fn redis_error(error: ConnectError) -> RedisError {
    match &error {
        ConnectError::Auth { .. } => {
            let detail = secure_connector::error_chain(&error);
            RedisError::from((ErrorKind::AuthenticationFailed, "the connection", detail))
        }
        _ => RedisError::from(std::io::Error::from(error)),
    }
}

/// The error of the connector that is the cause of `error`, if one is: its [`explain`](ConnectError::explain) says what to
/// change. Refused credentials have the kind [`AuthenticationFailed`](ErrorKind::AuthenticationFailed) instead.
pub fn connect_error(error: &RedisError) -> Option<&ConnectError> {
    // redis-rs shows its pointer to the cause as the cause.
    let cause: &Arc<dyn Error + Send + Sync> = error.source()?.downcast_ref()?;
    cause.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref()
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisClient").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl fmt::Debug for SecureConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureConnection").field("report", &self.report).finish_non_exhaustive()
    }
}
