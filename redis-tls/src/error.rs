//! Why a handshake with a server failed, after TLS was up.

mod explain;

use std::{error::Error, io, time::SystemTime};

use secure_connector::{BoxError, ConnectError};

pub use self::explain::explain;
use crate::{CredentialError, Credentials, Protocol, ServerRole};

/// Why a server that we reached over TLS does not serve us.
///
/// It is the [`source`](Error::source) of [`ConnectError::Auth`]; [`of`](Self::of) finds it there. No text of the server is
/// ever in it: servers before Redis 6 repeat the password in their answer to `HELLO`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// `NOAUTH`: the server wants credentials, and none were configured.
    #[error("the server wants authentication and we present nothing: configure an AUTH token, a user or IAM")]
    AuthenticationRequired,
    /// `WRONGPASS`, or `invalid password` of servers before Redis 6.
    #[error("the server refused {}", Tried(tried))]
    WrongPassword {
        /// What was presented, in the order in which it was.
        tried: Vec<RefusedCredentials>,
    },
    /// A password was presented and the default user has none.
    #[error(
        "the server has no password for its default user and takes none: leave the credentials out, or set one at the server"
    )]
    NoPasswordSet,
    /// The server knows passwords only (before Redis 6).
    #[error("the server knows no users, only one password: present the password alone instead of user {user}")]
    NoUsers {
        /// The user that was named.
        user: String,
    },
    /// `NOPERM`: the user may not do what was asked for.
    #[error("the user may not call {command}: allow it in its access string, or do not ask for it")]
    NoPermission {
        /// The command.
        command: &'static str,
    },
    /// The server does not speak the protocol that is insisted on.
    #[error("the server does not speak {wanted}: accept another version, or upgrade it to Redis 6 or Valkey")]
    ProtocolUnsupported {
        /// The protocol.
        wanted: Protocol,
    },
    /// The server has been started and reads its data.
    #[error("the server is loading its data")]
    Loading,
    /// A replica that has lost its primary and is told not to serve old data.
    #[error("the replica has no connection to its primary")]
    PrimaryDown,
    /// The server has as many clients as it takes.
    #[error("the server has reached its limit of clients (maxclients)")]
    TooManyClients,
    /// The server runs in protected mode, which serves its own host only.
    #[error("the server is in protected mode and serves its own host only: give it a password, or `protected-mode no`")]
    ProtectedMode,
    /// The server is a replica and a primary is asked for, or the other way round.
    #[error(
        "the server is a {found}, and a {wanted} is asked for: a failover may be under way, or this is the other endpoint"
    )]
    WrongRole {
        /// What is asked for.
        wanted: ServerRole,
        /// What it is.
        found: ServerRole,
    },
    /// `READONLY` was asked of a server outside a cluster.
    #[error("the server is no node of a cluster, so that `READONLY` means nothing to it: leave it out")]
    ClusterDisabled,
    /// A cluster has database 0 only.
    #[error("database {database} was asked for, and a cluster has database 0 only")]
    DatabaseInCluster {
        /// The database.
        database: u16,
    },
    /// The server has fewer databases.
    #[error("the server has no database {database}: choose a lower one, or raise `databases` at the server")]
    NoSuchDatabase {
        /// The database.
        database: u16,
    },
    /// Another error reply. Its text is not repeated.
    #[error("the server answered {command} with the error {code}")]
    Refused {
        /// The command.
        command: &'static str,
        /// The error's code, if it is one of Redis: `ERR`, `BUSY`, `MISCONF`. Otherwise `unknown`.
        code: &'static str,
    },
    /// The server closed the connection in the middle of it.
    #[error("the server closed the connection before it answered")]
    Closed,
    /// The connection broke in the middle of it.
    #[error("the connection broke before the server answered")]
    Broken(#[source] io::Error),
    /// What answers is not Redis.
    #[error("what answers inside TLS is no Redis: check host and port")]
    NotRedis,
    /// The server's answer breaks the protocol.
    #[error("the server's answer breaks the protocol: {what}")]
    Malformed {
        /// How.
        what: &'static str,
    },
    /// There is nothing to present.
    #[error("there are no credentials to present")]
    Credentials(#[from] CredentialError),
}

/// Credentials that a server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedCredentials {
    /// What they are, without a secret: `AUTH token #2 (current)`.
    pub label: String,
    /// The user that was named; `None` for a password alone.
    pub user: Option<String>,
    /// When they expire, for those that do, such as an IAM token.
    pub expires: Option<SystemTime>,
}

impl HandshakeError {
    /// The handshake's error behind `error`, if it is one.
    pub fn of(error: &ConnectError) -> Option<&Self> {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// Whether the same call may succeed a little later with nothing changed on our side.
    ///
    /// `LOADING`, a lost primary, a full server and a failover pass. A refused password stays so, apart from sources
    /// that bring another one.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Loading
            | Self::PrimaryDown
            | Self::TooManyClients
            | Self::WrongRole { .. }
            | Self::Closed
            | Self::Broken(_) => true,
            Self::Refused { code, .. } => matches!(*code, "BUSY" | "TRYAGAIN" | "CLUSTERDOWN"),
            Self::Credentials(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl RefusedCredentials {
    pub(crate) fn new(credentials: &Credentials) -> Self {
        Self {
            label: credentials.label().to_owned(),
            user: credentials.username().map(|user| user.as_str().to_owned()),
            expires: credentials.expires(),
        }
    }
}

/// An alert of TLS stays what it is: with TLS 1.3 a client certificate that is missing or refused shows itself in the
/// middle of the handshake (RFC 8446 section 4.4.2.4).
impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        let source = match error {
            HandshakeError::Broken(io) => match io.downcast::<Self>() {
                Ok(tls) => return tls,
                Err(io) => HandshakeError::Broken(io),
            },
            other => other,
        };
        let (message, retryable) = (source.to_string(), source.is_retryable());
        let source: Option<BoxError> = Some(Box::new(source));
        Self::Auth { message, retryable, source }
    }
}

struct Tried<'a>(&'a [RefusedCredentials]);

impl std::fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels: Vec<&str> = self.0.iter().map(|tried| tried.label.as_str()).collect();
        f.write_str(&labels.join(", then "))
    }
}
