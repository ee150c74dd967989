//! redis-rs.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ::redis::{
    AsyncCommands, ErrorKind, ProtocolVersion, RedisError, ServerErrorKind, StreamingCredentialsProvider, cmd,
};
use futures_util::StreamExt;
use redis_tls::{
    AuthToken, Credentials, ProtocolChoice, StaticCredentials,
    redis::{CredentialStream, RedisClient, connect_error},
};
use secure_connector::{ConnectError, Dial, Resolve, TlsVersion};
use secure_connector_testkit::redis::{Announce, FakeElastiCache};

use super::support::{ShortLived, TOKEN, authentications, connector, start, to};

#[tokio::test]
async fn one_connection_serves_many_tasks_by_one_handshake() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    for protocol in [ProtocolChoice::Resp2, ProtocolChoice::Resp3] {
        let before = cache.counters();
        let client = RedisClient::new(connector(&cache, &pki).protocol(protocol).build().unwrap());
        let connection = client.multiplexed().await.unwrap();
        assert_eq!(connection.report().tls.as_ref().map(|tls| tls.version), Some(TlsVersion::Tls13));
        let tasks = (0..20).map(|number| {
            let mut connection = connection.clone();
            tokio::spawn(async move {
                connection.set::<_, _, ()>(format!("key-{number}"), number).await?;
                connection.get::<_, i32>(format!("key-{number}")).await
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap().unwrap(), i32::try_from(number).unwrap());
        }
        let after = cache.counters();
        assert_eq!((after.connections - before.connections, after.authentications - before.authentications), (1, 1));
    }
}

#[tokio::test]
async fn a_connection_under_load_authenticates_again_and_again_unnoticed() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let source = ShortLived(Duration::from_millis(1500));
    let client = RedisClient::new(to(Dial::addresses([cache.addr()]), &pki).credentials(source).build().unwrap());
    let mut connection = client.multiplexed().await.unwrap();
    let load = async {
        for number in 0_u64.. {
            let (read,): (u64,) = ::redis::pipe()
                .atomic()
                .set("key", number)
                .ignore()
                .get("key")
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(read, number);
        }
    };
    let renewed = cache.wait_until(|journal| authentications(journal).first() >= Some(&4));
    tokio::select! {
        () = load => unreachable!("it has no end"),
        _ = renewed => {}
    }
    assert_eq!(cache.counters().connections, 1);
    assert!(client.totals().borrow().renewals >= 2);
    assert_eq!(client.totals().borrow().failures, 0);
}

#[tokio::test]
async fn what_the_connector_says_is_not_lost_in_redis_errors() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let wrong = AuthToken::new("a-wrong-token-0123456789").unwrap();
    let client = RedisClient::new(to(Dial::addresses([cache.addr()]), &pki).auth_token(wrong).build().unwrap());
    let error = client.multiplexed().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(!format!("{error} {error:?}").contains("a-wrong-token"), "{error}");
    drop(cache);
    let error = client.multiplexed().await.unwrap_err();
    assert!(matches!(connect_error(&error), Some(ConnectError::Connect { .. })), "{error:?}");
}

#[tokio::test]
async fn subscriptions_arrive_over_both_protocols() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    for protocol in [ProtocolChoice::Resp2, ProtocolChoice::Resp3] {
        let client = RedisClient::new(connector(&cache, &pki).protocol(protocol).build().unwrap());
        let mut pubsub = client.pubsub().await.unwrap();
        pubsub.subscribe("news").await.unwrap();
        let mut publisher = client.multiplexed().await.unwrap();
        publisher.publish::<_, _, ()>("news", "hello").await.unwrap();
        let message = pubsub.on_message().next().await.unwrap();
        assert_eq!(message.get_payload::<String>().unwrap(), "hello");
    }
}

/// Leads to where the test says.
#[derive(Debug)]
struct Endpoint(Mutex<SocketAddr>);

#[async_trait::async_trait]
impl Resolve for Endpoint {
    async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(vec![*self.0.lock().unwrap()])
    }
}

#[tokio::test]
async fn after_a_failover_writes_go_to_the_new_primary_without_an_error() {
    let (pki, cache) = start(FakeElastiCache::builder().replicas(1)).await;
    let endpoint = Arc::new(Endpoint(Mutex::new(cache.addr())));
    let dial = Dial::name_resolved_by("localhost", 6379, endpoint.clone());
    let client = RedisClient::new(to(dial, &pki).auth_token(AuthToken::new(TOKEN).unwrap()).build().unwrap());

    let mut plain = client.multiplexed().await.unwrap();
    let mut connection = client.reconnecting();
    connection.set::<_, _, ()>("key", 1).await.unwrap();
    cache.fail_over();
    // DNS follows a little later.
    let primary = cache.primary_addr().unwrap();
    let follow = async {
        cache.wait_until(|journal| authentications(journal).len() >= 3).await;
        *endpoint.0.lock().unwrap() = primary;
        Ok(())
    };
    tokio::try_join!(connection.set::<_, _, ()>("key", 2), follow).unwrap();
    assert_eq!(connection.get::<_, i32>("key").await.unwrap(), 2);

    // Without it, there is no way back.
    let refused: RedisError = plain.set::<_, _, ()>("key", 3).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly));
}

#[tokio::test]
async fn a_command_that_meets_noauth_is_sent_again_over_a_new_connection() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let mut connection = RedisClient::new(connector(&cache, &pki).build().unwrap()).reconnecting();
    connection.connected().await.unwrap();
    let mut other = connection.clone();
    // Both in one write: no AUTH fits in between.
    let reset = cmd("RESET");
    let (reset, written) = tokio::join!(reset.query_async::<String>(&mut other), connection.set::<_, _, ()>("key", 1));
    assert_eq!((reset.unwrap().as_str(), written), ("RESET", Ok(())));
    assert_eq!(connection.get::<_, i32>("key").await.unwrap(), 1);
    assert_eq!(cache.counters().connections, 2);
}

#[tokio::test]
async fn a_connection_that_broke_is_made_anew_by_one_of_those_who_need_it() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let connection = RedisClient::new(connector(&cache, &pki).build().unwrap()).reconnecting();
    let old = connection.connected().await.unwrap();
    cache.close_connections(0);
    let mut status = old.auth_status();
    while !old.is_closed() {
        // The status has no more sender once the driver has dropped the stream.
        let _ = status.changed().await;
        tokio::task::yield_now().await;
    }
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let mut connection = connection.clone();
            tokio::spawn(async move { cmd("PING").query_async::<String>(&mut connection).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), "PONG");
    }
    assert_eq!(cache.counters().connections, 2);
}

#[tokio::test]
async fn when_no_server_is_there_patience_ends_with_the_connectors_error() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let client = RedisClient::new(connector(&cache, &pki).build().unwrap());
    drop(cache);
    let mut connection = client.reconnecting().patience(Duration::from_millis(300));
    let error = cmd("PING").exec_async(&mut connection).await.unwrap_err();
    assert!(matches!(connect_error(&error), Some(ConnectError::Connect { .. })), "{error:?}");
}

#[tokio::test]
async fn a_cluster_whose_nodes_go_by_address_is_verified_by_the_seeds_name() {
    for announce in [Announce::Address, Announce::Nothing, Announce::Host("localhost".to_owned())] {
        let (pki, cache) = start(FakeElastiCache::builder().shards(3).announce(announce)).await;
        let client = RedisClient::new(connector(&cache, &pki).build().unwrap());
        let seed = ("localhost", cache.addr().port());
        let mut cluster =
            client.cluster_from([seed], |builder| builder.use_protocol(ProtocolVersion::RESP3)).await.unwrap();
        for number in 0..100 {
            cluster.set::<_, _, ()>(format!("key-{number}"), number).await.unwrap();
        }
        for number in 0..100 {
            assert_eq!(cluster.get::<_, i32>(format!("key-{number}")).await.unwrap(), number);
        }
        let users = cache.users();
        assert!(users.len() >= 3 && users.iter().all(|(_, user)| user.as_deref() == Some("default")), "{users:?}");
    }
}

#[tokio::test]
async fn without_an_endpoint_a_cluster_needs_a_seed() {
    let (pki, cache) = start(FakeElastiCache::builder().shards(2)).await;
    let client = RedisClient::new(connector(&cache, &pki).build().unwrap());
    let error = client.cluster(|builder| builder).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidClientConfig);
    assert_eq!(
        error.detail(),
        Some(
            "a cluster needs a node to begin with: make the connector from an endpoint, or name nodes by `cluster_from`"
        )
    );
}

#[tokio::test]
async fn redis_rs_takes_our_credentials_for_connections_of_its_own() {
    let token = Credentials::token(AuthToken::new(TOKEN).unwrap());
    let provider = CredentialStream::new(Arc::new(StaticCredentials::new(token)));
    let mut stream = provider.subscribe();
    let given = stream.next().await.unwrap().unwrap();
    assert_eq!((given.username(), given.password()), ("default", TOKEN));
    // They hold for ever: nothing more comes, and the stream does not end.
    assert!(futures_util::FutureExt::now_or_never(stream.next()).is_none());
}

#[tokio::test]
async fn credentials_are_given_again_before_their_time() {
    let provider = CredentialStream::new(Arc::new(ShortLived(Duration::from_millis(60))));
    let started = std::time::Instant::now();
    let given = provider.subscribe().take(3).collect::<Vec<_>>().await;
    assert!(given.iter().all(|item| item.as_ref().unwrap().password() == TOKEN));
    assert!(started.elapsed() >= Duration::from_millis(100));
}
