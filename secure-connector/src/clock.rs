//! Where the time comes from.

use std::{fmt::Debug, sync::Arc, time::SystemTime};

/// The wall clock against which certificates are judged. Tests and simulations bring their own.
pub trait Clock: Debug + Send + Sync {
    /// The present time.
    fn now(&self) -> SystemTime;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit that callers name; it will never hold anything")]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }
}
