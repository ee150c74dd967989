//! Targets that failed, and when to try them again.

use std::{collections::HashMap, time::Duration};

use secure_connector::{Backoff, ConnectError, error_chain};
use tokio::time::Instant;

/// What became of targets lately, by what is dialled. A target without an entry works, as far as is known; one that is
/// gone for good leaves an entry behind.
#[derive(Debug, Default)]
pub(super) struct Health(HashMap<String, Failing>);

#[derive(Debug)]
struct Failing {
    failures: u32,
    last: Instant,
    set_aside_until: Instant,
    error: String,
}

/// A mount target is as slow to come back as its zone; a client that tries it in vain loses seconds.
const SET_ASIDE: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(5 * 60));

impl Health {
    /// Why `target` is not to be tried before others; `None` when it is.
    pub(super) fn set_aside(&self, target: &str, now: Instant) -> Option<&str> {
        self.0.get(target).filter(|failing| now < failing.set_aside_until).map(|failing| failing.error.as_str())
    }

    /// A connection is about to try `target`. When that failed before, this one finds out for all: the others go on
    /// without it.
    pub(super) fn trying(&mut self, target: &str, now: Instant) {
        if let Some(failing) = self.0.get_mut(target) {
            failing.set_aside_until = now + SET_ASIDE.delay(failing.failures);
        }
    }

    /// A connection to `target` that was `started` has failed. Many that started before the first of them failed count as
    /// one failure.
    pub(super) fn failed(&mut self, target: &str, error: &ConnectError, started: Instant, now: Instant) {
        let error = error_chain(error);
        let failures = match self.0.get(target) {
            Some(failing) if failing.last >= started => return,
            Some(failing) => failing.failures.saturating_add(1),
            None => 0,
        };
        let set_aside_until = now + SET_ASIDE.delay(failures);
        tracing::warn!(target, %error, for_s = (set_aside_until - now).as_secs(), "mount target set aside");
        self.0.insert(target.to_owned(), Failing { failures, last: now, set_aside_until, error });
    }

    /// A connection to `target` was made.
    pub(super) fn works(&mut self, target: &str) {
        if self.0.remove(target).is_some() {
            tracing::info!(target, "mount target in use again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn refused() -> ConnectError {
        ConnectError::Connect { attempts: Vec::new() }
    }

    #[test]
    fn a_target_is_set_aside_for_longer_each_time_and_one_success_clears_it() {
        let (mut health, mut now) = (Health::default(), Instant::now());
        for (shortest, longest) in [(5, 10), (10, 20), (20, 40), (40, 80), (80, 160), (150, 300), (150, 300)] {
            health.failed("a", &refused(), now, now);
            assert!(health.set_aside("a", now + shortest * SECOND - Duration::from_millis(1)).is_some());
            assert_eq!(health.set_aside("a", now + longest * SECOND), None);
            now += longest * SECOND;
        }
        health.failed("a", &refused(), now, now);
        health.works("a");
        assert_eq!(health.set_aside("a", now), None);
        assert_eq!(health.set_aside("b", now), None);
    }

    #[test]
    fn connections_that_were_under_way_together_count_as_one_failure() {
        let (mut health, started) = (Health::default(), Instant::now());
        for n in 1..=8 {
            health.failed("a", &refused(), started, started + n * SECOND);
        }
        assert_eq!(health.set_aside("a", started + 11 * SECOND), None);
    }

    #[test]
    fn a_target_whose_time_is_over_is_tried_by_one_connection_and_set_aside_for_the_others() {
        let (mut health, started) = (Health::default(), Instant::now());
        health.trying("a", started);
        assert_eq!(health.set_aside("a", started), None, "one that has not failed is for all");
        health.failed("a", &refused(), started, started);
        let later = started + 10 * SECOND;
        assert_eq!(health.set_aside("a", later), None);
        health.trying("a", later);
        assert!(health.set_aside("a", later).is_some());
    }
}
