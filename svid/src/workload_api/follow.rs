//! A stream that is kept open.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use secure_connector::{Backoff, error_chain};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{WorkloadApi, WorkloadApiError};

/// The state of a stream to the agent.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkloadApiStatus {
    /// Updates that were taken.
    pub updates: u64,
    /// Updates that were refused; what was there before stayed in use.
    pub refused: u64,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure or refusal; `None` after an update that was taken.
    pub last_error: Option<Arc<WorkloadApiError>>,
    /// There will be no further attempt: the error is final.
    pub ended: bool,
}

/// How long to wait before the next attempt, after so many failures in a row (1 = the first): not at all, then by the backoff.
/// `random` lies in `0.0..=1.0`.
pub fn retry_delay(backoff: Backoff, failures: u32, random: f64) -> Duration {
    failures.checked_sub(2).map_or(Duration::ZERO, |n| backoff.delay_with(n, random))
}

/// How long a stream may say nothing when the SVID has so much life left: three quarters of it, since agents renew at half. A
/// stream that is silent for longer is opened anew.
pub fn patience(left: Duration) -> Duration {
    const LEAST: Duration = Duration::from_secs(30);
    (left / 4 * 3).max(LEAST)
}

/// What is done with what the agent sends.
pub(super) trait Follower: Send {
    /// Takes a message as the new state, or refuses it. Returns the end of the life of what was taken, if it has one.
    fn take(&mut self, message: &[u8]) -> Result<Option<SystemTime>, WorkloadApiError>;

    /// Takes everything back.
    fn withdraw(&mut self, reason: &WorkloadApiError);

    /// There will be nothing more.
    fn end(&mut self, reason: &WorkloadApiError);
}

/// Runs until an error is final, or until it is dropped.
pub(super) async fn follow(
    api: WorkloadApi,
    path: &'static str,
    mut follower: impl Follower,
    status: watch::Sender<WorkloadApiStatus>,
) {
    loop {
        let begin = Instant::now();
        let updates = status.borrow().updates;
        let error = attempt(&api, path, &mut follower, &status).await;
        // An agent that answers and hangs up, again and again, is not asked again and again without a pause.
        let lasted = status.borrow().updates > updates && begin.elapsed() >= api.settings.backoff.first;
        tracing::warn!(path, error = %error_chain(&error), "the stream of the Workload API ended");
        let last = !error.is_retryable();
        let failures = if lasted { 1 } else { status.borrow().failures.saturating_add(1) };
        if last {
            follower.end(&error);
        } else {
            api.withdraw_if(&error, &mut follower);
        }
        status.send_modify(|status| {
            status.failures = failures;
            status.last_error = Some(Arc::new(error));
            status.ended = last;
        });
        if last {
            return;
        }
        sleep(retry_delay(api.settings.backoff, failures, fastrand::f64())).await;
    }
}

/// Never ends well: the stream has no end.
async fn attempt(
    api: &WorkloadApi,
    path: &'static str,
    follower: &mut impl Follower,
    status: &watch::Sender<WorkloadApiStatus>,
) -> WorkloadApiError {
    let mut limit = api.settings.answer_within;
    let mut call = match timeout(limit, api.call(path, &[])).await {
        Ok(Ok(call)) => call,
        Ok(Err(error)) => return error.into(),
        Err(_) => return WorkloadApiError::Silent { limit },
    };
    loop {
        let message = match timeout(limit, call.next()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return WorkloadApiError::Ended,
            Ok(Err(error)) => return error.into(),
            Err(_) => return WorkloadApiError::Silent { limit },
        };
        match follower.take(&message) {
            Ok(not_after) => {
                let left = |end: SystemTime| end.duration_since(api.settings.clock.now()).unwrap_or_default();
                // Bundles have no end, and a stream of them may be silent for ever.
                limit = not_after.map_or(Duration::MAX, |end| patience(left(end)));
                status.send_modify(|status| {
                    status.updates += 1;
                    status.failures = 0;
                    status.last_error = None;
                });
            }
            // "the client SHOULD report an error [...] and discard the message" (Workload API section 4.2): a later one may be right.
            Err(error) => {
                tracing::warn!(path, error = %error_chain(&error), "an update of the Workload API is refused");
                limit = patience(Duration::ZERO);
                api.withdraw_if(&error, follower);
                status.send_modify(|status| {
                    status.refused += 1;
                    status.last_error = Some(Arc::new(error));
                });
            }
        }
    }
}
