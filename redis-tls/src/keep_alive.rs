//! Connections that stay authenticated.

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod connector;
mod conversation;
mod number;
mod renewal;
mod replies;
mod requests;
mod schedule;
mod status;
mod stream;
mod wakers;
mod word;

use std::{fmt, sync::Arc, time::SystemTime};

use secure_connector::{Backoff, Clock, SystemClock};
use tokio::sync::watch;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use self::connector::KeptAliveConnector;
#[cfg(feature = "redis")]
pub(crate) use self::renewal::wait_until;
pub use self::{
    schedule::AuthSchedule,
    status::{AuthFailure, AuthPhase, AuthStatus, AuthTotals},
    stream::KeptAlive,
};
use crate::{CredentialSource, Protocol, Refresh};

/// Keeps connections authenticated: the servers of AWS cut one that came in by IAM after 12 hours, unless it sends `AUTH`
/// again with a new token.
///
/// How long an authentication lasts is what the source says ([`CredentialSource::refresh`]); [`AuthSchedule`] has the rule by
/// which it is renewed. Clones share their [totals](Self::totals).
#[derive(Clone)]
pub struct KeepAlive {
    source: Arc<dyn CredentialSource>,
    clock: Arc<dyn Clock>,
    backoff: Option<Backoff>,
    totals: Arc<watch::Sender<AuthTotals>>,
}

/// The authentication that a connection brings along.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is for callers to fill in")]
pub struct Authenticated {
    /// What it authenticated with, without secrets.
    pub credentials: String,
    /// When.
    pub at: SystemTime,
    /// The protocol that was agreed.
    pub protocol: Protocol,
}

impl KeepAlive {
    /// Renews with what `source` gives.
    pub fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, clock: Arc::new(SystemClock), backoff: None, totals: Arc::default() }
    }

    /// Takes the time from `clock`. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long to wait after a failed attempt. Default: as in [`AuthSchedule::new`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Takes over a connection that is authenticated and on which nothing is under way.
    pub fn keep<S>(&self, stream: S, since: Authenticated) -> KeptAlive<S> {
        KeptAlive::new(stream, self.clone(), since)
    }

    /// What became of all its connections, now and whenever that changes.
    pub fn totals(&self) -> watch::Receiver<AuthTotals> {
        self.totals.subscribe()
    }

    fn schedule(&self) -> Option<AuthSchedule> {
        let Refresh::Within(lifetime) = self.source.refresh() else { return None };
        let mut schedule = AuthSchedule::new(lifetime);
        schedule.backoff = self.backoff.unwrap_or(schedule.backoff);
        Some(schedule)
    }

    fn count(&self, change: impl FnOnce(&mut AuthTotals)) {
        self.totals.send_modify(change);
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").field("source", &self.source).finish_non_exhaustive()
    }
}
