//! That hundreds of broken connections leave nothing behind. A program of its own: other tests would open files meanwhile.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::time::Duration;

use secure_connector_testkit::{Fault, FaultProxy, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::timeout;

#[tokio::test]
async fn three_hundred_broken_connections_leave_no_task_and_no_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let before = open();
    let faults = [Fault::Cut, Fault::Reset, Fault::BlackHole, Fault::Corrupt, Fault::Delay(Duration::ZERO)];
    let plan = Plan::random(1, 0..2000, faults);
    let proxy = FaultProxy::start(listener.local_addr().unwrap(), plan).await.unwrap();
    for _connection in 0..300 {
        let (client, upstream) = tokio::join!(TcpStream::connect(proxy.addr()), listener.accept());
        let (client, upstream) = (client.unwrap(), upstream.unwrap().0);
        tokio::join!(talk(client), talk(upstream));
    }
    let counters = proxy.counters();
    assert_eq!(counters.connections, 300);
    let counts = [counters.cuts, counters.resets, counters.black_holes, counters.corrupted, counters.delays];
    assert!(counts.iter().all(|count| *count > 30), "{counters:?}");
    // Black holes last.
    until(|| proxy.live() == usize::try_from(counters.black_holes).unwrap()).await;
    assert_eq!(proxy.strike(Fault::Reset), usize::try_from(counters.black_holes).unwrap());
    until(|| proxy.live() == 0).await;
    // The proxy's own: the listener, the socket that keeps the port, and the task that accepts.
    until(|| open() == (before.0 + 2, before.1 + 1)).await;
    drop(proxy);
    until(|| open() == before).await;
}

/// Writes 2000 bytes and closes; reads what comes, unless nothing does.
async fn talk(mut stream: TcpStream) {
    let mut received = Vec::new();
    // What fails here is what the proxy is there for.
    let _ = stream.write_all(&[0; 2000]).await;
    let _ = stream.shutdown().await;
    let _ = timeout(Duration::from_millis(20), stream.read_to_end(&mut received)).await;
}

/// File descriptors of this process, and tasks of this runtime.
fn open() -> (usize, usize) {
    (fs::read_dir("/proc/self/fd").unwrap().count(), Handle::current().metrics().num_alive_tasks())
}

/// Ends with the test's patience, if at all.
async fn until(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(Duration::from_secs(10), waiting).await.is_ok(), "{:?} open", open());
}
