//! What happens in a tunnel.

use std::{sync::Arc, time::Duration};

use super::LocalPeer;
use crate::SecurityReport;
#[cfg(feature = "serde")]
use crate::serialize;

/// Something that happened in a tunnel. `id` is that of [`ConnectionInfo`](super::ConnectionInfo).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum TunnelEvent {
    /// A local connection was accepted; the upstream is being dialled.
    Accepted {
        /// The connection.
        id: u64,
        /// Who connected.
        peer: LocalPeer,
    },
    /// A local connection was reset because the limit of connections is reached.
    Refused {
        /// Who connected.
        peer: LocalPeer,
    },
    /// A local connection was reset because its user is not [allowed](super::TunnelBuilder::allow_uids).
    Denied {
        /// Who connected.
        peer: LocalPeer,
        /// Its user, `None` if that cannot be told.
        uid: Option<u32>,
    },
    /// `accept` failed; it is tried again.
    AcceptFailed {
        /// The system's error.
        error: String,
    },
    /// The upstream cannot be reached; it is tried again after `delay`.
    Retrying {
        /// The connection.
        id: u64,
        /// The [`ConnectError`](crate::ConnectError) with its causes.
        error: String,
        /// The wait before the next attempt.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
        delay: Duration,
    },
    /// The upstream was reached.
    Connected {
        /// The connection.
        id: u64,
        /// What was agreed and proven.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::shared"))]
        report: Arc<SecurityReport>,
    },
    /// The connection has ended on both sides.
    Closed {
        /// The connection.
        id: u64,
        /// Why.
        reason: CloseReason,
        /// Bytes that were written to the upstream.
        bytes_up: u64,
        /// Bytes that were written to the local side.
        bytes_down: u64,
    },
}

/// Why a connection ended. All but [`Finished`](Self::Finished) and [`CloseTimeout`](Self::CloseTimeout) reset what was
/// still open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CloseReason {
    /// Both directions ended well.
    Finished,
    /// The local side had finished, and the upstream then ended without an end of stream of its own.
    Unconfirmed,
    /// The upstream ended in the middle.
    Truncated {
        /// How.
        error: String,
    },
    /// The local side was reset.
    LocalReset,
    /// The local side left before the upstream was reached.
    LocalLeft,
    /// The upstream could not be reached within the hold, or never will be.
    ConnectFailed {
        /// The last [`ConnectError`](crate::ConnectError) with its causes.
        error: String,
    },
    /// Nothing moved for the whole idle timeout.
    Idle,
    /// One side had finished, and the other said nothing for the whole close timeout. The local side sees an end.
    CloseTimeout,
    /// The tunnel ended first, or the connector panicked.
    Aborted,
}
