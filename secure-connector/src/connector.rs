//! The four traits that every crate of the workspace speaks.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{BoxedStream, ConnectError, SecurityReport};

/// Something that can open a secured connection to one peer.
///
/// A connector is configured once and used for the life of a program: it holds the TLS session cache, the trust anchors
/// and the subscription to the client identity. Building one per connection works, and costs about ten times the CPU.
///
/// # What the caller may assume
/// - A returned stream is *finished*: dialled, encrypted, the peer verified, and where the protocol has it, authenticated.
///   There is no later call that could still fail verification.
/// - `connect` ends. Every stage has a deadline and so has the whole.
/// - `connect` is cancel-safe: dropping the future closes what was opened and leaves the connector usable.
/// - Calls may run side by side; each uses the identity that is current when it starts.
///
/// # What an implementer must never do
/// - Return a stream whose peer was not verified without a warning in its [`SecurityReport`].
/// - Put key material, tokens or passwords into errors, logs, `Debug` or the report.
/// - Spawn a task that outlives the returned stream and the connector.
/// - Block the executor: look-ups and key operations that may take long belong on a blocking thread.
#[async_trait]
pub trait SecureConnector: Debug + Send + Sync {
    /// What a successful call yields.
    type Stream: SecureStream;

    /// Dials, secures, verifies and authenticates.
    ///
    /// # Errors
    /// A [`ConnectError`] naming the stage that failed; [`ConnectError::is_retryable`] says whether trying again can help.
    async fn connect(&self) -> Result<Self::Stream, ConnectError>;

    /// The same connector with its stream type erased, ready for `Arc<dyn SecureConnector<Stream = BoxedStream>>`.
    fn boxed(self) -> BoxedConnector
    where
        Self: Sized + 'static,
    {
        Arc::new(Boxed(self))
    }
}

/// A connector behind a pointer, its stream type erased.
pub type BoxedConnector = Arc<dyn SecureConnector<Stream = BoxedStream>>;

/// Secures a transport that is already open: a socket from a bastion, one end of a pipe, a stream after `STARTTLS`.
///
/// The contract is that of [`SecureConnector`] without the dialling. `io` is consumed; on an error it is closed.
#[async_trait]
pub trait SecureTransport<IO>: Debug + Send + Sync {
    /// What a successful call yields.
    type Stream: SecureStream;

    /// Secures, verifies and authenticates over `io`.
    ///
    /// # Errors
    /// As for [`SecureConnector::connect`], without `Dns` and `Connect`.
    async fn secure(&self, io: IO) -> Result<Self::Stream, ConnectError>;
}

/// The server side: turns an accepted transport into a secured stream, or refuses it.
///
/// The report of the stream describes the client: who it proved to be, or that it proved nothing. An acceptor that lets
/// unauthenticated clients in says so in the report's warnings.
#[async_trait]
pub trait SecureAcceptor<IO>: Debug + Send + Sync {
    /// What a successful call yields.
    type Stream: SecureStream;

    /// Performs the server side of the handshake over `io`.
    ///
    /// # Errors
    /// A [`ConnectError`]; the transport is closed.
    async fn accept(&self, io: IO) -> Result<Self::Stream, ConnectError>;
}

/// A byte stream to a verified peer.
///
/// - `poll_shutdown` ends the writing half in a way that the peer can tell from truncation (TLS: `close_notify`);
///   reading goes on until the peer ends its half.
/// - A peer that vanishes without ending its half is an [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) error,
///   never a clean end of stream.
/// - Written bytes may be held back until `poll_flush`.
pub trait SecureStream: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static {
    /// What was agreed and proven when this stream was made.
    fn report(&self) -> &SecurityReport;
}

#[async_trait]
impl<C: SecureConnector + ?Sized> SecureConnector for Arc<C> {
    type Stream = C::Stream;

    async fn connect(&self) -> Result<Self::Stream, ConnectError> {
        (**self).connect().await
    }
}

#[async_trait]
impl<C: SecureConnector + ?Sized> SecureConnector for Box<C> {
    type Stream = C::Stream;

    async fn connect(&self) -> Result<Self::Stream, ConnectError> {
        (**self).connect().await
    }
}

#[async_trait]
impl<IO: Send + 'static, T: SecureTransport<IO> + ?Sized> SecureTransport<IO> for Arc<T> {
    type Stream = T::Stream;

    async fn secure(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        (**self).secure(io).await
    }
}

#[async_trait]
impl<IO: Send + 'static, T: SecureTransport<IO> + ?Sized> SecureTransport<IO> for Box<T> {
    type Stream = T::Stream;

    async fn secure(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        (**self).secure(io).await
    }
}

#[async_trait]
impl<IO: Send + 'static, T: SecureAcceptor<IO> + ?Sized> SecureAcceptor<IO> for Arc<T> {
    type Stream = T::Stream;

    async fn accept(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        (**self).accept(io).await
    }
}

#[async_trait]
impl<IO: Send + 'static, T: SecureAcceptor<IO> + ?Sized> SecureAcceptor<IO> for Box<T> {
    type Stream = T::Stream;

    async fn accept(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        (**self).accept(io).await
    }
}

#[derive(Debug)]
struct Boxed<C>(C);

#[async_trait]
impl<C: SecureConnector> SecureConnector for Boxed<C> {
    type Stream = BoxedStream;

    async fn connect(&self) -> Result<BoxedStream, ConnectError> {
        self.0.connect().await.map(BoxedStream::new)
    }
}
