//! What can be set about an agent, and its listeners.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::agent::{AgentCounters, AgentError, Shared, SpiffeAgent, remove};
use super::call;
use super::state::{Settings, State, Workload};
use crate::Clock;

/// A SPIFFE agent to be.
#[derive(Clone, Debug)]
#[must_use = "nothing listens before `start`"]
pub struct SpiffeAgentBuilder {
    pub(super) settings: Settings,
    pub(super) unix: Option<PathBuf>,
    pub(super) tcp: SocketAddr,
    pub(super) rotate_every: Option<Duration>,
}

impl SpiffeAgentBuilder {
    /// Adds an identity by its path. The first is the default identity.
    pub fn workload(self, path: impl Into<String>) -> Self {
        self.workload_with_hint(path, "")
    }

    /// Adds an identity by its path, with a hint that tells it apart.
    pub fn workload_with_hint(mut self, path: impl Into<String>, hint: impl Into<String>) -> Self {
        self.settings.workloads.push(Workload { path: path.into(), hint: hint.into() });
        self
    }

    /// How long X.509-SVIDs live. Default: an hour, as with SPIRE.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// How long JWT-SVIDs live. Default: five minutes, as with SPIRE.
    pub fn jwt_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.jwt_lifetime = lifetime;
        self
    }

    /// The clock that dates what is issued. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Rotates by itself. Default: only on demand.
    pub fn rotate_every(mut self, interval: Duration) -> Self {
        self.rotate_every = Some(interval);
        self
    }

    /// Where to listen on TCP. Default: a free port of 127.0.0.1.
    pub fn tcp(mut self, address: SocketAddr) -> Self {
        self.tcp = address;
        self
    }

    /// Listens on a Unix socket, too. What is at the path is removed first, and the socket at the end.
    #[cfg(unix)]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix = Some(path.into());
        self
    }

    /// Issues the first SVIDs and begins to listen. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn start(self) -> Result<SpiffeAgent, AgentError> {
        let shared = Arc::new(Shared {
            state: watch::channel(State::new(self.settings)?).0,
            cut: watch::channel(()).0,
            counters: watch::channel(AgentCounters::default()).0,
        });
        let cannot = |address: String| |source| AgentError::Listen { address, source };
        let listener = TcpListener::bind(self.tcp).await.map_err(cannot(self.tcp.to_string()))?;
        let tcp = listener.local_addr().map_err(cannot(self.tcp.to_string()))?;
        let listener = Arc::new(listener);
        let mut agent = SpiffeAgent { tcp, unix: None, tasks: Vec::new(), shared };
        agent.run(accept_all(move || accept_tcp(Arc::clone(&listener)), Arc::clone(&agent.shared)));
        #[cfg(unix)]
        if let Some(path) = self.unix {
            remove(&path);
            let listener = UnixListener::bind(&path).map_err(cannot(path.display().to_string()))?;
            let listener = Arc::new(listener);
            agent.run(accept_all(move || accept_unix(Arc::clone(&listener)), Arc::clone(&agent.shared)));
            agent.unix = Some(path);
        }
        if let Some(interval) = self.rotate_every {
            agent.run(rotate_every(interval, Arc::clone(&agent.shared)));
        }
        Ok(agent)
    }
}

async fn accept_tcp(listener: Arc<TcpListener>) -> io::Result<TcpStream> {
    listener.accept().await.map(|(stream, _)| stream)
}

#[cfg(unix)]
async fn accept_unix(listener: Arc<UnixListener>) -> io::Result<UnixStream> {
    listener.accept().await.map(|(stream, _)| stream)
}

async fn accept_all<IO, F>(accept: impl Fn() -> F, shared: Arc<Shared>)
where
    IO: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = io::Result<IO>>,
{
    // Owned by this task: when it is aborted, the connections' tasks are too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept() => match accepted {
                Ok(stream) => {
                    shared.counters.send_modify(|counters| counters.connections += 1);
                    connections.spawn(call::serve(stream, Arc::clone(&shared)));
                }
                // Out of file descriptors, most likely: the error stays until a connection ends.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_finished) = connections.join_next() => {}
        }
    }
}

async fn rotate_every(interval: Duration, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(interval).await;
        if let Err(error) = shared.change(State::rotate) {
            tracing::warn!(%error, "no rotation");
        }
    }
}
