//! A loopback listener that lives as long as its handle.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A running test server. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct TestServer {
    addr: SocketAddr,
    accepted: Arc<AtomicU64>,
    task: AbortHandle,
}

impl TestServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The connections accepted so far. Always 0 for a server that accepts none.
    pub fn connections(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Serves every connection to a free port of 127.0.0.1 with `serve`, each in a task of its own.
    pub(crate) async fn start<S, F>(serve: S) -> io::Result<Self>
    where
        S: Fn(TcpStream, SocketAddr) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_at(FREE_LOOPBACK_PORT, serve).await
    }

    /// As [`start`](Self::start), on an address of the caller's choice.
    pub(crate) async fn start_at<S, F>(addr: SocketAddr, serve: S) -> io::Result<Self>
    where
        S: Fn(TcpStream, SocketAddr) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let accepted = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept_all(listener, Arc::clone(&accepted), serve));
        Ok(Self { addr, accepted, task: task.abort_handle() })
    }

    /// A server whose whole behaviour is `task`, which owns the listener.
    pub(crate) fn running(addr: SocketAddr, task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { addr, accepted: Arc::default(), task: tokio::spawn(task).abort_handle() }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept_all<S, F>(listener: TcpListener, accepted: Arc<AtomicU64>, serve: S)
where
    S: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    // Owned by this task: when it is aborted, the connections' tasks are too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept() => match connection {
                Ok((stream, peer)) => {
                    accepted.fetch_add(1, Ordering::Relaxed);
                    // Session tickets that are not acknowledged yet would hold the first answer back for 40 ms.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream, peer));
                }
                // Out of file descriptors, most likely: the error stays until a connection ends.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_finished) = connections.join_next() => {}
        }
    }
}

pub(crate) const FREE_LOOPBACK_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
