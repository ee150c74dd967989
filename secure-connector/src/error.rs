//! Why a connection could not be made.

mod attempts;
mod explain;

use std::{error::Error as StdError, fmt, io, path::PathBuf, time::Duration, time::SystemTime};

pub use self::attempts::{Attempt, TargetAttempt};
use self::attempts::{Attempts, TargetAttempts};
use crate::TlsVersion;

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

/// What went wrong in a TLS handshake, apart from the peer's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The peer's first bytes are not TLS.
    NotTls {
        /// The protocol that they look like.
        looks_like: Option<&'static str>,
    },
    /// The peer closed the connection in the middle of the handshake.
    Closed,
    /// The connection was reset in the middle of the handshake.
    Reset,
    /// The peer sent a fatal alert.
    Alert {
        /// Its name in RFC 8446 section 6, for example `handshake_failure`.
        description: String,
    },
    /// There is no protocol version, cipher suite, group or application protocol that both sides support.
    NothingInCommon {
        /// What differs.
        what: String,
        /// The lowest version that we offered.
        minimum: TlsVersion,
    },
    /// The transport failed in another way; the source has the system's error.
    Transport,
    /// The peer broke the protocol.
    Other,
}

/// Why a certificate cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untrusted {
    /// No configured anchor signed the chain.
    UnknownCa {
        /// Issuer of the last presented certificate.
        issuer: String,
        /// How many anchors were tried.
        anchors: usize,
    },
    /// A certificate that the peer presented has expired.
    Expired {
        /// Its subject.
        subject: String,
        /// When it ended.
        not_after: SystemTime,
        /// Our clock.
        now: SystemTime,
    },
    /// The trust anchor that the chain leads to has expired: a matter of our configuration, not of the peer's.
    AnchorExpired {
        /// Its subject.
        subject: String,
        /// When it ended.
        not_after: SystemTime,
        /// Our clock.
        now: SystemTime,
    },
    /// A certificate of the chain, or its trust anchor, is not valid yet.
    NotYetValid {
        /// Its subject.
        subject: String,
        /// When it begins.
        not_before: SystemTime,
        /// Our clock.
        now: SystemTime,
    },
    /// A CA certificate is used as the server's own certificate.
    CaUsedAsServer {
        /// Its subject.
        subject: String,
    },
    /// The certificate is not meant for this side of TLS.
    WrongPurpose {
        /// The extended key usages that it has.
        presented: String,
    },
    /// A public key is too short.
    WeakKey {
        /// What it is, for example `RSA-1024`.
        key: String,
        /// What the certificate is, by its subject.
        subject: String,
    },
    /// The peer's key is none of the pinned ones.
    PinMismatch {
        /// SHA-256 of the presented SubjectPublicKeyInfo, lower-case hexadecimal.
        presented: String,
    },
    /// No certificate was presented.
    NoCertificate,
    /// The certificate or a signature in the chain is malformed, unsupported or wrong.
    Invalid {
        /// What, in the TLS library's words.
        what: String,
    },
}

/// The names of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedNames {
    /// `dNSName` entries of the subjectAltName.
    pub dns: Vec<String>,
    /// `iPAddress` entries of the subjectAltName.
    pub ip: Vec<String>,
    /// `uniformResourceIdentifier` entries of the subjectAltName.
    pub uri: Vec<String>,
    /// Common names of the subject: shown, never matched (RFC 9525 section 2).
    pub common_name: Vec<String>,
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

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls { looks_like: Some(protocol) } => write!(f, "the peer speaks {protocol}, not TLS"),
            Self::NotTls { looks_like: None } => f.write_str("the peer does not speak TLS"),
            Self::Closed => f.write_str("the peer closed the connection in the handshake"),
            Self::Reset => f.write_str("the connection was reset in the handshake"),
            Self::Alert { description } => write!(f, "the peer sent the alert {description}"),
            Self::NothingInCommon { what, .. } => write!(f, "nothing in common with the peer: {what}"),
            Self::Transport => f.write_str("the transport failed"),
            Self::Other => f.write_str("the peer broke the protocol"),
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCa { issuer, .. } => write!(f, "unknown CA {issuer}"),
            Self::Expired { subject, not_after, .. } => {
                write!(f, "{subject} expired at {}", crate::Rfc3339(*not_after))
            }
            Self::AnchorExpired { subject, not_after, .. } => {
                write!(f, "the trust anchor {subject} expired at {}", crate::Rfc3339(*not_after))
            }
            Self::NotYetValid { subject, not_before, .. } => {
                write!(f, "{subject} is not valid before {}", crate::Rfc3339(*not_before))
            }
            Self::CaUsedAsServer { subject } => {
                write!(f, "the CA certificate {subject} is used as a server certificate")
            }
            Self::WrongPurpose { presented } => write!(f, "meant for {presented}, not for a TLS server"),
            Self::WeakKey { key, subject } => write!(f, "{subject} has the weak key {key}"),
            Self::PinMismatch { presented } => write!(f, "its key sha256:{presented} is not pinned"),
            Self::NoCertificate => f.write_str("none was presented"),
            Self::Invalid { what } => f.write_str(what),
        }
    }
}

impl fmt::Display for PresentedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let names: Vec<String> = (self.dns.iter().map(|n| format!("DNS:{}", n.escape_debug())))
            .chain(self.ip.iter().map(|n| format!("IP:{}", n.escape_debug())))
            .chain(self.uri.iter().map(|n| format!("URI:{}", n.escape_debug())))
            .chain(self.common_name.iter().map(|n| format!("CN={} (not a host name)", n.escape_debug())))
            .collect();
        if names.is_empty() {
            return f.write_str("nobody");
        }
        f.write_str(&names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))?;
        match names.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
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
