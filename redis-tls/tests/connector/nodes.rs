//! The other nodes of a cluster, and other places that are dialled.

use crate::support::{TOKEN, ask, start, to, token};
use redis_tls::RedisConnector;
use secure_connector::{ConnectError, Dial, PeerVerifier, Roots, SecureConnector, SecureStream, Verified};
use secure_connector_testkit::{TestPki, redis::FakeElastiCache};

const SEED: &str = "clustercfg.sessions.abc123.use1.cache.amazonaws.com";

fn cluster() -> secure_connector_testkit::redis::ElastiCacheBuilder {
    FakeElastiCache::builder()
        .auth_token(TOKEN)
        .shards(2)
        .certificate_name("*.sessions.abc123.use1.cache.amazonaws.com")
}

#[tokio::test]
async fn a_node_that_is_given_by_address_proves_the_name_of_the_seed() {
    let pki = TestPki::new().unwrap();
    // No address in the certificate.
    let certificate = pki.leaf().dns(SEED).issue().unwrap();
    let cache = cluster().start_with(&certificate).await.unwrap();
    let roots = Roots::from_der(pki.root_der()).unwrap();
    let connector = RedisConnector::from_endpoint(&SEED.parse().unwrap()).unwrap().roots(roots).auth_token(token());
    let connector = connector.dial(Dial::addresses([cache.addr()])).build().unwrap();
    connector.connect().await.unwrap();
    let node = cache.addrs()[1];
    for resumed in [false, true] {
        let mut stream = connector.connect_node(&node.ip().to_string(), node.port()).await.unwrap();
        assert_eq!(ask(&mut stream, "PING").await, "+PONG");
        let report = stream.report();
        assert_eq!(report.verified, Verified::DnsName(SEED.into()));
        assert_eq!(report.peer.as_ref(), Some(&node.to_string()));
        let tls = report.tls.as_ref().unwrap();
        assert_eq!((tls.resumed, tls.sni.as_deref()), (resumed, Some(SEED)), "a session of this node, not of the seed");
    }
}

#[tokio::test]
async fn a_node_that_is_given_by_name_proves_its_own_and_may_be_dialled_elsewhere() {
    let (pki, cache) = start(cluster()).await;
    let node = cache.addrs()[1];
    let roots = Roots::from_der(pki.root_der()).unwrap();
    let connector = RedisConnector::from_endpoint(&SEED.parse().unwrap()).unwrap().roots(roots).auth_token(token());
    let connector = connector.dial_nodes(move |_, _| Dial::addresses([node])).build().unwrap();
    let name = "sessions-0002-001.sessions.abc123.use1.cache.amazonaws.com";
    let stream = connector.connect_node(name, 6379).await.unwrap();
    let tls = stream.report().tls.as_ref().unwrap();
    assert_eq!(tls.sni.as_deref(), Some(name));
    let error = connector.connect_node("not a name", 6379).await.unwrap_err();
    assert!(matches!(error, ConnectError::Config { .. }), "{error:?}");
}

#[tokio::test]
async fn a_node_with_a_certificate_for_somebody_else_is_refused() {
    let pki = TestPki::new().unwrap();
    let cache = cluster().start_with(&pki.leaf().dns("other.example").issue().unwrap()).await.unwrap();
    let peer = PeerVerifier::check_host(Roots::from_der(pki.root_der()).unwrap(), [SEED.parse().unwrap()]).unwrap();
    let connector = RedisConnector::builder(Dial::addresses([cache.addr()]), peer).auth_token(token()).build().unwrap();
    let node = cache.addrs()[1];
    let error = connector.connect_node(&node.ip().to_string(), node.port()).await.unwrap_err();
    let ConnectError::Identity { expected, .. } = &error else { panic!("{error:?}") };
    assert_eq!(expected, &[SEED, "127.0.0.1"]);
}

#[tokio::test]
async fn another_place_is_dialled_with_everything_else_as_configured() {
    let (pki, cache) = start(FakeElastiCache::builder().auth_token(TOKEN).replicas(1)).await;
    let connector = to(&cache, &pki).auth_token(token()).build().unwrap();
    let stream = connector.connect_to(&Dial::addresses(cache.reader_addrs()).because("reads")).await.unwrap();
    assert_eq!(stream.server().role, Some(redis_tls::ServerRole::Replica));
    assert_eq!(stream.report().chosen_because.as_deref(), Some("reads"));
    assert_eq!(connector.connect().await.unwrap().server().role, Some(redis_tls::ServerRole::Primary));
}
