//! Who we are towards EFS: a client certificate that is issued anew in time.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use secure_connector::{
    AuthenticatedAs, Backoff, Clock, CurrentIdentity, Identity, IdentityError, IdentitySource, IdentityUnavailable,
    SystemClock, error_chain,
};
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinError},
    time,
};

use crate::{CertificateError, CertificateRequest, ClientCertificate, ClientKey};

/// A client certificate for one file system, renewed in the background: an [`IdentitySource`].
///
/// The certificate lives for three hours. It is issued anew after [`renewal_delay`]: at most an hour, and before the
/// credentials that signed it expire. New connections use the new one; open connections are not touched. When renewal
/// fails, the last certificate stays in use while it is valid, and the next attempt follows after a [`Backoff`] from one
/// second to one minute.
///
/// The background task ends when the value is dropped.
///
/// # Differences from the EFS mount helper
/// The mount helper renews every 60 minutes whatever the credentials' expiration, asks again every second after a
/// failure, and signals the tunnel process to read files anew.
pub struct EfsIdentity {
    identity: watch::Receiver<CurrentIdentity>,
    status: watch::Receiver<RenewalStatus>,
    now: Arc<Notify>,
    task: AbortHandle,
}

/// The state of an [`EfsIdentity`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RenewalStatus {
    /// How many certificates were issued.
    pub issued: u64,
    /// End of validity of the current one.
    #[cfg_attr(feature = "serde", serde(serialize_with = "rfc3339"))]
    pub not_after: Option<SystemTime>,
    /// When the credentials that signed it expire; `None` for long-lived ones and for anonymous clients.
    #[cfg_attr(feature = "serde", serde(serialize_with = "rfc3339"))]
    pub credentials_expire_at: Option<SystemTime>,
    /// The access key that signed it; `None` for anonymous clients.
    pub access_key_id: Option<String>,
    /// Attempts that failed since the last certificate.
    pub failures: u32,
    /// Why the last attempt failed; `None` when it did not.
    pub last_error: Option<String>,
}

/// Settings of an [`EfsIdentity`].
#[derive(Clone, Debug)]
#[must_use = "nothing is issued until it is started"]
pub struct EfsIdentityBuilder {
    request: CertificateRequest,
    key: Arc<ClientKey>,
    credentials: Option<SharedCredentialsProvider>,
    interval: Duration,
    clock: Arc<dyn Clock>,
}

/// How long after a certificate was issued the next one is due: `interval` or 70 % of what the credentials have left,
/// whichever is shorter, and up to a tenth earlier for `random` in `0.0..=1.0`, so that a fleet that started together does
/// not renew together. Never less than a second.
pub fn renewal_delay(interval: Duration, credentials_left: Option<Duration>, random: f64) -> Duration {
    let part = |whole: Duration, share: f64| Duration::try_from_secs_f64(whole.as_secs_f64() * share).unwrap_or(whole);
    let random = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
    let latest = credentials_left.map_or(interval, |left| interval.min(part(left, 0.7)));
    part(latest, 1.0 - 0.1 * random).max(Duration::from_secs(1))
}

impl EfsIdentity {
    /// The longest time between two certificates, that of the EFS mount helper.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(60 * 60);

    /// An identity that authenticates to IAM with whatever `credentials` provides at each renewal.
    pub fn iam(
        request: CertificateRequest,
        key: Arc<ClientKey>,
        credentials: impl ProvideCredentials + 'static,
    ) -> EfsIdentityBuilder {
        EfsIdentityBuilder {
            credentials: Some(SharedCredentialsProvider::new(credentials)),
            ..Self::anonymous(request, key)
        }
    }

    /// An identity that names the file system and the access point, and nobody.
    pub fn anonymous(request: CertificateRequest, key: Arc<ClientKey>) -> EfsIdentityBuilder {
        EfsIdentityBuilder {
            request,
            key,
            credentials: None,
            interval: Self::DEFAULT_INTERVAL,
            clock: Arc::new(SystemClock),
        }
    }

    /// The state, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<RenewalStatus> {
        self.status.clone()
    }

    /// Issues a new certificate at once.
    pub fn renew_now(&self) {
        self.now.notify_one();
    }

    /// After a jump of the clock, whoever connects first finds out. A renewal that fails goes on by its own backoff.
    pub(crate) fn renew_if_ended(&self, now: SystemTime) {
        let ended = self.identity.borrow().as_ref().is_ok_and(|identity| now >= identity.not_after());
        if ended && self.status.borrow().failures == 0 {
            self.renew_now();
        }
    }
}

impl EfsIdentityBuilder {
    /// The longest time between two certificates, at most 2 h of their 3 h. Default: 60 min.
    pub fn renew_every(mut self, interval: Duration) -> Self {
        self.interval = interval.min(Duration::from_secs(2 * 3600));
        self
    }

    /// The clock that dates the certificates. Default: the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts issuing. Returns at once; connections wait for the first certificate. Needs a tokio runtime.
    pub fn start(self) -> EfsIdentity {
        let (identity_tx, identity) =
            watch::channel(Err(IdentityUnavailable::pending("the first certificate is being made")));
        let (status_tx, status) = watch::channel(RenewalStatus::default());
        let now = Arc::new(Notify::new());
        let task = tokio::spawn(renew(self, identity_tx, status_tx, now.clone())).abort_handle();
        EfsIdentity { identity, status, now, task }
    }
}

impl IdentitySource for EfsIdentity {
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity> {
        self.identity.clone()
    }
}

impl Drop for EfsIdentity {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for EfsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EfsIdentity").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// A provider that hangs must not hold up renewal for ever; the SDK's own providers give up much earlier.
const CREDENTIALS_LIMIT: Duration = Duration::from_secs(30);

async fn renew(
    builder: EfsIdentityBuilder,
    identity: watch::Sender<CurrentIdentity>,
    status: watch::Sender<RenewalStatus>,
    renew_now: Arc<Notify>,
) {
    loop {
        let serial = status.borrow().issued;
        let wait = match issue(&builder, serial).await {
            Ok((new, certificate)) => {
                let left = certificate
                    .credentials_expire_at()
                    .map(|at| at.duration_since(builder.clock.now()).unwrap_or_default());
                tracing::info!(access_key_id = certificate.authenticated_as(), serial, "EFS client certificate issued");
                status.send_modify(|s| s.succeeded(&certificate));
                drop(identity.send_replace(Ok(Arc::new(new))));
                renewal_delay(builder.interval, left, fastrand::f64())
            }
            Err(error) => {
                let text = error_chain(&error);
                tracing::warn!(error = %text, "EFS client certificate not issued");
                identity.send_if_modified(|current| withdraw(current, &error, &text, builder.clock.now()));
                let failures = status.borrow().failures;
                status.send_modify(|s| s.failed(text));
                BACKOFF.delay(failures)
            }
        };
        tokio::select! {
            () = wall_clock_sleep(&*builder.clock, wait) => {}
            () = renew_now.notified() => {}
        }
    }
}

/// The wall clock may jump: a suspended machine, a restored snapshot, the first answer of a time server. Certificates go by
/// it, so the wait does too.
async fn wall_clock_sleep(clock: &dyn Clock, wait: Duration) {
    const SLICE: Duration = Duration::from_secs(30);
    let started = clock.now();
    loop {
        // A clock that was set back counts as no time passed; the certificate is the younger for it.
        let passed = clock.now().duration_since(started).unwrap_or_default();
        match wait.checked_sub(passed) {
            None | Some(Duration::ZERO) => return,
            Some(left) => time::sleep(left.min(SLICE)).await,
        }
    }
}

async fn issue(builder: &EfsIdentityBuilder, serial: u64) -> Result<(Identity, ClientCertificate), RenewalError> {
    let credentials = match &builder.credentials {
        None => None,
        Some(provider) => {
            let provided = time::timeout(CREDENTIALS_LIMIT, provider.provide_credentials()).await;
            Some(provided.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(CREDENTIALS_LIMIT)))?)
        }
    };
    let (request, key, now) = (builder.request.clone().serial(serial), builder.key.clone(), builder.clock.now());
    // An RSA signature takes milliseconds.
    tokio::task::spawn_blocking(move || make(&request, &key, credentials.as_ref(), now)).await?
}

fn make(
    request: &CertificateRequest,
    key: &ClientKey,
    credentials: Option<&Credentials>,
    now: SystemTime,
) -> Result<(Identity, ClientCertificate), RenewalError> {
    let certificate = request.issue(key, credentials, now)?;
    let mut identity = Identity::from_der(vec![certificate.der().to_vec()], &key.pkcs8)?;
    if let Some(end) = certificate.credentials_expire_at() {
        identity = identity.ending_at(end);
    }
    if credentials.is_some_and(|credentials| credentials.session_token().is_some()) {
        identity = identity.with_sensitive_certificate();
    }
    if let Some(access_key_id) = certificate.authenticated_as() {
        let who = request.describe(AuthenticatedAs::new("aws-iam", access_key_id));
        identity = identity.authenticating_as(who);
    } else {
        identity =
            identity.authenticating_as(request.describe(AuthenticatedAs::new("anonymous", "ANONYMOUS_PRINCIPAL")));
    }
    Ok((identity, certificate))
}

/// A certificate that is still valid stays; without one, whoever connects learns the cause.
fn withdraw(current: &mut CurrentIdentity, error: &RenewalError, text: &str, now: SystemTime) -> bool {
    if current.as_ref().is_ok_and(|identity| identity.is_current(now)) {
        return false;
    }
    let unavailable =
        if error.may_pass() { IdentityUnavailable::pending(text) } else { IdentityUnavailable::failed(text) };
    *current = Err(unavailable);
    true
}

impl RenewalStatus {
    fn succeeded(&mut self, certificate: &ClientCertificate) {
        *self = Self {
            issued: self.issued + 1,
            not_after: Some(certificate.not_after()),
            credentials_expire_at: certificate.credentials_expire_at(),
            access_key_id: certificate.authenticated_as().map(str::to_owned),
            failures: 0,
            last_error: None,
        };
    }

    fn failed(&mut self, error: String) {
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(error);
    }
}

#[derive(Debug, thiserror::Error)]
enum RenewalError {
    #[error("no AWS credentials")]
    Credentials(#[from] CredentialsError),
    #[error("no client certificate")]
    Certificate(#[from] CertificateError),
    #[error("the client certificate does not make an identity")]
    Identity(#[from] IdentityError),
    #[error("the runtime is shutting down")]
    Stopped(#[from] JoinError),
}

impl RenewalError {
    /// Whether a client that waits a little may see it pass. A provider that is not configured stays so.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Credentials(CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_)))
    }
}

#[cfg(feature = "serde")]
fn rfc3339<S: serde::Serializer>(time: &Option<SystemTime>, s: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time.map(secure_connector::Rfc3339), s)
}
