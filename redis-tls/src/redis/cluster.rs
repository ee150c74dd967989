//! redis-rs' own cluster client over our connections.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ::redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, RedisFuture, RedisResult, Value,
    aio::ConnectionLike,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::{ClusterConnection, Connect},
};

use super::{RedisClient, SecureConnection, redis_error};
use crate::KeptAliveConnector;

/// A connection to a whole cluster, by redis-rs' cluster client: it follows the slots, redirections and failovers. Each node
/// is dialled, verified and authenticated by the connector. Clones share it.
#[derive(Clone)]
pub struct SecureCluster {
    connection: ClusterConnection<SecureNode>,
    _registered: Arc<Registered>,
}

/// A connection to one node. It is made by redis-rs' cluster client.
#[derive(Clone, Debug)]
pub struct SecureNode(SecureConnection);

/// The connector was not made from an endpoint, so that it has no host name and port to begin with.
#[derive(Debug, thiserror::Error)]
#[error("a cluster needs a node to begin with: make the connector from an endpoint, or name nodes by `cluster_from`")]
#[non_exhaustive]
pub struct ClusterSeedsMissing;

impl RedisClient {
    /// Connects to the cluster of the connector's endpoint. `configure` may set what redis-rs lets one set of its cluster
    /// client: retries, timeouts, reading from replicas, RESP3.
    ///
    /// # Errors
    /// [`ClusterSeedsMissing`], within an error of the kind [`InvalidClientConfig`](ErrorKind::InvalidClientConfig); and
    /// redis-rs' own, if no node answers.
    pub async fn cluster(
        &self,
        configure: impl FnOnce(ClusterClientBuilder) -> ClusterClientBuilder,
    ) -> RedisResult<SecureCluster> {
        let Some(endpoint) = self.connector.connector().endpoint() else {
            let missing = ClusterSeedsMissing.to_string();
            return Err((ErrorKind::InvalidClientConfig, "no node is known", missing).into());
        };
        self.cluster_from([(endpoint.host(), endpoint.port())], configure).await
    }

    /// The same, from these nodes.
    ///
    /// # Errors
    /// redis-rs' own, if no node answers.
    pub async fn cluster_from<'a>(
        &self,
        seeds: impl IntoIterator<Item = (&'a str, u16)>,
        configure: impl FnOnce(ClusterClientBuilder) -> ClusterClientBuilder,
    ) -> RedisResult<SecureCluster> {
        let registered = Arc::new(Registered::new(&self.connector));
        let settings = RedisConnectionInfo::default().set_username(&registered.name);
        let seeds = seeds.into_iter().map(|(host, port)| {
            let address = ConnectionAddr::Tcp(host.to_owned(), port).into_connection_info()?;
            Ok(address.set_redis_settings(settings.clone()))
        });
        let seeds = seeds.collect::<RedisResult<Vec<ConnectionInfo>>>()?;
        let client: ClusterClient = configure(ClusterClientBuilder::new(seeds)).build()?;
        let connection = client.get_async_generic_connection().await?;
        Ok(SecureCluster { connection, _registered: registered })
    }
}

impl Connect for SecureNode {
    fn connect_with_config<'a, T>(info: T, config: AsyncConnectionConfig) -> RedisFuture<'a, Self>
    where
        T: IntoConnectionInfo + Send + 'a,
    {
        Box::pin(async move {
            let info = info.into_connection_info()?;
            let connector = info.redis_settings().username().and_then(registered);
            let (Some(connector), ConnectionAddr::Tcp(host, port)) = (connector, info.addr()) else {
                let message = "the cluster connection that this node belongs to has ended";
                return Err(RedisError::from((ErrorKind::Client, message)));
            };
            let stream = connector.connect_node(host, *port).await.map_err(redis_error)?;
            SecureConnection::over(stream, config).await.map(Self)
        })
    }
}

/// redis-rs connects to nodes by a function without a receiver. All that reaches it from the client is what the nodes'
/// addresses have in common, the user's name among it: that is a connector's key here, and is never sent.
static CONNECTORS: LazyLock<Mutex<HashMap<String, Weak<KeptAliveConnector>>>> = LazyLock::new(Mutex::default);

/// An entry for as long as this lives.
struct Registered {
    name: String,
    _connector: Arc<KeptAliveConnector>,
}

impl Registered {
    fn new(connector: &KeptAliveConnector) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("redis-tls-{}", NEXT.fetch_add(1, Relaxed));
        let connector = Arc::new(connector.clone());
        connectors().insert(name.clone(), Arc::downgrade(&connector));
        Self { name, _connector: connector }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        connectors().remove(&self.name);
    }
}

fn registered(name: &str) -> Option<Arc<KeptAliveConnector>> {
    connectors().get(name).and_then(Weak::upgrade)
}

/// A panic elsewhere leaves at worst one entry too many.
fn connectors() -> MutexGuard<'static, HashMap<String, Weak<KeptAliveConnector>>> {
    CONNECTORS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConnectionLike for SecureCluster {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

impl SecureCluster {
    /// redis-rs' connection underneath: routing of single commands, subscriptions. It must not outlive this one, which holds
    /// what it needs to reach further nodes.
    pub fn get_mut(&mut self) -> &mut ClusterConnection<SecureNode> {
        &mut self.connection
    }
}

impl ConnectionLike for SecureNode {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

impl fmt::Debug for SecureCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureCluster").finish_non_exhaustive()
    }
}
