use std::{collections::VecDeque, pin::pin, time::Duration};

use tokio::{
    io::{AsyncWriteExt, duplex, join, repeat, sink},
    time::{Instant, sleep},
};

use super::*;

/// Reads as scripted, then has nothing more; takes `takes` bytes, then refuses and has its last words to say.
struct Scripted {
    reads: VecDeque<Read>,
    last_words: Vec<Read>,
    takes: usize,
    writes: Vec<usize>,
    flushes: usize,
    shut_down: bool,
}

enum Read {
    Later,
    Bytes(Vec<u8>),
    Fail,
    End,
}

impl Scripted {
    fn new(reads: impl IntoIterator<Item = Read>) -> Self {
        let reads = reads.into_iter().collect();
        Self { reads, last_words: vec![], takes: usize::MAX, writes: vec![], flushes: 0, shut_down: false }
    }

    fn takes(self, takes: usize, last_words: impl IntoIterator<Item = Read>) -> Self {
        Self { takes, last_words: last_words.into_iter().collect(), ..self }
    }
}

impl AsyncRead for &mut Scripted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.reads.pop_front() {
            None => return Poll::Pending,
            Some(Read::Later) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Read::End) => {}
            Some(Read::Fail) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Some(Read::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buf.remaining()));
                buf.put_slice(&bytes);
                if !rest.is_empty() {
                    self.reads.push_front(Read::Bytes(rest));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for &mut Scripted {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let taken = buf.len().min(self.takes);
        if taken == 0 {
            let last_words = std::mem::take(&mut self.last_words);
            self.reads.extend(last_words);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.takes -= taken;
        self.writes.push(taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }
}

fn bytes(length: usize) -> Read {
    Read::Bytes(vec![7; length])
}

/// Relays for as long as something can be moved.
async fn relayed(local: &mut Scripted, upstream: &mut Scripted) -> (Option<RelayEnd>, (u64, u64)) {
    let progress = Progress::new();
    let end = tokio::select! {
        biased;
        end = relay(local, upstream, 64 * 1024, &progress) => Some(end),
        () = sleep(Duration::from_secs(1)) => None,
    };
    (end, progress.bytes())
}

#[tokio::test(start_paused = true)]
async fn records_at_hand_leave_in_one_write_and_one_flush() {
    let mut local = Scripted::new([bytes(100), bytes(200)]);
    let mut upstream = Scripted::new([bytes(16_384), bytes(16_384), bytes(16_384), bytes(16_384), bytes(10)]);
    let (end, moved) = relayed(&mut local, &mut upstream).await;
    assert!(end.is_none());
    assert_eq!(moved, (300, 65_546));
    assert_eq!((upstream.writes, upstream.flushes), (vec![300], 1));
    assert_eq!((local.writes, local.flushes), (vec![65_536, 10], 1));
}

#[tokio::test(start_paused = true)]
async fn an_end_is_passed_on_once_and_the_other_direction_goes_on() {
    let mut local = Scripted::new([bytes(1), Read::End, bytes(99)]);
    let mut upstream = Scripted::new([bytes(2)]);
    let (end, moved) = relayed(&mut local, &mut upstream).await;
    assert!(end.is_none());
    assert_eq!((moved, upstream.shut_down, local.shut_down), ((1, 2), true, false));
    assert_eq!(local.reads.len(), 1, "nothing is read behind the end");

    let mut upstream = Scripted::new([bytes(2), Read::End]);
    let (end, moved) = relayed(&mut Scripted::new([bytes(1), Read::End]), &mut upstream).await;
    assert!(matches!(end, Some(RelayEnd::Finished)));
    assert_eq!(moved, (1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_written_before_the_failure_of_its_source() {
    let mut local = Scripted::new([]);
    let (end, moved) = relayed(&mut local, &mut Scripted::new([bytes(16_384), bytes(5), Read::Fail])).await;
    assert!(matches!(end, Some(RelayEnd::Upstream(error)) if error.kind() == io::ErrorKind::UnexpectedEof));
    assert_eq!((moved, local.writes), ((0, 16_389), vec![16_389]));
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_the_local_end_was_passed_on_is_told_apart() {
    let mut upstream = Scripted::new([bytes(5), Read::Fail]);
    let (end, moved) = relayed(&mut Scripted::new([bytes(1), Read::End]), &mut upstream).await;
    assert!(matches!(end, Some(RelayEnd::Unconfirmed)));
    assert_eq!(moved, (1, 5));
}

#[tokio::test(start_paused = true)]
async fn the_last_words_of_an_upstream_that_takes_no_more_are_delivered() {
    // With one turn more or less before, either direction comes first.
    for idle_turns in 0..2 {
        let mut local = Scripted::new([]);
        local.reads.extend((0..idle_turns).map(|_| Read::Later).chain([bytes(100)]));
        let (end, moved) = relayed(&mut local, &mut Scripted::new([]).takes(10, [bytes(9)])).await;
        assert!(matches!(end, Some(RelayEnd::Upstream(error)) if error.kind() == io::ErrorKind::BrokenPipe));
        assert_eq!(moved, (10, 9));
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_side_that_fails_ends_the_relay_and_no_byte_counts_that_it_did_not_take() {
    for mut local in [Scripted::new([]).takes(3, []), Scripted::new([bytes(1), Read::Fail]).takes(3, [])] {
        let (end, (_, down)) = relayed(&mut local, &mut Scripted::new([bytes(9)])).await;
        assert!(matches!(end, Some(RelayEnd::Local)));
        assert!(down <= 3);
    }
}

/// Sources and sinks that are always ready use up the task's whole budget of operations.
#[tokio::test(start_paused = true)]
async fn neither_direction_starves_the_other() {
    let progress = Progress::new();
    let mut relay = pin!(relay(join(repeat(1), sink()), join(repeat(2), sink()), 4096, &progress));
    while progress.up.load(Relaxed).min(progress.down.load(Relaxed)) < 1_000_000 {
        assert!(progress.up.load(Relaxed).max(progress.down.load(Relaxed)) < 100_000_000, "{:?}", progress.bytes());
        tokio::select! {
            biased;
            end = &mut relay => panic!("{end:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_moved_in_either_direction_puts_idleness_off() {
    const MINUTE: Duration = Duration::from_secs(60);
    let progress = Progress::new();
    let ((local, mut near), (upstream, mut far)) = (duplex(16), duplex(16));
    let relaying = async {
        tokio::select! {
            end = relay(local, upstream, 4096, &progress) => panic!("{end:?}"),
            () = progress.idle_for(MINUTE) => Instant::now(),
        }
    };
    let trickling = async {
        for _ in 0..3 {
            sleep(MINUTE * 9 / 10).await;
            near.write_all(b"up").await.unwrap();
            sleep(MINUTE * 9 / 10).await;
            far.write_all(b"down").await.unwrap();
        }
        Instant::now()
    };
    let (idle_at, last_moved) = tokio::join!(relaying, trickling);
    assert_eq!(idle_at - last_moved, MINUTE);
}
