//! Authentication by IAM: a signed request takes the place of the password.

mod cache;
mod token;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use secure_connector::{Clock, SystemClock, error_chain};
use tokio::time;

use crate::{Candidates, CredentialError, CredentialSource, Credentials, Refresh};

pub(crate) use cache::is_cache_name;
pub use cache::{Cache, CacheName, IamUser};
pub use token::IamToken;

/// Authenticates as an IAM-enabled user of ElastiCache or MemoryDB: a [`CredentialSource`].
///
/// A token is signed when one is needed and serves for [`REUSE`](Self::REUSE). However many connections ask at once, the
/// provider of AWS credentials is asked once. When it fails, the last token serves while it is valid.
///
/// The server cuts a connection 12 hours after it last authenticated; [`refresh`](CredentialSource::refresh) says so.
///
/// # Differences from other implementations
/// A token "is valid for 15 minutes", but dies earlier with the session of the AWS credentials that signed it. So it is
/// given out at most until [`MARGIN`](IamToken::MARGIN) before these expire. valkey-glide and AWS's examples count on
/// 15 minutes whatever the credentials' end.
pub struct IamCredentials {
    cache: Cache,
    user: IamUser,
    provider: SharedCredentialsProvider,
    clock: Arc<dyn Clock>,
    last: Mutex<Last>,
    /// Held by the one call that asks the provider.
    flight: tokio::sync::Mutex<()>,
    /// How many such calls have ended.
    landed: AtomicU64,
}

/// What the last calls to the provider gave.
#[derive(Default)]
struct Last {
    token: Option<Signed>,
    error: Option<CredentialError>,
}

#[derive(Clone)]
struct Signed {
    credentials: Arc<Credentials>,
    at: SystemTime,
    expires: SystemTime,
}

/// How a token may be used at a given time.
#[derive(PartialEq)]
enum Usable {
    Freely,
    /// Until there is a newer one.
    AtNeed,
    No,
}

impl IamCredentials {
    /// How long one token serves: a third of its life, so that a server whose clock is ahead of ours accepts it too.
    pub const REUSE: Duration = Duration::from_secs(300);

    /// How long the server keeps a connection that does not authenticate again.
    pub const CONNECTION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

    /// Tokens of `user` for `cache`, signed with what `provider` gives.
    ///
    /// ```
    /// use aws_credential_types::Credentials;
    /// use redis_tls::{IamCredentials, RedisEndpoint};
    /// let endpoint: RedisEndpoint = "clustercfg.sessions.abc123.use1.cache.amazonaws.com".parse()?;
    /// let aws = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", None, None, "example");
    /// let source = IamCredentials::new(endpoint.cache()?, "iam-user-01".parse()?, aws);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(cache: Cache, user: IamUser, provider: impl ProvideCredentials + 'static) -> Self {
        Self {
            cache,
            user,
            provider: SharedCredentialsProvider::new(provider),
            clock: Arc::new(SystemClock),
            last: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
            landed: AtomicU64::new(0),
        }
    }

    /// The clock that dates the tokens. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The cache the tokens are for.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The user the tokens are for.
    pub fn user(&self) -> &IamUser {
        &self.user
    }

    async fn current(&self) -> Result<Arc<Credentials>, CredentialError> {
        // Counted first: a call that ends between the two lines is one that was waited for.
        let landed = self.landed.load(Ordering::Acquire);
        let (last, usable) = self.last_token();
        let (guard, limit) = match (last, usable) {
            (Some(token), Usable::Freely) => return Ok(token.credentials),
            (Some(token), Usable::AtNeed) => match self.flight.try_lock() {
                Ok(guard) => (guard, AT_NEED_LIMIT),
                Err(_) => return Ok(token.credentials),
            },
            _ => (self.flight.lock().await, PROVIDER_LIMIT),
        };
        if self.landed.load(Ordering::Acquire) == landed {
            self.renew(limit).await;
            self.landed.fetch_add(1, Ordering::Release);
        }
        drop(guard);
        // Whoever waited for another call takes its outcome, good or bad.
        match self.last_token() {
            (Some(token), Usable::Freely | Usable::AtNeed) => Ok(token.credentials),
            _ => Err(self.lock().error.clone().unwrap_or(CredentialError::Expired { at: self.clock.now() })),
        }
    }

    async fn renew(&self, limit: Duration) {
        let outcome = self.sign(limit).await;
        let (now, mut last) = (self.clock.now(), self.lock());
        match outcome {
            Ok(signed) => *last = Last { token: Some(signed), error: None },
            Err(error) => {
                if last.token.as_ref().is_some_and(|token| token.usable(now) != Usable::No) {
                    let error = error_chain(&error);
                    tracing::warn!(cache = %self.cache.name(), %error, "no new IAM token; the last one still serves");
                }
                last.error = Some(error);
            }
        }
    }

    async fn sign(&self, limit: Duration) -> Result<Signed, CredentialError> {
        let credentials = time::timeout(limit, self.provider.provide_credentials())
            .await
            .map_err(|_| CredentialError::Timeout { limit })?
            .map_err(CredentialError::source)?;
        let token = IamToken::sign(&self.cache, self.user.as_str(), &credentials, self.clock.now())?;
        let (at, expires) = (token.signed_at(), token.expires());
        Ok(Signed { credentials: Arc::new(Credentials::iam(&self.user, token)), at, expires })
    }

    fn last_token(&self) -> (Option<Signed>, Usable) {
        let now = self.clock.now();
        let last = self.lock().token.clone();
        let usable = last.as_ref().map_or(Usable::No, |token| token.usable(now));
        (last, usable)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signed {
    fn usable(&self, now: SystemTime) -> Usable {
        // After a clock was set back, a token from the future would be refused by a server with the right time.
        match now.duration_since(self.at) {
            Ok(age) if now < self.expires && age < IamCredentials::REUSE => Usable::Freely,
            Ok(_) if now < self.expires => Usable::AtNeed,
            _ => Usable::No,
        }
    }
}

#[async_trait]
impl CredentialSource for IamCredentials {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        self.current().await.map(Candidates::new)
    }

    fn refresh(&self) -> Refresh {
        Refresh::Within(Self::CONNECTION_LIFE)
    }

    /// The next token is a new one, unless this one is: signing again at once would only give the same answer.
    fn refused(&self, credentials: &Credentials) {
        let now = self.clock.now();
        let is_old = |token: &mut Signed| now.duration_since(token.at).is_ok_and(|age| age >= TOO_NEW_TO_DROP);
        let mut last = self.lock();
        if last.token.as_ref().is_some_and(|token| std::ptr::eq(&*token.credentials, credentials)) {
            last.token.take_if(is_old);
        }
    }
}

impl fmt::Debug for IamCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamCredentials").field("cache", &self.cache).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A provider that hangs must not hold up a connection for ever; the SDK's own providers give up much earlier.
const PROVIDER_LIMIT: Duration = Duration::from_secs(30);

/// The same while there is still a token that would do.
const AT_NEED_LIMIT: Duration = Duration::from_secs(2);

const TOO_NEW_TO_DROP: Duration = Duration::from_secs(5);
