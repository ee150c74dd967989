//! The local listener: where it is, and who may reach it.

#[cfg(target_os = "linux")]
mod systemd;
#[cfg(unix)]
mod unix_path;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use tokio::net::TcpListener;

#[cfg(target_os = "linux")]
pub use self::systemd::SocketActivationError;
use super::{LocalPeer, TunnelError, local::Local, users::Users};

/// Where a tunnel listens.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listen {
    /// A TCP address; port 0 leaves the choice to the system. It has to be a loopback address unless
    /// [`danger_accept_remote_clients`](super::TunnelBuilder::danger_accept_remote_clients) was called.
    Tcp(SocketAddr),
    /// A Unix socket at this path, mode 0600 unless [`allow_uids`](super::TunnelBuilder::allow_uids) decides. A socket that nobody listens on is replaced; a live one, and anything
    /// else, is left alone with an error. The path is removed when the listener closes.
    #[cfg(unix)]
    Unix(PathBuf),
    /// A TCP listener that is open already: the first free port of a range, or one handed over by another process. The
    /// rule for `Tcp` addresses holds here too.
    Bound(std::net::TcpListener),
    /// A Unix listener that is open already and has a path. Who may connect, and when the path is removed, is up to
    /// whoever opened it.
    #[cfg(unix)]
    BoundUnix(std::os::unix::net::UnixListener),
}

/// Where a tunnel can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalAddr {
    /// A TCP address with the port that was chosen.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

#[derive(Debug)]
pub(super) struct Listener {
    address: LocalAddr,
    socket: Socket,
    users: Users,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(unix_path::PathListener),
}

impl Listener {
    pub(super) async fn open(on: Listen, remote_clients: bool, users: Users) -> Result<Self, TunnelError> {
        let check = |address| match LocalAddr::Tcp(address).is_this_host_only() || remote_clients {
            true => Ok(()),
            false => Err(TunnelError::NotLoopback { address }),
        };
        let listener = match on {
            Listen::Tcp(address) => {
                check(address)?;
                let refused = |source| TunnelError::Listen { address: LocalAddr::Tcp(address), source };
                TcpListener::bind(address).await.map_err(refused)?
            }
            #[cfg(unix)]
            Listen::Unix(path) => {
                let socket = Socket::Unix(unix_path::PathListener::bind(&path, users.socket_mode()).await?);
                return Self { address: LocalAddr::Unix(path), socket, users }.checked();
            }
            #[cfg(unix)]
            Listen::BoundUnix(listener) => {
                let (path, socket) = unix_path::PathListener::given(listener)?;
                return Self { address: LocalAddr::Unix(path), socket: Socket::Unix(socket), users }.checked();
            }
            Listen::Bound(listener) => {
                check(listener.local_addr().map_err(TunnelError::Bound)?)?;
                listener.set_nonblocking(true).map_err(TunnelError::Bound)?;
                TcpListener::from_std(listener).map_err(TunnelError::Bound)?
            }
        };
        let address = LocalAddr::Tcp(listener.local_addr().map_err(TunnelError::Bound)?);
        Self { address, socket: Socket::Tcp(listener), users }.checked()
    }

    fn checked(self) -> Result<Self, TunnelError> {
        self.users.check(&self.address)?;
        Ok(self)
    }

    pub(super) fn local_addr(&self) -> &LocalAddr {
        &self.address
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    /// Cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<(Local, LocalPeer)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Local::from_tcp(stream), LocalPeer::Tcp(address)))
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let stream = listener.accept().await?;
                let credentials = stream.peer_cred().ok();
                let uid = credentials.map(|c| c.uid());
                let pid = credentials.and_then(|c| c.pid());
                Ok((Local::from_unix(stream), LocalPeer::Unix { uid, pid }))
            }
        }
    }
}

impl LocalAddr {
    /// The TCP address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The Unix socket's path, if it is one.
    pub fn unix(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    pub(super) fn is_this_host_only(&self) -> bool {
        match self {
            // `::ffff:127.0.0.1` is as local as what it maps to.
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl Default for Listen {
    /// `127.0.0.1` with a port chosen by the system.
    fn default() -> Self {
        Self::Tcp((Ipv4Addr::LOCALHOST, 0).into())
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<std::net::TcpListener> for Listen {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::Bound(listener)
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for Listen {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::BoundUnix(listener)
    }
}

impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for LocalAddr {
    /// As [`Display`](fmt::Display) writes it: a path need not be UTF-8.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
