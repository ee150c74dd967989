//! What can be seen of a tunnel from outside.

use std::{fmt, net::SocketAddr, sync::Arc, time::SystemTime};

use super::LocalAddr;
use crate::SecurityReport;
#[cfg(feature = "serde")]
use crate::serialize;

/// The counters of a tunnel since it was started.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TunnelStatus {
    /// Where local programs connect to.
    pub local_addr: LocalAddr,
    /// Whether other hosts can connect (`danger_accept_remote_clients` with an address that is not loopback).
    pub remote_clients: bool,
    /// When the tunnel was started.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
    pub started_at: SystemTime,
    /// Whether it still accepts connections: false from the moment of a drain.
    pub accepting: bool,
    /// Connections that are open now.
    pub active: usize,
    /// Connections that were accepted, without the refused and denied ones.
    pub accepted: u64,
    /// Connections that were reset because the limit was reached.
    pub refused: u64,
    /// Connections that were reset because their user is not [allowed](super::TunnelBuilder::allow_uids).
    pub denied: u64,
    /// Failures of `accept`, such as too many open files.
    pub accept_failures: u64,
    /// Attempts to reach the upstream that succeeded.
    pub connects_ok: u64,
    /// Attempts to reach the upstream that failed.
    pub connects_failed: u64,
    /// Failures after which the attempt was repeated.
    pub retried: u64,
    /// Bytes written to the upstream.
    pub bytes_up: u64,
    /// Bytes written to local sides.
    pub bytes_down: u64,
    /// Connections whose upstream ended in the middle.
    pub truncated: u64,
    /// Connections whose upstream ended without an end of stream after the local side had finished.
    pub unconfirmed: u64,
    /// Connections that were reset by the local side.
    pub local_resets: u64,
    /// Connections whose local side left before the upstream was reached.
    pub local_left: u64,
    /// Connections ended by the idle timeout.
    pub idle_closed: u64,
    /// Connections that one side had finished, ended by the close timeout.
    pub close_timeouts: u64,
    /// The latest failure of any kind that an operator should know.
    pub last_error: Option<LastError>,
}

/// A failure and its time.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LastError {
    /// The error with its causes.
    pub error: String,
    /// When it happened.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
    pub at: SystemTime,
}

/// One open connection.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Counts up from 0 in the order of acceptance; as in [`TunnelEvent`](super::TunnelEvent).
    pub id: u64,
    /// Who connected.
    pub peer: LocalPeer,
    /// When it was accepted.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
    pub opened_at: SystemTime,
    /// Bytes written to the upstream so far.
    pub bytes_up: u64,
    /// Bytes written to the local side so far.
    pub bytes_down: u64,
    /// What was agreed and proven with the upstream; `None` while it is being dialled.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::optional_shared"))]
    pub report: Option<Arc<SecurityReport>>,
}

/// The other end of a local connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LocalPeer {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The process that connected to the Unix socket, as the kernel knows it.
    Unix {
        /// Its effective user id, `None` if the system does not tell.
        uid: Option<u32>,
        /// Its process id, `None` if the system does not tell.
        pid: Option<i32>,
    },
}

impl fmt::Display for LocalPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { uid: Some(uid), pid: Some(pid) } => write!(f, "user {uid}, process {pid}"),
            Self::Unix { uid: Some(uid), pid: None } => write!(f, "user {uid}"),
            Self::Unix { uid: None, .. } => f.write_str("a local process"),
        }
    }
}
