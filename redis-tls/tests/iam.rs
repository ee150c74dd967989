//! Tokens over time: how long they live, how long they serve, who asks for them, and what happens when the clock moves.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use redis_tls::{
    Cache, CredentialError, CredentialSource, Credentials, EndpointError, IamCredentials, IamToken, IamUser,
    RedisEndpoint, Refresh,
};
use secure_connector::Clock;
use tokio::sync::Semaphore;

#[derive(Debug)]
struct TestClock(Mutex<SystemTime>);

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(start())))
    }

    fn set(&self, seconds: i64) {
        let distance = Duration::from_secs(seconds.unsigned_abs());
        *self.0.lock().unwrap() = if seconds < 0 { start() - distance } else { start() + distance };
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// 2026-11-22T02:30:45Z.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_314_645)
}

fn at(seconds: u64) -> SystemTime {
    start() + Duration::from_secs(seconds)
}

/// Gives what was laid ready, the last of it for ever, each time somebody opens the gate.
#[derive(Debug, Clone)]
struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    answers: Mutex<VecDeque<Result<AwsCredentials, ()>>>,
    asked: AtomicUsize,
    gate: Semaphore,
}

const OPEN: usize = 1000;

impl Provider {
    fn new(gate: usize, answers: impl IntoIterator<Item = Result<AwsCredentials, ()>>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect());
        Self(Arc::new(Inner { answers, asked: AtomicUsize::new(0), gate: Semaphore::new(gate) }))
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    async fn answer(&self) -> provider::Result {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        self.0.gate.acquire().await.unwrap().forget();
        let mut answers = self.0.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        next.unwrap().map_err(|()| CredentialsError::provider_error("the metadata service is down"))
    }
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.answer())
    }
}

fn aws(expires: Option<SystemTime>) -> Result<AwsCredentials, ()> {
    Ok(AwsCredentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", Some("session".to_owned()), expires, "test"))
}

fn source(provider: &Provider, clock: &Arc<TestClock>) -> Arc<IamCredentials> {
    let cache = Cache::replication_group("sessions".parse().unwrap(), "us-east-1".parse().unwrap());
    Arc::new(IamCredentials::new(cache, "app".parse().unwrap(), provider.clone()).clock(clock.clone()))
}

async fn token(source: &IamCredentials) -> Arc<Credentials> {
    source.credentials().await.unwrap().first().clone()
}

/// When the token was signed, in seconds after the start.
fn signed(credentials: &Arc<Credentials>) -> i64 {
    let (_, rest) = credentials.expose_secret().unwrap().split_once("X-Amz-Date=").unwrap();
    let (date, time) = (&rest[..8], &rest[9..15]);
    let text = format!("{}-{}-{}T{}:{}:{}Z", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4], &time[4..]);
    let seconds = |time: SystemTime| i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    seconds(humantime::parse_rfc3339(&text).unwrap()) - seconds(start())
}

#[test]
fn a_token_lives_15_minutes_or_until_shortly_before_its_credentials_end() {
    let cache = Cache::memory_db("db".parse().unwrap(), "us-east-1".parse().unwrap());
    let sign = |expires, now| IamToken::sign(&cache, "app", &aws(expires).unwrap(), now);
    for (expires, life) in [
        (None, Some(900)),
        (Some(at(36_000)), Some(900)),
        (Some(at(911)), Some(900)),
        (Some(at(910)), Some(900)),
        (Some(at(909)), Some(899)),
        (Some(at(11)), Some(1)),
        (Some(at(10)), None),
        (Some(at(0)), None),
        (Some(start() - Duration::from_secs(1)), None),
        (Some(UNIX_EPOCH), None),
    ] {
        match (sign(expires, start()), life) {
            (Ok(token), Some(life)) => assert_eq!(token.expires(), at(life), "{expires:?}"),
            (Err(CredentialError::Expired { at }), None) => assert_eq!(Some(at), expires),
            (other, _) => panic!("{expires:?}: {other:?}"),
        }
    }
    // The server counts from the second in the token, not from the fraction behind it.
    let token = sign(None, start() + Duration::from_millis(999)).unwrap();
    assert_eq!((token.signed_at(), token.expires()), (start(), at(900)));
}

#[test]
fn a_time_that_no_signature_can_bear_is_refused() {
    let cache = Cache::memory_db("db".parse().unwrap(), "us-east-1".parse().unwrap());
    let year_10000 = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
    for now in [UNIX_EPOCH - Duration::from_secs(1), year_10000] {
        match IamToken::sign(&cache, "app", &aws(None).unwrap(), now) {
            Err(CredentialError::Clock { now: shown }) => assert_eq!(shown, now),
            other => panic!("{other:?}"),
        }
    }
    for now in [UNIX_EPOCH, year_10000 - Duration::from_nanos(1)] {
        assert!(IamToken::sign(&cache, "app", &aws(None).unwrap(), now).is_ok());
    }
}

#[test]
fn credentials_with_stray_characters_are_refused_by_part() {
    let cache = Cache::memory_db("db".parse().unwrap(), "us-east-1".parse().unwrap());
    for (id, secret, session, part) in [
        ("", "secret", None, "access key id"),
        ("AKID\n", "secret", None, "access key id"),
        ("AKID", " secret", None, "secret access key"),
        ("AKID", "sec\u{e9}ret", None, "secret access key"),
        ("AKID", "secret", Some("token\r\n"), "session token"),
    ] {
        let credentials = AwsCredentials::new(id, secret, session.map(str::to_owned), None, "test");
        match IamToken::sign(&cache, "app", &credentials, start()) {
            Err(CredentialError::Malformed { part: found }) => assert_eq!(found, part),
            other => panic!("{id:?} {secret:?} {session:?}: {other:?}"),
        }
    }
    // An empty session token is what some providers give for keys that have none.
    let empty = AwsCredentials::new("AKID", "secret", Some(String::new()), None, "test");
    let token = IamToken::sign(&cache, "app", &empty, start()).unwrap();
    assert!(!token.expose_secret().contains("X-Amz-Security-Token"), "{}", token.explain());
}

#[tokio::test]
async fn a_token_serves_for_five_minutes_and_then_gives_way_to_a_new_one() {
    let (clock, provider) = (TestClock::new(), Provider::new(OPEN, [aws(None)]));
    let source = source(&provider, &clock);
    let first = token(&source).await;
    assert_eq!((signed(&first), first.expires()), (0, Some(at(900))));
    assert_eq!(first.username().unwrap().as_str(), "app");
    assert_eq!(first.label(), "IAM token for sessions, access key AKIDEXAMPLE, signed 2026-11-22T02:30:45Z, user app");
    clock.set(299);
    assert!(Arc::ptr_eq(&first, &token(&source).await));
    clock.set(300);
    assert_eq!((signed(&token(&source).await), provider.asked()), (300, 2));
    assert_eq!(source.refresh(), Refresh::Within(Duration::from_secs(43_200)));
}

#[tokio::test]
async fn a_token_does_not_outlive_the_session_that_signed_it() {
    let (clock, provider) = (TestClock::new(), Provider::new(OPEN, [aws(Some(at(100))), aws(Some(at(3700)))]));
    let source = source(&provider, &clock);
    assert_eq!(token(&source).await.expires(), Some(at(90)));
    clock.set(89);
    assert_eq!((signed(&token(&source).await), provider.asked()), (0, 1));
    clock.set(90);
    let second = token(&source).await;
    assert_eq!((signed(&second), second.expires(), provider.asked()), (90, Some(at(990)), 2));
}

#[tokio::test]
async fn a_clock_that_is_set_back_costs_a_new_token() {
    let (clock, provider) = (TestClock::new(), Provider::new(OPEN, [aws(None)]));
    let source = source(&provider, &clock);
    assert_eq!(signed(&token(&source).await), 0);
    clock.set(-1);
    assert_eq!(signed(&token(&source).await), -1);
    clock.set(-100_000);
    assert_eq!(signed(&token(&source).await), -100_000);
    clock.set(100_000);
    assert_eq!(signed(&token(&source).await), 100_000);
    assert_eq!(provider.asked(), 4);
}

#[tokio::test]
async fn however_many_ask_at_once_the_provider_is_asked_once() {
    let (clock, provider) = (TestClock::new(), Provider::new(0, [aws(None)]));
    let source = source(&provider, &clock);
    let asking: Vec<_> = (0..64).map(|_| tokio::spawn(ask(source.clone()))).collect();
    wait_until(|| Arc::strong_count(&source) == 65 && provider.asked() == 1).await;
    provider.0.gate.add_permits(OPEN);
    let mut tokens = Vec::new();
    for task in asking {
        tokens.push(task.await.unwrap().unwrap());
    }
    assert!(tokens.iter().all(|token| Arc::ptr_eq(token, &tokens[0])));
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_all_who_waited_and_the_next_call_tries_again() {
    let (clock, provider) = (TestClock::new(), Provider::new(0, [Err(()), aws(None)]));
    let source = source(&provider, &clock);
    let asking: Vec<_> = (0..64).map(|_| tokio::spawn(ask(source.clone()))).collect();
    wait_until(|| Arc::strong_count(&source) == 65 && provider.asked() == 1).await;
    for _ in 0..8 {
        tokio::task::yield_now().await; // so that all of them wait
    }
    provider.0.gate.add_permits(OPEN);
    for task in asking {
        let error = task.await.unwrap().unwrap_err();
        assert!(error.is_retryable());
        assert_eq!(error.source().unwrap().source().unwrap().to_string(), "the metadata service is down");
    }
    assert_eq!(provider.asked(), 1);
    assert_eq!(signed(&ask(source).await.unwrap()), 0);
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn whoever_is_cancelled_leaves_the_work_to_the_next() {
    let (clock, provider) = (TestClock::new(), Provider::new(0, [aws(None)]));
    let source = source(&provider, &clock);
    let first = tokio::spawn(ask(source.clone()));
    wait_until(|| provider.asked() == 1).await;
    let second = tokio::spawn(ask(source.clone()));
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    wait_until(|| provider.asked() == 2).await;
    provider.0.gate.add_permits(OPEN);
    assert_eq!(signed(&second.await.unwrap().unwrap()), 0);
}

#[tokio::test]
async fn the_last_token_serves_while_the_provider_fails_and_no_longer_than_it_lives() {
    let (clock, provider) = (TestClock::new(), Provider::new(OPEN, [aws(None), Err(())]));
    let source = source(&provider, &clock);
    token(&source).await;
    for seconds in [300, 899] {
        clock.set(seconds);
        assert_eq!(signed(&token(&source).await), 0);
    }
    clock.set(900);
    assert!(matches!(source.credentials().await, Err(CredentialError::Source(_))));
    assert_eq!(provider.asked(), 4);
}

#[tokio::test]
async fn nobody_waits_for_a_new_token_while_the_last_one_would_do() {
    let (clock, provider) = (TestClock::new(), Provider::new(1, [aws(None)]));
    let source = source(&provider, &clock);
    token(&source).await;
    clock.set(300);
    let renewing = tokio::spawn(ask(source.clone()));
    wait_until(|| provider.asked() == 2).await;
    assert_eq!(signed(&token(&source).await), 0);
    provider.0.gate.add_permits(OPEN);
    assert_eq!(signed(&renewing.await.unwrap().unwrap()), 300);
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_given_up_after_half_a_minute_or_two_seconds_with_a_token_at_hand() {
    let (clock, provider) = (TestClock::new(), Provider::new(0, [aws(None)]));
    let source = source(&provider, &clock);
    let began = tokio::time::Instant::now();
    match source.credentials().await {
        Err(CredentialError::Timeout { limit }) => assert_eq!(limit, Duration::from_secs(30)),
        other => panic!("{other:?}"),
    }
    assert_eq!(began.elapsed().as_secs(), 30);
    provider.0.gate.add_permits(1);
    assert_eq!(signed(&token(&source).await), 0);
    clock.set(300);
    let began = tokio::time::Instant::now();
    assert_eq!(signed(&token(&source).await), 0);
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn a_token_that_the_server_refused_is_not_given_again_unless_it_is_brand_new() {
    let (clock, provider) = (TestClock::new(), Provider::new(OPEN, [aws(None)]));
    let source = source(&provider, &clock);
    let first = token(&source).await;
    clock.set(4);
    source.refused(&first);
    assert!(Arc::ptr_eq(&first, &token(&source).await));
    clock.set(5);
    source.accepted(&first);
    assert!(Arc::ptr_eq(&first, &token(&source).await));
    source.refused(&first);
    let second = token(&source).await;
    assert_eq!(signed(&second), 5);
    clock.set(60);
    source.refused(&first); // late news of one that is no longer given
    assert!(Arc::ptr_eq(&second, &token(&source).await));
}

#[test]
fn an_endpoint_tells_the_cache_that_tokens_are_for() {
    let cache = |text: &str| text.parse::<RedisEndpoint>().unwrap().cache();
    for (endpoint, service, name, region) in [
        ("master.My-Group.abc123.use1.cache.amazonaws.com", "elasticache", "my-group", "us-east-1"),
        ("my-cache-abc123.serverless.apn2.cache.amazonaws.com", "elasticache", "my-cache", "ap-northeast-2"),
        ("clustercfg.db.abc123.memorydb.cn-north-1.amazonaws.com.cn", "memorydb", "db", "cn-north-1"),
    ] {
        let cache = cache(endpoint).unwrap();
        assert_eq!((cache.signing_name(), cache.name().as_str(), cache.region().as_str()), (service, name, region));
        assert_eq!(cache.service(), endpoint.parse::<RedisEndpoint>().unwrap().service());
    }
    let host = "localhost".to_owned();
    assert_eq!(cache("localhost"), Err(EndpointError::NotAws { host }));
    let host = "master.g.abc123.xyz9.cache.amazonaws.com".to_owned();
    assert_eq!(cache(&host), Err(EndpointError::UnknownRegion { host, code: "xyz9".to_owned() }));
    let plaintext = "g.abc123.ng.0001.use1.cache.amazonaws.com";
    assert!(matches!(cache(plaintext), Err(EndpointError::Plaintext { host, .. }) if host == plaintext));
    let long = "a".repeat(41);
    match cache(&format!("master.{long}.abc123.use1.cache.amazonaws.com")) {
        Err(EndpointError::Name(error)) => assert_eq!(error.found, long),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_follow_the_rules_of_aws_and_are_lowered() {
    for (text, name) in [("a", "a"), ("My-Cache-01", "my-cache-01"), (&"a".repeat(40), &*"a".repeat(40))] {
        assert_eq!(text.parse::<redis_tls::CacheName>().unwrap().as_str(), name);
    }
    for bad in ["", "-a", "a-", "a--b", "1a", "a_b", "a.b", "a b", "\u{e9}", &"a".repeat(41)] {
        assert_eq!(bad.parse::<redis_tls::CacheName>().unwrap_err().found, bad);
    }
    for (text, user) in
        [("a", "a"), ("IAM-User-01", "iam-user-01"), ("default.iam-user", "default.iam-user"), ("a--b-", "a--b-")]
    {
        assert_eq!(text.parse::<IamUser>().unwrap().as_str(), user);
    }
    for bad in ["", "1a", "-a", "a_b", "a.b", "default.", "default.1", "default.default.a", "a b", "a\n", "\u{e9}"] {
        assert_eq!(bad.parse::<IamUser>().unwrap_err().found, bad);
    }
}

async fn ask(source: Arc<IamCredentials>) -> Result<Arc<Credentials>, CredentialError> {
    source.credentials().await.map(|candidates| candidates.first().clone())
}

async fn wait_until(condition: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it comes true");
}
