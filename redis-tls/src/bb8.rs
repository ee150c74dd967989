//! Connections of redis-rs in a pool of bb8.

use ::bb8::ManageConnection;
use ::redis::{RedisError, RedisResult, cmd};

use crate::redis::{RedisClient, SecureConnection};

/// `bb8::Pool::builder().build(client)`. A connection is tested by `PING`.
impl ManageConnection for RedisClient {
    type Connection = SecureConnection;
    type Error = RedisError;

    async fn connect(&self) -> RedisResult<SecureConnection> {
        self.multiplexed().await
    }

    async fn is_valid(&self, connection: &mut SecureConnection) -> RedisResult<()> {
        cmd("PING").exec_async(connection).await
    }

    fn has_broken(&self, connection: &mut SecureConnection) -> bool {
        connection.is_closed()
    }
}
