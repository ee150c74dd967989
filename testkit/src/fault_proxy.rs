//! A TCP proxy that does to connections what networks do.

mod carry;
mod plan;

use std::future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use carry::carry;
pub use plan::{Fault, Plan, Script};

use crate::listener::FREE_LOOPBACK_PORT;

/// A TCP proxy on a free port of 127.0.0.1 that delays, throttles, corrupts, cuts, resets or swallows what passes between
/// its clients and one upstream address.
///
/// What happens to which connection is in its [`Plan`], a script for each or random ones of a seed; to those under way
/// something can happen at any time ([`strike`](Self::strike)). A connection that nothing happens to is passed on as it is:
/// half-closes, resets, and the end.
///
/// Every connection is one task and no thread, so that a test can break hundreds of them. Dropping the proxy closes the
/// port and every connection.
///
/// ```
/// use secure_connector_testkit::{Fault, FaultProxy, Plan, Script};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let server = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
/// // The first connection is reset when the server has sent 4096 bytes, the second one is not.
/// let first = Script::default().down(4096, Fault::Reset);
/// let proxy = FaultProxy::start(server, Plan::sequence([first])).await?;
/// // … connect the client to proxy.addr(), then break whatever it has open:
/// proxy.strike(Fault::Cut);
/// // The next hundred connections break somewhere in their first 64 KiB, the same way on every run.
/// proxy.set_plan(Plan::random(42, 0..65536, [Fault::Cut, Fault::Reset]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    task: AbortHandle,
}

impl FaultProxy {
    /// Starts a proxy to `upstream`, which is connected to anew for each client.
    ///
    /// # Errors
    /// No loopback port can be opened.
    pub async fn start(upstream: SocketAddr, plan: impl Into<Plan>) -> io::Result<Self> {
        let reserved = bind(FREE_LOOPBACK_PORT)?;
        let addr = reserved.local_addr()?;
        let listener = bind(addr)?.listen(BACKLOG)?;
        let state = State { plan: plan.into(), planned: 0, live: Vec::new(), counters: FaultCounters::default() };
        let shared = Arc::new(Shared { upstream, state: Mutex::new(state) });
        let (orders, received) = mpsc::unbounded_channel();
        let task = tokio::spawn(accept_all(reserved, listener, received, Arc::clone(&shared)));
        Ok(Self { addr, shared, orders, task: task.abort_handle() })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What happens to connections from now on; the next one is the plan's first. Those under way keep their script.
    pub fn set_plan(&self, plan: impl Into<Plan>) {
        let mut state = self.shared.state();
        (state.plan, state.planned) = (plan.into(), 0);
    }

    /// Lets this happen now, in both directions, to every connection under way, and returns how many there were.
    pub fn strike(&self, fault: Fault) -> usize {
        let mut state = self.shared.state();
        state.live.retain(|connection| connection.send(fault).is_ok());
        state.live.len()
    }

    /// How many connections are under way.
    pub fn live(&self) -> usize {
        self.shared.state().live.iter().filter(|connection| !connection.is_closed()).count()
    }

    /// Closes the port: who connects is refused (`ECONNREFUSED`) as soon as this returns. Connections under way go on.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub async fn refuse_connections(&self) -> io::Result<()> {
        self.order(Port::Closed).await
    }

    /// Opens the port again, the same one.
    ///
    /// # Errors
    /// The port cannot be listened on, or the runtime is shutting down.
    pub async fn accept_connections(&self) -> io::Result<()> {
        self.order(Port::Open).await
    }

    /// What has happened so far.
    pub fn counters(&self) -> FaultCounters {
        self.shared.state().counters
    }

    async fn order(&self, port: Port) -> io::Result<()> {
        let ended = || io::Error::other("the proxy has ended");
        let (done, outcome) = oneshot::channel();
        self.orders.send(Order { port, done }).map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How often what has happened at a [`FaultProxy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections reset because the upstream address could not be connected to.
    pub upstream_failures: u64,
    /// Bytes passed on from clients to the upstream.
    pub bytes_up: u64,
    /// Bytes passed on from the upstream to clients.
    pub bytes_down: u64,
    /// [`Fault::Delay`]s begun or changed.
    pub delays: u64,
    /// [`Fault::Throttle`]s begun or changed.
    pub throttles: u64,
    /// Bytes inverted by [`Fault::Corrupt`].
    pub corrupted: u64,
    /// Connections ended by [`Fault::Cut`].
    pub cuts: u64,
    /// Connections ended by [`Fault::Reset`].
    pub resets: u64,
    /// Connections that became a [`Fault::BlackHole`].
    pub black_holes: u64,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    /// Connections that the plan was asked about.
    planned: u64,
    /// A way to reach each connection under way.
    live: Vec<mpsc::UnboundedSender<Fault>>,
    counters: FaultCounters,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: impl FnOnce(&mut FaultCounters)) {
        change(&mut self.state().counters);
    }

    /// Takes in a connection: what is planned for it, and how to be struck.
    fn admit(&self) -> (Script, mpsc::UnboundedReceiver<Fault>) {
        let mut state = self.state();
        let script = state.plan.script(state.planned);
        state.planned += 1;
        state.counters.connections += 1;
        let (strike, strikes) = mpsc::unbounded_channel();
        state.live.retain(|connection| !connection.is_closed());
        state.live.push(strike);
        (script, strikes)
    }
}

#[derive(Debug)]
struct Order {
    port: Port,
    done: oneshot::Sender<io::Result<()>>,
}

#[derive(Clone, Copy, Debug)]
enum Port {
    Open,
    Closed,
}

/// `reserved` is bound and never listens: it keeps the port ours while it is closed.
async fn accept_all(
    reserved: TcpSocket,
    listener: TcpListener,
    mut orders: mpsc::UnboundedReceiver<Order>,
    shared: Arc<Shared>,
) {
    let mut listener = Some(listener);
    // Owned by this task: when it is aborted, the connections' tasks are too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(order) = orders.recv() => {
                let outcome = obey(order.port, &mut listener, &reserved);
                // Who asked may have gone away.
                let _ = order.done.send(outcome);
            }
            accepted = accept(listener.as_ref()) => match accepted {
                Ok(client) => {
                    let (script, strikes) = shared.admit();
                    connections.spawn(carry(client, script, strikes, Arc::clone(&shared)));
                }
                // Out of file descriptors, most likely: the error stays until a connection ends.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_finished) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => future::pending().await,
    }
}

fn obey(port: Port, listener: &mut Option<TcpListener>, reserved: &TcpSocket) -> io::Result<()> {
    match (port, &listener) {
        (Port::Closed, _) => *listener = None,
        (Port::Open, Some(_)) => {}
        (Port::Open, None) => *listener = Some(bind(reserved.local_addr()?)?.listen(BACKLOG)?),
    }
    Ok(())
}

/// Two sockets may be bound to the port, of which one listens.
fn bind(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

const BACKLOG: u32 = 1024;
