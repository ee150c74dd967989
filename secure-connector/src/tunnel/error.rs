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
