//! gRPC over HTTP/2 (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), as far as the Workload API needs it.

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::agent::Shared;
use super::answers::{Answer, INVALID_ARGUMENT, OK, Status, UNAVAILABLE, UNIMPLEMENTED};
use super::authority;
use super::state::State;

const BUFFER: usize = 64 * 1024;

/// Serves one connection until the client or [`Shared::cut`] ends it.
pub(super) async fn serve(client: impl AsyncRead + AsyncWrite, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let (near, far) = tokio::io::duplex(BUFFER);
    tokio::select! {
        _ended = authority::forgive(client, far) => {}
        _ended = serve_http2(near, shared) => {}
        _ = cut.changed() => {}
    }
}

async fn serve_http2(io: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(io).await?;
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(accepted) => {
                    let (request, respond) = accepted?;
                    calls.spawn(call(request, respond, Arc::clone(&shared)));
                }
                None => return Ok(()),
            },
            Some(_finished) = calls.join_next() => {}
        }
    }
}

async fn call(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    shared: Arc<Shared>,
) -> Result<(), h2::Error> {
    let _open = shared.count_call();
    let (head, body) = request.into_parts();
    let reply = Reply { respond, body: None };
    // "a static metadata key [...] with a value of true (case sensitive) [...]. If the metadata is missing [...] InvalidArgument"
    // (SPIFFE_Workload_Endpoint section 3).
    if head.headers.get("workload.spiffe.io").is_none_or(|value| value != "true") {
        return reply.end(&Status::new(INVALID_ARGUMENT, "security header missing from request"));
    }
    let Ok(message) = message(body).await else {
        return reply.end(&Status::new(INVALID_ARGUMENT, "the request cannot be read"));
    };
    match head.uri.path() {
        "/SpiffeWorkloadAPI/FetchX509SVID" => stream(reply, &shared.state, State::x509_svids).await,
        "/SpiffeWorkloadAPI/FetchX509Bundles" => stream(reply, &shared.state, State::x509_bundles).await,
        "/SpiffeWorkloadAPI/FetchJWTBundles" => stream(reply, &shared.state, State::jwt_bundles).await,
        "/SpiffeWorkloadAPI/FetchJWTSVID" => {
            unary(reply, &message, |request| {
                let mut answer = Answer::Nothing;
                // Streams are not told: a token changes nothing for them.
                shared.state.send_if_modified(|state| {
                    answer = state.jwt_svids(request);
                    false
                });
                answer
            })
            .await
        }
        "/SpiffeWorkloadAPI/ValidateJWTSVID" => {
            unary(reply, &message, |request| shared.state.borrow().validate(&request)).await
        }
        _ => reply.end(&Status::new(UNIMPLEMENTED, "there is no such call")),
    }
}

/// Sends what there is now, and again whenever it is another.
async fn stream(mut reply: Reply, state: &watch::Sender<State>, answer: fn(&State) -> Answer) -> Result<(), h2::Error> {
    let mut states = state.subscribe();
    let mut last = Answer::Nothing;
    loop {
        let next = answer(&states.borrow_and_update());
        if next != last {
            match &next {
                Answer::Message(message) => reply.send(message)?,
                Answer::Status(status) => return reply.end(status),
                Answer::Nothing => {}
            }
            last = next;
        }
        tokio::select! {
            changed = states.changed() => if changed.is_err() {
                return reply.end(&Status::new(UNAVAILABLE, "the agent shuts down"));
            },
            _gone = reply.reset() => return Ok(()),
        }
    }
}

async fn unary<M: Message + Default>(
    mut reply: Reply,
    message: &[u8],
    answer: impl FnOnce(M) -> Answer,
) -> Result<(), h2::Error> {
    let Ok(request) = M::decode(message) else {
        return reply.end(&Status::new(INVALID_ARGUMENT, "the request is no such message"));
    };
    match answer(request) {
        Answer::Message(message) => {
            reply.send(&message)?;
            reply.end(&Status::new(OK, ""))
        }
        Answer::Status(status) => reply.end(&status),
        Answer::Nothing => {
            reply.reset().await?;
            pending().await
        }
    }
}

/// The one message of the request, without its prefix.
async fn message(mut body: RecvStream) -> io::Result<Vec<u8>> {
    const PREFIX: usize = 5;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(io::Error::other)?;
        bytes.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len()).map_err(io::Error::other)?;
    }
    bytes.get(PREFIX..).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

struct Reply {
    respond: SendResponse<Bytes>,
    body: Option<SendStream<Bytes>>,
}

impl Reply {
    fn send(&mut self, message: &[u8]) -> Result<(), h2::Error> {
        let body = match &mut self.body {
            Some(body) => body,
            none => none.insert(self.respond.send_response(head(None), false)?),
        };
        let length = u32::try_from(message.len()).map_err(|_| Reason::FRAME_SIZE_ERROR)?;
        // Not compressed, and how long it is.
        let frame = [&[0], &length.to_be_bytes()[..], message].concat();
        body.send_data(frame.into(), false)
    }

    fn end(mut self, status: &Status) -> Result<(), h2::Error> {
        match &mut self.body {
            Some(body) => body.send_trailers(trailers(status)),
            None => self.respond.send_response(head(Some(status)), true).map(drop),
        }
    }

    /// Ends when the client does not want the answer any more.
    async fn reset(&mut self) -> Result<Reason, h2::Error> {
        match &mut self.body {
            Some(body) => poll_fn(|cx| body.poll_reset(cx)).await,
            None => poll_fn(|cx| self.respond.poll_reset(cx)).await,
        }
    }
}

fn head(status: Option<&Status>) -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response.headers_mut().extend(status.map(trailers).unwrap_or_default());
    response
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.code.into());
    let message = utf8_percent_encode(&status.message, CONTROLS).to_string();
    if let Some(message) = HeaderValue::try_from(message).ok().filter(|message| !message.is_empty()) {
        trailers.insert("grpc-message", message);
    }
    trailers
}
