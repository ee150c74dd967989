//! What a server's error reply means. Its text is looked at here, and goes nowhere.

use crate::HandshakeError;

/// An error reply, sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    AuthenticationRequired,
    WrongPassword,
    NoPasswordSet,
    NoPermission,
    /// `NOPROTO`: `HELLO` is known, the version is not.
    OtherProtocol,
    /// Too many or too few words, as for `AUTH` with a user before Redis 6.
    WrongArguments,
    Loading,
    PrimaryDown,
    TooManyClients,
    ProtectedMode,
    InCluster,
    ClusterDisabled,
    NoSuchDatabase,
    Other(&'static str),
}

impl Refusal {
    /// As Redis 5 to 8 and Valkey 7 to 9 put it.
    pub(super) fn of(error: &[u8]) -> Self {
        let text = String::from_utf8_lossy(error);
        let text = zeroize::Zeroizing::new(text.to_ascii_lowercase());
        let code = text.split([' ', '\r', '\n']).next().unwrap_or_default();
        let says = |words: &str| text.contains(words);
        match code {
            "noauth" => Self::AuthenticationRequired,
            "wrongpass" => Self::WrongPassword,
            "noperm" => Self::NoPermission,
            "noproto" => Self::OtherProtocol,
            "loading" => Self::Loading,
            "masterdown" => Self::PrimaryDown,
            "denied" => Self::ProtectedMode,
            _ if text.starts_with("err invalid password") => Self::WrongPassword,
            _ if says("no password is set") || says("without any password configured") => Self::NoPasswordSet,
            _ if text.starts_with("err max number of clients") => Self::TooManyClients,
            _ if text.starts_with("err wrong number of arguments") => Self::WrongArguments,
            _ if text.starts_with("err select is not allowed in cluster mode") => Self::InCluster,
            _ if says("cluster support disabled") => Self::ClusterDisabled,
            _ if says("db index is out of range") || says("invalid db index") => Self::NoSuchDatabase,
            code => {
                Self::Other(CODES.iter().find(|known| known.eq_ignore_ascii_case(code)).copied().unwrap_or("unknown"))
            }
        }
    }

    /// As the failure of a command other than those that authenticate.
    pub(super) fn of_command(self, command: &'static str, database: u16) -> HandshakeError {
        match self {
            Self::AuthenticationRequired => HandshakeError::AuthenticationRequired,
            Self::NoPermission => HandshakeError::NoPermission { command },
            Self::Loading => HandshakeError::Loading,
            Self::PrimaryDown => HandshakeError::PrimaryDown,
            Self::TooManyClients => HandshakeError::TooManyClients,
            Self::ProtectedMode => HandshakeError::ProtectedMode,
            Self::InCluster => HandshakeError::DatabaseInCluster { database },
            Self::ClusterDisabled => HandshakeError::ClusterDisabled,
            Self::NoSuchDatabase => HandshakeError::NoSuchDatabase { database },
            Self::NoPasswordSet => HandshakeError::NoPasswordSet,
            Self::Other(code) => HandshakeError::Refused { command, code },
            Self::WrongPassword | Self::OtherProtocol | Self::WrongArguments => {
                HandshakeError::Refused { command, code: "ERR" }
            }
        }
    }
}

/// The codes of Redis, which may be shown. A first word that is none of them may be anything.
const CODES: [&str; 9] =
    ["ERR", "BUSY", "MISCONF", "OOM", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS", "UNKILLABLE"];

#[cfg(test)]
mod tests {
    use super::*;

    /// As observed with redis 5.0.6, 6.0.9, 7.0.15, 8.2.3 and valkey 8.1, 9.1.
    #[test]
    fn the_answers_of_servers_of_every_age_are_sorted() {
        for (text, refusal) in [
            ("NOAUTH Authentication required.", Refusal::AuthenticationRequired),
            ("NOAUTH HELLO must be called with the client already authenticated", Refusal::AuthenticationRequired),
            ("ERR invalid password", Refusal::WrongPassword),
            ("WRONGPASS invalid username-password pair", Refusal::WrongPassword),
            ("WRONGPASS invalid username-password pair or user is disabled.", Refusal::WrongPassword),
            ("ERR Client sent AUTH, but no password is set", Refusal::NoPasswordSet),
            (
                "ERR AUTH <password> called without any password configured for the default user. Are you sure",
                Refusal::NoPasswordSet,
            ),
            ("ERR wrong number of arguments for 'auth' command", Refusal::WrongArguments),
            ("ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, ", Refusal::Other("ERR")),
            ("NOPROTO unsupported protocol version", Refusal::OtherProtocol),
            ("NOPERM this user has no permissions to run the 'select' command", Refusal::NoPermission),
            ("LOADING Redis is loading the dataset in memory", Refusal::Loading),
            ("MASTERDOWN Link with MASTER is down", Refusal::PrimaryDown),
            ("ERR max number of clients reached", Refusal::TooManyClients),
            ("ERR max number of clients + cluster connections reached", Refusal::TooManyClients),
            ("DENIED Redis is running in protected mode because protected mode is enabled", Refusal::ProtectedMode),
            ("ERR SELECT is not allowed in cluster mode", Refusal::InCluster),
            ("ERR This instance has cluster support disabled", Refusal::ClusterDisabled),
            ("ERR DB index is out of range", Refusal::NoSuchDatabase),
            ("ERR invalid DB index", Refusal::NoSuchDatabase),
            ("MISCONF Redis is configured to save RDB snapshots", Refusal::Other("MISCONF")),
            ("my-secret-password is wrong", Refusal::Other("unknown")),
            ("", Refusal::Other("unknown")),
        ] {
            assert_eq!(Refusal::of(text.as_bytes()), refusal, "{text}");
        }
    }
}
