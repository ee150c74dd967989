//! How much a connection has carried, and when it last did.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Written by the relay, read by whoever asks.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) up: AtomicU64,
    pub(super) down: AtomicU64,
    began: Instant,
    /// Milliseconds after `began`.
    last_moved: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { up: AtomicU64::new(0), down: AtomicU64::new(0), began: Instant::now(), last_moved: AtomicU64::new(0) }
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
