//! A connection that is made anew when it breaks.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value, aio::ConnectionLike,
};
use secure_connector::Backoff;
use tokio::time::{Instant, sleep, timeout_at};

use super::{RedisClient, SecureConnection};

/// A connection to be shared by any number of tasks, which is made anew after it broke, after the server gave it up, and
/// when it turns out to lead to a replica: after a failover that is what the endpoint's old address does.
///
/// - A command that the server certainly did not carry out (`READONLY`, `NOAUTH`) is sent again over the new connection.
/// - A command whose connection broke under it fails: whether it was carried out cannot be known. The next one connects.
/// - Commands of a pipeline are never sent again.
///
/// It has no task of its own: whoever needs the connection makes it, and the others wait for the same attempt. Attempts go
/// on after a [`Backoff`] until the [patience](Self::patience) is at its end. Clones share the connection.
#[derive(Clone)]
pub struct ReconnectingConnection {
    shared: Arc<Shared>,
    backoff: Backoff,
    patience: Duration,
}

struct Shared {
    client: RedisClient,
    current: Mutex<Current>,
    /// Held by whoever makes the connection.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    connection: Option<SecureConnection>,
    /// Counts the connections, so that none is thrown away on account of an older one.
    number: u64,
}

impl ReconnectingConnection {
    pub(super) fn new(client: RedisClient) -> Self {
        let shared = Shared { client, current: Mutex::default(), connecting: tokio::sync::Mutex::default() };
        Self { shared: Arc::new(shared), backoff: Backoff::default(), patience: Duration::from_secs(15) }
    }

    /// How long to wait between attempts. Default: [`Backoff::default`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long a command waits for a connection that takes it. Default: 15 s, which is more than a failover of ElastiCache
    /// usually takes.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// Connects if there is no connection at the moment, so that the first command finds one.
    ///
    /// # Errors
    /// As for [`RedisClient::multiplexed`].
    pub async fn connected(&self) -> RedisResult<SecureConnection> {
        self.get(Instant::now() + self.patience).await.map(|(_, connection)| connection)
    }

    async fn get(&self, until: Instant) -> RedisResult<(u64, SecureConnection)> {
        if let Some(current) = self.shared.current() {
            return Ok(current);
        }
        let Ok(_connecting) = timeout_at(until, self.shared.connecting.lock()).await else {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        };
        if let Some(current) = self.shared.current() {
            return Ok(current);
        }
        let mut failures = 0;
        loop {
            let error = match self.shared.client.multiplexed().await {
                Ok(connection) => return Ok(self.shared.replace(connection)),
                Err(error) => error,
            };
            let delay = self.backoff.delay(failures);
            failures += 1;
            if !is_retryable(&error) || Instant::now() + delay >= until {
                return Err(error);
            }
            tracing::debug!(%error, "connecting again");
            sleep(delay).await;
        }
    }

    async fn command(&self, cmd: &Cmd) -> RedisResult<Value> {
        let until = Instant::now() + self.patience;
        let mut failures = 0;
        loop {
            let (number, mut connection) = self.get(until).await?;
            let error = match connection.req_packed_command(cmd).await {
                // An error of the server may come as a value.
                Ok(value) => match value.extract_error() {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            self.judge(number, &connection, &error);
            let delay = self.backoff.delay(failures);
            failures += 1;
            if !was_not_carried_out(&error) || Instant::now() + delay >= until {
                return Err(error);
            }
            sleep(delay).await;
        }
    }

    async fn pipeline(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let (number, mut connection) = self.get(Instant::now() + self.patience).await?;
        let result = connection.req_packed_commands(pipeline, offset, count).await;
        match &result {
            Err(error) => self.judge(number, &connection, error),
            Ok(values) => {
                let errors = values.iter().filter(|value| matches!(value, Value::ServerError(_)));
                for error in errors.filter_map(|value| value.clone().extract_error().err()) {
                    self.judge(number, &connection, &error);
                }
            }
        }
        result
    }

    /// Throws the connection away if it is of no more use.
    fn judge(&self, number: u64, connection: &SecureConnection, error: &RedisError) {
        if was_not_carried_out(error) || error.is_unrecoverable_error() || connection.is_closed() {
            self.shared.discard(number);
        }
    }
}

impl Shared {
    fn current(&self) -> Option<(u64, SecureConnection)> {
        let current = self.lock();
        let connection = current.connection.as_ref().filter(|connection| !connection.is_closed())?;
        Some((current.number, connection.clone()))
    }

    fn replace(&self, connection: SecureConnection) -> (u64, SecureConnection) {
        let mut current = self.lock();
        current.number += 1;
        current.connection = Some(connection.clone());
        (current.number, connection)
    }

    fn discard(&self, number: u64) {
        let mut current = self.lock();
        if current.number == number {
            current.connection = None;
        }
    }

    /// A panic elsewhere cannot leave half a connection.
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server says that it did not even begin, and that this connection will not do.
fn was_not_carried_out(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) || error.code() == Some("NOAUTH")
}

fn is_retryable(error: &RedisError) -> bool {
    match super::connect_error(error) {
        Some(error) => error.is_retryable(),
        // What redis-rs itself says about a connection that broke while it was set up.
        None => error.is_io_error(),
    }
}

impl ConnectionLike for ReconnectingConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.command(cmd))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.pipeline(pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl fmt::Debug for ReconnectingConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectingConnection").field("client", &self.shared.client).finish_non_exhaustive()
    }
}
