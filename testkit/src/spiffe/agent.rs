//! The agent's handle.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::answers::PERMISSION_DENIED;
use super::builder::SpiffeAgentBuilder;
use super::state::{Mood, Settings, State, Workload};
use super::{Garbage, TrustBundle};
use crate::listener::FREE_LOOPBACK_PORT;
use crate::{Clock, PkiError, TestPki};

/// A running SPIFFE agent. It listens on a free port of 127.0.0.1 and, where told to, on a Unix socket. Dropping it closes
/// both and every connection.
pub struct SpiffeAgent {
    pub(super) shared: Arc<Shared>,
    pub(super) tcp: SocketAddr,
    pub(super) unix: Option<PathBuf>,
    pub(super) tasks: Vec<AbortHandle>,
}

/// Who came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentCounters {
    /// Connections that were accepted.
    pub connections: u64,
    /// Calls that came in, refused ones too.
    pub calls: u64,
    /// Calls that are under way: streams, mostly.
    pub open: u64,
}

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// It cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot issue.
    #[error("cannot issue the first SVIDs")]
    Issue(#[from] PkiError),
}

pub(super) struct Shared {
    pub(super) state: watch::Sender<State>,
    pub(super) cut: watch::Sender<()>,
    pub(super) counters: watch::Sender<AgentCounters>,
}

impl SpiffeAgent {
    /// An agent of this trust domain, for example `example.org`.
    pub fn builder(trust_domain: impl Into<String>) -> SpiffeAgentBuilder {
        const HOUR: Duration = Duration::from_secs(3600);
        let settings = Settings {
            trust_domain: trust_domain.into(),
            workloads: Vec::new(),
            lifetime: HOUR,
            jwt_lifetime: HOUR / 12,
            clock: Clock::system(),
        };
        SpiffeAgentBuilder { settings, unix: None, tcp: FREE_LOOPBACK_PORT, rotate_every: None }
    }

    /// Where it is, as `SPIFFE_ENDPOINT_SOCKET` has it: the Unix socket if there is one.
    pub fn address(&self) -> String {
        /// What needs no percent sign in a path (RFC 3986 section 3.3).
        const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        match &self.unix {
            Some(path) => format!("unix://{}", percent_encode(path.as_os_str().as_encoded_bytes(), &ENCODED)),
            None => self.tcp_address(),
        }
    }

    /// Where it is over TCP, as `SPIFFE_ENDPOINT_SOCKET` has it.
    pub fn tcp_address(&self) -> String {
        format!("tcp://{}", self.tcp)
    }

    /// Issues new X.509-SVIDs, and sends them to every client. Ends [`send_garbage`](Self::send_garbage).
    ///
    /// # Errors
    /// [`PkiError::Generate`].
    pub fn rotate(&self) -> Result<(), PkiError> {
        self.change(State::rotate)
    }

    /// Makes a new X.509 root and a new key for JWT-SVIDs, and issues by them. The old ones stay in the bundle until
    /// [`drop_old_authorities`](Self::drop_old_authorities).
    ///
    /// # Errors
    /// [`PkiError::Generate`].
    pub fn rotate_authority(&self) -> Result<(), PkiError> {
        self.change(|state| {
            state.add_authority()?;
            state.rotate()
        })
    }

    /// Takes all roots and keys but the newest out of the bundle, and issues new SVIDs.
    ///
    /// # Errors
    /// [`PkiError::Generate`].
    pub fn drop_old_authorities(&self) -> Result<(), PkiError> {
        self.change(|state| {
            state.drop_old_authorities();
            state.rotate()
        })
    }

    /// Answers `PERMISSION_DENIED` from now on, to open streams too: "no identity issued". [`serve`](Self::serve) ends it.
    pub fn withdraw(&self) {
        self.refuse(PERMISSION_DENIED, "no identity issued");
    }

    /// Answers with this gRPC status code from now on, to open streams too.
    pub fn refuse(&self, code: u32, message: impl Into<String>) {
        self.mood(Mood::Refusing { code, message: message.into() });
    }

    /// Keeps connections and streams open and sends nothing any more, not even the head of an answer.
    pub fn go_silent(&self) {
        self.mood(Mood::Silent);
    }

    /// Behaves again. Streams that were left without an answer get it now.
    pub fn serve(&self) {
        self.mood(Mood::Serving);
    }

    /// Sends something wrong instead of X.509-SVIDs, until the next rotation.
    ///
    /// # Errors
    /// [`PkiError::Generate`].
    pub fn send_garbage(&self, garbage: Garbage) -> Result<(), PkiError> {
        self.change(|state| {
            state.garbage = Some(garbage.make(state)?);
            Ok(())
        })
    }

    /// Replaces the workloads by these, each a path and a hint (may be empty), and issues SVIDs for them.
    ///
    /// # Errors
    /// [`PkiError::Generate`].
    pub fn set_workloads<'a>(&self, workloads: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), PkiError> {
        let workload = |(path, hint): (&str, &str)| Workload { path: path.to_owned(), hint: hint.to_owned() };
        let workloads = workloads.into_iter().map(workload).collect();
        self.change(|state| {
            state.settings.workloads = workloads;
            state.rotate()
        })
    }

    /// Its own keys, to [`federate`](Self::federate) another agent with it, or for peers.
    pub fn bundle(&self) -> TrustBundle {
        self.shared.state.borrow().bundle()
    }

    /// Sends the keys of another trust domain along, in the place of those it had.
    pub fn federate(&self, bundle: TrustBundle) {
        self.shared.state.send_modify(|state| {
            state.federated.insert(bundle.trust_domain.clone(), bundle);
        });
    }

    /// Sends the keys of this trust domain no more.
    pub fn defederate(&self, trust_domain: &str) {
        self.shared.state.send_modify(|state| {
            state.federated.remove(trust_domain);
        });
    }

    /// Its present X.509 authority, to issue certificates that the agent would not.
    pub fn authority(&self) -> Arc<TestPki> {
        Arc::clone(self.shared.state.borrow().authority())
    }

    /// Closes every connection, as a crash does. New ones are accepted.
    pub fn disconnect(&self) {
        self.shared.cut.send_replace(());
    }

    /// Who came so far.
    pub fn counters(&self) -> AgentCounters {
        *self.shared.counters.borrow()
    }

    /// Waits until the counters are as `reached` wants them.
    pub async fn wait_until(&self, reached: impl FnMut(&AgentCounters) -> bool) -> AgentCounters {
        let mut counters = self.shared.counters.subscribe();
        let counters = counters.wait_for(reached).await.map(|counters| *counters);
        counters.unwrap_or_else(|_| self.counters())
    }

    fn mood(&self, mood: Mood) {
        self.shared.state.send_modify(|state| state.mood = mood);
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Result<(), PkiError>) -> Result<(), PkiError> {
        self.shared.change(change)
    }
}

impl SpiffeAgent {
    pub(super) fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task).abort_handle());
    }
}

impl Shared {
    /// Counts a call that is open as long as the value lives.
    pub(super) fn count_call(self: &Arc<Self>) -> OpenCall {
        self.counters.send_modify(|counters| {
            counters.calls += 1;
            counters.open += 1;
        });
        OpenCall(Arc::clone(self))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State) -> Result<(), PkiError>) -> Result<(), PkiError> {
        let mut outcome = Ok(());
        self.state.send_modify(|state| outcome = change(state));
        outcome
    }
}

pub(super) struct OpenCall(Arc<Shared>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.counters.send_modify(|counters| counters.open -= 1);
    }
}

impl Drop for SpiffeAgent {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.unix.iter().for_each(|path| remove(path));
    }
}

pub(super) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "the socket stays");
    }
}

impl fmt::Debug for SpiffeAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpiffeAgent")
            .field("address", &self.address())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
