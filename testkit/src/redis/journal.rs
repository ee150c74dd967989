//! What happened at a cache, in order.

use std::time::SystemTime;

use crate::SeenConnection;

use super::AuthRefusal;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalEntry {
    /// When, by the cache's clock.
    pub at: SystemTime,
    /// The connection, by a number that no other has. It is what `CLIENT ID` says.
    pub connection: u64,
    /// The node, in the order of [`FakeElastiCache::addrs`](super::FakeElastiCache::addrs).
    pub node: usize,
    /// What.
    pub event: Event,
}

/// What can happen. Holds no password and no token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The TLS handshake is done; without TLS, the connection is accepted.
    Connected(Box<SeenConnection>),
    /// The TLS handshake failed.
    HandshakeFailed {
        /// Why.
        error: String,
    },
    /// `AUTH` or `HELLO … AUTH` succeeded.
    Authenticated {
        /// Whom the connection acts as from now on.
        user: String,
        /// By what.
        proof: Proof,
    },
    /// `AUTH` or `HELLO … AUTH` failed; the connection acts as before.
    Refused {
        /// Who it was to be.
        user: String,
        /// Why not.
        refusal: AuthRefusal,
    },
    /// A request, whatever came of it.
    Command {
        /// Its words, without those of `AUTH` and of `HELLO … AUTH` that are secret.
        words: Vec<String>,
    },
    /// The connection was cut, twelve hours after the last IAM token.
    TimeLimit,
    /// The connection has ended.
    Closed,
}

/// What has proven who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// A password, or an AUTH token.
    Password {
        /// Which of the user's: the oldest is 0.
        position: usize,
    },
    /// Nothing: the user needs no password.
    NoPassword,
    /// An IAM token.
    Iam {
        /// The access key that signed it.
        access_key_id: String,
    },
}

/// How often what has happened at a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted, with a handshake under way, completed or failed.
    pub connections: u64,
    /// Handshakes completed that were full ones.
    pub full_handshakes: u64,
    /// Handshakes completed that resumed a session.
    pub resumed_handshakes: u64,
    /// Handshakes that failed.
    pub failed_handshakes: u64,
    /// `AUTH` and `HELLO … AUTH` that succeeded.
    pub authentications: u64,
    /// `AUTH` and `HELLO … AUTH` that failed.
    pub refused_authentications: u64,
    /// Requests of every kind.
    pub commands: u64,
    /// Connections cut, twelve hours after their last IAM token.
    pub cut_by_time_limit: u64,
}
