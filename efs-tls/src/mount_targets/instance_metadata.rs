//! Our zone, as the EC2 instance metadata service knows it.

use async_trait::async_trait;
use aws_config::imds::Client;
use secure_connector::BoxError;

use super::{AvailabilityZone, FindZone};

/// Finds our zone's name and id by the instance metadata service, version 2, as `AWS_EC2_METADATA_*` and the shared `config`
/// file have it set up.
///
/// # Limitations
/// In a container, the answer needs a hop limit of 2 (`aws ec2 modify-instance-metadata-options`). On Fargate there is no
/// such service.
#[derive(Clone, Debug)]
pub struct InstanceMetadata {
    client: Client,
}

impl InstanceMetadata {
    /// Asks where the AWS SDK would ask.
    pub fn new() -> Self {
        Self::with_client(Client::builder().build())
    }

    /// Asks by `client`.
    pub fn with_client(client: Client) -> Self {
        Self { client }
    }
}

impl Default for InstanceMetadata {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl FindZone for InstanceMetadata {
    async fn find_zone(&self) -> Result<AvailabilityZone, BoxError> {
        let name = self.client.get("/latest/meta-data/placement/availability-zone").await?;
        // Partitions and look-alikes may lack the id; then the name has to do.
        let id = self.client.get("/latest/meta-data/placement/availability-zone-id").await;
        let id = id.ok().and_then(|id| id.as_ref().parse().ok());
        AvailabilityZone::of(name.as_ref().parse().ok(), id)
            .ok_or_else(|| format!("the instance metadata names no zone that we can read: {:?}", name.as_ref()).into())
    }
}
