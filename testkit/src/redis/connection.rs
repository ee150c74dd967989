//! A connection from its first byte to its last.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::UNIX_EPOCH;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::journal::Event;
use super::session::{After, Session, without_secrets};
use super::state::{Connection, Message, Shared, State};
use super::wire::{Reply, next_request};
use super::{Encryption, Misbehaviour};
use crate::SeenConnection;
use crate::misbehaving::close_in_order;

/// One node's front.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) shared: Arc<Shared>,
    pub(crate) node: usize,
    pub(crate) encryption: Encryption,
    pub(crate) tls: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Front {
    pub(crate) async fn receive(self, mut tcp: TcpStream, peer: SocketAddr) {
        let (id, misbehaviour) = {
            let mut state = self.shared.state();
            (state.next_connection(), state.misbehaviour.clone())
        };
        if misbehaviour == Some(Misbehaviour::EndsInHandshake) {
            // Nothing is lost if the ClientHello does not come.
            let _ = tcp.read(&mut [0; 1024]).await;
            return close_in_order(tcp).await;
        }
        let plain = match self.encryption {
            Encryption::Required => false,
            Encryption::Preferred => !begins_with_tls(&tcp).await,
            Encryption::Off => true,
        };
        if plain {
            return self.converse(tcp, id, SeenConnection::plain(peer)).await;
        }
        let config = Arc::clone(&self.tls.read().unwrap_or_else(PoisonError::into_inner));
        let accepted = TlsAcceptor::from(config).accept(tcp).await;
        match accepted.and_then(|tls| SeenConnection::of(&tls, peer).map(|seen| (tls, seen))) {
            Ok((tls, seen)) => {
                {
                    let counters = &mut self.shared.state().counters;
                    match seen.resumed {
                        true => counters.resumed_handshakes += 1,
                        false => counters.full_handshakes += 1,
                    }
                }
                self.converse(tls, id, seen).await;
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "handshake failed");
                let mut state = self.shared.state();
                state.counters.failed_handshakes += 1;
                let event = Event::HandshakeFailed { error: error.to_string() };
                self.shared.record(&mut state, id, self.node, event);
            }
        }
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin, id: u64, seen: SeenConnection) {
        let (sender, inbox) = unbounded_channel();
        let peer = seen.peer;
        let session = {
            let mut state = self.shared.state();
            let user = state.accounts.anonymous();
            let connection = Connection {
                peer,
                node: self.node,
                user: user.map(str::to_owned),
                inbox: sender,
                channels: Vec::new(),
                patterns: Vec::new(),
                monitors: false,
            };
            state.connections.insert(id, connection);
            self.shared.record(&mut state, id, self.node, Event::Connected(Box::new(seen)));
            Session::new(id, self.node, peer, user)
        };
        // Also when the task is aborted: the cache has ended then.
        let _registered = Registered { shared: &self.shared, id, node: self.node };
        let mut dialogue = Dialogue { shared: &self.shared, session, inbox, stream };
        if let Err(error) = dialogue.run().await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

struct Registered<'s> {
    shared: &'s Shared,
    id: u64,
    node: usize,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.connections.remove(&self.id);
        self.shared.record(&mut state, self.id, self.node, Event::Closed);
    }
}

struct Dialogue<'s, S> {
    shared: &'s Shared,
    session: Session,
    inbox: UnboundedReceiver<Message>,
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<'_, S> {
    async fn run(&mut self) -> io::Result<()> {
        if self.shared.state().misbehaviour == Some(Misbehaviour::ProtectedMode) {
            self.stream.write_all(PROTECTED_MODE).await?;
            return self.stream.shutdown().await;
        }
        let mut received = Vec::new();
        loop {
            let mut out = Vec::new();
            let after = self.answer_all(&mut received, &mut out).await?;
            self.stream.write_all(&out).await?;
            self.stream.flush().await?;
            if after == After::Close {
                return self.stream.shutdown().await;
            }
            let mut chunk = Vec::with_capacity(16 * 1024);
            tokio::select! {
                read = self.stream.read_buf(&mut chunk) => match read? {
                    0 => return self.stream.shutdown().await,
                    _ => received.append(&mut chunk),
                },
                Some(message) = self.inbox.recv() => {
                    let mut out = Vec::new();
                    let after = self.hear(&mut self.shared.state(), message, &mut out);
                    self.stream.write_all(&out).await?;
                    self.stream.flush().await?;
                    if after == After::Close {
                        return self.stream.shutdown().await;
                    }
                }
            }
        }
    }

    /// Answers what has arrived in full.
    async fn answer_all(&mut self, received: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<After> {
        loop {
            let words = match next_request(received, self.session.limits(self.shared)) {
                Ok(None) => return Ok(After::GoOn),
                Ok(Some(words)) if words.is_empty() => continue,
                Ok(Some(words)) => words,
                Err(why) => {
                    Reply::Error(format!("ERR Protocol error: {why}")).encode(self.session.protocol, out);
                    return Ok(After::Close);
                }
            };
            if let Some(Misbehaviour::Slow(delay)) = self.misbehaviour() {
                self.stream.write_all(out).await?;
                self.stream.flush().await?;
                out.clear();
                sleep(delay).await;
            }
            if self.answer(words, out) == After::Close {
                return Ok(After::Close);
            }
        }
    }

    fn answer(&mut self, words: Vec<Vec<u8>>, out: &mut Vec<u8>) -> After {
        let mut state = self.shared.state();
        if self.session.is_over(self.shared.clock.now()) {
            return self.end_at_limit(&mut state);
        }
        let misbehaviour = state.misbehaviour.clone();
        if let Some(Misbehaviour::HangsUp { after }) = misbehaviour
            && self.session.requests >= after
        {
            return After::Close;
        }
        let shown = without_secrets(&words);
        let database = self.session.database;
        let (reply, mut after) = self.session.answer(self.shared, &mut state, words);
        // What was published by this very request comes before its reply, or after it.
        let mut published = Vec::new();
        while let Ok(message) = self.inbox.try_recv() {
            if self.hear(&mut state, message, &mut published) == After::Close {
                after = After::Close;
            }
        }
        if self.shared.engine.publishes_before_it_replies() {
            out.append(&mut published);
        }
        let mut encoded = Vec::new();
        reply.encode(self.session.protocol, &mut encoded);
        match misbehaviour {
            Some(Misbehaviour::Garbage(garbage)) => encoded = garbage,
            Some(Misbehaviour::Silent) => encoded.clear(),
            Some(Misbehaviour::Truncated { after: most }) => {
                encoded.truncate(most);
                after = After::Close;
            }
            _ => {}
        }
        out.append(&mut encoded);
        out.append(&mut published);
        if state.connections.values().any(|connection| connection.monitors) {
            let line = monitor_line(self.shared, self.session.peer, database, &shown);
            state.tell(|| Message::Line(line.clone()), |connection| connection.monitors);
        }
        after
    }

    fn hear(&self, state: &mut State, message: Message, out: &mut Vec<u8>) -> After {
        match message {
            Message::Push(push) => push.encode(self.session.protocol, out),
            Message::Line(line) => out.extend(format!("+{line}\r\n").bytes()),
            Message::CheckTimeLimit if self.session.is_over(self.shared.clock.now()) => {
                return self.end_at_limit(state);
            }
            Message::CheckTimeLimit => {}
            Message::Close => return After::Close,
        }
        After::GoOn
    }

    fn end_at_limit(&self, state: &mut State) -> After {
        state.counters.cut_by_time_limit += 1;
        self.shared.record(state, self.session.id, self.session.node, Event::TimeLimit);
        After::Close
    }

    fn misbehaviour(&self) -> Option<Misbehaviour> {
        self.shared.state().misbehaviour.clone()
    }
}

/// As `MONITOR` shows a request.
fn monitor_line(shared: &Shared, peer: SocketAddr, database: usize, words: &[String]) -> String {
    let since = shared.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("{}.{:06} [{database} {peer}] {}", since.as_secs(), since.subsec_micros(), words.join(" "))
}

/// Whether the first byte is that of a TLS handshake (RFC 8446 section 5.1), which begins no request.
async fn begins_with_tls(tcp: &TcpStream) -> bool {
    let mut first = [0];
    matches!(tcp.peek(&mut first).await, Ok(1)) && first == [22]
}

/// The first sentences of what Redis says.
const PROTECTED_MODE: &[u8] =
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is \
set for the default user. In this mode connections are only accepted from the loopback interface.\r\n";
