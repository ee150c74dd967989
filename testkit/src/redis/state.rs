//! What all connections to a cache share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::Misbehaviour;
use super::accounts::Accounts;
use super::engine::Engine;
use super::journal::{Counters, Event, JournalEntry};
use super::keyspace::Keyspace;
use super::topology::Topology;
use super::user::glob;
use super::wire::Reply;
use crate::Clock;

/// The cache behind its listeners.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    /// Something was written into the journal.
    pub(crate) written: Notify,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) accounts: Accounts,
    pub(crate) topology: Topology,
    pub(crate) keyspace: Keyspace,
    pub(crate) misbehaviour: Option<Misbehaviour>,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) counters: Counters,
    pub(crate) connections: BTreeMap<u64, Connection>,
    last_connection: u64,
}

/// A connection, as the others see it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) node: usize,
    pub(crate) user: Option<String>,
    pub(crate) inbox: UnboundedSender<Message>,
    pub(crate) channels: Vec<Vec<u8>>,
    pub(crate) patterns: Vec<Vec<u8>>,
    pub(crate) monitors: bool,
}

/// What a connection is told by others than its client.
#[derive(Debug)]
pub(crate) enum Message {
    Push(Reply),
    /// Of `MONITOR`.
    Line(String),
    CheckTimeLimit,
    Close,
}

impl Shared {
    pub(crate) fn new(engine: Engine, clock: Clock, accounts: Accounts, topology: Topology) -> Self {
        let state = Mutex::new(State {
            accounts,
            topology,
            keyspace: Keyspace::default(),
            misbehaviour: None,
            journal: Vec::new(),
            counters: Counters::default(),
            connections: BTreeMap::new(),
            last_connection: 0,
        });
        Self { engine, clock, state, written: Notify::new() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, state: &mut State, connection: u64, node: usize, event: Event) {
        state.journal.push(JournalEntry { at: self.clock.now(), connection, node, event });
        self.written.notify_waiters();
    }
}

impl State {
    pub(crate) fn next_connection(&mut self) -> u64 {
        self.counters.connections += 1;
        self.last_connection += 1;
        self.last_connection
    }

    pub(crate) fn tell(&self, message: impl Fn() -> Message, to: impl Fn(&Connection) -> bool) {
        for connection in self.connections.values().filter(|connection| to(connection)) {
            // Fails only when the connection is about to end by itself.
            let _ = connection.inbox.send(message());
        }
    }

    /// To how many subscriptions.
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let mut receivers = 0;
        for connection in self.connections.values() {
            let mut push = |kind: &str, words: &[&[u8]]| {
                let words = std::iter::once(kind.as_bytes()).chain(words.iter().copied());
                let push = Reply::Push(words.map(Reply::bulk).collect());
                receivers += usize::from(connection.inbox.send(Message::Push(push)).is_ok());
            };
            if connection.channels.iter().any(|own| own == channel) {
                push("message", &[channel, message]);
            }
            for pattern in connection.patterns.iter().filter(|pattern| glob(pattern, channel)) {
                push("pmessage", &[pattern, channel, message]);
            }
        }
        receivers
    }
}
