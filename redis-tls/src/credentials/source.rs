//! The trait of all that gives credentials, and the source whose credentials stay.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use secure_connector::Rfc3339;

use super::{Candidates, Credentials};

/// Gives the credentials of new connections, and of those whose authentication has to be renewed.
///
/// # For callers
/// - [`credentials`](Self::credentials) is asked anew for every authentication; what it gave is not kept.
/// - The candidates are tried in order: when the server refuses one (`WRONGPASS` and its likes) the next, on any other
///   failure none. Each verdict is reported back by [`accepted`](Self::accepted) and [`refused`](Self::refused).
///
/// # For implementers
/// - Calls come from many tasks at once, and any of them may be cancelled. What is slow is done once for all of them,
///   and has a limit in time.
/// - A source that knows when its credentials end gives none that have expired, but [`CredentialError::Expired`].
/// - Labels and errors have no secret in them.
#[async_trait]
pub trait CredentialSource: Debug + Send + Sync {
    /// What to present right now, in the order to try.
    ///
    /// # Errors
    /// [`CredentialError`] when there is nothing valid to present.
    async fn credentials(&self) -> Result<Candidates, CredentialError>;

    /// How long a connection may live on one authentication.
    fn refresh(&self) -> Refresh {
        Refresh::Never
    }

    /// The server accepted `credentials`, which this source gave.
    fn accepted(&self, credentials: &Credentials) {
        let _ = credentials;
    }

    /// The server refused `credentials`, which this source gave.
    fn refused(&self, credentials: &Credentials) {
        let _ = credentials;
    }
}

#[async_trait]
impl<S: CredentialSource + ?Sized> CredentialSource for Arc<S> {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        (**self).credentials().await
    }

    fn refresh(&self) -> Refresh {
        (**self).refresh()
    }

    fn accepted(&self, credentials: &Credentials) {
        (**self).accepted(credentials);
    }

    fn refused(&self, credentials: &Credentials) {
        (**self).refused(credentials);
    }
}

/// How long a connection may live on one authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refresh {
    /// As long as it likes.
    #[default]
    Never,
    /// The server cuts it after this time, unless it authenticates again before.
    Within(Duration),
}

/// Why there are no credentials to present. No secret is ever in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The provider of AWS credentials, or another source, failed.
    #[error("the source of the credentials gave none")]
    Source(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The source did not answer.
    #[error("the source of the credentials did not answer within {limit:?}")]
    Timeout {
        /// How long it was waited for.
        limit: Duration,
    },
    /// They have expired, or are so close to it that the server would see them too late.
    #[error("the credentials expire at {}, which is too soon or past; if the source has newer ones it must not cache these, \
             and this machine's clock must be right", Rfc3339(*.at))]
    Expired {
        /// The end of their life.
        at: SystemTime,
    },
    /// A part of the AWS credentials is empty or has characters that none can have.
    #[error(
        "the {part} of the AWS credentials is empty or not printable ASCII; look for a stray space or line break where it is configured"
    )]
    Malformed {
        /// `access key id`, `secret access key` or `session token`.
        part: &'static str,
    },
    /// The clock shows a time that no signature can bear.
    #[error("the clock shows {}, a time that no signature can bear; set it right", Rfc3339(*.now))]
    Clock {
        /// The time it shows.
        now: SystemTime,
    },
}

impl CredentialError {
    /// An error of a source of one's own.
    pub fn source(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Source(Arc::new(error))
    }

    /// Whether the same call may succeed a little later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Source(_) | Self::Timeout { .. } | Self::Expired { .. } => true,
            Self::Malformed { .. } | Self::Clock { .. } => false,
        }
    }
}

/// The same credentials for ever.
#[derive(Clone, Debug)]
pub struct StaticCredentials(Candidates);

impl StaticCredentials {
    /// `candidates`, or just one.
    pub fn new(candidates: impl Into<Candidates>) -> Self {
        Self(candidates.into())
    }
}

#[async_trait]
impl CredentialSource for StaticCredentials {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        Ok(self.0.clone())
    }
}
