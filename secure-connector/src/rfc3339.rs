//! Times as people and audit logs read them.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// A time as RFC 3339 writes it, in UTC and to the second: `2026-11-22T12:00:00Z`.
///
/// Certificates may bear dates that RFC 3339 has no form for; those show as `before 1970` and `after 9999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper")]
pub struct Rfc3339(pub SystemTime);

/// 9999-12-31T23:59:59Z.
const LAST: Duration = Duration::from_secs(253_402_300_799);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.duration_since(SystemTime::UNIX_EPOCH) {
            Err(_) => f.write_str("before 1970"),
            Ok(since) if since.as_secs() > LAST.as_secs() => f.write_str("after 9999"),
            Ok(_) => write!(f, "{}", humantime::format_rfc3339_seconds(self.0)),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Rfc3339 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_text() {
        let epoch = SystemTime::UNIX_EPOCH;
        let times = [epoch - Duration::from_secs(1), epoch, epoch + LAST, epoch + LAST + Duration::from_secs(1)];
        let texts = times.map(|time| Rfc3339(time).to_string());
        assert_eq!(texts, ["before 1970", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "after 9999"]);
    }
}
