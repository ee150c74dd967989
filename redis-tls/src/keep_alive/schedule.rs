//! When to authenticate again.

use std::time::{Duration, SystemTime};

use secure_connector::Backoff;

/// When a connection authenticates again, tries again, and is given up. Pure rules, so that fleets can be simulated.
///
/// For ElastiCache and MemoryDB with IAM, which cut a connection 12 hours after its last `AUTH`, that is: the first
/// attempt after 10 to 11 hours, attempts after a failure until 10 minutes before the cut, then the end of the connection
/// at a moment when nothing is under way. A failed `AUTH` leaves the former identity in force, so that trying again is
/// safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthSchedule {
    /// How long after an authentication the server cuts the connection.
    pub lifetime: Duration,
    /// How long to wait after a failed attempt.
    pub backoff: Backoff,
}

impl AuthSchedule {
    /// For a server that cuts connections `lifetime` after their last authentication. Failed attempts are repeated after
    /// 1 s at first and 2 min at last.
    pub const fn new(lifetime: Duration) -> Self {
        Self { lifetime, backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(120)) }
    }

    /// The first attempt after an authentication: between ten and eleven twelfths of the lifetime, for `random` in
    /// `0.0..=1.0`, so that connections that were made together do not all sign and authenticate together.
    pub fn renew_at(&self, authenticated_at: SystemTime, random: f64) -> SystemTime {
        let random = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
        after(authenticated_at, self.lifetime.mul_f64((10.0 + random) / 12.0))
    }

    /// The attempt after the failure number `failures` (0 = the first), which happened `now`.
    pub fn retry_at(&self, now: SystemTime, failures: u32, random: f64) -> SystemTime {
        after(now, self.backoff.delay_with(failures, random))
    }

    /// When the connection is given up: a 72nd part of the lifetime before the server cuts it.
    pub fn give_up_at(&self, authenticated_at: SystemTime) -> SystemTime {
        after(authenticated_at, self.lifetime - self.lifetime / 72)
    }
}

/// A time beyond the clock's range never comes.
fn after(time: SystemTime, duration: Duration) -> SystemTime {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    time.checked_add(duration.min(CENTURY)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn twelve_hours_are_renewed_in_the_eleventh_and_given_up_ten_minutes_before_their_end() {
        let schedule = AuthSchedule::new(12 * HOUR);
        let start = SystemTime::UNIX_EPOCH + 400_000 * HOUR;
        assert_eq!(schedule.renew_at(start, 0.0), start + 10 * HOUR);
        assert_eq!(schedule.renew_at(start, 1.0), start + 11 * HOUR);
        assert_eq!(schedule.renew_at(start, f64::NAN), start + 10 * HOUR);
        assert_eq!(schedule.give_up_at(start), start + 12 * HOUR - Duration::from_secs(600));
    }

    #[test]
    fn failures_are_repeated_after_a_second_at_first_and_two_minutes_at_last() {
        let schedule = AuthSchedule::new(12 * HOUR);
        let start = SystemTime::UNIX_EPOCH;
        let waits = [0, 1, 2, 7, 60].map(|failures| schedule.retry_at(start, failures, 1.0));
        assert_eq!(waits, [1, 2, 4, 120, 120].map(|seconds| start + Duration::from_secs(seconds)));
    }

    #[test]
    fn a_lifetime_without_end_never_comes() {
        let schedule = AuthSchedule::new(Duration::MAX);
        let start = SystemTime::UNIX_EPOCH + 400_000 * HOUR;
        assert!(schedule.give_up_at(start) >= start + 99 * 365 * 24 * HOUR);
        assert!(schedule.renew_at(start, 1.0) >= start + 90 * 365 * 24 * HOUR);
    }
}
