//! What was tried before giving up.

use std::{fmt, io, net::SocketAddr};

use super::{ConnectError, error_chain};

/// One address that was tried.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// Why it did not work.
    pub error: io::Error,
}

impl Attempt {
    /// `address` failed with `error`.
    pub fn new(address: SocketAddr, error: io::Error) -> Self {
        Self { address, error }
    }
}

/// One target that was tried, of several that serve the same peer.
#[derive(Debug)]
#[non_exhaustive]
pub struct TargetAttempt {
    /// The addresses or the name that was dialled.
    pub target: String,
    /// Why it was its turn.
    pub because: String,
    /// Why it did not work.
    pub error: ConnectError,
}

impl TargetAttempt {
    /// `target`, chosen `because`, failed with `error`.
    pub fn new(target: impl Into<String>, because: impl Into<String>, error: ConnectError) -> Self {
        Self { target: target.into(), because: because.into(), error }
    }
}

pub(super) struct Attempts<'a>(pub(super) &'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Attempt { address, error }) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}

pub(super) struct TargetAttempts<'a>(pub(super) &'a [TargetAttempt]);

impl fmt::Display for TargetAttempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, TargetAttempt { target, because, error }) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{target} ({because}): {}", error_chain(error))?;
        }
        Ok(())
    }
}
