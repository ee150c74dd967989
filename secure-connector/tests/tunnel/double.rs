//! A connector whose far ends are in the test's hands, and the local programs.

use std::{
    collections::VecDeque,
    future::pending,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use secure_connector::{
    Attempt, Backoff, CloseReason, ConnectError, SecureConnector, SecureStream, SecurityReport, Tunnel, TunnelBuilder,
    TunnelEvent, Untrusted, Verified,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, DuplexStream, ReadBuf},
    net::TcpStream,
    sync::{Notify, broadcast, mpsc, oneshot},
};

/// How far ends hold what is in flight; small, so that a slow reader is felt.
pub(super) const PIPE: usize = 16 * 1024;

/// What the connector does when it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Connect,
    RefuseForNow,
    RefuseForGood,
    ConnectWhenLetIn,
    Silence,
    Panic,
}

#[derive(Debug)]
pub(super) struct Double {
    script: Mutex<VecDeque<Answer>>,
    then: Answer,
    pub(super) attempts: AtomicUsize,
    pub(super) let_in: Notify,
    far_ends: mpsc::UnboundedSender<Far>,
}

/// The upstream's end of one connection. Dropped without [`finish`](Self::finish) it vanishes.
#[derive(Debug)]
pub(super) struct Far {
    pub(super) io: DuplexStream,
    finished: Arc<AtomicBool>,
    near: oneshot::Receiver<Near>,
}

/// How the tunnel ended its end of an upstream connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Near {
    Shutdown,
    Dropped,
}

/// Holds written bytes back until it is flushed, and tells truncation from the end.
#[derive(Debug)]
pub(super) struct NearEnd {
    io: BufWriter<DuplexStream>,
    far_finished: Arc<AtomicBool>,
    how: Option<oneshot::Sender<Near>>,
    report: SecurityReport,
}

impl Double {
    /// Answers as scripted, then as `then`; the receiver yields the far end of every connection.
    pub(super) fn new(
        script: impl IntoIterator<Item = Answer>,
        then: Answer,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Far>) {
        let (far_ends, receiver) = mpsc::unbounded_channel();
        let script = Mutex::new(script.into_iter().collect());
        (Arc::new(Self { script, then, attempts: AtomicUsize::new(0), let_in: Notify::new(), far_ends }), receiver)
    }

    fn open(&self) -> NearEnd {
        let (near_io, io) = tokio::io::duplex(PIPE);
        let (how, near) = oneshot::channel();
        let finished = Arc::new(AtomicBool::new(false));
        let far = Far { io, finished: Arc::clone(&finished), near };
        // A test that does not care about far ends has dropped the receiver: they vanish.
        let _ = self.far_ends.send(far);
        let mut report = SecurityReport::new(Verified::DnsName("far.test".into()));
        report.peer = Some("192.0.2.1:2049".into());
        NearEnd { io: BufWriter::with_capacity(1 << 20, near_io), far_finished: finished, how: Some(how), report }
    }
}

#[async_trait]
impl SecureConnector for Double {
    type Stream = NearEnd;

    async fn connect(&self) -> Result<NearEnd, ConnectError> {
        self.attempts.fetch_add(1, SeqCst);
        let answer = self.script.lock().unwrap().pop_front().unwrap_or(self.then);
        match answer {
            Answer::Connect => Ok(self.open()),
            Answer::RefuseForNow => Err(refused_for_now()),
            Answer::RefuseForGood => Err(ConnectError::Untrusted { reason: Untrusted::NoCertificate, source: None }),
            Answer::ConnectWhenLetIn => {
                self.let_in.notified().await;
                Ok(self.open())
            }
            Answer::Silence => pending().await,
            Answer::Panic => panic!("on purpose"),
        }
    }
}

fn refused_for_now() -> ConnectError {
    let address = SocketAddr::from(([192, 0, 2, 1], 2049));
    ConnectError::Connect { attempts: vec![Attempt::new(address, io::ErrorKind::ConnectionRefused.into())] }
}

impl Far {
    /// Ends the upstream's half well; its reading goes on.
    pub(super) async fn finish(&mut self) {
        self.finished.store(true, SeqCst);
        self.io.shutdown().await.unwrap();
    }

    /// How the tunnel ended its half.
    pub(super) async fn near(self) -> Near {
        within(self.near).await.unwrap()
    }

    /// Sends back whatever comes, to the end.
    pub(super) async fn echo(mut self) {
        let mut buffer = vec![0; PIPE];
        loop {
            match self.io.read(&mut buffer).await {
                Ok(0) => return self.finish().await,
                Ok(n) if self.io.write_all(&buffer[..n]).await.is_ok() => {}
                _ => return,
            }
        }
    }
}

impl SecureStream for NearEnd {
    fn report(&self) -> &SecurityReport {
        &self.report
    }
}

impl AsyncRead for NearEnd {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(self.io.get_mut()).poll_read(cx, buf))?;
        if buf.filled().len() == before && !self.far_finished.load(SeqCst) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the far end vanished")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for NearEnd {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        if let Some(how) = self.how.take() {
            let _ = how.send(Near::Shutdown);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for NearEnd {
    fn drop(&mut self) {
        if let Some(how) = self.how.take() {
            let _ = how.send(Near::Dropped);
        }
    }
}

/// A builder over a connector that always connects, and the far ends.
pub(super) fn reachable() -> (TunnelBuilder<Arc<Double>>, mpsc::UnboundedReceiver<Far>) {
    let (double, far_ends) = Double::new([], Answer::Connect);
    (Tunnel::builder(double), far_ends)
}

/// Delays that a test need not notice.
pub(super) const BRISK: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(4));

pub(super) async fn dial(tunnel: &Tunnel) -> TcpStream {
    within(TcpStream::connect(tunnel.local_addr().tcp().unwrap())).await.unwrap()
}

/// Fails the test instead of hanging it.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("took longer than 30 s")
}

/// Waits for what no event tells.
pub(super) async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(super) async fn next_event(events: &mut broadcast::Receiver<TunnelEvent>) -> TunnelEvent {
    within(events.recv()).await.unwrap()
}

/// Why the next connection ends, and its bytes up and down.
pub(super) async fn next_close(events: &mut broadcast::Receiver<TunnelEvent>) -> (CloseReason, u64, u64) {
    loop {
        if let TunnelEvent::Closed { reason, bytes_up, bytes_down, .. } = next_event(events).await {
            return (reason, bytes_up, bytes_down);
        }
    }
}

/// Closes by reset.
pub(super) fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// `expected` arrives, and then a reset instead of an end.
#[track_caller]
pub(super) fn assert_reset_after(expected: &[u8], read: (io::Result<usize>, Vec<u8>)) {
    let (end, bytes) = read;
    assert_eq!(bytes, expected);
    assert_eq!(end.map_err(|e| e.kind()), Err(io::ErrorKind::ConnectionReset));
}

/// Everything up to the end or the error, and which it was.
pub(super) async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> (io::Result<usize>, Vec<u8>) {
    let mut bytes = Vec::new();
    (within(stream.read_to_end(&mut bytes)).await, bytes)
}
