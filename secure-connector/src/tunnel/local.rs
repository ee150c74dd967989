//! The local side of a connection.

use std::{
    future::pending,
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// An accepted socket that resets its peer when it is dropped, unless it [ended well](Self::end_well).
///
/// Read and written by shared reference, so that it can be watched for a reset at the same time.
#[derive(Debug)]
pub(super) enum Local {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

macro_rules! each {
    ($local:expr, $stream:ident => $do:expr) => {
        match $local {
            Local::Tcp($stream) => $do,
            #[cfg(unix)]
            Local::Unix($stream) => $do,
        }
    };
}

impl Local {
    pub(super) fn from_tcp(stream: TcpStream) -> Self {
        // Lingering for no time makes every close a reset, even the kernel's when this process is killed. Neither
        // option can fail except on a socket whose peer has gone, and then neither matters.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        let _ = stream.set_nodelay(true);
        Self::Tcp(stream)
    }

    #[cfg(unix)]
    pub(super) fn from_unix(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }

    /// Its own TCP address, if it has one.
    pub(super) fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// Both directions have ended: closes without a reset.
    pub(super) fn end_well(self) {
        if let Self::Tcp(stream) = &self {
            let _ = SockRef::from(stream).set_linger(None);
        }
    }

    /// Returns when the peer has reset the connection, even if nobody reads. On a Unix socket, that is a peer which
    /// closed with data unread.
    pub(super) async fn reset_by_peer(&self) {
        // An error means that the runtime shuts down.
        let _ = each!(self, stream => stream.ready(Interest::ERROR).await);
    }

    /// Returns when the peer has reset the connection or ended it without having sent a byte. Takes no data away.
    pub(super) async fn given_up(&self) {
        let ended_without_a_byte = async {
            if let Ok(1..) = self.peek().await {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = ended_without_a_byte => {}
            () = self.reset_by_peer() => {}
        }
    }

    async fn peek(&self) -> io::Result<usize> {
        let mut byte = [MaybeUninit::uninit()];
        each!(self, stream => stream.async_io(Interest::READABLE, || SockRef::from(stream).peek(&mut byte)).await)
    }
}

impl AsyncRead for &Local {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(each!(*self, stream => stream.poll_read_ready(cx)))?;
            match each!(*self, stream => stream.try_read(buf.initialize_unfilled())) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for &Local {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(each!(*self, stream => stream.poll_write_ready(cx)))?;
            match each!(*self, stream => stream.try_write(buf)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(each!(*self, stream => SockRef::from(stream).shutdown(std::net::Shutdown::Write)))
    }
}
