//! Connections of redis-rs in a pool of deadpool.

use ::deadpool::managed::{Manager, Metrics, RecycleResult};
use ::redis::{RedisError, RedisResult, cmd};

use crate::redis::{RedisClient, SecureConnection};

/// `deadpool::managed::Pool::builder(client).build()`. A connection is tested by `PING`.
impl Manager for RedisClient {
    type Type = SecureConnection;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<SecureConnection> {
        self.multiplexed().await
    }

    async fn recycle(&self, connection: &mut SecureConnection, _: &Metrics) -> RecycleResult<RedisError> {
        Ok(cmd("PING").exec_async(connection).await?)
    }
}
