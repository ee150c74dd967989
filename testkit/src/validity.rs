//! When a test certificate is valid.

use std::time::{Duration, SystemTime};

/// The `notBefore` and `notAfter` of a certificate, both inclusive, cut to whole seconds.
///
/// The default is 2020-01-01 to 2049-12-31, whatever the clock says: valid now, and valid under the fixed clock of a
/// replayed test too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validity {
    /// First valid second.
    pub not_before: SystemTime,
    /// Last valid second.
    pub not_after: SystemTime,
}

impl Validity {
    /// Valid from `not_before` to `not_after`.
    pub fn between(not_before: SystemTime, not_after: SystemTime) -> Self {
        Self { not_before, not_after }
    }

    /// Ended a day before `now`.
    pub fn expired(now: SystemTime) -> Self {
        Self::between(now - 30 * DAY, now - DAY)
    }

    /// Begins a day after `now`.
    pub fn not_yet_valid(now: SystemTime) -> Self {
        Self::between(now + DAY, now + 30 * DAY)
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self::between(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800),
            SystemTime::UNIX_EPOCH + Duration::from_secs(2_524_607_999),
        )
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
