//! Renewal of the client certificate, on a clock that the tests move.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use efs_tls::{CertificateRequest, ClientKey, CommonName, EfsIdentity, EfsIdentityBuilder, renewal_delay};
use secure_connector::{Clock, CurrentIdentity, IdentitySource};
use tokio::{sync::watch, time::Instant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The wall clock that goes with tokio's paused one.
#[derive(Clone, Debug)]
struct VirtualClock {
    start: Instant,
    epoch: Arc<Mutex<SystemTime>>,
}

impl VirtualClock {
    fn new() -> Self {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self { start: Instant::now(), epoch: Arc::new(Mutex::new(epoch)) }
    }

    /// The wall clock is set ahead; nobody's timers notice.
    fn jump(&self, by: Duration) {
        *self.epoch.lock().unwrap() += by;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> SystemTime {
        *self.epoch.lock().unwrap() + self.start.elapsed()
    }
}

/// What the provider answers is decided call by call.
struct Scripted(Box<dyn Fn(u32) -> Answer + Send + Sync>, AtomicU32);

enum Answer {
    Credentials(Option<SystemTime>),
    NotLoaded,
    TimedOut,
    Never,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl ProvideCredentials for Scripted {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let call = self.1.fetch_add(1, Ordering::Relaxed);
        future::ProvideCredentials::new(async move {
            match (self.0)(call) {
                Answer::Credentials(expiry) => {
                    let id = format!("ASIA{call:016}");
                    Ok(Credentials::new(id, "wJalrXUtnFEMI", Some("token".into()), expiry, "test"))
                }
                Answer::NotLoaded => Err(CredentialsError::not_loaded("no source of credentials is configured")),
                Answer::TimedOut => Err(CredentialsError::provider_timed_out(Duration::from_secs(1))),
                Answer::Never => std::future::pending().await,
            }
        })
    }
}

fn key() -> Arc<ClientKey> {
    Arc::new(ClientKey::from_pkcs8_pem(include_bytes!("vectors/test-rsa3072-key.pem")).unwrap())
}

fn request() -> CertificateRequest {
    let name = CommonName::from_host_name("host");
    CertificateRequest::new("fs-0123456789abcdef0".parse().unwrap(), "us-east-1".parse().unwrap(), name)
}

fn iam(clock: &VirtualClock, script: impl Fn(u32) -> Answer + Send + Sync + 'static) -> EfsIdentityBuilder {
    EfsIdentity::iam(request(), key(), Scripted(Box::new(script), AtomicU32::new(0))).clock(clock.clone())
}

async fn next(identity: &mut watch::Receiver<CurrentIdentity>) -> CurrentIdentity {
    identity.changed().await.unwrap();
    identity.borrow_and_update().clone()
}

fn principal(current: &CurrentIdentity) -> String {
    current.as_ref().unwrap().authenticates_as().unwrap().principal.clone()
}

#[test]
fn a_certificate_is_due_after_an_hour_or_when_70_percent_of_the_credentials_life_is_gone() {
    let cases = [
        (None, 0.0, HOUR),
        (None, 1.0, 54 * MINUTE),
        (Some(6 * HOUR), 0.0, HOUR),
        (Some(10 * MINUTE), 0.0, 7 * MINUTE),
        (Some(10 * MINUTE), 1.0, Duration::from_secs(378)),
        (Some(Duration::ZERO), 0.0, Duration::from_secs(1)),
    ];
    for (left, random, expected) in cases {
        let delay = renewal_delay(EfsIdentity::DEFAULT_INTERVAL, left, random);
        let difference = delay.abs_diff(expected);
        assert!(difference < Duration::from_millis(1), "{left:?} {random}: {delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn renewal_comes_before_the_credentials_expire_and_the_serial_counts_up() {
    let clock = VirtualClock::new();
    let identity = iam(&clock, {
        let clock = clock.clone();
        move |_| Answer::Credentials(Some(clock.now() + 10 * MINUTE))
    })
    .start();
    let mut current = identity.subscribe();
    let mut issued_at = Vec::new();
    for round in 0..4 {
        let now = next(&mut current).await;
        assert_eq!(principal(&now), format!("ASIA{round:016}"));
        assert_eq!(now.unwrap().certificate().serial, format!("{round:02x}"));
        issued_at.push(Instant::now());
    }
    for pair in issued_at.windows(2) {
        let waited = pair[1] - pair[0];
        assert!((Duration::from_secs(378)..=7 * MINUTE + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    }
    let status = identity.status().borrow().clone();
    assert_eq!((status.issued, status.failures, status.last_error), (4, 0, None));
    assert_eq!(status.access_key_id.as_deref(), Some("ASIA0000000000000003"));
    assert!(status.not_after.unwrap() > clock.now() + 2 * HOUR);
}

#[tokio::test(start_paused = true)]
async fn long_lived_credentials_and_anonymous_clients_renew_every_hour_or_as_told() {
    let clock = VirtualClock::new();
    let hourly = Duration::from_secs(54 * 60 - 1)..=HOUR + Duration::from_secs(1);
    let each_second = Duration::from_millis(999)..=Duration::from_millis(1100);
    for (builder, expected) in [
        (iam(&clock, |_| Answer::Credentials(None)), &hourly),
        (EfsIdentity::anonymous(request(), key()).clock(clock.clone()), &hourly),
        (
            EfsIdentity::anonymous(request(), key()).clock(clock.clone()).renew_every(Duration::from_secs(1)),
            &each_second,
        ),
    ] {
        let identity = builder.start();
        let mut current = identity.subscribe();
        next(&mut current).await.unwrap();
        let first = Instant::now();
        next(&mut current).await.unwrap();
        assert!(expected.contains(&first.elapsed()), "{:?}", first.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_certificate_and_is_seen_and_recovery_is_noticed() {
    let clock = VirtualClock::new();
    let script = |call| if (1..=3).contains(&call) { Answer::NotLoaded } else { Answer::Credentials(None) };
    let identity = iam(&clock, script).start();
    let mut current = identity.subscribe();
    let mut status = identity.status();
    next(&mut current).await.unwrap();
    status.wait_for(|s| s.failures == 3).await.unwrap();
    let error = status.borrow().last_error.clone().unwrap();
    assert!(error.contains("no source of credentials is configured"), "{error}");
    assert!(!current.has_changed().unwrap());
    assert_eq!(principal(&next(&mut current).await), "ASIA0000000000000004");
    assert_eq!((status.borrow().failures, status.borrow().last_error.clone()), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_runs_out_during_an_outage_gives_way_to_the_cause() {
    let clock = VirtualClock::new();
    let script = |call| if call == 0 { Answer::Credentials(None) } else { Answer::TimedOut };
    let identity = iam(&clock, script).start();
    let mut current = identity.subscribe();
    let not_after = next(&mut current).await.unwrap().certificate().not_after;
    let unavailable = next(&mut current).await.unwrap_err();
    assert!(clock.now() > not_after && clock.now() < not_after + 2 * MINUTE);
    assert!(unavailable.pending && unavailable.reason.contains("timed out"), "{unavailable:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_first_certificate_the_cause_decides_whether_to_wait() {
    let clock = VirtualClock::new();
    for (answer, pending) in [(Answer::NotLoaded, false), (Answer::TimedOut, true), (Answer::Never, true)] {
        let answer = Mutex::new(Some(answer));
        let identity = iam(&clock, move |_| answer.lock().unwrap().take().unwrap_or(Answer::Never)).start();
        let started = Instant::now();
        let unavailable = next(&mut identity.subscribe()).await.unwrap_err();
        assert_eq!(unavailable.pending, pending, "{unavailable:?}");
        assert!(started.elapsed() <= Duration::from_secs(31));
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_have_expired_already_are_not_signed_with() {
    let clock = VirtualClock::new();
    let identity = iam(&clock, {
        let clock = clock.clone();
        move |_| Answer::Credentials(Some(clock.now() - MINUTE))
    })
    .start();
    let unavailable = next(&mut identity.subscribe()).await.unwrap_err();
    assert!(unavailable.reason.contains("expired"), "{unavailable:?}");
}

#[tokio::test(start_paused = true)]
async fn renewal_on_demand_is_at_once_and_ends_with_the_handle() {
    let clock = VirtualClock::new();
    let identity = iam(&clock, |_| Answer::Credentials(None)).start();
    let mut current = identity.subscribe();
    next(&mut current).await.unwrap();
    let asked = Instant::now();
    identity.renew_now();
    assert_eq!(principal(&next(&mut current).await), "ASIA0000000000000001");
    assert_eq!(asked.elapsed(), Duration::ZERO);
    drop(identity);
    assert!(current.changed().await.is_err());
    assert_eq!(principal(&current.borrow()), "ASIA0000000000000001", "the last one stays with those who have it");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_brings_renewal_forward() {
    let clock = VirtualClock::new();
    let identity = iam(&clock, |_| Answer::Credentials(None)).start();
    let mut current = identity.subscribe();
    next(&mut current).await.unwrap();
    clock.jump(4 * HOUR);
    let jumped = Instant::now();
    let renewed = next(&mut current).await.unwrap();
    assert!(jumped.elapsed() <= Duration::from_secs(31), "{:?}", jumped.elapsed());
    assert!(renewed.is_current(clock.now()));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_given_up_when_the_credentials_that_signed_it_expire() {
    let clock = VirtualClock::new();
    let script = {
        let clock = clock.clone();
        move |call| match call {
            0 => Answer::Credentials(Some(clock.now() + 10 * MINUTE)),
            _ => Answer::TimedOut,
        }
    };
    let identity = iam(&clock, script).start();
    let mut current = identity.subscribe();
    let first = next(&mut current).await.unwrap();
    assert!(first.certificate().not_after > first.not_after());
    let unavailable = next(&mut current).await.unwrap_err();
    assert!(clock.now() > first.not_after() && clock.now() < first.not_after() + 2 * MINUTE);
    assert!(unavailable.reason.contains("timed out"), "{unavailable:?}");
}

#[test]
fn extreme_intervals_do_not_overflow() {
    assert_eq!(renewal_delay(Duration::MAX, None, 0.0), Duration::MAX);
    assert_eq!(renewal_delay(HOUR, Some(Duration::MAX), f64::NAN), HOUR);
}
