//! What time it is, for those who check certificates.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// A clock: the system's, one that stands still, or any function.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock of your own making, such as one that a test moves on.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The system's clock.
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// A clock that always shows `time`, to replay something recorded.
    pub fn fixed(time: SystemTime) -> Self {
        Self::new(move || time)
    }

    /// What it shows now.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&humantime::format_rfc3339(self.now())).finish()
    }
}
