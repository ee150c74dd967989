//! Where the time comes from.

use std::{fmt::Debug, time::SystemTime};

/// The wall clock against which certificates are judged. Tests and simulations bring their own.
pub trait Clock: Debug + Send + Sync {
    /// The present time.
    fn now(&self) -> SystemTime;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
