//! How mount targets, and the zone that we are in, are found.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use secure_connector::BoxError;

use super::{AvailabilityZone, MountTarget};
use crate::{AvailabilityZoneId, AvailabilityZoneName, FileSystemId, MountTargetName};

/// Finds the mount targets of a file system.
///
/// The caller sees to caching, to a deadline (that of [`Stage::Dns`](secure_connector::Stage::Dns)), and to one look-up at a
/// time; an implementer returns targets that are ready for use, in any order, and no secret in an error.
#[async_trait]
pub trait FindMountTargets: fmt::Debug + Send + Sync {
    /// The targets of `file_system`. None at all counts as [`FindMountTargetsError::NoneAvailable`].
    ///
    /// # Errors
    /// [`FindMountTargetsError`].
    async fn find(&self, file_system: &MountTargetName) -> Result<Vec<MountTarget>, FindMountTargetsError>;
}

/// Why there is no list of mount targets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindMountTargetsError {
    /// The file system does not exist where it was looked for.
    #[error("there is no {file_system} in the account and region of the credentials; check all three")]
    NoFileSystem {
        /// The file system.
        file_system: FileSystemId,
        /// The service's answer.
        source: BoxError,
    },
    /// The credentials may not look.
    #[error("access denied; allow {action} on the file system in the IAM policy")]
    AccessDenied {
        /// The action that has to be allowed.
        action: &'static str,
        /// The service's answer.
        source: BoxError,
    },
    /// The file system has no mount target that is ready for use.
    #[error("no mount target is available{}; create one in each zone that has clients", in_other_states(others))]
    NoneAvailable {
        /// The mount targets that are not ready, each with its state.
        others: Vec<String>,
    },
    /// The look-up did not end in time.
    #[error("no answer within {limit:?}")]
    TimedOut {
        /// Its limit.
        limit: Duration,
    },
    /// Anything else.
    #[error("the look-up failed")]
    Failed(#[from] BoxError),
}

/// Finds the Availability Zone that this process runs in.
///
/// Asked until it is known, at most once in a look-up of the mount targets, and given a second.
#[async_trait]
pub trait FindZone: fmt::Debug + Send + Sync {
    /// The zone.
    ///
    /// # Errors
    /// Any; its text is in the reports of connections that are made without knowing our zone.
    async fn find_zone(&self) -> Result<AvailabilityZone, BoxError>;
}

/// Targets that are known beforehand.
#[async_trait]
impl FindMountTargets for Vec<MountTarget> {
    async fn find(&self, _: &MountTargetName) -> Result<Self, FindMountTargetsError> {
        Ok(self.clone())
    }
}

#[async_trait]
impl FindZone for AvailabilityZone {
    async fn find_zone(&self) -> Result<Self, BoxError> {
        Ok(self.clone())
    }
}

#[async_trait]
impl FindZone for AvailabilityZoneName {
    async fn find_zone(&self) -> Result<AvailabilityZone, BoxError> {
        Ok(self.clone().into())
    }
}

#[async_trait]
impl FindZone for AvailabilityZoneId {
    async fn find_zone(&self) -> Result<AvailabilityZone, BoxError> {
        Ok(self.clone().into())
    }
}

fn in_other_states(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) }
}
