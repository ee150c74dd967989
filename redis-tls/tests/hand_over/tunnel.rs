//! Any client, by a local socket.

use std::time::Duration;

use ::redis::{AsyncCommands, IntoConnectionInfo};
use redis_tls::RedisTunnel;
use secure_connector::{Dial, Listen};
use secure_connector_testkit::redis::FakeElastiCache;

use super::support::{ShortLived, authentications, start, to};

#[tokio::test]
async fn a_client_without_tls_and_password_is_carried_and_kept_authenticated() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let source = ShortLived(Duration::from_millis(1500));
    let connector = to(Dial::addresses([cache.addr()]), &pki).credentials(source).build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let tunnel = RedisTunnel::builder(connector).listen(Listen::Unix(path.clone())).start().await.unwrap();
    assert_eq!(tunnel.local_addr().unix(), Some(path.as_path()));

    let url = format!("redis+unix://{}", path.display());
    let client = redis::Client::open(url.as_str().into_connection_info().unwrap()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let load = async {
        for number in 0_u64.. {
            connection.set::<_, _, ()>("key", number).await.unwrap();
            assert_eq!(connection.get::<_, u64>("key").await.unwrap(), number);
        }
    };
    tokio::select! {
        () = load => unreachable!("it has no end"),
        _ = cache.wait_until(|journal| authentications(journal).first() >= Some(&4)) => {}
    }
    let status = tunnel.status();
    assert_eq!((status.tunnel.accepted, status.authentication.connections, status.authentication.failures), (1, 1, 0));
    assert!(status.authentication.renewals >= 2, "{status:?}");
}
