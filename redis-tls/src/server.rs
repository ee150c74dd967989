//! What a server says about itself.

use std::fmt;

use crate::{ParseError, parse::text_newtype, resp::Reply};

/// The server at the other end of a connection, as it introduced itself in the handshake.
///
/// Servers before Redis 6 do not introduce themselves; everything but the protocol is unknown then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ServerInfo {
    /// The protocol that the connection speaks now.
    pub protocol: Protocol,
    /// `redis`, `valkey`, or what another product calls itself.
    pub product: Option<String>,
    /// Its version, such as `7.2.4`. Valkey states its own.
    pub version: Option<String>,
    /// How it is operated.
    pub mode: Option<ServerMode>,
    /// Whether it takes writes.
    pub role: Option<ServerRole>,
    /// The number that the server gave this connection, as in `CLIENT LIST`.
    pub connection_id: Option<i64>,
    /// Its availability zone, where the server tells (Valkey 8.1).
    pub availability_zone: Option<String>,
}

/// A version of the protocol between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Protocol {
    /// The version that every server speaks.
    Resp2,
    /// Since Redis 6. A subscriber can authenticate again.
    Resp3,
}

/// Which version of the protocol to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolChoice {
    /// RESP3, and RESP2 where the server does not know it (before Redis 6).
    #[default]
    Best,
    /// RESP2, for clients that speak nothing else.
    Resp2,
    /// RESP3 or no connection.
    Resp3,
}

/// How a server is operated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ServerMode {
    /// Alone, or with replicas.
    Standalone,
    /// As a node of a cluster.
    Cluster,
    /// As a watcher of other servers, without data.
    Sentinel,
}

/// Whether a server takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ServerRole {
    /// It does.
    Primary,
    /// It copies a primary and answers writes by `READONLY`.
    Replica,
}

/// The name of a connection in `CLIENT LIST`: printable ASCII without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientName(String);

impl ProtocolChoice {
    pub(crate) fn wanted(self) -> Protocol {
        match self {
            Self::Best | Self::Resp3 => Protocol::Resp3,
            Self::Resp2 => Protocol::Resp2,
        }
    }
}

impl ServerInfo {
    /// Of a server of which nothing but this is known.
    pub(crate) fn speaking(protocol: Protocol) -> Self {
        Self {
            protocol,
            product: None,
            version: None,
            mode: None,
            role: None,
            connection_id: None,
            availability_zone: None,
        }
    }

    /// From the answer to `HELLO`.
    pub(crate) fn introduced(hello: &Reply<'_>) -> Option<Self> {
        let protocol = match hello.get("proto") {
            Some(Reply::Integer(2)) => Protocol::Resp2,
            Some(Reply::Integer(3)) => Protocol::Resp3,
            _ => return None,
        };
        let plain = |key| hello.get(key).and_then(Reply::text).and_then(plain_word);
        Some(Self {
            protocol,
            product: plain("server"),
            version: plain("version"),
            mode: match hello.get("mode").and_then(Reply::text) {
                Some("standalone") => Some(ServerMode::Standalone),
                Some("cluster") => Some(ServerMode::Cluster),
                Some("sentinel") => Some(ServerMode::Sentinel),
                _ => None,
            },
            role: hello.get("role").and_then(Reply::text).and_then(ServerRole::named),
            connection_id: match hello.get("id") {
                Some(Reply::Integer(id)) => Some(*id),
                _ => None,
            },
            availability_zone: plain("availability_zone"),
        })
    }
}

impl ServerRole {
    /// By the words of `HELLO` (`master`, `replica`) and `ROLE` (`master`, `slave`).
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "master" => Some(Self::Primary),
            "replica" | "slave" => Some(Self::Replica),
            _ => None,
        }
    }
}

/// What goes into logs: a server's words only if they are short and look like a name or a version.
fn plain_word(word: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    ((1..=32).contains(&word.len()) && word.chars().all(plain)).then(|| word.to_owned())
}

impl std::str::FromStr for ClientName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // CLIENT SETNAME: "It is not possible to use spaces in the connection name".
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ParseError {
                expected: "the name of a connection, printable ASCII without spaces, like billing-7",
                found: text.to_owned(),
                remedy: "leave out what is not; the name is for CLIENT LIST only",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

text_newtype!(ClientName);

/// `valkey 8.1.0, cluster, primary, RESP3`
impl fmt::Display for ServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.product.as_deref().unwrap_or("a server of unknown kind"))?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        if let Some(mode) = self.mode {
            write!(f, ", {mode}")?;
        }
        if let Some(role) = self.role {
            write!(f, ", {role}")?;
        }
        if let Some(zone) = &self.availability_zone {
            write!(f, ", {zone}")?;
        }
        write!(f, ", {}", self.protocol)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resp2 => "RESP2",
            Self::Resp3 => "RESP3",
        })
    }
}

impl fmt::Display for ServerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone => "standalone",
            Self::Cluster => "cluster",
            Self::Sentinel => "sentinel",
        })
    }
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::read_reply;

    #[test]
    fn a_server_introduces_itself_alike_in_both_versions() {
        let body = "+server\r\n+valkey\r\n+version\r\n+8.1.0\r\n+proto\r\n:3\r\n+id\r\n:7\r\n+mode\r\n+cluster\r\n\
                    +role\r\n+replica\r\n+availability_zone\r\n+use1-az1\r\n+modules\r\n*0\r\n";
        for head in ["%8\r\n", "*16\r\n"] {
            let bytes = format!("{head}{body}");
            let (reply, _) = read_reply(bytes.as_bytes()).unwrap().unwrap();
            let server = ServerInfo::introduced(&reply).unwrap();
            assert_eq!((server.mode, server.role), (Some(ServerMode::Cluster), Some(ServerRole::Replica)));
            assert_eq!(server.connection_id, Some(7));
            assert_eq!(server.to_string(), "valkey 8.1.0, cluster, replica, use1-az1, RESP3");
        }
    }

    #[test]
    fn what_does_not_look_like_a_name_is_not_repeated() {
        let bytes = b"%3\r\n+server\r\n+my secret\r\n+version\r\n+\x1b[2J\r\n+proto\r\n:2\r\n";
        let (reply, _) = read_reply(bytes).unwrap().unwrap();
        assert_eq!(ServerInfo::introduced(&reply), Some(ServerInfo::speaking(Protocol::Resp2)));
        let (reply, _) = read_reply(b"%1\r\n+proto\r\n:4\r\n").unwrap().unwrap();
        assert_eq!(ServerInfo::introduced(&reply), None);
    }

    #[test]
    fn a_client_name_has_no_spaces() {
        assert_eq!("billing-7".parse::<ClientName>().unwrap().as_str(), "billing-7");
        for bad in ["", "two words", "line\n", "n\u{e4}me"] {
            assert_eq!(bad.parse::<ClientName>().unwrap_err().found, bad);
        }
    }
}
