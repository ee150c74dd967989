//! A connection that knows its peer's SPIFFE ID.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::SystemTime,
};

use secure_connector::{BoxedStream, ConnectError, SecureStream, SecurityReport, Untrusted, Verified};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::SpiffeId;

/// A connection to a workload, or in [`Mode::Permissive`](crate::Mode::Permissive) to anybody in plaintext:
/// [`peer`](Self::peer) tells.
#[derive(Debug)]
pub struct MtlsStream {
    inner: BoxedStream,
    peer: Peer,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever serves both must decide on each")]
pub enum Peer {
    /// Nobody knows: the connection is in plaintext.
    Plain,
    /// A workload, over mutual TLS.
    Mtls(MtlsPeer),
}

/// A workload at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MtlsPeer {
    /// Its ID.
    pub id: SpiffeId,
    /// When the first certificate that it presented ends.
    pub not_after: SystemTime,
    /// The generation of our own [`Snapshot`](crate::Snapshot) that was current when the connection began.
    pub generation: u64,
}

impl MtlsStream {
    pub(super) fn mtls(inner: BoxedStream, generation: u64) -> Result<Self, ConnectError> {
        let report = inner.report();
        let id = match &report.verified {
            Verified::SpiffeId(id) => id.parse().ok(),
            _ => None,
        };
        let (Some(id), Some(not_after)) = (id, report.peer_not_after()) else {
            let reason = Untrusted::Invalid { what: "no SPIFFE ID was proven".into() };
            return Err(ConnectError::Untrusted { reason, source: None });
        };
        Ok(Self { peer: Peer::Mtls(MtlsPeer { id, not_after, generation }), inner })
    }

    pub(super) fn plain(inner: BoxedStream) -> Self {
        Self { inner, peer: Peer::Plain }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Peer {
    /// The ID of a peer that has one.
    pub fn id(&self) -> Option<&SpiffeId> {
        match self {
            Self::Plain => None,
            Self::Mtls(peer) => Some(&peer.id),
        }
    }
}

impl SecureStream for MtlsStream {
    fn report(&self) -> &SecurityReport {
        self.inner.report()
    }
}

impl AsyncRead for MtlsStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for MtlsStream {
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
