//! A connection that is ready for commands.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::SystemTime,
};

use secure_connector::{SecureStream, SecurityReport, Socket, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ServerInfo;

/// A connection to a verified server that has accepted us: the next bytes are commands and their replies.
///
/// What the server sent after its last answer to the handshake is read first; nothing is lost.
pub struct RedisStream<IO = Socket> {
    tls: TlsStream<IO>,
    session: Box<Session>,
}

/// What a handshake left behind.
pub(crate) struct Session {
    pub(crate) report: SecurityReport,
    pub(crate) server: ServerInfo,
    /// What was presented and accepted; `None` if nothing was.
    pub(crate) credentials: Option<String>,
    pub(crate) authenticated_at: SystemTime,
    /// Came in already, and how much of it was read.
    pub(crate) left_over: Vec<u8>,
    pub(crate) read: usize,
}

impl<IO> RedisStream<IO> {
    pub(crate) fn new(tls: TlsStream<IO>, session: Session) -> Self {
        Self { tls, session: Box::new(session) }
    }

    /// What the server says about itself.
    pub fn server(&self) -> &ServerInfo {
        &self.session.server
    }

    /// What was presented and accepted, without a secret: `AUTH token #2 (current)`. `None` if nothing was presented.
    pub fn credentials(&self) -> Option<&str> {
        self.session.credentials.as_deref()
    }

    /// When the server accepted it, by the connector's clock.
    pub fn authenticated_at(&self) -> SystemTime {
        self.session.authenticated_at
    }
}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecureStream for RedisStream<IO> {
    fn report(&self) -> &SecurityReport {
        &self.session.report
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for RedisStream<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let session = &mut *self.session;
        match session.left_over.get(session.read..) {
            None | Some([]) => Pin::new(&mut self.tls).poll_read(cx, buf),
            Some(waiting) => {
                let taken = waiting.len().min(buf.remaining());
                buf.put_slice(waiting.get(..taken).unwrap_or_default());
                session.read += taken;
                if session.read == session.left_over.len() {
                    (session.left_over, session.read) = (Vec::new(), 0);
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for RedisStream<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

impl<IO> fmt::Debug for RedisStream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStream")
            .field("server", &self.session.server)
            .field("credentials", &self.session.credentials)
            .field("report", &self.session.report)
            .finish_non_exhaustive()
    }
}
