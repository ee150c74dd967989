//! Why a tunnel could not be started.

use std::{io, net::SocketAddr, path::PathBuf};

use super::LocalAddr;

/// Why a tunnel could not be started. What happens to its connections later is found in
/// [`TunnelStatus`](super::TunnelStatus) and [`TunnelEvent`](super::TunnelEvent).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// Other hosts could connect, and nobody asked for that.
    #[error(
        "{address} is not a loopback address: other hosts could use the tunnel and their data would reach it \
         unencrypted; listen on 127.0.0.1 or [::1], or call danger_accept_remote_clients()"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },

    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: LocalAddr,
        /// The system's answer.
        source: io::Error,
    },

    /// The listener that was given cannot be used.
    #[error("the given listener cannot be used")]
    Bound(#[source] io::Error),

    /// The Unix listener that was given has no path, and so no permissions.
    #[error("the given Unix listener has no path: every user of the host could connect; bind it to a path")]
    NoPath,

    /// [`allow_uids`](super::TunnelBuilder::allow_uids) was given no user.
    #[error("the set of allowed users is empty; name at least one uid, or leave allow_uids() out to admit everybody")]
    NobodyAllowed,

    /// The users of a TCP listener cannot be told apart on this system.
    #[error("cannot tell which user connects to {address}: /proc/net/tcp is needed; listen on a Unix socket instead")]
    UnknownOwners {
        /// Where the tunnel was to listen.
        address: LocalAddr,
        /// Why not.
        source: io::Error,
    },

    /// Something else is at the Unix socket's path; it was left alone.
    #[error("{} exists and is not a socket; remove it or choose another path", path.display())]
    NotASocket {
        /// The path that was asked for.
        path: PathBuf,
    },

    /// Somebody listens on the Unix socket's path; it was left alone.
    #[error("{} is in use by another listener; stop that one or choose another path", path.display())]
    InUse {
        /// The path that was asked for.
        path: PathBuf,
    },
}
