//! The books of a tunnel: every connection is entered once and closed once, however it ends.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::broadcast;

use super::{
    CloseReason, ConnectionInfo, LastError, LocalAddr, LocalPeer, TunnelEvent, TunnelStatus, progress::Progress,
};
use crate::{ConnectError, SecurityReport, error_chain};

const EVENTS_KEPT: usize = 256;

#[derive(Debug)]
pub(super) struct Registry {
    books: Mutex<Books>,
    local_addr: LocalAddr,
    max_connections: usize,
    events: broadcast::Sender<TunnelEvent>,
}

#[derive(Debug)]
struct Books {
    /// Its `active` and its bytes leave out the live connections.
    closed: TunnelStatus,
    live: BTreeMap<u64, Live>,
    next_id: u64,
}

#[derive(Debug)]
struct Live {
    peer: LocalPeer,
    opened_at: SystemTime,
    progress: Arc<Progress>,
    report: Option<Arc<SecurityReport>>,
}

/// One connection's page in the books. Dropping it closes the connection there, as aborted if no reason was given.
#[derive(Debug)]
pub(super) struct Entry {
    registry: Arc<Registry>,
    pub(super) id: u64,
    pub(super) peer: LocalPeer,
    pub(super) progress: Arc<Progress>,
    reason: CloseReason,
}

impl Registry {
    pub(super) fn new(local_addr: LocalAddr, max_connections: usize) -> Self {
        let closed = TunnelStatus {
            remote_clients: !local_addr.is_this_host_only(),
            local_addr: local_addr.clone(),
            started_at: SystemTime::now(),
            accepting: true,
            active: 0,
            accepted: 0,
            refused: 0,
            denied: 0,
            accept_failures: 0,
            connects_ok: 0,
            connects_failed: 0,
            retried: 0,
            bytes_up: 0,
            bytes_down: 0,
            truncated: 0,
            unconfirmed: 0,
            local_resets: 0,
            local_left: 0,
            idle_closed: 0,
            close_timeouts: 0,
            last_error: None,
        };
        let books = Books { closed, live: BTreeMap::new(), next_id: 0 };
        Self { books: Mutex::new(books), local_addr, max_connections, events: broadcast::Sender::new(EVENTS_KEPT) }
    }

    pub(super) fn local_addr(&self) -> &LocalAddr {
        &self.local_addr
    }

    pub(super) fn status(&self) -> TunnelStatus {
        let books = self.books();
        let mut status = TunnelStatus { active: books.live.len(), ..books.closed.clone() };
        for (up, down) in books.live.values().map(|live| live.progress.bytes()) {
            status.bytes_up += up;
            status.bytes_down += down;
        }
        status
    }

    pub(super) fn connections(&self) -> Vec<ConnectionInfo> {
        let info = |(id, live): (&u64, &Live)| {
            let (bytes_up, bytes_down) = live.progress.bytes();
            let Live { peer, opened_at, ref report, .. } = *live;
            ConnectionInfo { id: *id, peer, opened_at, bytes_up, bytes_down, report: report.clone() }
        };
        self.books().live.iter().map(info).collect()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<TunnelEvent> {
        self.events.subscribe()
    }

    /// Enters an accepted connection; `None` if there are too many.
    pub(super) fn open(self: &Arc<Self>, peer: LocalPeer) -> Option<Entry> {
        let mut books = self.books();
        if books.live.len() >= self.max_connections {
            books.closed.refused += 1;
            drop(books);
            self.publish(TunnelEvent::Refused { peer });
            return None;
        }
        let id = books.next_id;
        let progress = Arc::new(Progress::new());
        books.next_id += 1;
        books.closed.accepted += 1;
        let live = Live { peer, opened_at: SystemTime::now(), progress: Arc::clone(&progress), report: None };
        books.live.insert(id, live);
        drop(books);
        self.publish(TunnelEvent::Accepted { id, peer });
        Some(Entry { registry: Arc::clone(self), id, peer, progress, reason: CloseReason::Aborted })
    }

    pub(super) fn denied(&self, peer: LocalPeer, uid: Option<u32>) {
        self.books().closed.denied += 1;
        self.publish(TunnelEvent::Denied { peer, uid });
    }

    pub(super) fn accept_failed(&self, error: &io::Error) {
        let error = error.to_string();
        let mut books = self.books();
        books.closed.accept_failures += 1;
        books.remember(&error);
        drop(books);
        self.publish(TunnelEvent::AcceptFailed { error });
    }

    pub(super) fn stopped_accepting(&self) {
        self.books().closed.accepting = false;
    }

    /// The books are changed before an event is published, so that a receiver finds them up to date.
    fn publish(&self, event: TunnelEvent) {
        // An error means that nobody listens.
        let _ = self.events.send(event);
    }

    /// A panic cannot leave the books half-written: every change is a plain assignment.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn remember(&mut self, error: &str) {
        self.closed.last_error = Some(LastError { error: error.to_owned(), at: SystemTime::now() });
    }
}

impl Entry {
    /// Returns `error` with its causes.
    pub(super) fn connect_failed(&self, error: &ConnectError) -> String {
        let error = error_chain(error);
        let mut books = self.registry.books();
        books.closed.connects_failed += 1;
        books.remember(&error);
        error
    }

    pub(super) fn retrying(&self, error: String, delay: Duration) {
        self.registry.books().closed.retried += 1;
        self.registry.publish(TunnelEvent::Retrying { id: self.id, error, delay });
    }

    pub(super) fn connected(&self, report: &SecurityReport) {
        let report = Arc::new(report.clone());
        self.progress.touch();
        let mut books = self.registry.books();
        books.closed.connects_ok += 1;
        if let Some(live) = books.live.get_mut(&self.id) {
            live.report = Some(Arc::clone(&report));
        }
        drop(books);
        self.registry.publish(TunnelEvent::Connected { id: self.id, report });
    }

    pub(super) fn close(mut self, reason: CloseReason) {
        self.reason = reason;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (bytes_up, bytes_down) = self.progress.bytes();
        let reason = std::mem::replace(&mut self.reason, CloseReason::Aborted);
        let mut books = self.registry.books();
        books.live.remove(&self.id);
        let closed = &mut books.closed;
        closed.bytes_up += bytes_up;
        closed.bytes_down += bytes_down;
        match &reason {
            CloseReason::Truncated { error } => {
                closed.truncated += 1;
                books.remember(error);
            }
            CloseReason::Unconfirmed => closed.unconfirmed += 1,
            CloseReason::LocalReset => closed.local_resets += 1,
            CloseReason::LocalLeft => closed.local_left += 1,
            CloseReason::Idle => closed.idle_closed += 1,
            CloseReason::CloseTimeout => closed.close_timeouts += 1,
            CloseReason::Finished | CloseReason::ConnectFailed { .. } | CloseReason::Aborted => {}
        }
        drop(books);
        tracing::debug!(id = self.id, local = %self.peer, ?reason, bytes_up, bytes_down, "connection closed");
        self.registry.publish(TunnelEvent::Closed { id: self.id, reason, bytes_up, bytes_down });
    }
}
