//! Everything that a cache does wrong when told to, and that it stops.

use std::time::Duration;

use secure_connector_testkit::TestPki;
use secure_connector_testkit::redis::{Encryption, FakeElastiCache, Misbehaviour};
use tokio::time::{Instant, timeout};

use crate::client::{Client, trusting};

/// Long enough for anything on loopback that is going to happen at all, short enough to wait for what is not.
const NOTHING_COMES: Duration = Duration::from_millis(200);

async fn cache() -> (FakeElastiCache, TestPki) {
    let pki = TestPki::new().unwrap();
    (FakeElastiCache::builder().auth_token("an-auth-token-0123456789").start(&pki).await.unwrap(), pki)
}

async fn authenticated(cache: &FakeElastiCache, pki: &TestPki) -> Client {
    let mut client = Client::tls(cache.addr(), pki).await;
    assert_eq!(client.ask("AUTH an-auth-token-0123456789").await, "+OK\r\n");
    client
}

#[tokio::test]
async fn with_all_clients_taken_the_handshake_ends_without_a_word() {
    let (cache, pki) = cache().await;
    cache.misbehave(Misbehaviour::EndsInHandshake);
    let error = Client::tls_with(cache.addr(), trusting(&pki, None)).await.err().unwrap();
    assert_eq!((error.kind(), error.to_string()), (std::io::ErrorKind::UnexpectedEof, "tls handshake eof".to_owned()));
    cache.behave();
    authenticated(&cache, &pki).await;
}

#[tokio::test]
async fn protected_mode_is_said_and_the_connection_closed() {
    let (cache, pki) = cache().await;
    cache.misbehave(Misbehaviour::ProtectedMode);
    let mut client = Client::tls(cache.addr(), &pki).await;
    let told = client.reply().await;
    assert!(told.starts_with("-DENIED Redis is running in protected mode because "), "{told}");
    assert_eq!(client.reply().await, "<end>");
}

#[tokio::test]
async fn commands_are_refused_for_each_reason_and_authentication_works() {
    let (cache, pki) = cache().await;
    let mut client = authenticated(&cache, &pki).await;
    let master_down = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n";
    for (misbehaviour, on_ping, on_get) in [
        (Misbehaviour::Loading, LOADING, LOADING),
        (Misbehaviour::ClusterDown, "+PONG\r\n", "-CLUSTERDOWN The cluster is down\r\n"),
        (Misbehaviour::MasterDown, "+PONG\r\n", master_down),
    ] {
        cache.misbehave(misbehaviour);
        assert_eq!(client.ask("AUTH an-auth-token-0123456789").await, "+OK\r\n");
        assert_eq!(client.ask("HELLO 2").await.lines().next(), Some("*14"));
        assert_eq!((&*client.ask("PING").await, &*client.ask("GET a").await), (on_ping, on_get));
    }
    cache.misbehave(Misbehaviour::NoResp3);
    assert_eq!(client.ask("HELLO 3").await, "-NOPROTO unsupported protocol version\r\n");
    assert_eq!(client.ask("HELLO 2").await.lines().next(), Some("*14"));
    cache.behave();
    assert_eq!(client.ask("HELLO 3").await.lines().next(), Some("%7"));
}

#[tokio::test]
async fn replies_are_garbage_cut_short_or_missing() {
    let (cache, pki) = cache().await;
    let mut client = authenticated(&cache, &pki).await;
    cache.misbehave(Misbehaviour::Garbage(b"?what\r\n".to_vec()));
    assert_eq!(client.ask("PING").await, "?what\r\n");
    cache.misbehave(Misbehaviour::HangsUp { after: 3 });
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    assert_eq!(client.ask("PING").await, "<end>");
    cache.behave();
    let mut client = authenticated(&cache, &pki).await;
    cache.misbehave(Misbehaviour::Truncated { after: 3 });
    assert_eq!(client.ask("PING").await, "+PO<end>");
    cache.behave();
    let mut client = authenticated(&cache, &pki).await;
    cache.misbehave(Misbehaviour::Silent);
    assert!(timeout(NOTHING_COMES, client.ask("PING")).await.is_err());
    cache.behave();
    let mut client = authenticated(&cache, &pki).await;
    let delay = Duration::from_millis(50);
    cache.misbehave(Misbehaviour::Slow(delay));
    let start = Instant::now();
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn closed_connections_end_in_order_and_new_ones_are_taken() {
    let (cache, pki) = cache().await;
    let mut client = authenticated(&cache, &pki).await;
    cache.close_connections(1);
    assert_eq!(client.ask("PING").await, "+PONG\r\n");
    cache.close_connections(0);
    assert_eq!(client.reply().await, "<end>");
    authenticated(&cache, &pki).await;
}

#[tokio::test]
async fn a_client_hello_to_a_plaintext_port_is_never_answered_but_its_end_is_found_by_force() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().encryption(Encryption::Off).start(&pki).await.unwrap();
    let hello = Client::tls_with(cache.addr(), trusting(&pki, None));
    assert!(timeout(NOTHING_COMES, hello).await.is_err());
    let mut client = Client::plain(cache.addr()).await;
    client.send_raw(b"\x16\x03\x01\x00\xf5\x01\r\n").await;
    assert!(timeout(NOTHING_COMES, client.reply()).await.is_err());
    client.send_raw(&[b'\n'; 65_536]).await;
    assert_eq!(client.reply().await, "-ERR Protocol error: too big inline request\r\n");
    assert_eq!(Client::plain(cache.addr()).await.ask("PING").await, "+PONG\r\n");
}

#[tokio::test]
async fn where_encryption_is_preferred_both_are_taken_and_where_it_is_required_one() {
    let pki = TestPki::new().unwrap();
    let cache = FakeElastiCache::builder().encryption(Encryption::Preferred).start(&pki).await.unwrap();
    assert_eq!(Client::plain(cache.addr()).await.ask("PING").await, "+PONG\r\n");
    assert_eq!(Client::tls(cache.addr(), &pki).await.ask("PING").await, "+PONG\r\n");
    let cache = FakeElastiCache::builder().start(&pki).await.unwrap();
    let mut client = Client::plain(cache.addr()).await;
    client.send_raw(b"PING\r\n").await;
    assert_ne!(client.reply().await, "+PONG\r\n");
    assert_eq!(cache.counters().failed_handshakes, 1);
}

const LOADING: &str = "-LOADING Redis is loading the dataset in memory\r\n";
