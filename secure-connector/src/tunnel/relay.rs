//! The copy loop.

#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
};

use super::progress::Progress;

/// How a relay ended.
#[derive(Debug)]
pub(super) enum RelayEnd {
    /// Both directions reached their end of stream, and both ends were passed on.
    Finished,
    /// The local side's end was passed on; then the upstream failed instead of ending.
    Unconfirmed,
    /// The upstream failed in the middle.
    Upstream(io::Error),
    /// The local side failed.
    Local,
}

/// Copies both ways until both directions have ended or one side fails.
///
/// - The end of a direction is passed on by `shutdown`; the other direction goes on.
/// - Bytes that were read are written before the failure of their source is reported.
/// - A writer is flushed whenever its source has nothing more at hand: a TLS writer holds bytes back until then.
/// - A byte counts in `progress` once its destination has taken it.
pub(super) async fn relay<L, S>(local: L, upstream: S, buffer_size: usize, progress: &Progress) -> RelayEnd
where
    L: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut relay = Relay {
        local,
        upstream,
        up: Direction::new(buffer_size),
        down: Direction::new(buffer_size),
        upstream_refused: None,
        progress,
    };
    let mut up_first = false;
    poll_fn(|cx| {
        let before = progress.bytes();
        // The two share the task's budget of operations: in turns, neither can starve the other.
        up_first = !up_first;
        let end = match up_first {
            true => relay.poll_up(cx).or_else(|| relay.poll_down(cx)),
            false => relay.poll_down(cx).or_else(|| relay.poll_up(cx)),
        };
        let end = end.or_else(|| relay.end(cx));
        if progress.bytes() != before {
            progress.touch();
        }
        if relay.up.ended || relay.down.ended {
            progress.set_half_closed(relay.up.is_empty() && relay.down.is_empty());
        }
        end.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

struct Relay<'a, L, S> {
    local: L,
    upstream: S,
    up: Direction,
    down: Direction,
    /// Why the upstream takes no more; what it sent before that is still to be delivered.
    upstream_refused: Option<io::Error>,
    progress: &'a Progress,
}

impl<L, S> Relay<'_, L, S>
where
    L: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Option<RelayEnd> {
        if self.upstream_refused.is_some() {
            return None;
        }
        match self.up.poll(cx, &mut self.local, &mut self.upstream, &self.progress.up) {
            Poll::Ready(Err(Fault::Source(_))) => return Some(RelayEnd::Local),
            Poll::Ready(Err(Fault::Destination(error))) => self.upstream_refused = Some(error),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        None
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Option<RelayEnd> {
        match self.down.poll(cx, &mut self.upstream, &mut self.local, &self.progress.down) {
            Poll::Ready(Err(Fault::Source(_))) if self.up.ended => Some(RelayEnd::Unconfirmed),
            Poll::Ready(Err(Fault::Source(error))) => {
                Some(RelayEnd::Upstream(self.upstream_refused.take().unwrap_or(error)))
            }
            Poll::Ready(Err(Fault::Destination(_))) => Some(RelayEnd::Local),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    fn end(&mut self, cx: &mut Context<'_>) -> Option<RelayEnd> {
        if self.up.ended && self.down.ended {
            return Some(RelayEnd::Finished);
        }
        if self.upstream_refused.is_some() {
            // A server that refuses an upload may have said why before it closed.
            let last_words = self.poll_down(cx);
            // Without budget the answer was "later", not "nothing".
            let delivered = self.down.is_empty() && coop::has_budget_remaining();
            return last_words.or_else(|| delivered.then(|| self.upstream_refused.take().map(RelayEnd::Upstream))?);
        }
        None
    }
}

/// Which side of a direction failed.
enum Fault {
    Source(io::Error),
    Destination(io::Error),
}

/// One direction: what has been read and not yet written is `buffer[start..end]`.
struct Direction {
    /// Initialised once: a [`ReadBuf`] over it never clears it again.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    source: Source,
    unflushed: bool,
    /// The end of stream has been passed on.
    ended: bool,
}

enum Source {
    Open,
    Ended,
    Failed(io::Error),
}

impl Direction {
    fn new(size: usize) -> Self {
        Self {
            buffer: vec![0; size].into_boxed_slice(),
            start: 0,
            end: 0,
            source: Source::Open,
            unflushed: false,
            ended: false,
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Moves what can be moved. Ready when the end was passed on, or with the fault that prevents it.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        moved: &AtomicU64,
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while !self.ended {
            self.fill(cx, from);
            if !self.is_empty() {
                ready!(self.poll_write(cx, to, moved)).map_err(Fault::Destination)?;
                continue;
            }
            match std::mem::replace(&mut self.source, Source::Open) {
                // The buffer is empty because there is nothing to read.
                Source::Open => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(Fault::Destination)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
                Source::Ended => {
                    self.source = Source::Ended;
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Fault::Destination)?;
                    self.ended = true;
                }
                Source::Failed(error) => return Poll::Ready(Err(Fault::Source(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until the buffer is full or nothing is at hand, so that TLS records of 16 KiB leave in one write.
    fn fill<R: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, from: &mut R) {
        while matches!(self.source, Source::Open) && self.end < self.buffer.len() {
            let mut room = ReadBuf::new(&mut self.buffer);
            room.set_filled(self.end);
            match Pin::new(&mut *from).poll_read(cx, &mut room) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if room.filled().len() == self.end => self.source = Source::Ended,
                Poll::Ready(Ok(())) => self.end = room.filled().len(),
                Poll::Ready(Err(error)) => self.source = Source::Failed(error),
            }
        }
    }

    fn poll_write<W>(&mut self, cx: &mut Context<'_>, to: &mut W, moved: &AtomicU64) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        let unwritten = self.buffer.get(self.start..self.end).unwrap_or_default();
        let written = match ready!(Pin::new(to).poll_write(cx, unwritten))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => written,
        };
        moved.fetch_add(written as u64, Relaxed);
        self.unflushed = true;
        self.start += written;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }
}
