//! Passwords, users, two tokens and client certificates.

use std::sync::Arc;

use secure_connector_testkit::redis::{AuthRefusal, Engine, Event, FakeElastiCache, Proof, UnknownToken, User};
use secure_connector_testkit::{ClientAuth, ServerOptions, TestPki, Usage};

use crate::client::{Client, trusting};

const OLD: &str = "an-old-auth-token-0123456789";
const NEW: &str = "a-new-auth-token-9876543210";
const OK: &str = "+OK\r\n";
const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

#[tokio::test]
async fn a_token_is_wanted_and_a_failed_auth_changes_nothing() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().auth_token(OLD).start(&pki).await.unwrap();
    let mut client = Client::tls(cache.addr(), &pki).await;
    assert_eq!(client.ask("GET a").await, NOAUTH);
    assert_eq!(client.ask(&format!("AUTH {NEW}")).await, WRONGPASS);
    assert_eq!(client.ask("GET a").await, NOAUTH);
    assert_eq!(client.ask(&format!("AUTH {OLD}")).await, OK);
    assert_eq!(client.ask(&format!("HELLO 3 AUTH default {NEW}")).await, WRONGPASS);
    assert_eq!(client.ask("GET a").await, "$-1\r\n");
    let counters = cache.counters();
    assert_eq!((counters.authentications, counters.refused_authentications, counters.commands), (1, 2, 6));
    let events: Vec<_> = cache.journal().into_iter().map(|entry| entry.event).collect();
    assert_eq!(events[2], Event::Command { words: vec!["AUTH".to_owned(), "(redacted)".to_owned()] });
    let user = || "default".to_owned();
    assert_eq!(events[3], Event::Refused { user: user(), refusal: AuthRefusal::WrongPassword });
    assert_eq!(events[6], Event::Authenticated { user: user(), proof: Proof::Password { position: 0 } });
}

#[tokio::test]
async fn rotate_leaves_two_tokens_and_set_one_of_them() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().auth_token(OLD).start(&pki).await.unwrap();
    let mut client = Client::tls(cache.addr(), &pki).await;
    let UnknownToken { .. } = cache.set_token(NEW).unwrap_err();
    cache.rotate_token(NEW);
    for (token, position) in [(OLD, 0), (NEW, 1)] {
        assert_eq!(client.ask(&format!("AUTH {token}")).await, OK);
        let proof = Proof::Password { position };
        assert_eq!(cache.journal().last().unwrap().event, Event::Authenticated { user: "default".to_owned(), proof });
    }
    cache.rotate_token("a-third-auth-token-0123456789");
    assert_eq!(client.ask(&format!("AUTH {OLD}")).await, WRONGPASS);
    assert_eq!(client.ask(&format!("AUTH {NEW}")).await, OK);
    cache.set_token("a-third-auth-token-0123456789").unwrap();
    assert_eq!(client.ask(&format!("AUTH {NEW}")).await, WRONGPASS);
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    assert_eq!(client.ask("AUTH a-third-auth-token-0123456789").await, OK);
}

#[tokio::test]
async fn the_first_token_of_a_cluster_is_optional_until_it_is_set() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().start(&pki).await.unwrap();
    cache.rotate_token(NEW);
    let mut client = Client::tls(cache.addr(), &pki).await;
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    assert_eq!(client.ask(&format!("AUTH {OLD}")).await, WRONGPASS);
    assert_eq!(client.ask(&format!("AUTH {NEW}")).await, OK);
    cache.set_token(NEW).unwrap();
    assert_eq!(Client::tls(cache.addr(), &pki).await.ask("PING").await, NOAUTH);
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
}

#[tokio::test]
async fn a_user_has_two_passwords_and_may_do_what_the_access_string_says() {
    let pki = TestPki::new().unwrap();
    let user = |name, access| User::new(name, access).unwrap();
    let cache = FakeElastiCache::builder()
        .auth_token(OLD)
        .user(user("app", "on ~app:* &app:* +@all -@dangerous").password("one").password("two"))
        .user(user("ro", "on ~* +@read +ping").password("pw"))
        .user(user("off", "~* +@all").password("pw"))
        .user(user("open", "on nopass ~public:* +@read +acl|whoami"))
        .start(&pki)
        .await
        .unwrap();
    let mut client = Client::tls(cache.addr(), &pki).await;
    for (ask, expected) in [
        ("AUTH app three", WRONGPASS),
        ("AUTH off pw", WRONGPASS),
        ("AUTH nobody pw", WRONGPASS),
        ("AUTH app one", OK),
        ("AUTH app two", OK),
        ("SET app:1 x", OK),
        ("SET foo x", "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"),
        ("FLUSHALL", "-NOPERM this user has no permissions to run the 'flushall' command\r\n"),
        ("PUBLISH app:1 x", ":0\r\n"),
        ("PUBLISH b x", "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n"),
        ("AUTH ro pw", OK),
        ("GET app:1", "$1\r\nx\r\n"),
        ("SET app:1 y", "-NOPERM this user has no permissions to run the 'set' command\r\n"),
        ("PING", "+PONG\r\n"),
        ("ECHO x", "-NOPERM this user has no permissions to run the 'echo' command\r\n"),
        ("AUTH open anything", OK),
        ("ACL WHOAMI", "$4\r\nopen\r\n"),
    ] {
        assert_eq!(client.ask(ask).await, expected, "{ask}");
    }
    let refusals = cache.journal().into_iter().filter_map(|entry| match entry.event {
        Event::Refused { user, refusal } => Some((user, refusal)),
        _ => None,
    });
    let refusals: Vec<_> = refusals.collect();
    assert_eq!(
        refusals,
        [
            ("app".to_owned(), AuthRefusal::WrongPassword),
            ("off".to_owned(), AuthRefusal::UserOff),
            ("nobody".to_owned(), AuthRefusal::UnknownUser),
        ]
    );
    cache.remove_user("open");
    assert_eq!(client.reply().await, "<end>");
}

#[test]
fn a_word_that_is_no_rule_is_named_and_a_password_is_not() {
    for word in ["+", "-", "yes", "%R~a", "clearselectors"] {
        assert_eq!(User::new("app", &format!("on {word}")).unwrap_err().word, word);
    }
    assert_eq!(User::new("app", "on >").unwrap_err().word, ">…");
}

#[tokio::test]
async fn redis_5_knows_one_password_and_repeats_the_one_in_hello() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().engine(Engine::Redis5).auth_token(OLD).start(&pki).await.unwrap();
    let mut client = Client::tls(cache.addr(), &pki).await;
    let echo = format!("-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `{OLD}`, \r\n");
    assert_eq!(client.ask(&format!("HELLO 3 AUTH default {OLD}")).await, echo);
    let wrong_number = "-ERR wrong number of arguments for 'auth' command\r\n";
    assert_eq!(client.ask(&format!("AUTH default {OLD}")).await, wrong_number);
    assert_eq!(client.ask(&format!("AUTH {NEW}")).await, "-ERR invalid password\r\n");
    assert_eq!(client.ask(&format!("AUTH {OLD}")).await, OK);
    assert!(!format!("{:?}", cache.journal()).contains(OLD));
}

#[tokio::test]
async fn without_a_password_auth_is_an_error_unless_it_names_the_user() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().start(&pki).await.unwrap();
    let mut client = Client::tls(cache.addr(), &pki).await;
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    assert_eq!(
        client.ask("AUTH x").await,
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?\r\n"
    );
    assert_eq!(client.ask("AUTH default x").await, OK);
}

#[tokio::test]
async fn a_client_certificate_can_be_wanted_and_the_servers_replaced() {
    let pki = TestPki::new().unwrap();
    let options = ServerOptions::default().client_auth(ClientAuth::RequireFrom(pki.root_der().to_vec()));
    let cache = FakeElastiCache::builder().tls(options).start(&pki).await.unwrap();
    let identity = pki.leaf().common_name("app").usage(Usage::Client).issue().unwrap();
    let with_identity = trusting(&pki, Some(&identity));
    let mut client = Client::tls_with(cache.addr(), Arc::clone(&with_identity)).await.unwrap();
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    // In TLS 1.3 the refusal comes after what the client takes for a handshake.
    let mut refused = Client::tls(cache.addr(), &pki).await;
    assert_eq!(refused.reply().await, "<end>");
    let event = cache.journal().pop().unwrap().event;
    assert_eq!(event, Event::HandshakeFailed { error: "peer sent no certificates".to_owned() });

    let mut resumed = Client::tls_with(cache.addr(), Arc::clone(&with_identity)).await.unwrap();
    assert_eq!(resumed.ask("PING").await, "+PONG\r\n");
    cache.replace_certificate(&pki.leaf().dns("localhost").issue().unwrap()).unwrap();
    let mut fresh = Client::tls_with(cache.addr(), with_identity).await.unwrap();
    assert_eq!(fresh.ask("PING").await, "+PONG\r\n");
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    let counters = cache.counters();
    assert_eq!((counters.full_handshakes, counters.resumed_handshakes, counters.failed_handshakes), (2, 1, 1));
    assert_eq!((cache.connections(), cache.users()[0].1.as_deref()), (3, Some("default")));
    let other = TestPki::new().unwrap().leaf().dns("localhost").issue().unwrap();
    cache.replace_certificate(&other).unwrap();
    let error = Client::tls_with(cache.addr(), trusting(&pki, Some(&identity))).await.err().unwrap();
    assert_eq!(error.to_string(), "invalid peer certificate: UnknownIssuer");
}
