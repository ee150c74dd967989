//! A local socket for any client.

use std::{sync::Arc, time::Duration};

use secure_connector::{Listen, LocalAddr, Tunnel, TunnelBuilder, TunnelError, TunnelStatus};
use tokio::sync::watch;

use crate::{AuthTotals, KeptAliveConnector, RedisConnector};

/// A [`Tunnel`] to Redis or Valkey: programs in any language speak plaintext to a local socket, without a password, and
/// each of their connections is carried over one that is encrypted, verified, authenticated, and kept so.
///
/// Whoever may connect to the local side acts as the connector's user. On a Unix socket (`Listen::Unix`, mode 0600) that is
/// the tunnel's own user; on TCP every user of this host, unless
/// [`allow_uids`](TunnelBuilder::allow_uids) names them.
///
/// A client that sends `AUTH` with credentials of its own is answered by the server, and from an `OK` on its authentication
/// is its own affair. Cluster clients learn the addresses of nodes from the server and connect to these directly, past the
/// tunnel: it is for single servers and for clients that do not follow redirects.
///
/// ```
/// use redis_tls::{RedisConnector, RedisTunnel};
/// use secure_connector::Listen;
///
/// # async fn example(connector: RedisConnector) -> Result<(), secure_connector::TunnelError> {
/// let tunnel = RedisTunnel::builder(connector).listen(Listen::Unix("/run/app/redis.sock".into())).start().await?;
/// println!("redis-cli -s {}", tunnel.local_addr());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisTunnel {
    tunnel: Tunnel,
    totals: watch::Receiver<AuthTotals>,
}

/// Builds a [`RedisTunnel`].
#[derive(Debug)]
#[must_use = "a tunnel does nothing until it is started"]
pub struct RedisTunnelBuilder {
    tunnel: TunnelBuilder<KeptAliveConnector>,
    totals: watch::Receiver<AuthTotals>,
}

/// The state of a [`RedisTunnel`].
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RedisTunnelStatus {
    /// Connections and bytes.
    pub tunnel: TunnelStatus,
    /// The authentication of the connections.
    pub authentication: AuthTotals,
}

impl RedisTunnel {
    /// A tunnel over `connector`.
    pub fn builder(connector: impl Into<Arc<RedisConnector>>) -> RedisTunnelBuilder {
        let connector = KeptAliveConnector::new(connector);
        RedisTunnelBuilder { totals: connector.totals(), tunnel: Tunnel::builder(connector) }
    }

    /// Where clients connect to.
    pub fn local_addr(&self) -> &LocalAddr {
        self.tunnel.local_addr()
    }

    /// Counters, at this moment.
    pub fn status(&self) -> RedisTunnelStatus {
        RedisTunnelStatus { tunnel: self.tunnel.status(), authentication: self.totals.borrow().clone() }
    }

    /// The tunnel underneath: its connections, events and drain.
    pub fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// Closes the listener, lets connections finish for up to `limit`, resets the rest and returns how many these were.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.tunnel.drain(limit).await
    }
}

impl RedisTunnelBuilder {
    /// Where clients connect to. Default: `127.0.0.1` with a port chosen by the system.
    pub fn listen(mut self, on: impl Into<Listen>) -> Self {
        self.tunnel = self.tunnel.listen(on);
        self
    }

    /// Changes what the [`Tunnel`] underneath goes by: users, hold, idle timeout, limits.
    pub fn configure(
        mut self,
        change: impl FnOnce(TunnelBuilder<KeptAliveConnector>) -> TunnelBuilder<KeptAliveConnector>,
    ) -> Self {
        self.tunnel = change(self.tunnel);
        self
    }

    /// Opens the local socket and starts to accept. The server is first dialled for the first client.
    ///
    /// # Errors
    /// [`TunnelError`] if the listener cannot be opened as asked.
    pub async fn start(self) -> Result<RedisTunnel, TunnelError> {
        Ok(RedisTunnel { tunnel: self.tunnel.start().await?, totals: self.totals })
    }
}
