//! A stream after the handshake.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{diagnose, first_bytes::FirstBytes};
use crate::{SecureStream, SecurityReport};

/// A TLS connection to a verified peer, over the transport `IO`.
///
/// - `shutdown` sends `close_notify` and ends the transport's writing half; reading goes on.
/// - A transport that ends without `close_notify` is an [`UnexpectedEof`](io::ErrorKind::UnexpectedEof): data may be
///   missing (RFC 8446 section 6.1).
/// - An alert from the peer is an [`io::Error`] whose inner error is a [`ConnectError`](crate::ConnectError). With TLS 1.3 a
///   refused client certificate shows itself this way, at the first read.
pub struct TlsStream<IO> {
    inner: tokio_rustls::TlsStream<FirstBytes<IO>>,
    report: Box<SecurityReport>,
}

impl<IO> TlsStream<IO> {
    pub(crate) fn new(inner: tokio_rustls::TlsStream<FirstBytes<IO>>, report: SecurityReport) -> Self {
        Self { inner, report: Box::new(report) }
    }

    pub(crate) fn report_mut(&mut self) -> &mut SecurityReport {
        &mut self.report
    }
}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecureStream for TlsStream<IO> {
    fn report(&self) -> &SecurityReport {
        &self.report
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf).map_err(diagnose::stream_error)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<IO> fmt::Debug for TlsStream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("report", &self.report).finish_non_exhaustive()
    }
}
