//! Our zone, as the EC2 instance metadata service knows it.

use std::{env, fmt};

use async_trait::async_trait;
use aws_config::imds::Client;
use secure_connector::BoxError;

use super::{AvailabilityZone, FindZone};

/// Finds our zone's name and id by the instance metadata service, version 2.
///
/// # Limitations
/// In a container, the answer needs a hop limit of 2 (`aws ec2 modify-instance-metadata-options`). On Fargate there is no
/// such service: there the zone's name is `AvailabilityZone` in the answer of `$ECS_CONTAINER_METADATA_URI_V4/task`, and the
/// regional DNS name leads to the target in our zone anyway.
#[derive(Clone)]
pub struct InstanceMetadata {
    client: Option<Client>,
}

impl InstanceMetadata {
    /// Asks where the AWS SDK would ask: `AWS_EC2_METADATA_SERVICE_ENDPOINT` and its like, in the environment or the shared
    /// `config` file; nobody when `AWS_EC2_METADATA_DISABLED` is `true`.
    pub fn new() -> Self {
        let disabled = env::var(DISABLED).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        Self { client: (!disabled).then(|| Client::builder().build()) }
    }

    /// Asks by `client`.
    pub const fn with_client(client: Client) -> Self {
        Self { client: Some(client) }
    }
}

impl Default for InstanceMetadata {
    fn default() -> Self {
        Self::new()
    }
}

const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";

#[async_trait]
impl FindZone for InstanceMetadata {
    async fn find_zone(&self) -> Result<AvailabilityZone, BoxError> {
        let Some(client) = &self.client else { return Err(format!("{DISABLED} is true").into()) };
        let name = client.get("/latest/meta-data/placement/availability-zone").await?;
        // What imitates the service may lack the id; then the name has to do.
        let id = client.get("/latest/meta-data/placement/availability-zone-id").await;
        let id = id.ok().and_then(|id| id.as_ref().parse().ok());
        AvailabilityZone::of(name.as_ref().parse().ok(), id)
            .ok_or_else(|| format!("the instance metadata names no zone that we can read: {:?}", name.as_ref()).into())
    }
}

/// The client would show all of its configuration.
impl fmt::Debug for InstanceMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceMetadata").finish_non_exhaustive()
    }
}
