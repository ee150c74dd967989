//! How long to wait before trying again.

use std::time::Duration;

/// Exponential backoff with full jitter on its upper half: the n-th delay lies between half and all of
/// `min(first · 2ⁿ, longest)`, so that clients which failed together do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// Upper bound of the first delay.
    pub first: Duration,
    /// Upper bound of every delay.
    pub longest: Duration,
}

impl Backoff {
    /// Delays that start below `first` and never exceed `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The delay after the failure number `failures` (0 = the first), for `random` in `0.0..=1.0`.
    ///
    /// A pure rule, so that fleets can be simulated; [`delay`](Self::delay) draws the number itself.
    pub fn delay_with(&self, failures: u32, random: f64) -> Duration {
        let bound = self.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.longest);
        let random = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
        // Only a bound at the end of the range does not come back from floating point.
        Duration::try_from_secs_f64(bound.as_secs_f64() * (0.5 + 0.5 * random)).unwrap_or(bound)
    }

    /// The delay after the failure number `failures` (0 = the first).
    pub fn delay(&self, failures: u32) -> Duration {
        self.delay_with(failures, fastrand::f64())
    }
}

impl Default for Backoff {
    /// 100 ms up to 10 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_keep_their_upper_half() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let bounds = |n| (backoff.delay_with(n, 0.0).as_millis(), backoff.delay_with(n, 1.0).as_millis());
        let extreme = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!(extreme.delay_with(40, f64::INFINITY), Duration::MAX);
        assert_eq!(backoff.delay_with(0, f64::NAN), Duration::from_millis(500));
        assert_eq!([0, 1, 2, 3, 40].map(bounds), [(500, 1000), (1000, 2000), (2000, 4000), (2500, 5000), (2500, 5000)]);
    }
}
