//! Any connector behind a local listener.

mod accept;
mod builder;
mod connection;
mod error;
mod event;
mod export;
mod listen;
mod local;
mod progress;
mod registry;
mod relay;
mod status;
mod users;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

#[cfg(target_os = "linux")]
pub use self::listen::SocketActivationError;
use self::registry::Registry;
pub use self::{
    builder::{IdleTimeout, TunnelBuilder},
    error::TunnelError,
    event::{CloseReason, TunnelEvent},
    listen::{Listen, LocalAddr},
    status::{ConnectionInfo, LastError, LocalPeer, TunnelStatus},
};
use crate::SecureConnector;

/// A local listener whose every connection is carried over a connection of its own made by a [`SecureConnector`].
///
/// For programs that can only dial a socket: the kernel's NFS client, a database driver, another process. A program
/// that can use the connector itself should: the local side of a tunnel is plaintext, and whoever may connect to it
/// acts with the tunnel's identity. That is every user of this host for a TCP listener, and the tunnel's own user for a
/// Unix socket (mode 0600), unless [`TunnelBuilder::allow_uids`] names them.
///
/// ```
/// # async fn run(connector: secure_connector::BoxedConnector) -> Result<(), secure_connector::TunnelError> {
/// use std::time::Duration;
/// use secure_connector::Tunnel;
///
/// let tunnel = Tunnel::builder(connector).hold(Duration::from_secs(10)).start().await?;
/// println!("listening on {}", tunnel.local_addr());
/// // …
/// let cut = tunnel.drain(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
///
/// # How a connection is carried
/// - **Before it begins.** The local side is accepted first. While the upstream is away the connection is held, and
///   connecting is tried again after a [`Backoff`](crate::Backoff) as long as the error is
///   [retryable](crate::ConnectError::is_retryable) and the hold lasts; then, or at once for any other error, the local
///   side is reset. A local side that resets ends its hold at once; so does, after the first failure, one that closes
///   without having sent a byte. One that sent something and then closed cannot be told from one that half-closed: it
///   keeps its place.
/// - **Half-close** is carried through both ways: the end of one direction becomes the writing side's `shutdown` (TLS:
///   `close_notify`), and the other direction goes on for as long as it likes, unless
///   [`TunnelBuilder::close_timeout`] says otherwise; a half-closed connection that falls quiet ends by the idle timeout.
/// - **Truncation stays visible.** Whatever ends the upstream other than its own end of stream resets the local side;
///   stunnel reports a clean end there. Everything that arrived is written to the local side first; what its kernel
///   buffer has no room for is lost with the reset. A local reset drops the upstream without `shutdown`, so that the
///   peer sees it too. A local TCP socket closes by reset unless both directions ended well, whatever the cause, even
///   if this process is killed. A Unix socket knows no reset: there, the local side sees a close.
/// - **A peer that owes its end of stream.** Many TLS servers close without `close_notify` once the client is done. If
///   that happens after the local side's end was passed on, nobody is normally reading any more. Whether the last
///   reply was whole cannot be known, so the local side is still reset, which only a reader can notice; it counts as
///   [unconfirmed](TunnelStatus::unconfirmed) instead of [truncated](TunnelStatus::truncated).
///
/// Nothing that a local side or an upstream does ends the tunnel, and neither do failures of `accept`, such as too many
/// open files: those are retried. Logs hold addresses, counts and errors, never data.
///
/// # When it ends
/// The handle owns everything. Dropping it closes the listener, resets all connections and ends all tasks as soon as
/// the runtime gets to them; [`drain`](Self::drain) does so in an orderly way and returns when it is done.
///
/// # Replacing the process
/// A new process can take over without a connection refused, and without a remount, if both hold the same listening
/// socket: [`Listen::Bound`] or [`Listen::BoundUnix`] from a descriptor that was handed over (`Listen::from_systemd`, or any
/// other way). Neither `SO_REUSEPORT` nor a common parent is needed. The new process starts its tunnel, and from then on
/// each connection goes to one or the other; then the old one is told to [`drain`](Self::drain): it accepts no more,
/// finishes what it has, and ends. An NFS client keeps its connection for as long as the mount lasts: that one is cut at
/// the limit of the drain, and the client makes it again by itself, to the new process. If there is a gap between the two, connections wait in the queue, as long as anybody (systemd) holds
/// the socket.
///
/// # Cost
/// One task and two buffers (64 KiB each, see [`TunnelBuilder::buffer_size`]) per connection.
#[derive(Debug)]
pub struct Tunnel {
    registry: Arc<Registry>,
    /// When it is set the drain begins; when it is dropped everything ends.
    deadline: watch::Sender<Option<Instant>>,
    ended: watch::Receiver<Option<usize>>,
}

impl Tunnel {
    /// A tunnel over `connector`, with defaults for everything else.
    pub fn builder<C: SecureConnector + 'static>(connector: C) -> TunnelBuilder<C> {
        TunnelBuilder::new(connector)
    }

    /// Where local programs connect to.
    pub fn local_addr(&self) -> &LocalAddr {
        self.registry.local_addr()
    }

    /// The counters at this moment.
    pub fn status(&self) -> TunnelStatus {
        self.registry.status()
    }

    /// The connections that are open at this moment, oldest first.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.registry.connections()
    }

    /// Everything that happens from now on. A receiver that falls more than 256 events behind loses the oldest.
    ///
    /// [`status`](Self::status) already reflects an event when it arrives.
    pub fn events(&self) -> broadcast::Receiver<TunnelEvent> {
        self.registry.events()
    }

    /// Closes the listener at once, lets the open connections finish for up to `limit`, resets those that are left, and
    /// returns how many these were.
    ///
    /// Connections that wait in the listener's queue are reset, unless another tunnel or process holds the same listening
    /// socket: they are its then. A second call may shorten the limit, not extend it.
    /// Cancelling the call leaves the drain going on.
    pub async fn drain(&self, limit: Duration) -> usize {
        let until = instant_after(limit);
        self.deadline.send_modify(|deadline| *deadline = Some(deadline.map_or(until, |earlier| earlier.min(until))));
        let mut ended = self.ended.clone();
        let cut = ended.wait_for(Option::is_some).await.map_or(None, |cut| *cut);
        cut.unwrap_or_default()
    }
}

/// `limit` from now; a limit beyond the clock's range counts as a century.
fn instant_after(limit: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now + CENTURY)
}
