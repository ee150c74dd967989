//! A deadline for every stage.

use std::{future::Future, time::Duration};

use crate::{ConnectError, Stage};

/// How long each stage of making a connection may take.
///
/// ```
/// use std::time::Duration;
/// use secure_connector::{Stage, Timeouts};
///
/// let timeouts = Timeouts::default().with(Stage::Tls, Duration::from_secs(3));
/// assert_eq!(timeouts.of(Stage::Tls), Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    identity: Duration,
    dns: Duration,
    tcp: Duration,
    tls: Duration,
    revocation: Duration,
    auth: Duration,
    total: Duration,
}

impl Timeouts {
    /// The limit of `stage`.
    pub fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Identity => self.identity,
            Stage::Dns => self.dns,
            Stage::Tcp => self.tcp,
            Stage::Tls => self.tls,
            Stage::Revocation => self.revocation,
            Stage::Auth => self.auth,
            Stage::Total => self.total,
        }
    }

    /// Sets the limit of `stage`.
    #[must_use]
    pub fn with(mut self, stage: Stage, limit: Duration) -> Self {
        let slot = match stage {
            Stage::Identity => &mut self.identity,
            Stage::Dns => &mut self.dns,
            Stage::Tcp => &mut self.tcp,
            Stage::Tls => &mut self.tls,
            Stage::Revocation => &mut self.revocation,
            Stage::Auth => &mut self.auth,
            Stage::Total => &mut self.total,
        };
        *slot = limit;
        self
    }

    /// Runs `work` under the limit of `stage`.
    ///
    /// # Errors
    /// [`ConnectError::Timeout`], or what `work` returns.
    pub async fn run<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let limit = self.of(stage);
        tokio::time::timeout(limit, work).await.unwrap_or(Err(ConnectError::Timeout { stage, limit }))
    }
}

impl Default for Timeouts {
    /// 10 s for the identity, TCP, TLS and authentication, 5 s for DNS and revocation, 30 s in total.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            identity: seconds(10),
            dns: seconds(5),
            tcp: seconds(10),
            tls: seconds(10),
            revocation: seconds(5),
            auth: seconds(10),
            total: seconds(30),
        }
    }
}
