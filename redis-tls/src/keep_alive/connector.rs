//! A connector whose connections stay authenticated.

use std::sync::Arc;

use async_trait::async_trait;
use secure_connector::{ConnectError, SecureConnector};
use tokio::sync::watch;

use super::{AuthTotals, Authenticated, KeepAlive, KeptAlive};
use crate::{RedisConnector, RedisStream};

/// A [`RedisConnector`] whose connections renew their authentication in time; see [`KeptAlive`]. Clones share everything.
#[derive(Clone, Debug)]
pub struct KeptAliveConnector {
    connector: Arc<RedisConnector>,
    keeper: KeepAlive,
}

impl KeptAliveConnector {
    /// Renews with the connector's credentials, by its clock.
    pub fn new(connector: impl Into<Arc<RedisConnector>>) -> Self {
        let connector = connector.into();
        let keeper = KeepAlive::new(Arc::clone(connector.credential_source())).clock(Arc::clone(&connector.clock));
        Self { connector, keeper }
    }

    /// The connector underneath.
    pub fn connector(&self) -> &RedisConnector {
        &self.connector
    }

    /// What became of the authentication of all connections, now and whenever that changes.
    pub fn totals(&self) -> watch::Receiver<AuthTotals> {
        self.keeper.totals()
    }

    /// Connects to a node of the cluster; see [`RedisConnector::connect_node`].
    ///
    /// # Errors
    /// As for [`RedisConnector::connect_node`].
    pub async fn connect_node(&self, host: &str, port: u16) -> Result<KeptAlive<RedisStream>, ConnectError> {
        self.connector.connect_node(host, port).await.map(|stream| self.keep(stream))
    }

    fn keep(&self, stream: RedisStream) -> KeptAlive<RedisStream> {
        let since = Authenticated {
            credentials: stream.credentials().unwrap_or("nothing").to_owned(),
            at: stream.authenticated_at(),
            protocol: stream.server().protocol,
        };
        self.keeper.keep(stream, since)
    }
}

#[async_trait]
impl SecureConnector for KeptAliveConnector {
    type Stream = KeptAlive<RedisStream>;

    async fn connect(&self) -> Result<Self::Stream, ConnectError> {
        self.connector.connect().await.map(|stream| self.keep(stream))
    }
}
