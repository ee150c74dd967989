//! The look-up by the API of Amazon EFS.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use async_trait::async_trait;
use aws_sdk_efs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::describe_mount_targets::DescribeMountTargetsError,
    types::{LifeCycleState, MountTargetDescription},
};

use super::{AvailabilityZone, FindMountTargets, FindMountTargetsError, MountTarget};
use crate::{FileSystemId, MountTargetName, NFS_PORT, Service};

/// Finds mount targets by `elasticfilesystem:DescribeMountTargets`, which the credentials of the client have to be allowed.
///
/// Targets in another state than `available` are left out. The client's region has to be that of the file system.
///
/// ```
/// use aws_credential_types::Credentials;
/// use efs_tls::{AvailabilityZoneId, DescribeMountTargets, EfsConnector, MountTargetName, MountTargets};
///
/// # async fn example(efs: aws_sdk_efs::Client, credentials: Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// let zone: AvailabilityZoneId = "use1-az1".parse()?; // or `InstanceMetadata::new()`, with the feature `aws-config`
/// let targets = MountTargets::new(DescribeMountTargets::new(efs)).our_zone(zone);
/// let name = MountTargetName::regional("fs-0123456789abcdef0".parse()?, "us-east-1".parse()?);
/// let connector = EfsConnector::iam(name, credentials).mount_targets(targets).build().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Limitations
/// The names of zones are those of the account that the credentials belong to. S3 Files has an API of its own.
#[derive(Clone)]
pub struct DescribeMountTargets {
    client: Client,
}

impl DescribeMountTargets {
    /// Asks by `client`, with its credentials, endpoint and retries.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

const ACTION: &str = "elasticfilesystem:DescribeMountTargets";

#[async_trait]
impl FindMountTargets for DescribeMountTargets {
    async fn find(&self, file_system: &MountTargetName) -> Result<Vec<MountTarget>, FindMountTargetsError> {
        if file_system.service() != Service::ElasticFileSystem {
            let error = format!("{ACTION} knows only file systems of Amazon EFS, and {file_system} is none");
            return Err(FindMountTargetsError::Failed(error.into()));
        }
        let id = file_system.file_system();
        let mut pages = self.client.describe_mount_targets().file_system_id(id.as_str()).into_paginator().send();
        let (mut targets, mut others) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            for described in page.map_err(|error| typed(id, error))?.mount_targets() {
                match usable(described) {
                    Some(target) => targets.push(target),
                    None => {
                        others.push(format!("{}: {}", described.mount_target_id(), described.life_cycle_state()));
                    }
                }
            }
        }
        if targets.is_empty() { Err(FindMountTargetsError::NoneAvailable { others }) } else { Ok(targets) }
    }
}

/// The client would show all of its configuration.
impl fmt::Debug for DescribeMountTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DescribeMountTargets").finish_non_exhaustive()
    }
}

fn usable(described: &MountTargetDescription) -> Option<MountTarget> {
    let addresses: Vec<SocketAddr> = [described.ip_address(), described.ipv6_address()]
        .into_iter()
        .flatten()
        .filter_map(|address| address.parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, NFS_PORT))
        .collect();
    if *described.life_cycle_state() != LifeCycleState::Available || addresses.is_empty() {
        return None;
    }
    // A zone of a kind that we cannot read is as good as unknown.
    let name = described.availability_zone_name().and_then(|name| name.parse().ok());
    let id = described.availability_zone_id().and_then(|id| id.parse().ok());
    let target = MountTarget::addresses(addresses);
    Some(match AvailabilityZone::of(name, id) {
        Some(zone) => target.in_zone(zone),
        None => target,
    })
}

fn typed(file_system: &FileSystemId, error: SdkError<DescribeMountTargetsError>) -> FindMountTargetsError {
    let service = error.as_service_error();
    if service.is_some_and(DescribeMountTargetsError::is_file_system_not_found) {
        return FindMountTargetsError::NoFileSystem { file_system: file_system.clone(), source: error.into() };
    }
    match service.and_then(ProvideErrorMetadata::code) {
        Some("AccessDeniedException" | "AccessDenied") => {
            FindMountTargetsError::AccessDenied { action: ACTION, source: error.into() }
        }
        _ => FindMountTargetsError::Failed(error.into()),
    }
}
