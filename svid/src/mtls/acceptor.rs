//! The server side: STRICT or PERMISSIVE on one port.

use std::{
    fmt, io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use secure_connector::{BoxedStream, Clock, ConnectError, SecureAcceptor, Stage, TlsAcceptor, TlsFailure};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    judge::Judge,
    peeked::{Peeked, Speaks},
    stream::MtlsStream,
};
use crate::{ExpectedPeer, SvidSource, X509Verifier};

/// Whether clients without TLS are served, in the words of App Mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Mutual TLS only.
    #[default]
    Strict,
    /// Mutual TLS and plaintext on one port, told apart by the first bytes: for the time in which clients move to mutual
    /// TLS. A client that speaks TLS has to show an SVID all the same.
    ///
    /// A protocol in which the server speaks first cannot be served in plaintext: there are no first bytes.
    Permissive,
}

/// Accepts workloads by mutual TLS: presents our SVID, and demands one of the expected IDs.
///
/// ```
/// use secure_connector::SecureAcceptor;
/// use svid_tls::{ExpectedPeer, Mode, MtlsAcceptor, Peer, SvidSource};
///
/// # async fn example(source: SvidSource, listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// let front = ExpectedPeer::path_prefix("spiffe://example.org/ns/prod".parse()?);
/// let acceptor = MtlsAcceptor::new(source, front).mode(Mode::Permissive);
/// let (tcp, _) = listener.accept().await?;
/// match acceptor.accept(tcp).await?.peer() {
///     Peer::Mtls(peer) => println!("{}", peer.id),
///     Peer::Plain => println!("one who has yet to move; {:?}", acceptor.counts()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MtlsAcceptor {
    tls: TlsAcceptor,
    source: SvidSource,
    mode: Mode,
    limit: Duration,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    mtls: AtomicU64,
    plain: AtomicU64,
    refused: AtomicU64,
}

/// How connections began, since the acceptor was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptorCounts {
    /// By mutual TLS.
    pub mtls: u64,
    /// In plaintext. While it grows, it is too early for [`Mode::Strict`].
    pub plain: u64,
    /// Not at all.
    pub refused: u64,
}

const DEFAULT_LIMIT: Duration = Duration::from_secs(10);

impl MtlsAcceptor {
    /// As whom, and for whom: neither has a default.
    pub fn new(source: SvidSource, expected: ExpectedPeer) -> Self {
        Self::with_verifier(source, expected, X509Verifier::new())
    }

    /// [`new`](Self::new) with other rules for certificates, revocation lists for example.
    pub fn with_verifier(source: SvidSource, expected: ExpectedPeer, verifier: X509Verifier) -> Self {
        let clients = Judge::shared(&source, expected, verifier);
        Self {
            tls: TlsAcceptor::new(source.clone(), clients),
            source,
            mode: Mode::default(),
            limit: DEFAULT_LIMIT,
            counters: Counters::default(),
        }
    }

    /// Whether clients without TLS are served. Default: [`Mode::Strict`].
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Application protocols, the preferred one first. Default: none is negotiated.
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.tls = self.tls.alpn(protocols);
        self
    }

    /// How long a client may take for its first bytes, and for the handshake. Default: 10 seconds each.
    #[must_use]
    pub fn handshake_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self.tls = self.tls.handshake_limit(limit);
        self
    }

    /// Where the time comes from. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.tls = self.tls.clock(clock);
        self
    }

    /// How connections have begun so far.
    pub fn counts(&self) -> AcceptorCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AcceptorCounts {
            mtls: count(&self.counters.mtls),
            plain: count(&self.counters.plain),
            refused: count(&self.counters.refused),
        }
    }

    async fn accept_uncounted<IO>(&self, io: IO) -> Result<MtlsStream, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static,
    {
        let generation = self.source.snapshot().map_err(ConnectError::NoIdentity)?.generation();
        let peeked = tokio::time::timeout(self.limit, Peeked::new(io)).await;
        let peeked = peeked.map_err(|_| ConnectError::Timeout { stage: Stage::Tls, limit: self.limit })?;
        let (io, speaks) = peeked.map_err(|e| failed(TlsFailure::Transport, e))?;
        match (speaks, self.mode) {
            (Speaks::Tls, _) => MtlsStream::mtls(BoxedStream::new(self.tls.accept(io).await?), generation),
            (Speaks::SomethingElse, Mode::Permissive) => Ok(MtlsStream::plain(BoxedStream::new(io))),
            (Speaks::SomethingElse, Mode::Strict) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "the first bytes are no TLS handshake");
                Err(failed(TlsFailure::NotTls { looks_like: None }, error))
            }
            (Speaks::Nothing, _) => Err(failed(TlsFailure::Closed, io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

fn failed(reason: TlsFailure, error: io::Error) -> ConnectError {
    ConnectError::Tls { reason, source: error.into() }
}

#[async_trait]
impl<IO: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static> SecureAcceptor<IO> for MtlsAcceptor {
    type Stream = MtlsStream;

    async fn accept(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        let accepted = self.accept_uncounted(io).await;
        let counter = match accepted.as_ref().map(|stream| stream.peer().id().is_some()) {
            Ok(true) => &self.counters.mtls,
            Ok(false) => &self.counters.plain,
            Err(_) => &self.counters.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        accepted
    }
}
