//! Shards, replicas, a failover and the two ports of a serverless cache.

use secure_connector_testkit::TestPki;
use secure_connector_testkit::redis::{Announce, ElastiCacheBuilder, FakeElastiCache};

use crate::client::Client;

async fn started(builder: ElastiCacheBuilder) -> (FakeElastiCache, TestPki) {
    let pki = TestPki::new().unwrap();
    (builder.start(&pki).await.unwrap(), pki)
}

#[tokio::test]
async fn keys_are_divided_among_shards_as_redis_cli_does_it() {
    let (cache, pki) = started(FakeElastiCache::builder().shards(3)).await;
    let addrs = cache.addrs();
    let mut first = Client::tls(addrs[0], &pki).await;
    let mut third = Client::tls(addrs[2], &pki).await;
    assert_eq!(first.ask("CLUSTER KEYSLOT {a}b").await, ":15495\r\n");
    assert_eq!(first.ask("SET a 1").await, format!("-MOVED 15495 {}\r\n", addrs[2]));
    assert_eq!(third.ask("SET a 1").await, "+OK\r\n");
    assert_eq!(third.ask("DEL a foo").await, "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    assert_eq!(third.ask("DEL a {a}b").await, ":1\r\n");
    assert_eq!(third.ask("SELECT 1").await, "-ERR SELECT is not allowed in cluster mode\r\n");
    let slots = first.ask("CLUSTER SLOTS").await;
    for (slots_of_node, addr) in
        ["*3\r\n:0\r\n:5460\r\n", "*3\r\n:5461\r\n:10922\r\n", "*3\r\n:10923\r\n:16383\r\n"].iter().zip(&addrs)
    {
        let node = format!("{slots_of_node}*4\r\n$9\r\n127.0.0.1\r\n:{}\r\n$40\r\n", addr.port());
        assert!(slots.contains(&node), "{slots}");
    }
    assert!(first.ask("HELLO 3").await.contains("\r\nmode\r\n$7\r\ncluster\r\n"));
}

#[tokio::test]
async fn nodes_name_each_other_by_address_by_name_or_not_at_all() {
    for (announce, node, moved) in [
        (Announce::Address, "$9\r\n127.0.0.1\r\n", "127.0.0.1"),
        (Announce::Host("cache.example".to_owned()), "$13\r\ncache.example\r\n", "cache.example"),
        (Announce::Nothing, "$-1\r\n", ""),
    ] {
        let (cache, pki) = started(FakeElastiCache::builder().shards(2).announce(announce)).await;
        let port = cache.addrs()[1].port();
        let mut client = Client::tls(cache.addr(), &pki).await;
        assert!(client.ask("CLUSTER SLOTS").await.contains(&format!("*4\r\n{node}:{port}\r\n")));
        assert_eq!(client.ask("GET a").await, format!("-MOVED 15495 {moved}:{port}\r\n"));
    }
}

#[tokio::test]
async fn after_a_failover_the_old_primary_refuses_writes_and_the_new_one_takes_them() {
    let (cache, pki) = started(FakeElastiCache::builder().replicas(1)).await;
    let (mut old, mut new) = (Client::tls(cache.addrs()[0], &pki).await, Client::tls(cache.addrs()[1], &pki).await);
    let read_only = "-READONLY You can't write against a read only replica.\r\n";
    assert_eq!((&*old.ask("SET a 1").await, &*new.ask("SET a 1").await), ("+OK\r\n", read_only));
    assert!(new.ask("ROLE").await.starts_with("*5\r\n$5\r\nslave\r\n"));
    cache.fail_over();
    assert_eq!((&*old.ask("SET a 2").await, &*new.ask("SET a 2").await), (read_only, "+OK\r\n"));
    assert_eq!(old.ask("GET a").await, "$1\r\n2\r\n");
    assert!(old.ask("HELLO 2").await.contains("\r\nrole\r\n$7\r\nreplica\r\n"));
    assert!(new.ask("INFO replication").await.contains("role:master"));
    assert_eq!(cache.primary_addr(), Some(cache.addrs()[1]));
    assert_eq!(cache.reader_addrs(), [cache.addrs()[0]]);

    let (alone, pki) = started(FakeElastiCache::builder()).await;
    let mut client = Client::tls(alone.addr(), &pki).await;
    alone.fail_over();
    assert_eq!((client.ask("SET a 1").await, alone.primary_addr()), (read_only.to_owned(), None));
}

#[tokio::test]
async fn the_second_port_of_a_serverless_cache_is_for_reading() {
    let builder = FakeElastiCache::builder().serverless().announce(Announce::Host("localhost".to_owned()));
    let (cache, pki) = started(builder).await;
    let (primary, reader) = (cache.addr().port(), cache.reader_addrs()[0].port());
    let mut writer = Client::tls(cache.addr(), &pki).await;
    assert_eq!(writer.ask("SET a 1").await, "+OK\r\n");
    let slots = writer.ask("CLUSTER SLOTS").await;
    for port in [primary, reader] {
        assert!(slots.contains(&format!("$9\r\nlocalhost\r\n:{port}\r\n")), "{slots}");
    }
    let mut client = Client::tls(cache.reader_addrs()[0], &pki).await;
    let moved = format!("-MOVED 15495 localhost:{primary}\r\n");
    assert_eq!(client.ask("GET a").await, moved);
    assert_eq!(client.ask("READONLY").await, "+OK\r\n");
    assert_eq!(client.ask("GET a").await, "$1\r\n1\r\n");
    assert_eq!(client.ask("SET a 2").await, moved);
}
