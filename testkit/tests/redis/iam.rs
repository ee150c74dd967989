//! IAM tokens: those of botocore are good, and each thing that can be wrong with one has a name.

use std::time::{Duration, SystemTime};

use humantime::parse_rfc3339;
use secure_connector_testkit::efs::TokenFault;
use secure_connector_testkit::redis::{
    AuthRefusal, Event, FakeElastiCache, IamKey, IamRefusal, IamRules, IamService, Proof, User,
};
use secure_connector_testkit::{Clock, TestPki};
use serde::Deserialize;

use crate::client::Client;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    input: Input,
    token: String,
}

#[derive(Deserialize)]
struct Input {
    service: String,
    cache_name: String,
    user_id: String,
    region: String,
    serverless: bool,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    now: String,
}

impl Input {
    fn service(&self) -> IamService {
        match (self.service.as_str(), self.serverless) {
            ("memorydb", _) => IamService::MemoryDb,
            (_, true) => IamService::ElastiCacheServerless,
            (_, false) => IamService::ElastiCache,
        }
    }

    fn key(&self) -> IamKey {
        let key = IamKey::new(&self.access_key_id, &self.secret_access_key);
        self.session_token.iter().fold(key, |key, token| key.session_token(token))
    }

    fn rules(&self, after: Duration) -> IamRules {
        self.rules_at(parse_rfc3339(&self.now).unwrap() + after)
    }

    /// AWS keeps names in lower case, and signers are to sign them so.
    fn rules_at(&self, now: SystemTime) -> IamRules {
        IamRules::new(self.service(), self.cache_name.to_lowercase(), &self.region)
            .key(self.key())
            .clock(Clock::fixed(now))
    }
}

fn vectors() -> Vec<Vector> {
    let vectors: Vectors = serde_json::from_str(include_str!("../vectors/redis/iam_tokens.json")).unwrap();
    assert!(vectors.vectors.len() > 10);
    vectors.vectors
}

fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).unwrap()
}

#[test]
fn every_token_of_botocore_is_good_for_a_quarter_of_an_hour_and_for_nobody_else() {
    for Vector { name, input, token } in vectors() {
        let user = input.user_id.to_lowercase();
        for after in [0, 899] {
            let judged = input.rules(Duration::from_secs(after)).judge(&user, &token);
            assert_eq!(judged.as_ref(), Ok(&input.access_key_id), "{name}");
        }
        let (signed_at, now) = (time(&input), time(&input) + Duration::from_secs(900));
        let rules = input.rules(Duration::from_secs(900));
        assert_eq!(rules.judge(&user, &token), Err(IamRefusal::Expired { signed_at, now }), "{name}");
        let wrong_user = IamRefusal::WrongUser { expected: "somebody".to_owned(), found: user };
        assert_eq!(input.rules(Duration::ZERO).judge("somebody", &token), Err(wrong_user), "{name}");
    }
}

#[test]
fn one_changed_character_of_the_signature_or_of_the_secret_is_a_mismatch() {
    for Vector { name, input, token } in vectors() {
        let mismatch = IamRefusal::SignatureMismatch { access_key_id: input.access_key_id.clone() };
        let user = input.user_id.to_lowercase();
        let last = if token.ends_with('0') { '1' } else { '0' };
        let changed = format!("{}{last}", &token[..token.len() - 1]);
        assert_eq!(input.rules(Duration::ZERO).judge(&user, &changed), Err(mismatch.clone()), "{name}");
        let other = Input { secret_access_key: format!("{}x", input.secret_access_key), ..input };
        assert_eq!(other.rules(Duration::ZERO).judge(&user, &token), Err(mismatch), "{name}");
    }
}

#[test]
fn each_thing_wrong_with_a_token_has_its_name() {
    let Vector { input, token, .. } = vector("rg_static");
    let judge = |token: &str| input.rules(Duration::ZERO).judge("iam-user-01", token).unwrap_err();
    let replaced = |from: &str, to: &str| {
        assert!(token.contains(from), "{from}");
        token.replace(from, to)
    };
    let parameter = |parameter, expected, found: Option<&str>| IamRefusal::Parameter {
        parameter,
        expected,
        found: found.map(str::to_owned),
    };
    for (token, refusal) in [
        ("a-password-0123456".to_owned(), IamRefusal::NotAToken),
        (replaced("Action=connect", "Action"), IamRefusal::NotAToken),
        (replaced("Action=connect", "Action=connect&Action=connect"), IamRefusal::NotAToken),
        (
            replaced("replication-group-01", "Replication-Group-01"),
            IamRefusal::WrongCache {
                expected: "replication-group-01".to_owned(),
                found: "Replication-Group-01".to_owned(),
            },
        ),
        (replaced("Action=connect", "Action=Connect"), parameter("Action", "connect", Some("Connect"))),
        (replaced("User=iam-user-01&", ""), parameter("User", "a value", None)),
        (replaced("Action=connect", "Action=connect&ResourceType=ServerlessCache"), IamRefusal::ResourceTypeUnexpected),
        (
            replaced("SignedHeaders=host", "SignedHeaders=host%3Bdate"),
            parameter("X-Amz-SignedHeaders", "host", Some("host;date")),
        ),
        (replaced("AKIDEXAMPLE", "AKIDOTHER"), IamRefusal::UnknownAccessKey { access_key_id: "AKIDOTHER".to_owned() }),
        (
            replaced("%2Faws4_request", ""),
            parameter(
                "X-Amz-Credential",
                "KEY/DATE/REGION/SERVICE/aws4_request",
                Some("AKIDEXAMPLE/20261122/us-east-1/elasticache"),
            ),
        ),
        (replaced("us-east-1", "us-east-2"), scope("region", "us-east-1", "us-east-2")),
        (replaced("elasticache", "memorydb"), scope("service", "elasticache", "memorydb")),
        (replaced("20261122%2F", "20261121%2F"), scope("date", "20261122", "20261121")),
        (replaced("Expires=900", "Expires=901"), IamRefusal::LivesTooLong { lifetime: Duration::from_secs(901) }),
        (replaced("Expires=900", "Expires=never"), parameter("X-Amz-Expires", "a number or time", None)),
        (replaced("20261122T023045Z", "20261122T993045Z"), parameter("X-Amz-Date", "a number or time", None)),
        (
            replaced("&X-Amz-Signed", "&X-Amz-Security-Token=x&X-Amz-Signed"),
            IamRefusal::SessionToken { access_key_id: "AKIDEXAMPLE".to_owned(), fault: TokenFault::Unexpected },
        ),
    ] {
        assert_eq!(judge(&token), refusal, "{token}");
    }
}

#[test]
fn a_clock_may_be_five_minutes_behind_the_signer_and_no_second_more() {
    let Vector { input, token, .. } = vector("rg_static");
    let at = |behind| input.rules_at(time(&input) - Duration::from_secs(behind)).judge("iam-user-01", &token);
    assert_eq!(at(300), Ok("AKIDEXAMPLE".to_owned()));
    let (signed_at, allowed) = (time(&input), Duration::from_secs(300));
    assert_eq!(at(301), Err(IamRefusal::Skew { signed_at, now: signed_at - Duration::from_secs(301), allowed }));
}

#[test]
fn a_token_needs_the_session_of_its_key_and_ends_with_it() {
    let Vector { input, token, .. } = vector("rg_session");
    let access_key_id = "AKIDEXAMPLE".to_owned();
    let session_token = input.session_token.clone().unwrap();
    let with = |key: IamKey, after| {
        let rules = IamRules::new(IamService::ElastiCache, "replication-group-01", "us-east-1").key(key);
        let rules = rules.clock(Clock::fixed(time(&input) + Duration::from_secs(after)));
        rules.judge("iam-user-01", &token)
    };
    let key = || IamKey::new("AKIDEXAMPLE", &input.secret_access_key);
    let fault = |fault| Err(IamRefusal::SessionToken { access_key_id: access_key_id.clone(), fault });
    assert_eq!(with(key(), 0), fault(TokenFault::Unexpected));
    assert_eq!(with(key().session_token("another"), 0), fault(TokenFault::Different));
    let ended = time(&input) + Duration::from_secs(60);
    let key = || key().session_token(&session_token).session_ends(ended);
    assert_eq!(with(key(), 59), Ok(access_key_id.clone()));
    assert_eq!(
        with(key(), 60),
        Err(IamRefusal::SessionEnded { access_key_id: access_key_id.clone(), ended, now: ended })
    );
    assert_eq!(with(key().without_permission(), 0), Err(IamRefusal::NotAllowed { access_key_id }));
}

#[test]
fn only_a_serverless_cache_wants_its_resource_type() {
    let Vector { input, token, .. } = vector("serverless_static");
    let rules = |service| {
        let rules = IamRules::new(service, "cache-01", "eu-central-1").key(input.key());
        rules.clock(Clock::fixed(time(&input)))
    };
    let (serverless, group) = (rules(IamService::ElastiCacheServerless), rules(IamService::ElastiCache));
    assert_eq!(serverless.judge("iam-user-01", &token), Ok("AKIDEXAMPLE".to_owned()));
    assert_eq!(group.judge("iam-user-01", &token), Err(IamRefusal::ResourceTypeUnexpected));
    let without = token.replace("&ResourceType=ServerlessCache", "");
    assert_eq!(serverless.judge("iam-user-01", &without), Err(IamRefusal::ResourceTypeMissing));
    let other = IamRefusal::Parameter {
        parameter: "ResourceType",
        expected: "ServerlessCache",
        found: Some("Cache".to_owned()),
    };
    assert_eq!(serverless.judge("iam-user-01", &token.replace("=ServerlessCache", "=Cache")), Err(other));
}

#[tokio::test]
async fn a_connection_lives_twelve_hours_from_its_last_token_and_a_password_for_ever() {
    let pki = TestPki::new().unwrap();
    let Vector { input, token, .. } = vector("rg_static");
    let now = std::sync::Arc::new(std::sync::Mutex::new(time(&input)));
    let clock = Clock::new({
        let now = std::sync::Arc::clone(&now);
        move || *now.lock().unwrap()
    });
    let cache = FakeElastiCache::builder()
        .auth_token("an-auth-token-0123456789")
        .iam(input.rules(Duration::ZERO))
        .user(User::new("iam-user-01", "on ~* +@all").unwrap().iam())
        .clock(clock)
        .start(&pki)
        .await
        .unwrap();
    let set = |after: u64| *now.lock().unwrap() = time(&input) + Duration::from_secs(after);
    let mut client = Client::tls(cache.addr(), &pki).await;
    let mut idle = Client::tls(cache.addr(), &pki).await;
    let mut by_password = Client::tls(cache.addr(), &pki).await;
    assert_eq!(by_password.ask("AUTH an-auth-token-0123456789").await, "+OK\r\n");
    assert_eq!(idle.ask(&format!("HELLO 3 AUTH iam-user-01 {token}")).await.lines().next(), Some("%7"));
    set(600);
    assert_eq!(client.ask(&format!("AUTH iam-user-01 {token}")).await, "+OK\r\n");
    set(900);
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(client.ask(&format!("AUTH iam-user-01 {token}")).await, wrong);
    assert_eq!(client.ask("ACL WHOAMI").await, "$11\r\niam-user-01\r\n");

    const HALF_A_DAY: u64 = 12 * 60 * 60;
    set(HALF_A_DAY - 1);
    cache.enforce_time_limit();
    assert_eq!(idle.ask("PING").await, "+PONG\r\n");
    set(HALF_A_DAY);
    cache.enforce_time_limit();
    assert_eq!(idle.reply().await, "<end>");
    set(HALF_A_DAY + 599);
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    set(HALF_A_DAY + 600);
    assert_eq!(client.ask("PING").await, "<end>");
    set(100 * HALF_A_DAY);
    assert_eq!(by_password.ask("PING").await, "+PONG\r\n");

    assert_eq!(cache.counters().cut_by_time_limit, 2);
    let journal = cache.journal();
    let proofs: Vec<_> = journal.iter().filter(|entry| matches!(entry.event, Event::Authenticated { .. })).collect();
    let iam = Proof::Iam { access_key_id: "AKIDEXAMPLE".to_owned() };
    assert_eq!(proofs[2].event, Event::Authenticated { user: "iam-user-01".to_owned(), proof: iam });
    let expired = IamRefusal::Expired { signed_at: time(&input), now: time(&input) + Duration::from_secs(900) };
    let refused = Event::Refused { user: "iam-user-01".to_owned(), refusal: AuthRefusal::Iam(expired) };
    assert!(journal.iter().any(|entry| entry.event == refused), "{journal:#?}");
    let shown = format!("{cache:?}{journal:?}");
    for secret in ["an-auth-token-0123456789", &input.secret_access_key, &token[token.len() - 64..]] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn scope(part: &'static str, expected: &str, found: &str) -> IamRefusal {
    IamRefusal::WrongScope { part, expected: expected.to_owned(), found: found.to_owned() }
}

fn time(input: &Input) -> SystemTime {
    parse_rfc3339(&input.now).unwrap()
}
