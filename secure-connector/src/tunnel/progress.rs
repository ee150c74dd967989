//! How much a connection has carried, and when it last did.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Written by the relay, read by whoever asks.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) up: AtomicU64,
    pub(super) down: AtomicU64,
    began: Instant,
    /// Milliseconds after `began`.
    last_moved: AtomicU64,
    /// One direction has ended, and nothing that was read is left to be passed on.
    half_closed: watch::Sender<bool>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            began: Instant::now(),
            last_moved: AtomicU64::new(0),
            half_closed: watch::Sender::new(false),
        }
    }

    /// Bytes up, bytes down.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.up.load(Relaxed), self.down.load(Relaxed))
    }

    /// Something moved just now.
    pub(super) fn touch(&self) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_moved.store(elapsed, Relaxed);
    }

    /// Whether one direction has ended and nothing is left to be passed on in the other.
    pub(super) fn set_half_closed(&self, now: bool) {
        if self.half_closed.send_if_modified(|before| std::mem::replace(before, now) != now) {
            self.touch();
        }
    }

    /// Returns when the connection has been half-closed, with nothing moving, for `limit`.
    pub(super) async fn half_closed_for(&self, limit: Duration) {
        let mut half_closed = self.half_closed.subscribe();
        // The sender is `self`: neither wait fails.
        while half_closed.wait_for(|now| *now).await.is_ok() {
            tokio::select! {
                biased;
                _ = half_closed.wait_for(|now| !*now) => {}
                () = self.idle_for(limit) => return,
            }
        }
    }

    /// Returns when nothing has moved for `limit`. Costs a timer per `limit`, not per movement.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let last_moved = self.began + Duration::from_millis(self.last_moved.load(Relaxed));
            let Some(until) = last_moved.checked_add(limit) else { return std::future::pending().await };
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn idleness_counts_from_the_last_movement() {
        let progress = Progress::new();
        let busy = async {
            for _ in 0..5 {
                sleep(MINUTE * 9 / 10).await;
                progress.touch();
            }
            Instant::now()
        };
        let ((), last_moved) = tokio::join!(progress.idle_for(MINUTE), busy);
        assert_eq!(last_moved.elapsed(), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_the_clock_is_never_reached() {
        let progress = Progress::new();
        assert!(timeout(MINUTE, progress.idle_for(Duration::MAX)).await.is_err());
    }
}
