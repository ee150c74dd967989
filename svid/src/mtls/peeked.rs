//! A transport whose first bytes were looked at, and come again.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use secure_connector::{SecureStream, SecurityReport, Verified, Warning};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// By itself it is a connection in plaintext, and its report says so.
#[derive(Debug)]
pub(super) struct Peeked<IO> {
    io: IO,
    head: [u8; 2],
    /// Bytes of `head` that have not come again yet.
    pending: std::ops::Range<usize>,
    report: Box<SecurityReport>,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Tls,
    SomethingElse,
    /// It ended before it said anything.
    Nothing,
}

impl<IO: AsyncRead + Unpin> Peeked<IO> {
    /// Waits for as many bytes as it takes: one, or two if the first could begin a TLS handshake.
    pub(super) async fn new(mut io: IO) -> io::Result<(Self, Speaks)> {
        let mut head = [0; 2];
        let mut length = 0;
        // A handshake record: type 22, then a version whose high byte is 3 (RFC 8446 section 5.1).
        let wanted = [0x16, 0x03];
        for (slot, wanted) in head.iter_mut().zip(wanted) {
            length += io.read(std::slice::from_mut(slot)).await?;
            if *slot != wanted {
                break;
            }
        }
        let speaks = match length {
            0 => Speaks::Nothing,
            _ if head == wanted => Speaks::Tls,
            _ => Speaks::SomethingElse,
        };
        let mut report = SecurityReport::new(Verified::Nothing);
        report
            .warnings
            .push(Warning::Other("plaintext: the peer is anybody, and others may read and change it".into()));
        Ok((Self { io, head, pending: 0..length, report: Box::new(report) }, speaks))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Peeked<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let again = self.head.get(self.pending.clone()).unwrap_or_default();
        let again = again.get(..buf.remaining().min(again.len())).unwrap_or_default();
        buf.put_slice(again);
        self.pending.start += again.len();
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Peeked<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<IO: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin + 'static> SecureStream for Peeked<IO> {
    fn report(&self) -> &SecurityReport {
        &self.report
    }
}
