//! gRPC over HTTP/2, as far as agents on the same host need it
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
//!
//! One connection per call, no task of its own: dropping the call closes the connection. Messages are read into memory that is
//! wiped, since private keys are in them.

mod masked;

use std::{future::poll_fn, io, pin::pin};

use bytes::Bytes;
use h2::{RecvStream, client::Connection};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use secure_connector::BoxError;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use zeroize::Zeroizing;

use self::masked::{KeyStream, Masked};
use crate::WorkloadApiAddress;

/// Why a call to an agent failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say what the messages show")]
pub enum GrpcError {
    /// Nobody listens, or we may not connect.
    #[error("cannot connect to the agent at {address}")]
    Connect { address: WorkloadApiAddress, source: io::Error },
    /// The connection broke.
    #[error("the connection to the agent broke, or it does not speak HTTP/2")]
    Transport { source: BoxError },
    /// It is no gRPC server.
    #[error("the answer is not one of gRPC: {found}")]
    NotGrpc { found: String },
    /// There is no identity for this process.
    #[error("the agent has no identity for this process: {message:?} (PERMISSION_DENIED)")]
    PermissionDenied { message: String },
    /// The call is wrong.
    #[error("the agent finds the call wrong: {message:?} (INVALID_ARGUMENT)")]
    InvalidArgument { message: String },
    /// There is no such call.
    #[error("the agent does not know the call: {message:?} (UNIMPLEMENTED)")]
    Unimplemented { message: String },
    /// Any other failure, by its number in <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>.
    #[error("the agent failed: {message:?} (gRPC status {code})")]
    Status { code: u32, message: String },
    /// The message is too long to be believed.
    #[error("the agent sends a message of {length} bytes; at most {limit} are read")]
    TooLong { length: usize, limit: usize },
}

impl GrpcError {
    /// Whether the same call may succeed later. Workload Endpoint section 6: "`InvalidArgument` [...] clients SHOULD NOT retry".
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::InvalidArgument { .. } | Self::Unimplemented { .. })
    }
}

/// A call under way: one message was sent, any number is received.
pub(crate) struct Call {
    /// `None` when it has ended.
    connection: Option<Transport>,
    body: RecvStream,
    unmask: KeyStream,
    /// Received, masked, and not part of a message that was returned.
    rest: Bytes,
}

type Transport = Connection<Masked<Box<dyn Socket>>>;

trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for S {}

/// A thousand bundles, or ten thousand certificates. gRPC libraries have the same limit.
const LONGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// A flag (compressed or not) and a length.
const PREFIX: usize = 5;

impl Call {
    /// Connects, and calls `path` with `message`. Ends when the head of the answer is there.
    pub(crate) async fn start(
        address: &WorkloadApiAddress,
        path: &'static str,
        metadata: &[(&'static str, &'static str)],
        message: &[u8],
    ) -> Result<Self, GrpcError> {
        let socket = dial(address).await.map_err(|source| GrpcError::Connect { address: address.clone(), source })?;
        let (socket, unmask) = Masked::new(socket).map_err(|e| GrpcError::Transport { source: e.into() })?;
        let mut settings = h2::client::Builder::new();
        let (requests, connection) = settings.enable_push(false).handshake(socket).await.map_err(transport)?;
        let mut connection = Some(connection);
        let mut requests = drive(&mut connection, requests.ready()).await.map_err(transport)?;
        let (response, mut body) = requests.send_request(request(path, metadata), false).map_err(transport)?;
        body.send_data(framed(message), true).map_err(transport)?;
        let response = drive(&mut connection, response).await.map_err(transport)?;
        judge_head(&response)?;
        Ok(Self { connection, body: response.into_body(), unmask, rest: Bytes::new() })
    }

    /// The next message; `None` at the end of a call that succeeded.
    pub(crate) async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, GrpcError> {
        let prefix = self.read(PREFIX).await?;
        let [compressed, length @ ..] = prefix.as_slice() else {
            return if prefix.is_empty() { self.end().await.map(|()| None) } else { Err(cut_off()) };
        };
        let Ok(length) = <[u8; 4]>::try_from(length) else {
            return Err(cut_off());
        };
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST_MESSAGE {
            return Err(GrpcError::TooLong { length, limit: LONGEST_MESSAGE });
        }
        if *compressed != 0 {
            return Err(GrpcError::NotGrpc { found: "a compressed message, which was not asked for".into() });
        }
        let message = self.read(length).await?;
        if message.len() < length { Err(cut_off()) } else { Ok(Some(message)) }
    }

    /// So many bytes, fewer at the end.
    async fn read(&mut self, wanted: usize) -> Result<Zeroizing<Vec<u8>>, GrpcError> {
        // At once as large as it must be: a vector that grows leaves copies behind.
        let mut read = Zeroizing::new(Vec::with_capacity(wanted));
        while read.len() < wanted {
            if self.rest.is_empty() {
                let Some(chunk) = drive(&mut self.connection, self.body.data()).await else {
                    break;
                };
                self.rest = chunk.map_err(transport)?;
                self.body.flow_control().release_capacity(self.rest.len()).map_err(transport)?;
            }
            let part = self.rest.split_to((wanted - read.len()).min(self.rest.len()));
            let begin = read.len();
            read.extend_from_slice(&part);
            self.unmask.apply(read.get_mut(begin..).unwrap_or_default());
        }
        Ok(read)
    }

    async fn end(&mut self) -> Result<(), GrpcError> {
        let trailers = drive(&mut self.connection, poll_fn(|cx| self.body.poll_trailers(cx))).await;
        let trailers = trailers.map_err(transport)?.unwrap_or_default();
        status(&trailers)?.ok_or_else(|| GrpcError::NotGrpc { found: "an end without a status".into() })
    }
}

async fn dial(address: &WorkloadApiAddress) -> io::Result<Box<dyn Socket>> {
    match address {
        WorkloadApiAddress::Tcp(address) => Ok(Box::new(TcpStream::connect(address).await?)),
        #[cfg(unix)]
        WorkloadApiAddress::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        WorkloadApiAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Waits for `work`, and moves the bytes that it waits for.
async fn drive<T>(connection: &mut Option<Transport>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Some(moving) = connection {
        tokio::select! {
            biased;
            done = &mut work => return done,
            // Whatever ended it, `work` gets to know.
            _ended = moving => {}
        }
        *connection = None;
    }
    work.await
}

fn request(path: &'static str, metadata: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    // The authority has no meaning here; grpc-go and tonic say the same.
    let uri = http::Uri::builder().scheme("http").authority("localhost").path_and_query(path);
    *request.uri_mut() = uri.build().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    headers.insert("user-agent", HeaderValue::from_static(concat!("svid-tls/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in metadata {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    request
}

fn framed(message: &[u8]) -> Bytes {
    // A request that is longer than 4 GiB does not occur: names and one token.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

fn judge_head(response: &Response<RecvStream>) -> Result<(), GrpcError> {
    if response.status() != StatusCode::OK {
        return Err(GrpcError::NotGrpc { found: format!("HTTP status {}", response.status()) });
    }
    let kind = response.headers().get("content-type").map(HeaderValue::as_bytes).unwrap_or_default();
    if !kind.starts_with(b"application/grpc") {
        return Err(GrpcError::NotGrpc { found: format!("content of type {:?}", String::from_utf8_lossy(kind)) });
    }
    status(response.headers()).map(drop)
}

/// `None` if there is none.
fn status(headers: &HeaderMap) -> Result<Option<()>, GrpcError> {
    let Some(status) = headers.get("grpc-status") else {
        return Ok(None);
    };
    let number = status.to_str().ok().and_then(|code| code.parse().ok());
    let code = number.ok_or_else(|| GrpcError::NotGrpc { found: format!("status {status:?}") })?;
    let message = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    let message = percent_encoding::percent_decode(message).decode_utf8_lossy().chars().take(LONGEST_TEXT).collect();
    Err(match code {
        0 => return Ok(Some(())),
        3 => GrpcError::InvalidArgument { message },
        7 => GrpcError::PermissionDenied { message },
        12 => GrpcError::Unimplemented { message },
        code => GrpcError::Status { code, message },
    })
}

/// Of an agent's own words, in characters.
const LONGEST_TEXT: usize = 400;

fn transport(error: h2::Error) -> GrpcError {
    GrpcError::Transport { source: error.into() }
}

fn cut_off() -> GrpcError {
    GrpcError::NotGrpc { found: "a message that is cut off".into() }
}
