//! What a cache does wrong.

use std::time::Duration;

/// One thing that goes wrong, for every connection, from the moment it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// New connections are closed in the handshake, without a word: `maxclients` is reached, behind TLS.
    EndsInHandshake,
    /// New connections are told that the server is in protected mode, and closed.
    ProtectedMode,
    /// The dataset is being loaded: authentication works, hardly anything else does.
    Loading,
    /// Protocol 3 is refused with `NOPROTO`, as by a proxy that knows `HELLO` but not RESP3.
    NoResp3,
    /// Commands on keys are refused with `CLUSTERDOWN`.
    ClusterDown,
    /// Commands on keys are refused with `MASTERDOWN`: the replica has lost its primary.
    MasterDown,
    /// Every reply is replaced by these bytes.
    Garbage(Vec<u8>),
    /// Of every reply only so many bytes are sent, then the connection is closed.
    Truncated {
        /// The bytes.
        after: usize,
    },
    /// Nothing is ever answered.
    Silent,
    /// Every reply comes so much later.
    Slow(Duration),
    /// The connection is closed in the place of the reply to the request after so many.
    HangsUp {
        /// The requests answered, counted from the beginning of the connection.
        after: u64,
    },
}
