//! One connection, from the client's connect to the end that its script, a strike or its ends give it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::UnboundedReceiver;

use super::plan::Step;
use super::{Fault, FaultCounters, Script, Shared};

pub(super) async fn carry(
    mut client: TcpStream,
    script: Script,
    mut strikes: UnboundedReceiver<Fault>,
    shared: Arc<Shared>,
) {
    let Ok(mut upstream) = TcpStream::connect(shared.upstream).await else {
        shared.count(|counters| counters.upstream_failures += 1);
        return reset(&client);
    };
    // Small pieces are passed on as they come. Where that cannot be set, the socket is beyond use anyway.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let mut ending = match pass_on(&mut client, &mut upstream, &script, &mut strikes, &shared).await {
        Ok(()) => return,
        Err(ending) => ending,
    };
    loop {
        match ending {
            Ending::Broken => {
                reset(&client);
                return reset(&upstream);
            }
            Ending::Reset => {
                shared.count(|counters| counters.resets += 1);
                reset(&client);
                return reset(&upstream);
            }
            Ending::Cut => {
                shared.count(|counters| counters.cuts += 1);
                tokio::join!(close_in_order(client), close_in_order(upstream));
                return;
            }
            Ending::BlackHole => {
                shared.count(|counters| counters.black_holes += 1);
                ending = loop {
                    match strikes.recv().await {
                        Some(Fault::Cut) => break Ending::Cut,
                        Some(Fault::Reset) => break Ending::Reset,
                        Some(_) => {}
                        None => return,
                    }
                };
            }
        }
    }
}

/// Why a connection does not go on until both ends are done.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Cut,
    Reset,
    BlackHole,
    /// By one of its ends.
    Broken,
}

impl From<io::Error> for Ending {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

async fn pass_on(
    client: &mut TcpStream,
    upstream: &mut TcpStream,
    script: &Script,
    strikes: &mut UnboundedReceiver<Fault>,
    shared: &Shared,
) -> Result<(), Ending> {
    let (up, down) = (Line::new(shared, |counters| &mut counters.bytes_up), Line::new(shared, |c| &mut c.bytes_down));
    let (mut from_client, mut to_client) = client.split();
    let (mut from_upstream, mut to_upstream) = upstream.split();
    let both = async {
        tokio::try_join!(
            up.forward(&mut from_client, &mut to_upstream, &script.up),
            down.forward(&mut from_upstream, &mut to_client, &script.down),
        )
    };
    tokio::pin!(both);
    loop {
        tokio::select! {
            // A strike comes before the bytes that came after it.
            biased;
            Some(fault) = strikes.recv() => {
                shared.count(|counters| count_beginning(counters, fault));
                up.begin(fault)?;
                down.begin(fault)?;
            }
            ended = &mut both => return ended.map(drop),
        }
    }
}

/// One direction of a connection. Shared by what forwards and what is struck, in one task.
struct Line<'s> {
    shared: &'s Shared,
    passed: fn(&mut FaultCounters) -> &mut u64,
    delay_nanos: AtomicU64,
    bytes_per_second: AtomicU64,
    corrupts_next: AtomicBool,
}

impl<'s> Line<'s> {
    fn new(shared: &'s Shared, passed: fn(&mut FaultCounters) -> &mut u64) -> Self {
        let (delay_nanos, bytes_per_second) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        Self { shared, passed, delay_nanos, bytes_per_second, corrupts_next: AtomicBool::new(false) }
    }

    async fn forward(&self, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, steps: &[Step]) -> Result<(), Ending> {
        let mut buffer = vec![0; PIECE];
        let mut steps = steps.iter().peekable();
        let mut passed = 0;
        loop {
            while let Some(step) = steps.next_if(|step| step.after <= passed) {
                self.shared.count(|counters| count_beginning(counters, step.fault));
                self.begin(step.fault)?;
            }
            let until_next = steps.peek().map_or(u64::MAX, |step| step.after - passed);
            let length = from.take(until_next.min(self.largest_piece())).read(&mut buffer).await?;
            let Some(piece) = buffer.get_mut(..length).filter(|piece| !piece.is_empty()) else {
                to.shutdown().await?;
                return Ok(());
            };
            self.hold_back(length as u64).await;
            if self.corrupts_next.swap(false, Ordering::Relaxed) {
                piece.iter_mut().take(1).for_each(|byte| *byte = !*byte);
                self.shared.count(|counters| counters.corrupted += 1);
            }
            to.write_all(piece).await?;
            passed += length as u64;
            self.shared.count(|counters| *(self.passed)(counters) += length as u64);
        }
    }

    fn begin(&self, fault: Fault) -> Result<(), Ending> {
        match fault {
            Fault::Delay(delay) => {
                let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                self.delay_nanos.store(nanos, Ordering::Relaxed);
            }
            Fault::Throttle(rate) => self.bytes_per_second.store(rate.max(1), Ordering::Relaxed),
            Fault::Corrupt => self.corrupts_next.store(true, Ordering::Relaxed),
            Fault::Cut => return Err(Ending::Cut),
            Fault::Reset => return Err(Ending::Reset),
            Fault::BlackHole => return Err(Ending::BlackHole),
        }
        Ok(())
    }

    /// What passes in a twentieth of a second, so that a slow line is slow and not jerky.
    fn largest_piece(&self) -> u64 {
        (self.bytes_per_second.load(Ordering::Relaxed) / 20).clamp(1, PIECE as u64)
    }

    async fn hold_back(&self, length: u64) {
        let mut delay = Duration::from_nanos(self.delay_nanos.load(Ordering::Relaxed));
        let rate = self.bytes_per_second.load(Ordering::Relaxed);
        if rate != u64::MAX {
            delay += Duration::from_secs(length) / u32::try_from(rate).unwrap_or(u32::MAX);
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// The others are counted when they have taken effect.
fn count_beginning(counters: &mut FaultCounters, fault: Fault) {
    match fault {
        Fault::Delay(_) => counters.delays += 1,
        Fault::Throttle(_) => counters.throttles += 1,
        _ => {}
    }
}

/// Closing a socket whose linger time is zero sends RST instead of FIN.
fn reset(stream: &TcpStream) {
    // It cannot be set on a socket that the peer has reset already, and need not.
    let _ = stream.set_zero_linger();
}

/// Sends FIN, then waits for the peer's: closing a socket with unread data would send RST.
async fn close_in_order(mut stream: TcpStream) {
    let mut buffer = vec![0; PIECE];
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
    }
}

const PIECE: usize = 16 * 1024;
