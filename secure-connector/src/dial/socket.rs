//! An open transport and its options.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream, UnixStream},
};

/// Options of a TCP socket, set before it connects. `TCP_NODELAY` is always on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Probes on a quiet connection, so that a vanished peer is noticed; `None` for none.
    pub keepalive: Option<Keepalive>,
    /// How long written data may stay unacknowledged before the connection is given up (`TCP_USER_TIMEOUT`, RFC 5482);
    /// `None` for the system's retransmission limit, about 15 minutes on Linux. Linux only.
    pub user_timeout: Option<Duration>,
}

/// TCP keepalive (RFC 9293 section 3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Quiet time before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes before the connection is given up.
    pub retries: u32,
}

impl TcpOptions {
    /// Sets or switches off the probes.
    #[must_use]
    pub fn with_keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Sets or switches off the limit for unacknowledged data.
    #[must_use]
    pub fn with_user_timeout(mut self, user_timeout: Option<Duration>) -> Self {
        self.user_timeout = user_timeout;
        self
    }

    pub(super) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(true)?;
        let raw = SockRef::from(&socket);
        if let Some(Keepalive { idle, interval, retries }) = self.keepalive {
            let probes = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(retries);
            raw.set_tcp_keepalive(&probes)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        raw.set_tcp_user_timeout(self.user_timeout)?;
        socket.connect(address).await
    }
}

impl Default for TcpOptions {
    /// A vanished peer is noticed after two minutes: keepalive 60 s + 6 × 10 s, user timeout 120 s.
    fn default() -> Self {
        let keepalive = Keepalive::new(Duration::from_secs(60), Duration::from_secs(10), 6);
        Self { keepalive: Some(keepalive), user_timeout: Some(Duration::from_secs(120)) }
    }
}

impl Keepalive {
    /// First probe after `idle`, then every `interval`, given up after `retries`.
    pub const fn new(idle: Duration, interval: Duration, retries: u32) -> Self {
        Self { idle, interval, retries }
    }
}

/// A transport that was dialled: TCP or a Unix domain socket.
#[derive(Debug)]
pub struct Socket {
    inner: Inner,
    peer: String,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// The address that answered, or the path of the Unix socket.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    pub(super) fn tcp(stream: TcpStream, address: SocketAddr) -> Self {
        Self { inner: Inner::Tcp(stream), peer: address.to_string() }
    }

    pub(super) fn unix(stream: UnixStream, path: PathBuf) -> Self {
        Self { inner: Inner::Unix(stream), peer: path.display().to_string() }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Inner::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn options_are_set_on_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpOptions::default().connect(address).await.unwrap();
        let raw = SockRef::from(&stream);
        assert!(stream.nodelay().unwrap() && raw.keepalive().unwrap());
        assert_eq!(raw.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(raw.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        assert_eq!(raw.tcp_keepalive_retries().unwrap(), 6);
        #[cfg(target_os = "linux")]
        assert_eq!(raw.tcp_user_timeout().unwrap(), Some(Duration::from_secs(120)));

        let off = TcpOptions::default().with_keepalive(None).with_user_timeout(None);
        let stream = off.connect(address).await.unwrap();
        let raw = SockRef::from(&stream);
        assert!(stream.nodelay().unwrap() && !raw.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(raw.tcp_user_timeout().unwrap(), None);
    }
}
