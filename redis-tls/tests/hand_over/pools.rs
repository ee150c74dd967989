//! bb8 and deadpool.

use ::redis::AsyncCommands;
use redis_tls::redis::RedisClient;
use secure_connector_testkit::redis::FakeElastiCache;

use super::support::{connector, start};

#[tokio::test]
async fn bb8_replaces_connections_that_the_server_closed() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let client = RedisClient::new(connector(&cache, &pki).build().unwrap());
    let pool = bb8::Pool::builder().max_size(2).build(client).await.unwrap();
    pool.get().await.unwrap().set::<_, _, ()>("key", 1).await.unwrap();
    cache.close_connections(0);
    assert_eq!(pool.get().await.unwrap().get::<_, i32>("key").await.unwrap(), 1);
    assert_eq!(cache.counters().authentications, cache.counters().connections);
}

#[tokio::test]
async fn deadpool_replaces_connections_that_the_server_closed() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let client = RedisClient::new(connector(&cache, &pki).build().unwrap());
    let pool: deadpool::managed::Pool<RedisClient> =
        deadpool::managed::Pool::builder(client).max_size(2).build().unwrap();
    pool.get().await.unwrap().set::<_, _, ()>("key", 1).await.unwrap();
    assert_eq!(cache.counters().connections, 1);
    cache.close_connections(0);
    assert_eq!(pool.get().await.unwrap().get::<_, i32>("key").await.unwrap(), 1);
    assert_eq!(cache.counters().connections, 2);
}
