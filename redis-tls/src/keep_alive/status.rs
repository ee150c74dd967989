//! What can be seen of the authentication of connections.

use std::time::SystemTime;

use crate::CredentialError;

/// How one connection is authenticated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthStatus {
    /// What it authenticated with last, without secrets.
    pub credentials: String,
    /// When that was.
    pub authenticated_at: SystemTime,
    /// Where it stands.
    pub phase: AuthPhase,
    /// How often it has authenticated again.
    pub renewals: u64,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// The last failed attempt.
    pub last_failure: Option<AuthFailure>,
}

/// Where the authentication of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthPhase {
    /// It holds; the next attempt is due at `until`, `None` for never.
    Current {
        /// When the next attempt is due.
        until: Option<SystemTime>,
    },
    /// An attempt is due or under way. It may wait for the end of a command or a transaction.
    Renewing,
    /// The last attempt failed. The former identity is still in force; the next attempt is due at `until`.
    Retrying {
        /// When the next attempt is due.
        until: SystemTime,
    },
    /// The client that uses the connection sent an `AUTH` or `HELLO … AUTH` of its own, which the server accepted. From then
    /// on its authentication is its own affair.
    TakenOver,
    /// No attempt came through in time; the connection was or is about to be ended before the server cuts it.
    GivenUp,
}

/// The connections of one [`KeepAlive`](crate::KeepAlive), summed up.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AuthTotals {
    /// Connections that were handed over to it.
    pub connections: u64,
    /// Authentications that were renewed.
    pub renewals: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Connections that were ended because no attempt came through in time.
    pub given_up: u64,
    /// The last failed attempt; as text with its causes when serialized.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub last_failure: Option<AuthFailure>,
}

/// Why an authentication was not renewed. No secret is in it, and no text of the server's: old servers repeat the password
/// there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthFailure {
    /// There was nothing to present.
    #[error("no credentials to authenticate again with")]
    Credentials(#[from] CredentialError),
    /// The server refused.
    #[error("the server refused {credentials} with {code}")]
    Refused {
        /// What was presented, without secrets.
        credentials: String,
        /// The code that the server's error begins with, such as `WRONGPASS`.
        code: String,
    },
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(failure: &Option<AuthFailure>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&failure.as_ref().map(|failure| secure_connector::error_chain(failure)), serializer)
}
