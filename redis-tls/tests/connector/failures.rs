//! What stands in the way, told by its type.

use std::time::{Duration, Instant};

use crate::support::{TOKEN, peer, refused, start, to, token};
use redis_tls::{AuthToken, HandshakeError, PlaintextRedis, RedisConfigError, RedisConnector, ServerRole};
use secure_connector::{
    ConnectError, Dial, PeerVerifier, Roots, SecureConnector, SecureStream, Stage, Timeouts, TlsFailure, TlsVersion,
};
use secure_connector_testkit::{
    ClientAuth, ServerOptions, TestPki, TlsVersion as Spoken, misbehaving,
    redis::{ElastiCacheBuilder, Encryption, Engine, FakeElastiCache, Misbehaviour},
};

fn protected() -> ElastiCacheBuilder {
    FakeElastiCache::builder().auth_token(TOKEN)
}

async fn error_of(builder: ElastiCacheBuilder) -> ConnectError {
    let (pki, cache) = start(builder).await;
    to(&cache, &pki).auth_token(token()).ping().build().unwrap().connect().await.unwrap_err()
}

#[tokio::test]
async fn a_server_without_tls_is_found_out_long_before_a_time_out() {
    for engine in [Engine::Redis5, Engine::Redis7] {
        let (pki, cache) = start(protected().engine(engine).encryption(Encryption::Off)).await;
        let connector = to(&cache, &pki).auth_token(token()).build().unwrap();
        let started = Instant::now();
        let error = connector.connect().await.unwrap_err();
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "the TLS handshake alone would take ten: {:?}",
            started.elapsed()
        );
        let ConnectError::Tls { reason, source } = &error else { panic!("{error:?}") };
        assert_eq!(*reason, TlsFailure::NotTls { looks_like: Some("Redis") });
        assert!(source.is::<PlaintextRedis>());
        let remedy = redis_tls::explain(&error);
        assert!(remedy.contains("encryption in transit is off") && remedy.contains("master."), "{remedy}");
        assert_eq!(cache.counters().authentications + cache.counters().refused_authentications, 0);
    }
}

#[tokio::test]
async fn a_server_that_speaks_both_and_a_slow_one_are_not_taken_for_plaintext() {
    let (pki, cache) = start(protected().encryption(Encryption::Preferred)).await;
    to(&cache, &pki).auth_token(token()).build().unwrap().connect().await.unwrap();
    let pki = TestPki::new().unwrap();
    let timeouts = Timeouts::default().with(Stage::Tls, Duration::from_millis(400));
    for server in [misbehaving::silent().await.unwrap(), misbehaving::black_hole().await.unwrap()] {
        let builder = RedisConnector::builder(Dial::addresses([server.addr()]), peer(&pki));
        let error = builder.auth_token(token()).timeouts(timeouts).build().unwrap().connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Timeout { stage: Stage::Tls, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_full_says_nothing_and_the_causes_are_listed() {
    let error = error_of(protected().misbehave(Misbehaviour::EndsInHandshake)).await;
    assert!(matches!(error, ConnectError::Tls { reason: TlsFailure::Closed | TlsFailure::Reset, .. }), "{error:?}");
    assert!(error.is_retryable());
    assert!(redis_tls::explain(&error).contains("maxclients"));
}

#[tokio::test]
async fn a_client_certificate_that_is_missing_is_the_reason_in_both_versions_of_tls() {
    let pki = TestPki::new().unwrap();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let options = ServerOptions::default().client_auth(ClientAuth::RequireFrom(pki.root_der().to_vec()));
        let cache = protected().tls(options).start(&pki).await.unwrap();
        let builder = to(&cache, &pki).auth_token(token()).maximum_version(version);
        let error = builder.build().unwrap().connect().await.unwrap_err();
        let ConnectError::Tls { reason: TlsFailure::Alert { description }, .. } = &error else { panic!("{error:?}") };
        assert_eq!(description, "certificate_required");
        assert!(redis_tls::explain(&error).contains("client certificate"));
    }
}

#[tokio::test]
async fn versions_of_tls_that_do_not_meet_are_named() {
    let (pki, cache) = start(protected().tls(ServerOptions::default().versions(&[Spoken::Tls12]))).await;
    let builder = || to(&cache, &pki).auth_token(token());
    let error = builder().minimum_version(TlsVersion::Tls13).build().unwrap().connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { reason: TlsFailure::NothingInCommon { .. }, .. }), "{error:?}");
    let stream = builder().build().unwrap().connect().await.unwrap();
    assert_eq!(stream.report().tls.as_ref().unwrap().version, TlsVersion::Tls12);
}

#[tokio::test]
async fn a_server_that_cannot_serve_yet_can_be_tried_again() {
    let error = error_of(protected().misbehave(Misbehaviour::Loading)).await;
    assert!(matches!(refused(&error), HandshakeError::Loading) && error.is_retryable(), "{error:?}");
    let error = error_of(protected().misbehave(Misbehaviour::ProtectedMode)).await;
    assert!(matches!(refused(&error), HandshakeError::ProtectedMode) && !error.is_retryable(), "{error:?}");
    let error = error_of(protected().misbehave(Misbehaviour::Garbage(b"HTTP/1.1 400\r\n\r\n".to_vec()))).await;
    assert!(matches!(refused(&error), HandshakeError::NotRedis), "{error:?}");
}

#[tokio::test]
async fn a_server_that_falls_silent_has_a_limit() {
    let (pki, cache) = start(protected().misbehave(Misbehaviour::Silent)).await;
    let timeouts = Timeouts::default().with(Stage::Auth, Duration::from_millis(200));
    let connector = to(&cache, &pki).auth_token(token()).timeouts(timeouts).build().unwrap();
    let error = connector.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Auth, .. }), "{error:?}");
}

#[tokio::test]
async fn a_replica_in_the_place_of_the_primary_is_refused_where_a_primary_is_asked_for() {
    let (pki, cache) = start(protected().replicas(1)).await;
    let connector = to(&cache, &pki).auth_token(token()).require_role(ServerRole::Primary).build().unwrap();
    connector.connect().await.unwrap();
    cache.fail_over();
    let error = connector.connect().await.unwrap_err();
    let wrong = HandshakeError::WrongRole { wanted: ServerRole::Primary, found: ServerRole::Replica };
    assert_eq!(refused(&error).to_string(), wrong.to_string());
    assert!(error.is_retryable());
}

#[tokio::test]
async fn what_a_cluster_has_not_is_told() {
    let (pki, cache) = start(protected().shards(2)).await;
    let error = to(&cache, &pki).auth_token(token()).database(1).build().unwrap().connect().await.unwrap_err();
    assert!(matches!(refused(&error), HandshakeError::DatabaseInCluster { database: 1 }), "{error:?}");
    to(&cache, &pki).auth_token(token()).read_from_replica().build().unwrap().connect().await.unwrap();
    let (pki, cache) = start(protected()).await;
    let error = to(&cache, &pki).auth_token(token()).database(9999).build().unwrap().connect().await.unwrap_err();
    assert!(matches!(refused(&error), HandshakeError::NoSuchDatabase { database: 9999 }), "{error:?}");
    to(&cache, &pki).auth_token(token()).database(1).build().unwrap().connect().await.unwrap();
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_dialled() {
    let token = || AuthToken::new(TOKEN).unwrap();
    let plaintext = "sessions.abc123.ng.0001.use1.cache.amazonaws.com".parse().unwrap();
    let error = RedisConnector::from_endpoint(&plaintext).unwrap_err();
    assert!(matches!(error, RedisConfigError::Endpoint(_)), "{error:?}");
    let pki = TestPki::new().unwrap();
    let roots = || Roots::from_der(pki.root_der()).unwrap();
    let verifier = PeerVerifier::danger_accept_any_name(roots());
    let builder = || RedisConnector::builder(Dial::name("cache.example", 6379), verifier.clone());
    let error = builder().roots(roots()).auth_token(token()).build().unwrap_err();
    assert!(matches!(error, RedisConfigError::RootsBesideVerifier), "{error:?}");
    let aws = aws_credential_types::Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", None, None, "test");
    let error = builder().iam("iam-user-01".parse().unwrap(), aws.clone()).build().unwrap_err();
    assert!(matches!(error, RedisConfigError::IamWithoutEndpoint), "{error:?}");
    let endpoint = "master.sessions.abc123.use1.cache.amazonaws.com".parse().unwrap();
    let connector =
        RedisConnector::from_endpoint(&endpoint).unwrap().roots(roots()).iam("iam-user-01".parse().unwrap(), aws);
    assert_eq!(connector.build().unwrap().endpoint(), Some(&endpoint));
}
