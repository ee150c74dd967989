//! Our credentials for connections that redis-rs makes by itself.

use std::{pin::Pin, sync::Arc};

use ::redis::{BasicAuth, ErrorKind, RedisError, RedisResult, StreamingCredentialsProvider};
use futures_util::{Stream, stream};
use secure_connector::{Clock, SystemClock, error_chain};

use crate::{AuthSchedule, CredentialError, CredentialSource, Credentials, Refresh, Username, keep_alive::wait_until};

/// A [`StreamingCredentialsProvider`] for those who keep redis-rs' own connections and TLS: `set_credentials_provider` takes
/// it.
///
/// The stream gives credentials at once and again when their authentication is due for renewal, each time fresh from the
/// source. It never ends; only its first item may be an error.
///
/// # Limitations
/// Of several candidates only the first is given. redis-rs stops renewing at the first `AUTH` that fails, and does not
/// renew subscriptions' connections at all: [`RedisClient`](super::RedisClient) does both.
#[derive(Clone, Debug)]
pub struct CredentialStream {
    source: Arc<dyn CredentialSource>,
    clock: Arc<dyn Clock>,
}

impl CredentialStream {
    /// Gives what `source` gives.
    pub fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, clock: Arc::new(SystemClock) }
    }

    /// Takes the time from `clock`. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn next(self, given: u64) -> RedisResult<BasicAuth> {
        let lifetime = match self.source.refresh() {
            Refresh::Within(lifetime) => Some(lifetime),
            Refresh::Never => None,
        };
        if given > 0 {
            let Some(lifetime) = lifetime else { std::future::pending().await };
            let due = AuthSchedule::new(lifetime).renew_at(self.clock.now(), fastrand::f64());
            wait_until(Arc::clone(&self.clock), due).await;
        }
        let mut failures = 0;
        loop {
            match self.source.credentials().await {
                Ok(candidates) => return Ok(basic_auth(candidates.first())),
                Err(error) if given == 0 => return Err(unavailable(&error)),
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "no credentials to authenticate again with");
                    let schedule = AuthSchedule::new(lifetime.unwrap_or_default());
                    let retry = schedule.retry_at(self.clock.now(), failures, fastrand::f64());
                    failures += 1;
                    wait_until(Arc::clone(&self.clock), retry).await;
                }
            }
        }
    }
}

impl StreamingCredentialsProvider for CredentialStream {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        let provider = self.clone();
        Box::pin(stream::unfold((provider, 0), |(provider, given)| async move {
            let next = provider.clone().next(given).await;
            Some((next, (provider, given + 1)))
        }))
    }
}

fn basic_auth(credentials: &Credentials) -> BasicAuth {
    let user = credentials.username().map_or(Username::DEFAULT, Username::as_str);
    BasicAuth::new(user.to_owned(), credentials.expose_secret().unwrap_or_default().to_owned())
}

fn unavailable(error: &CredentialError) -> RedisError {
    (ErrorKind::AuthenticationFailed, "no credentials", error_chain(error)).into()
}
