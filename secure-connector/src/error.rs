//! Why a connection could not be made.

mod attempts;
mod explain;
mod refusal;

use std::{error::Error as StdError, fmt, io, path::PathBuf, time::Duration, time::SystemTime};

pub use self::attempts::{Attempt, TargetAttempt};
use self::attempts::{Attempts, TargetAttempts};
pub use self::refusal::{PresentedNames, TlsFailure, Untrusted};

/// A foreign cause, reachable by [`source`](StdError::source).
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why no connection came about.
///
/// `Display` says what happened in this layer; [`source`](StdError::source) has the cause below it, and
/// [`explain`](Self::explain) what to change. Nothing in it is secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration asks for something impossible or unsafe. No connection was tried.
    #[error("configuration: {option}")]
    Config {
        /// The option at fault.
        option: &'static str,
        /// What is wrong with it and what it should be.
        source: BoxError,
    },

    /// The name could not be resolved.
    #[error("cannot resolve {host}")]
    Dns {
        /// The name that was asked for.
        host: String,
        /// The resolver's answer.
        source: io::Error,
    },

    /// No address accepted a connection.
    #[error("no address accepted a connection: {}", Attempts(attempts))]
    Connect {
        /// Every address with its error, in the order in which they failed.
        attempts: Vec<Attempt>,
    },

    /// None of several targets that serve the same peer could be connected to.
    #[error("none of the targets could be connected to: {}", TargetAttempts(attempts))]
    NoTarget {
        /// Every target that was tried, in order, with its error.
        attempts: Vec<TargetAttempt>,
    },

    /// The Unix domain socket did not accept a connection.
    #[error("cannot connect to {}", path.display())]
    ConnectUnix {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// A stage took longer than its limit. (Addresses that never answer are in [`Connect`](Self::Connect).)
    #[error("{stage} took longer than {limit:?}")]
    Timeout {
        /// The stage that was under way.
        stage: Stage,
        /// Its limit.
        limit: Duration,
    },

    /// The TLS handshake failed before or apart from judging the peer's certificate.
    #[error("TLS handshake failed: {reason}")]
    Tls {
        /// What the peer did.
        reason: TlsFailure,
        /// The TLS library's or the socket's error.
        source: BoxError,
    },

    /// The peer's certificate is trusted but is for somebody else.
    #[error("the peer's certificate is not for {}; it is for {presented}", expected.join(" or "))]
    Identity {
        /// The names that would have been accepted.
        expected: Vec<String>,
        /// The names in the certificate.
        presented: Box<PresentedNames>,
    },

    /// The peer's certificate cannot be trusted.
    #[error("the peer's certificate is not trusted: {reason}")]
    Untrusted {
        /// Which rule it breaks.
        reason: Untrusted,
        /// The TLS library's error, where there is one.
        source: Option<BoxError>,
    },

    /// The peer's certificate has been revoked.
    #[error("certificate {serial} was revoked according to {via}")]
    Revoked {
        /// Its serial number, hexadecimal.
        serial: String,
        /// When.
        at: Option<SystemTime>,
        /// Who says so.
        via: String,
    },

    /// Revocation could not be judged, and the policy demands that it is.
    #[error("revocation could not be checked: {why}")]
    RevocationUnknown {
        /// What stood in the way.
        why: String,
        /// Whether the same call may succeed later: not when a list of our own is missing or out of date.
        retryable: bool,
    },

    /// We have no identity to present.
    #[error("no identity to present")]
    NoIdentity(#[source] IdentityUnavailable),

    /// The peer refused our credentials, or authentication could not be carried out.
    #[error("authentication failed: {message}")]
    Auth {
        /// What was refused, without any secret.
        message: String,
        /// Whether the same call may succeed later.
        retryable: bool,
        /// The cause, where there is one.
        source: Option<BoxError>,
    },
}

/// A stage of making a connection; each has a deadline of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Stage {
    /// Waiting for an identity to present.
    Identity,
    /// Name resolution.
    Dns,
    /// Opening the transport.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// Asking about revocation.
    Revocation,
    /// Authentication after the handshake.
    Auth,
    /// All stages together.
    Total,
}

/// Why there is no identity at the moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct IdentityUnavailable {
    /// The cause, without any secret.
    pub reason: String,
    /// Whether the source is still working on the first one, so that waiting makes sense.
    pub pending: bool,
}

impl ConnectError {
    /// Whether the same call may succeed later with nothing changed on our side.
    ///
    /// Transport failures and time-outs may pass (RFC 9110 section 9.2.2 speaks of "communication failure before the
    /// client is able to read the response"). A verdict on a certificate does not change by asking again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Dns { .. } | Self::Connect { .. } | Self::ConnectUnix { .. } | Self::Timeout { .. } => true,
            Self::Tls { reason, .. } => match reason {
                TlsFailure::Closed | TlsFailure::Reset | TlsFailure::Transport => true,
                // "An internal error unrelated to the peer or the correctness of the protocol" (RFC 8446 section 6.2).
                TlsFailure::Alert { description } => description == "internal_error",
                _ => false,
            },
            Self::NoTarget { attempts } => attempts.iter().any(|attempt| attempt.error.is_retryable()),
            Self::NoIdentity(unavailable) => unavailable.pending,
            Self::RevocationUnknown { retryable, .. } | Self::Auth { retryable, .. } => *retryable,
            Self::Config { .. } | Self::Identity { .. } | Self::Untrusted { .. } | Self::Revoked { .. } => false,
        }
    }
}

impl From<ConnectError> for io::Error {
    /// Keeps the error as the inner one, with the kind nearest to it.
    fn from(error: ConnectError) -> Self {
        Self::new(io_kind(&error), error)
    }
}

fn io_kind(error: &ConnectError) -> io::ErrorKind {
    match error {
        ConnectError::Config { .. } => io::ErrorKind::InvalidInput,
        ConnectError::Dns { source, .. } | ConnectError::ConnectUnix { source, .. } => source.kind(),
        ConnectError::Connect { attempts } => attempts.last().map_or(io::ErrorKind::NotConnected, |a| a.error.kind()),
        ConnectError::NoTarget { attempts } => {
            attempts.last().map_or(io::ErrorKind::NotConnected, |a| io_kind(&a.error))
        }
        ConnectError::Timeout { .. } => io::ErrorKind::TimedOut,
        ConnectError::Tls { reason: TlsFailure::Closed, .. } => io::ErrorKind::UnexpectedEof,
        ConnectError::Tls { reason: TlsFailure::Reset, .. } => io::ErrorKind::ConnectionReset,
        ConnectError::Tls { reason: TlsFailure::Transport, source } => {
            source.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind)
        }
        ConnectError::Tls { .. } | ConnectError::Identity { .. } | ConnectError::Untrusted { .. } => {
            io::ErrorKind::InvalidData
        }
        ConnectError::Revoked { .. }
        | ConnectError::RevocationUnknown { .. }
        | ConnectError::NoIdentity(_)
        | ConnectError::Auth { .. } => io::ErrorKind::PermissionDenied,
    }
}

impl IdentityUnavailable {
    /// The source works on its first identity; callers wait for it.
    pub fn pending(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), pending: true }
    }

    /// The source failed or was withdrawn; callers fail at once.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), pending: false }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "waiting for an identity",
            Self::Dns => "name resolution",
            Self::Tcp => "opening the connection",
            Self::Tls => "the TLS handshake",
            Self::Revocation => "the revocation check",
            Self::Auth => "authentication",
            Self::Total => "connecting",
        })
    }
}

/// `error` and its causes on one line, for logs and status values: `a: because of b: because of c`.
pub fn error_chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
