//! Dialogues beyond authentication: transactions, publishing, watching others.

use secure_connector_testkit::TestPki;
use secure_connector_testkit::redis::{Engine, FakeElastiCache, User};

use crate::client::Client;

async fn cache() -> (FakeElastiCache, TestPki) {
    let pki = TestPki::new().unwrap();
    (FakeElastiCache::builder().start(&pki).await.unwrap(), pki)
}

#[tokio::test]
async fn a_transaction_is_run_dropped_or_aborted() {
    let (cache, pki) = cache().await;
    let (mut client, mut other) = (Client::tls(cache.addr(), &pki).await, Client::tls(cache.addr(), &pki).await);
    for (ask, expected) in [
        ("MULTI", "+OK\r\n"),
        ("SET a 1", "+QUEUED\r\n"),
        ("INCR a", "+QUEUED\r\n"),
        ("EXEC", "*2\r\n+OK\r\n:2\r\n"),
        ("MULTI", "+OK\r\n"),
        ("SET a 9", "+QUEUED\r\n"),
        ("NONSENSE", "-ERR unknown command 'NONSENSE', with args beginning with: \r\n"),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"),
        ("MULTI", "+OK\r\n"),
        ("SET a 9", "+QUEUED\r\n"),
        ("DISCARD", "+OK\r\n"),
        ("GET a", "$1\r\n2\r\n"),
        ("WATCH a", "+OK\r\n"),
        ("MULTI", "+OK\r\n"),
        ("GET a", "+QUEUED\r\n"),
    ] {
        assert_eq!(client.ask(ask).await, expected, "{ask}");
    }
    assert_eq!(other.ask("INCR a").await, ":3\r\n");
    assert_eq!(client.ask("EXEC").await, "*-1\r\n");
}

#[tokio::test]
async fn what_is_published_reaches_subscribers_of_both_protocols_and_their_patterns() {
    let (cache, pki) = cache().await;
    let (mut old, mut new) = (Client::tls(cache.addr(), &pki).await, Client::tls(cache.addr(), &pki).await);
    let mut publisher = Client::tls(cache.addr(), &pki).await;
    new.ask("HELLO 3").await;
    assert_eq!(old.ask("SUBSCRIBE news").await, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    assert_eq!(new.ask("PSUBSCRIBE n[a-f]*").await, ">3\r\n$10\r\npsubscribe\r\n$7\r\nn[a-f]*\r\n:1\r\n");
    assert_eq!(publisher.ask("PUBLISH news hi").await, ":2\r\n");
    assert_eq!(publisher.ask("PUBLISH noise hi").await, ":0\r\n");
    assert_eq!(old.reply().await, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    assert_eq!(new.reply().await, ">4\r\n$8\r\npmessage\r\n$7\r\nn[a-f]*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    let refused = "-ERR Can't execute 'auth': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
                   context\r\n";
    assert_eq!(old.ask("AUTH default x").await, refused);
    assert_eq!(new.ask("AUTH default x").await, "+OK\r\n");
    assert_eq!(old.ask("UNSUBSCRIBE").await, "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n");
    assert_eq!(old.ask("AUTH default x").await, "+OK\r\n");
}

#[tokio::test]
async fn a_monitor_sees_requests_without_their_secrets() {
    let (cache, pki) = cache().await;
    cache.set_user(User::new("app", "on ~* +@all").unwrap().password("a secret"));
    let (mut monitor, mut client) = (Client::tls(cache.addr(), &pki).await, Client::tls(cache.addr(), &pki).await);
    assert_eq!(monitor.ask("MONITOR").await, "+OK\r\n");
    assert!(monitor.reply().await.ends_with("] \"MONITOR\"\r\n"));
    client.send(&["HELLO", "3", "AUTH", "app", "a secret", "SETNAME", "x"]).await;
    client.reply().await;
    client.ask("SELECT 3").await;
    let line = monitor.reply().await;
    assert!(line.ends_with("] \"HELLO\" \"3\" \"AUTH\" \"app\" \"(redacted)\" \"SETNAME\" \"x\"\r\n"), "{line}");
    assert!(monitor.reply().await.contains(" [0 127.0.0.1:"));
    client.ask("GET a").await;
    assert!(monitor.reply().await.contains(" [3 127.0.0.1:"));
}

#[tokio::test]
async fn requests_are_taken_in_any_pieces_and_several_at_once() {
    let (cache, pki) = cache().await;
    let mut client = Client::tls(cache.addr(), &pki).await;
    for byte in b"*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n" {
        client.send_raw(&[*byte]).await;
    }
    assert_eq!(client.reply().await, "$2\r\n\r\n\r\n");
    client.send_raw(b"PING\r\nECHO \"a \\x41\"\r\n\r\n*1\r\n$4\r\nPING\r\nQUIT\r\nPING\r\n").await;
    for expected in ["+PONG\r\n", "$3\r\na A\r\n", "+PONG\r\n", "+OK\r\n", "<end>"] {
        assert_eq!(client.reply().await, expected);
    }
}

#[tokio::test]
async fn a_broken_request_is_named_and_the_connection_closed() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().auth_token("an-auth-token-0123456789").start(&pki).await.unwrap();
    for (request, why) in [
        ("*x\r\n", "invalid multibulk length"),
        ("*1\r\n:4\r\n", "expected '$', got ':'"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("set \"a\r\n", "unbalanced quotes in request"),
        ("*11\r\n", "unauthenticated multibulk length"),
        ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
        (&"x".repeat(65_537), "too big inline request"),
        (&format!("*{}", "1".repeat(65_537)), "too big mbulk count string"),
    ] {
        let mut client = Client::tls(cache.addr(), &pki).await;
        client.send_raw(request.as_bytes()).await;
        assert_eq!(client.reply().await, format!("-ERR Protocol error: {why}\r\n"), "{request:.20}");
        assert_eq!(client.reply().await, "<end>");
    }
}

#[tokio::test]
async fn reset_makes_the_connection_a_new_one() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().auth_token("an-auth-token-0123456789").start(&pki).await.unwrap();
    let mut client = Client::tls(cache.addr(), &pki).await;
    client.ask("HELLO 3 AUTH default an-auth-token-0123456789").await;
    client.ask("SUBSCRIBE a").await;
    assert_eq!(client.ask("GET a").await, "_\r\n");
    assert_eq!(client.ask("RESET").await, "+RESET\r\n");
    assert_eq!(client.ask("GET a").await, "-NOAUTH Authentication required.\r\n");
    assert_eq!(client.ask("AUTH an-auth-token-0123456789").await, "+OK\r\n");
    assert_eq!(client.ask("GET a").await, "$-1\r\n");
}

#[tokio::test]
async fn each_engine_greets_as_itself() {
    let pki = TestPki::new().unwrap();
    for (engine, product, version) in
        [(Engine::Redis6, "redis", "6.0.9"), (Engine::Redis7, "redis", "7.0.15"), (Engine::Valkey9, "valkey", "9.1.2")]
    {
        let cache = FakeElastiCache::builder().engine(engine).start(&pki).await.unwrap();
        let mut client = Client::tls(cache.addr(), &pki).await;
        let greeting = client.ask("HELLO 3").await;
        let (product, version) = (format!("\r\n{product}\r\n"), format!("\r\n{version}\r\n"));
        assert!(greeting.starts_with("%7\r\n") && greeting.contains(&product) && greeting.contains(&version));
        assert!(client.ask("INFO server").await.contains(version.trim()));
    }
}
