//! How times, durations and shared values are written.

use std::time::{Duration, SystemTime};

use serde::Serializer;

/// RFC 3339 in UTC, to the second.
pub(crate) fn time<S: Serializer>(time: &SystemTime, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&crate::Rfc3339(*time))
}

pub(crate) fn optional_time<S: Serializer>(at: &Option<SystemTime>, s: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, s),
        None => s.serialize_none(),
    }
}

/// Seconds as a decimal number.
pub(crate) fn seconds<S: Serializer>(took: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(took.as_secs_f64())
}

#[cfg(feature = "tunnel")]
pub(crate) fn shared<T: serde::Serialize, S: Serializer>(value: &std::sync::Arc<T>, s: S) -> Result<S::Ok, S::Error> {
    T::serialize(value, s)
}

#[cfg(feature = "tunnel")]
pub(crate) fn optional_shared<T: serde::Serialize, S: Serializer>(
    value: &Option<std::sync::Arc<T>>,
    s: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&value.as_deref(), s)
}
