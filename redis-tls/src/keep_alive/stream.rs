//! The stream that slips an `AUTH` in.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use secure_connector::{SecureStream, SecurityReport};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};
use zeroize::Zeroizing;

use super::{
    Authenticated, KeepAlive, conversation::Conversation, renewal::Renewal, status::AuthStatus, wakers::Wakers,
};

/// A connection to Redis or Valkey that stays authenticated; made by [`KeepAlive::keep`].
///
/// It passes bytes on as they are, and when the authentication is due for renewal it puts an `AUTH` between two commands
/// and takes the server's reply to it out again. Whoever uses the stream notices nothing.
///
/// - An `AUTH` waits for the end of a command and of a transaction, and of all subscriptions of a RESP2 subscriber, who may
///   not send one. Where replies cannot be told from other data (`MONITOR`, replication, `CLIENT REPLY`) none is sent.
/// - When none came through in time, the stream ends before the server would cut it, as soon as nothing is under way: reading
///   meets the end of stream, writing [`ConnectionAborted`](io::ErrorKind::ConnectionAborted).
/// - After a `RESET`, which takes the authentication away, the next thing sent is an `AUTH`. Commands that were pipelined
///   behind it in one write come before that and meet `NOAUTH`.
/// - A client that authenticates itself takes over: nothing is sent from then on.
///
/// The work is done by whoever reads: an idle connection stays authenticated as long as a read is pending on it, as it
/// always is with multiplexing clients and in a [`Tunnel`](secure_connector::Tunnel).
#[derive(Debug)]
pub struct KeptAlive<S> {
    inner: S,
    conversation: Conversation,
    renewal: Renewal,
    sending: Sending,
    wakers: Arc<Wakers>,
    /// Wakes both of them.
    waker: Waker,
}

/// What of our own is on its way out.
#[derive(Debug)]
enum Sending {
    Nothing,
    Command(Secret),
    Flush,
}

struct Secret {
    command: Zeroizing<Vec<u8>>,
    written: usize,
}

impl<S> KeptAlive<S> {
    pub(super) fn new(inner: S, keeper: KeepAlive, since: Authenticated) -> Self {
        let wakers = Arc::<Wakers>::default();
        Self {
            inner,
            conversation: Conversation::new(since.protocol),
            renewal: Renewal::new(keeper, since),
            sending: Sending::Nothing,
            waker: Waker::from(Arc::clone(&wakers)),
            wakers,
        }
    }

    /// How it is authenticated, now and whenever that changes.
    pub fn status(&self) -> watch::Receiver<AuthStatus> {
        self.renewal.status()
    }

    /// Why no `AUTH` can be slipped in any more, if so: the client does something whose replies cannot be counted.
    pub fn untraceable(&self) -> Option<&'static str> {
        self.conversation.lost()
    }

    /// The stream underneath, to look at. Writing to it would confuse the count of replies.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> KeptAlive<S> {
    /// Goes on with the renewal as far as possible.
    fn renew(&mut self) -> io::Result<()> {
        loop {
            if self.poll_send()?.is_pending() {
                return Ok(());
            }
            if self.conversation.was_reset() {
                self.renewal.lost();
            }
            self.renewal.poll(&mut Context::from_waker(&self.waker));
            if !self.renewal.is_due() || !self.conversation.admits_auth() {
                return Ok(());
            }
            match self.renewal.present() {
                Some(command) => self.sending = Sending::Command(Secret { command, written: 0 }),
                None => self.conversation.forget_reset(),
            }
        }
    }

    fn poll_send(&mut self) -> Poll<io::Result<()>> {
        let cx = &mut Context::from_waker(&self.waker);
        loop {
            match &mut self.sending {
                Sending::Nothing => return Poll::Ready(Ok(())),
                Sending::Command(Secret { command, written }) => {
                    let rest = command.get(*written..).unwrap_or_default();
                    if rest.is_empty() {
                        self.conversation.auth_sent();
                        self.sending = Sending::Flush;
                        continue;
                    }
                    match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                        0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        more => *written += more,
                    }
                }
                Sending::Flush => {
                    ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
                    self.sending = Sending::Nothing;
                }
            }
        }
    }

    /// Takes our reply out of what was read.
    fn sift(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let received =
            self.conversation.received(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some(answer) = received.answer {
            self.renewal.answered(&answer);
            self.wakers.wake_writer();
        }
        if self.conversation.taken_over() {
            self.renewal.taken_over();
        }
        Ok(received.kept)
    }

    /// How many of `bytes` may be written now; not ready while something of ours has to go first.
    fn poll_admit(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.renew()?;
        let ours_first = match self.sending {
            Sending::Command(_) => true,
            Sending::Nothing | Sending::Flush => self.conversation.was_reset() && self.conversation.admits_auth(),
        };
        if ours_first {
            return Poll::Pending;
        }
        if self.renewal.is_given_up() && !self.conversation.is_mid_request() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, GivenUp)));
        }
        let careful = self.renewal.is_due() || self.renewal.is_given_up() || self.conversation.was_reset();
        Poll::Ready(Ok(if careful { self.conversation.up_to_boundary(bytes) } else { bytes.len() }))
    }

    /// Takes note of what the server was sent, or of who waits to send more.
    fn written(&mut self, cx: &Context<'_>, written: Poll<usize>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = written else {
            self.wakers.writer(cx.waker());
            return Poll::Pending;
        };
        let mut left = written;
        for buf in bufs {
            let here = left.min(buf.len());
            self.conversation.sent(buf.get(..here).unwrap_or_default());
            left -= here;
        }
        Poll::Ready(Ok(written))
    }

    /// Whether bytes may be written without a look at them.
    fn is_at_rest(&self) -> bool {
        self.renewal.is_at_rest() && matches!(self.sending, Sending::Nothing) && !self.conversation.was_reset()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for KeptAlive<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            this.wakers.reader(cx.waker());
            this.renew()?;
            if this.renewal.is_given_up() && this.conversation.is_quiet() {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let new = buf.filled_mut().get_mut(before..).unwrap_or_default();
            if new.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let kept = this.sift(new);
            buf.set_filled(before + kept.as_ref().map_or(0, |kept| *kept));
            let kept = kept?;
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for KeptAlive<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.is_at_rest() {
            let written = Pin::new(&mut this.inner).poll_write(cx, buf)?;
            return this.written(cx, written, &[IoSlice::new(buf)]);
        }
        this.wakers.writer(cx.waker());
        let admitted = ready!(this.poll_admit(buf))?;
        let bytes = buf.get(..admitted).unwrap_or_default();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes)?;
        let written = this.written(cx, written, &[IoSlice::new(bytes)]);
        if this.renewal.is_due() && written.is_ready() {
            // That may have been the end of a transaction. An error comes up again with the next call.
            let _ = this.renew();
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.is_at_rest() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        let this = &mut *self;
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs)?;
        this.written(cx, written, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.wakers.writer(cx.waker());
        ready!(this.poll_send())?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.wakers.writer(cx.waker());
        ready!(this.poll_send())?;
        this.renewal.stop();
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

impl<S: SecureStream> SecureStream for KeptAlive<S> {
    /// As of the time when the connection was made; [`status`](KeptAlive::status) has what came after.
    fn report(&self) -> &SecurityReport {
        self.inner.report()
    }
}

/// The connection was given up.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended: its authentication runs out and could not be renewed")]
struct GivenUp;

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret([hidden])")
    }
}
