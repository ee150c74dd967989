//! Rules of somebody else's.

use std::{fmt::Debug, time::SystemTime};

use rustls::pki_types::UnixTime;

use super::VerifiedPeer;
use crate::{ConnectError, Revocation, Verified};

/// Judges peers by rules of its own, in the place of names and roots: SPIFFE IDs, for example.
///
/// # What the implementer may assume
/// - It is asked in every full handshake, and before every session that is resumed is handed out: a verdict is never kept,
///   since what it rests on may change at any time.
/// - That the peer holds the private key of the leaf is shown by the handshake.
///
/// # What an implementer must never do
/// - Accept without a proof: everything is up to it, the signatures of the chain and its dates included.
/// - Block: it runs inside the handshake.
/// - Judge by another time than `at`.
pub trait JudgePeer: Debug + Send + Sync {
    /// Judges a presented chain, leaf first, DER, at the time `at`.
    ///
    /// # Errors
    /// [`ConnectError::Untrusted`] for a chain that proves nothing, [`ConnectError::Identity`] for one that proves somebody
    /// else, [`ConnectError::Revoked`] and [`ConnectError::RevocationUnknown`].
    fn judge(&self, chain: &[&[u8]], at: SystemTime) -> Result<VerifiedPeer, ConnectError>;
}

impl VerifiedPeer {
    /// The verdict of a [`JudgePeer`]: what the peer has proven.
    pub fn by_own_rules(verified: Verified, revocation: Revocation) -> Self {
        let never = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        Self { verified, revocation, warnings: Vec::new(), holds_until: never }
    }
}
