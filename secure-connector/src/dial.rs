//! What is dialled, and how the transport is opened. Names that are dialled prove nothing: verification is separate.

mod happy_eyeballs;
mod socket;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::net::UnixStream;

pub use self::socket::{Keepalive, Socket, TcpOptions};
use crate::{ConnectError, Stage, Timeouts, Timings};

/// Where a connection goes to.
#[derive(Clone)]
pub struct Dial {
    target: Target,
    because: Option<String>,
}

#[derive(Clone)]
enum Target {
    Name { host: String, port: u16, resolver: Arc<dyn Resolve> },
    Addresses(Vec<SocketAddr>),
    Unix(PathBuf),
}

/// Turns a name into addresses: a hook for service discovery, pinned addresses and tests.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of `host`, preferred ones first. An empty list counts as "not found".
    ///
    /// # Errors
    /// Any [`io::Error`]; it becomes the source of [`ConnectError::Dns`].
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system's resolver (`getaddrinfo`, on a blocking thread), asked anew for every connection.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit that callers name; it will never hold anything")]
pub struct SystemResolver;

impl Dial {
    /// A host name (or the text of an IP address), resolved for every connection by the [`SystemResolver`].
    pub fn name(host: impl Into<String>, port: u16) -> Self {
        Self::name_resolved_by(host, port, Arc::new(SystemResolver))
    }

    /// A host name, resolved for every connection by `resolver`.
    pub fn name_resolved_by(host: impl Into<String>, port: u16, resolver: Arc<dyn Resolve>) -> Self {
        let host = host.into();
        // "[::1]", as in URLs (RFC 3986 section 3.2.2).
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) if address.parse::<IpAddr>().is_ok() => address.to_owned(),
            _ => host,
        };
        Target::Name { host, port, resolver }.into()
    }

    /// Fixed addresses, preferred ones first.
    pub fn addresses(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Target::Addresses(addresses.into_iter().collect()).into()
    }

    /// A Unix domain socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Target::Unix(path.into()).into()
    }

    /// Why this was chosen where there was a choice, in words; the report repeats it
    /// ([`chosen_because`](crate::SecurityReport::chosen_because)).
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.because = Some(reason.into());
        self
    }

    /// What was said by [`because`](Self::because).
    pub(crate) fn reason(&self) -> Option<&str> {
        self.because.as_deref()
    }

    /// The host name that is dialled; `None` for addresses, the text of an address, and Unix sockets.
    pub fn host_name(&self) -> Option<&str> {
        match &self.target {
            Target::Name { host, .. } if host.parse::<IpAddr>().is_err() => Some(host),
            _ => None,
        }
    }

    /// Whether there is nothing to dial.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.target {
            Target::Name { host, .. } => host.is_empty(),
            Target::Addresses(addresses) => addresses.is_empty(),
            Target::Unix(path) => path.as_os_str().is_empty(),
        }
    }

    /// Opens a transport, without any security: for a look at what listens there. Connections are made by a connector.
    ///
    /// The limits are those of [`Stage::Dns`] and [`Stage::Tcp`]; how long each took is entered in `timings`. Dropping the
    /// future gives up every attempt.
    ///
    /// # Errors
    /// [`ConnectError::Dns`], [`ConnectError::Connect`], [`ConnectError::ConnectUnix`], [`ConnectError::Timeout`].
    pub async fn open(
        &self,
        options: &TcpOptions,
        timeouts: &Timeouts,
        timings: &mut Timings,
    ) -> Result<Socket, ConnectError> {
        let addresses = match &self.target {
            Target::Unix(path) => return open_unix(path.clone(), timeouts, timings).await,
            Target::Addresses(addresses) => addresses.clone(),
            Target::Name { host, port, resolver } => {
                let started = Instant::now();
                let resolved = timeouts.run(Stage::Dns, resolve(&**resolver, host, *port)).await?;
                timings.set(Stage::Dns, started.elapsed());
                resolved
            }
        };
        let started = Instant::now();
        let connected = happy_eyeballs::connect(addresses, options, timeouts.of(Stage::Tcp)).await;
        timings.set(Stage::Tcp, started.elapsed());
        connected
    }
}

impl From<Target> for Dial {
    fn from(target: Target) -> Self {
        Self { target, because: None }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Name { host, port, .. } => write!(f, "{host}:{port}"),
            Target::Addresses(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                f.write_str(&addresses.join(", "))
            }
            Target::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dial({self})")
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        tokio::net::lookup_host((host, port)).await.map(Iterator::collect)
    }
}

async fn resolve(resolver: &dyn Resolve, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |source| ConnectError::Dns { host: host.to_owned(), source };
    let addresses = resolver.resolve(host, port).await.map_err(failed)?;
    if addresses.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the resolver returned no address")));
    }
    Ok(addresses)
}

async fn open_unix(path: PathBuf, timeouts: &Timeouts, timings: &mut Timings) -> Result<Socket, ConnectError> {
    let started = Instant::now();
    let connect = async {
        let stream = UnixStream::connect(&path).await;
        stream.map_err(|source| ConnectError::ConnectUnix { path: path.clone(), source })
    };
    let stream = timeouts.run(Stage::Tcp, connect).await?;
    timings.set(Stage::Tcp, started.elapsed());
    Ok(Socket::unix(stream, path))
}

/// RFC 8305 section 5: "recommended value is 250 milliseconds".
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
