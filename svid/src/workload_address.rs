//! Where the Workload API is (SPIFFE_Workload_Endpoint.md section 4).

use std::{
    env, fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    rule::{self, Rule},
    text,
};

/// The address of a Workload API endpoint: `unix:///run/spire/sockets/agent.sock` or `tcp://127.0.0.1:8000`.
///
/// Rule W-03: a Unix socket has an absolute path and nothing else, TCP an IP address and a port and nothing else. An empty
/// query or fragment is something else. The scheme may be in capitals (RFC 3986 section 3.1).
///
/// ```
/// use svid_tls::WorkloadApiAddress;
/// let agent: WorkloadApiAddress = "unix:///run/spire/sockets/agent.sock".parse()?;
/// assert_eq!(agent, WorkloadApiAddress::Unix("/run/spire/sockets/agent.sock".into()));
/// assert!("tcp://localhost:8000".parse::<WorkloadApiAddress>().is_err());
/// # Ok::<(), svid_tls::WorkloadApiAddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WorkloadApiAddress {
    /// A Unix domain socket, by its absolute path.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

/// Why a text is no address of a Workload API endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadApiAddressError {
    /// The environment variable is not set, or not text.
    #[error(
        "the environment variable {name} is not set: expected an address such as `unix:///run/spire/sockets/agent.sock`"
    )]
    NotSet {
        /// Its name.
        name: &'static str,
    },
    /// It begins neither with `unix:` nor with `tcp:`.
    #[error("{given:?} begins neither with `unix:` nor with `tcp://` {}", rule::W03)]
    Scheme {
        /// The text.
        given: String,
    },
    /// A Unix socket's path is missing, relative or a folder, or something comes before it.
    #[error("{given:?} has no absolute path of a socket: expected `unix:///path/to/socket` {}", rule::W03)]
    UnixPath {
        /// The text.
        given: String,
    },
    /// The host is no IP address.
    #[error("{given:?} has no IP address: expected `tcp://127.0.0.1:8000`; names are not looked up {}", rule::W03)]
    Host {
        /// The text.
        given: String,
    },
    /// The port is missing, zero or too large.
    #[error("{given:?} has no port from 1 to 65535: expected `tcp://127.0.0.1:8000` {}", rule::W03)]
    Port {
        /// The text.
        given: String,
    },
    /// There is a user, query, fragment or path that does not belong there.
    #[error("{given:?} has {what}, which does not belong there {}", rule::W03)]
    Surplus {
        /// The text.
        given: String,
        /// What there is too much.
        what: &'static str,
    },
    /// A character that a URI cannot have, or a `%` without two hexadecimal digits behind it.
    #[error(
        "{given:?} has a character that a URI cannot have: write it as `%` and two hexadecimal digits {}",
        rule::W03
    )]
    Character {
        /// The text.
        given: String,
    },
}

impl WorkloadApiAddress {
    /// The environment variable that holds the address where nothing is configured.
    pub const ENVIRONMENT_VARIABLE: &'static str = "SPIFFE_ENDPOINT_SOCKET";

    /// The address in `SPIFFE_ENDPOINT_SOCKET`.
    ///
    /// # Errors
    /// [`WorkloadApiAddressError`].
    pub fn from_env() -> Result<Self, WorkloadApiAddressError> {
        let name = Self::ENVIRONMENT_VARIABLE;
        env::var(name).map_err(|_| WorkloadApiAddressError::NotSet { name })?.parse()
    }
}

impl WorkloadApiAddressError {
    /// The rule that is broken.
    pub fn rule(&self) -> Rule {
        rule::W03
    }
}

impl FromStr for WorkloadApiAddress {
    type Err = WorkloadApiAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.to_owned();
        if text.contains('?') {
            return Err(WorkloadApiAddressError::Surplus { given: given(), what: "a query" });
        }
        if text.contains('#') {
            return Err(WorkloadApiAddressError::Surplus { given: given(), what: "a fragment" });
        }
        match text.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("unix") => unix(rest, &given),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tcp") => tcp(rest, &given),
            _ => Err(WorkloadApiAddressError::Scheme { given: given() }),
        }
    }
}

/// `rest` is `/path` or `///path`.
fn unix(rest: &str, given: &dyn Fn() -> String) -> Result<WorkloadApiAddress, WorkloadApiAddressError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(WorkloadApiAddressError::UnixPath { given: given() });
    }
    let bytes = decoded(path).ok_or_else(|| WorkloadApiAddressError::Character { given: given() })?;
    Ok(WorkloadApiAddress::Unix(path_of(bytes)))
}

/// `rest` is `//127.0.0.1:8000` or `//[::1]:8000`.
fn tcp(rest: &str, given: &dyn Fn() -> String) -> Result<WorkloadApiAddress, WorkloadApiAddressError> {
    let surplus = |what| WorkloadApiAddressError::Surplus { given: given(), what };
    let Some(authority) = rest.strip_prefix("//") else {
        return Err(WorkloadApiAddressError::Host { given: given() });
    };
    if authority.contains('/') {
        return Err(surplus("a path"));
    }
    if authority.contains('@') {
        return Err(surplus("a user"));
    }
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let address: Option<IpAddr> = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    };
    // An address in brackets without a port ends with its last group.
    let address = address.ok_or_else(|| match authority.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(_) => WorkloadApiAddressError::Port { given: given() },
        Err(_) => WorkloadApiAddressError::Host { given: given() },
    })?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(WorkloadApiAddress::Tcp(SocketAddr::new(address, port))),
        _ => Err(WorkloadApiAddressError::Port { given: given() }),
    }
}

/// The path that a URI's path stands for (RFC 3986 section 2.1), if it is one. No NUL: no socket has it in its path.
fn decoded(path: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let digits = str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
                u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0)?
            }
            byte if in_uri_path(*byte) => *byte,
            _ => return None,
        });
    }
    Some(decoded)
}

/// `pchar` and `/` of RFC 3986 section 3.3.
fn in_uri_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

text::serde_as_text!(WorkloadApiAddress, "a Workload API address");

impl fmt::Display for WorkloadApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", Encoded(path)),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

struct Encoded<'a>(&'a Path);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.as_os_str().as_encoded_bytes() {
            if in_uri_path(*byte) {
                write!(f, "{}", char::from(*byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str, as_: &str) {
        assert_eq!(text.parse::<WorkloadApiAddress>().unwrap().to_string(), as_);
    }

    #[test]
    fn addresses_are_read_and_shown() {
        read("unix:///run/agent.sock", "unix:///run/agent.sock");
        read("unix:/run/agent.sock", "unix:///run/agent.sock");
        read("UNIX:///run/agent.sock", "unix:///run/agent.sock");
        read("unix:///run/a%20b", "unix:///run/a%20b");
        read("tcp://127.0.0.1:8000", "tcp://127.0.0.1:8000");
        read("tcp://[::1]:8000", "tcp://[::1]:8000");
        let spaced: WorkloadApiAddress = "unix:///run/a%20b".parse().unwrap();
        assert_eq!(spaced, WorkloadApiAddress::Unix("/run/a b".into()));
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use WorkloadApiAddressError as E;
        type Make = fn(String) -> E;
        let cases: &[(Make, &[&str])] = &[
            (|given| E::Scheme { given }, &["", "/run/agent.sock", "http://127.0.0.1:1", "unixx:/a", "localhost:1"]),
            (|given| E::UnixPath { given }, &["unix:", "unix://", "unix:///", "unix:a", "unix://host/a", "unix:///a/"]),
            (
                |given| E::Host { given },
                &["tcp:127.0.0.1:1", "tcp://localhost:1", "tcp://:1", "tcp://[a]:1", "tcp://1.2.3:1"],
            ),
            (
                |given| E::Port { given },
                &[
                    "tcp://127.0.0.1",
                    "tcp://127.0.0.1:",
                    "tcp://[::1]",
                    "tcp://127.0.0.1:0",
                    "tcp://127.0.0.1:65536",
                    "tcp://127.0.0.1:+1",
                ],
            ),
            (|given| E::Surplus { given, what: "a query" }, &["unix:///a?", "tcp://127.0.0.1:1?a"]),
            (|given| E::Surplus { given, what: "a fragment" }, &["unix:///a#", "tcp://127.0.0.1:1#a"]),
            (|given| E::Surplus { given, what: "a path" }, &["tcp://127.0.0.1:1/", "tcp://127.0.0.1:1/a"]),
            (|given| E::Surplus { given, what: "a user" }, &["tcp://a@127.0.0.1:1"]),
            (
                |given| E::Character { given },
                &["unix:///a b", "unix:///a%2", "unix:///a%00", "unix:///\u{e4}", "unix:///%+1"],
            ),
        ];
        for (error, texts) in cases {
            for text in *texts {
                assert_eq!(text.parse::<WorkloadApiAddress>(), Err(error((*text).to_owned())));
            }
        }
    }
}
