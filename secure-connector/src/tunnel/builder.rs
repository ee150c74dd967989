//! What can be set about a tunnel, and starting it.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Listen, Tunnel, TunnelError, accept, listen::Listener, registry::Registry, users::Users};
use crate::{Backoff, SecureConnector};

/// A [`Tunnel`] to be; every setting has a default.
#[derive(Debug)]
#[must_use = "a tunnel does nothing until it is started"]
pub struct TunnelBuilder<C> {
    connector: C,
    listen: Listen,
    remote_clients: bool,
    users: Users,
    max_connections: usize,
    options: Options,
}

/// When a connection that carries nothing is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdleTimeout {
    /// After no byte has moved in either direction for this long.
    After(Duration),
    /// Never: an upstream that vanished without a word is noticed only by keep-alives of the transport.
    Never,
}

/// What every connection of a tunnel goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) hold: Duration,
    pub(super) backoff: Backoff,
    pub(super) idle_timeout: IdleTimeout,
    pub(super) close_timeout: IdleTimeout,
    pub(super) buffer_size: usize,
}

impl<C: SecureConnector + 'static> TunnelBuilder<C> {
    pub(super) fn new(connector: C) -> Self {
        Self {
            connector,
            listen: Listen::default(),
            remote_clients: false,
            users: Users::default(),
            max_connections: 1024,
            options: Options {
                hold: Duration::from_secs(30),
                backoff: Backoff::default(),
                idle_timeout: IdleTimeout::default(),
                close_timeout: IdleTimeout::Never,
                buffer_size: 64 * 1024,
            },
        }
    }

    /// Where local programs connect to. Default: `127.0.0.1` with a port chosen by the system.
    pub fn listen(mut self, on: impl Into<Listen>) -> Self {
        self.listen = on.into();
        self
    }

    /// Allows a TCP address that other hosts can reach.
    ///
    /// Their data travels unencrypted up to this tunnel, and whoever reaches it acts with the connector's identity.
    /// [`TunnelStatus::remote_clients`](super::TunnelStatus::remote_clients) shows it.
    pub fn danger_accept_remote_clients(mut self) -> Self {
        self.remote_clients = true;
        self
    }

    /// Admits connections of these users only; root is not among them unless named. Further calls add to the set.
    ///
    /// Default: on TCP, every user of this host; on a Unix socket, what its mode (0600) admits. With `allow_uids` the
    /// mode is 0666, because the uid decides.
    ///
    /// - On a Unix socket the uid is what the system says of the process that connected (`SO_PEERCRED` and its like).
    /// - On TCP, on Linux only, it is that of the client's socket in `/proc/net/tcp` or `/proc/net/tcp6`. The kernel's NFS
    ///   client counts as 0. An owner who cannot be told is not admitted: one on another host or in another network
    ///   namespace, or one who closed the socket before it was accepted. Looking it up takes time in proportion to the
    ///   open TCP sockets of the host, for each connection.
    ///
    /// Anybody else is reset at once, counted as [denied](super::TunnelStatus::denied), and reported as
    /// [`TunnelEvent::Denied`](super::TunnelEvent::Denied). An empty set is an error, and so is TCP where its owners cannot
    /// be told.
    pub fn allow_uids(mut self, uids: impl IntoIterator<Item = u32>) -> Self {
        self.users.allow(uids);
        self
    }

    /// How long a local connection is held while the upstream cannot be reached. Default: 30 s.
    ///
    /// The first attempt to connect is bounded by the connector's own deadlines only; what the hold bounds are further
    /// attempts, so that zero means "never try again".
    pub fn hold(mut self, limit: Duration) -> Self {
        self.options.hold = limit;
        self
    }

    /// How long to wait between attempts to connect. Default: [`Backoff::default`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = backoff;
        self
    }

    /// How many local connections may be open at a time. Default: 1024.
    ///
    /// One more is accepted and reset at once, and counted as [refused](super::TunnelStatus::refused). Left in the
    /// listener's queue instead, it would wait for an answer without knowing why none comes.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.max_connections = limit;
        self
    }

    /// When a connection that carries nothing is ended, by reset on both sides. Default: 12 h, as in stunnel.
    pub fn idle_timeout(mut self, timeout: IdleTimeout) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// When a connection that one side has finished, and that carries nothing any more, is ended; stunnel's `TIMEOUTclose`.
    /// Default: [`Never`](IdleTimeout::Never), which leaves it to the idle timeout.
    ///
    /// The time runs while everything that was read has been passed on, and starts anew with every byte. The local side
    /// sees an end, not a reset, whatever the side that had not finished was still about to say: zero cuts off an answer
    /// that has not arrived by then.
    pub fn close_timeout(mut self, timeout: IdleTimeout) -> Self {
        self.options.close_timeout = timeout;
        self
    }

    /// Bytes of each of the two buffers of a connection. Default: 64 KiB; less than 4 KiB counts as 4 KiB.
    ///
    /// Larger buffers save system calls: 64 KiB cost 40 % less CPU than 8 KiB, and beyond 64 KiB nothing is gained.
    pub fn buffer_size(mut self, bytes: usize) -> Self {
        self.options.buffer_size = bytes.max(4 * 1024);
        self
    }

    /// Opens the listener and starts to accept. The upstream is first dialled for the first local connection.
    ///
    /// # Errors
    /// A [`TunnelError`] if the listener cannot be opened as asked.
    pub async fn start(self) -> Result<Tunnel, TunnelError> {
        let listener = Listener::open(self.listen, self.remote_clients, self.users).await?;
        let registry = Arc::new(Registry::new(listener.local_addr().clone(), self.max_connections));
        let (deadline, drain) = watch::channel(None);
        let (end, ended) = watch::channel(None);
        let serving = accept::serve(listener, Arc::new(self.connector), self.options, Arc::clone(&registry), drain);
        tokio::spawn(async move {
            end.send_replace(Some(serving.await));
        });
        Ok(Tunnel { registry, deadline, ended })
    }
}

impl Default for IdleTimeout {
    /// 12 h.
    fn default() -> Self {
        Self::After(Duration::from_secs(12 * 3600))
    }
}
