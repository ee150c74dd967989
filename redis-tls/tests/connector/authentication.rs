//! Who we are to the server.

use std::{sync::Arc, time::Duration};

use crate::support::{NEXT_TOKEN, PASSWORD, TOKEN, app, ask, refused, start, to, token};
use redis_tls::{
    AuthToken, Candidates, Credentials, HandshakeError, Protocol, ProtocolChoice, RotatingCredentials, ServerMode,
    ServerRole, StaticCredentials,
};
use secure_connector::{SecureConnector, SecureStream, SecureTransport, Warning};
use secure_connector_testkit::redis::{Engine, Event, FakeElastiCache, Misbehaviour, User};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

#[tokio::test]
async fn a_token_lets_us_in_and_the_report_says_as_whom() {
    for engine in [Engine::Redis5, Engine::Redis6, Engine::Redis7, Engine::Valkey9] {
        let (pki, cache) = start(FakeElastiCache::builder().engine(engine).auth_token(TOKEN)).await;
        let connector = to(&cache, &pki).auth_token(token()).build().unwrap();
        let mut stream = connector.connect().await.unwrap();
        assert_eq!(ask(&mut stream, "PING").await, "+PONG");
        assert_eq!(stream.credentials(), Some("AUTH token"));
        let who = stream.report().authenticated_as.as_ref().unwrap();
        assert_eq!(who.to_string(), "redis-acl default, credentials AUTH token");
        assert!(!stream.report().timings.auth.is_zero());
        assert_eq!(stream.report().warnings, []);
        let server = stream.server();
        match engine {
            Engine::Redis5 => assert_eq!((server.protocol, &server.product), (Protocol::Resp2, &None)),
            Engine::Valkey9 => assert_eq!(server.product.as_deref(), Some("valkey")),
            _ => {
                assert_eq!(server.product.as_deref(), Some("redis"));
                assert_eq!((server.protocol, server.mode), (Protocol::Resp3, Some(ServerMode::Standalone)));
                assert_eq!(server.role, Some(ServerRole::Primary));
            }
        }
    }
}

#[tokio::test]
async fn a_user_is_let_in_by_either_password_in_either_protocol() {
    let app = User::new("app", "on ~* &* +@all").unwrap().password(PASSWORD).password("its second password");
    let (pki, cache) = start(FakeElastiCache::builder().auth_token(TOKEN).user(app)).await;
    for (password, protocol, expected) in [
        (PASSWORD, ProtocolChoice::Best, Protocol::Resp3),
        ("its second password", ProtocolChoice::Resp2, Protocol::Resp2),
    ] {
        let builder = to(&cache, &pki).user("app".parse().unwrap(), redis_tls::Password::new(password));
        let connector = builder.protocol(protocol).client_name("billing-7".parse().unwrap()).build().unwrap();
        let mut stream = connector.connect().await.unwrap();
        assert_eq!(stream.server().protocol, expected);
        assert_eq!(stream.report().authenticated_as.as_ref().unwrap().principal, "app");
        assert!(ask(&mut stream, "CLIENT GETNAME").await.starts_with("$9"));
    }
}

#[tokio::test]
async fn a_rotation_is_lived_through_and_reported() {
    let (pki, cache) = start(FakeElastiCache::builder().auth_token(TOKEN)).await;
    let source = Arc::new(RotatingCredentials::new(Credentials::token(token())));
    let connector = to(&cache, &pki).credentials(source.clone()).build().unwrap();
    source.stage(Credentials::token(AuthToken::new(NEXT_TOKEN).unwrap()));
    let stream = connector.connect().await.unwrap();
    assert_eq!(stream.credentials(), Some("AUTH token #1 (current)"));
    let who = stream.report().authenticated_as.as_ref().unwrap();
    assert_eq!(who.details["refused"], "AUTH token #2 (next)");
    cache.rotate_token(NEXT_TOKEN);
    let stream = connector.connect().await.unwrap();
    assert_eq!(stream.credentials(), Some("AUTH token #2 (next)"));
    assert!(!stream.report().authenticated_as.as_ref().unwrap().details.contains_key("refused"));
    let status = source.status().borrow().clone();
    let next = status.next.as_ref().unwrap();
    assert_eq!((status.current.accepted, next.accepted, next.refused), (1, 1, 1));
}

#[tokio::test]
async fn all_that_was_tried_is_named_and_no_secret() {
    for engine in [Engine::Redis5, Engine::Redis7] {
        let (pki, cache) = start(FakeElastiCache::builder().engine(engine).auth_token("something-else-entirely")).await;
        let both = Candidates::new(Credentials::token(token()).labelled("the new token"))
            .or(Credentials::token(AuthToken::new(NEXT_TOKEN).unwrap()).labelled("the old token"));
        let connector = to(&cache, &pki).credentials(StaticCredentials::new(both)).build().unwrap();
        let error = connector.connect().await.unwrap_err();
        let HandshakeError::WrongPassword { tried } = refused(&error) else { panic!("{error:?}") };
        let labels: Vec<&str> = tried.iter().map(|tried| tried.label.as_str()).collect();
        assert_eq!(labels, ["the new token", "the old token"]);
        assert!(!error.is_retryable());
        assert!(!format!("{connector:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_server_that_serves_everybody_is_reported_as_long_as_it_does() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    // The first ROTATE leaves the cache open.
    cache.rotate_token(TOKEN);
    let connector = to(&cache, &pki).auth_token(token()).build().unwrap();
    for _ in 0..2 {
        assert_eq!(connector.connect().await.unwrap().report().warnings, [Warning::AuthenticationOptional]);
    }
    cache.set_token(TOKEN).unwrap();
    for _ in 0..2 {
        assert_eq!(connector.connect().await.unwrap().report().warnings, []);
    }
    let knocks = |words: &Vec<String>| words == &["PING"];
    let commands = cache.journal().into_iter().filter_map(|entry| match entry.event {
        Event::Command { words } => Some(words),
        _ => None,
    });
    assert_eq!(commands.filter(knocks).count(), 3, "once refused, it is not asked again");
}

#[tokio::test]
async fn without_credentials_we_are_let_in_with_a_warning_or_not_at_all() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let stream = to(&cache, &pki).anonymous().build().unwrap().connect().await.unwrap();
    assert_eq!((stream.credentials(), stream.report().authenticated_as.as_ref()), (None, None));
    assert_eq!(stream.report().warnings, [Warning::AuthenticationOptional]);
    let (pki, cache) = start(FakeElastiCache::builder().auth_token(TOKEN)).await;
    let error = to(&cache, &pki).anonymous().build().unwrap().connect().await.unwrap_err();
    assert!(matches!(refused(&error), HandshakeError::AuthenticationRequired), "{error:?}");
}

#[tokio::test]
async fn a_transport_that_is_given_is_authenticated_alike() {
    let app_user = User::new("app", "on ~* &* +@all").unwrap().password(PASSWORD);
    let (pki, cache) = start(FakeElastiCache::builder().auth_token(TOKEN).user(app_user)).await;
    let connector = to(&cache, &pki).credentials(StaticCredentials::new(app())).build().unwrap();
    let tcp = tokio::net::TcpStream::connect(cache.addr()).await.unwrap();
    let mut stream = connector.secure(tcp).await.unwrap();
    assert_eq!(ask(&mut stream, "PING").await, "+PONG");
    assert_eq!((stream.report().peer.as_ref(), stream.credentials()), (None, Some("password of user app")));
}

#[tokio::test]
async fn a_proxy_without_resp3_is_spoken_to_in_resp2_or_refused() {
    let (pki, cache) = start(FakeElastiCache::builder().auth_token(TOKEN).misbehave(Misbehaviour::NoResp3)).await;
    let builder = |protocol| to(&cache, &pki).auth_token(token()).protocol(protocol).build().unwrap();
    let stream = builder(ProtocolChoice::Best).connect().await.unwrap();
    assert_eq!(stream.server().protocol, Protocol::Resp2);
    let error = builder(ProtocolChoice::Resp3).connect().await.unwrap_err();
    assert!(matches!(refused(&error), HandshakeError::ProtocolUnsupported { wanted: Protocol::Resp3 }), "{error:?}");
}

#[tokio::test]
async fn what_the_server_sends_right_behind_its_answer_is_not_lost() {
    const PUSH: &[u8] = b">2\r\n$10\r\ninvalidate\r\n_\r\n";
    let answer = [b"%1\r\n$5\r\nproto\r\n:3\r\n", PUSH].concat();
    let (pki, cache) = start(FakeElastiCache::builder().misbehave(Misbehaviour::Garbage(answer.clone()))).await;
    let mut stream = to(&cache, &pki).anonymous().build().unwrap().connect().await.unwrap();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut read = vec![0; PUSH.len() + answer.len()];
    // In two parts, of which the second begins amid what was left over.
    let (first, second) = read.split_at_mut(5);
    for part in [first, second] {
        timeout(Duration::from_secs(10), stream.read_exact(part)).await.unwrap().unwrap();
    }
    assert_eq!(read, [PUSH, &answer].concat());
}
