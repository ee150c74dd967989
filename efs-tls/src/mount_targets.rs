//! Which mount target to connect to, where a file system has one in each of several Availability Zones.

#[cfg(feature = "aws-sdk-efs")]
mod describe;
mod failover;
mod find;
mod health;
#[cfg(feature = "aws-config")]
mod instance_metadata;
mod look_up;
mod order;
mod target;
mod zone;

use std::{sync::Arc, time::Duration};

use secure_connector::{Resolve, SystemResolver};

#[cfg(feature = "aws-sdk-efs")]
pub use self::describe::DescribeMountTargets;
pub(crate) use self::failover::Failover;
pub use self::find::{FindMountTargets, FindMountTargetsError, FindZone};
#[cfg(feature = "aws-config")]
pub use self::instance_metadata::InstanceMetadata;
pub use self::target::MountTarget;
pub use self::zone::AvailabilityZone;

/// The mount targets of a file system and how to choose among them, instead of what its DNS name resolves to.
///
/// - The target in our own zone comes first: data that stays in the zone is neither charged nor slowed down by the way
///   between zones. The others follow in an order that is drawn once per connector, so that clients without a target in
///   their zone spread over all.
/// - A target that cannot be connected to, or does not prove to be the file system's, is set aside for 5 s to 5 min, and
///   the next is tried within the same call. Once its time is over, one connection tries it again, and when that works, all
///   do. Connections that are open stay where they are.
/// - Each target but the last has 5 s at most, or its share of the total limit where that is less. Targets that are set
///   aside are still tried after all others, so a call fails only when every target has failed, with
///   [`ConnectError::NoTarget`](secure_connector::ConnectError::NoTarget).
/// - Where the targets cannot be looked up, those of the last look-up are used, and then what the DNS name resolves to.
///
/// No choice is silent: the report of each connection has the reason in
/// [`chosen_because`](secure_connector::SecurityReport::chosen_because).
///
/// ```
/// use efs_tls::{AvailabilityZoneId, EfsConnector, MountTarget, MountTargetName, MountTargets};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (a, b): (AvailabilityZoneId, AvailabilityZoneId) = ("use1-az1".parse()?, "use1-az2".parse()?);
/// let targets = MountTargets::new(vec![
///     MountTarget::addresses(["10.0.1.9:2049".parse()?]).in_zone(a.clone()),
///     MountTarget::addresses(["10.0.2.9:2049".parse()?, "[fd00:2::9]:2049".parse()?]).in_zone(b),
/// ]);
/// let name = MountTargetName::regional("fs-0123456789abcdef0".parse()?, "us-east-1".parse()?);
/// let connector = EfsConnector::anonymous(name).mount_targets(targets.our_zone(a)).build().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Differences from the EFS mount helper
/// The mount helper chooses once, when it mounts; only where the DNS name does not resolve; and a random target where it
/// does not know its zone.
#[derive(Clone, Debug)]
pub struct MountTargets {
    find: Arc<dyn FindMountTargets>,
    zone: Option<Arc<dyn FindZone>>,
    refresh: Duration,
    resolver: Arc<dyn Resolve>,
}

impl MountTargets {
    /// How long what was looked up is used.
    pub const DEFAULT_REFRESH: Duration = Duration::from_secs(5 * 60);

    /// The targets that `find` finds: a `Vec` of them, `DescribeMountTargets` (feature `aws-sdk-efs`), or a look-up of your
    /// own.
    pub fn new(find: impl FindMountTargets + 'static) -> Self {
        Self { find: Arc::new(find), zone: None, refresh: Self::DEFAULT_REFRESH, resolver: Arc::new(SystemResolver) }
    }

    /// The zone that we are in: an [`AvailabilityZone`], its name or id, `InstanceMetadata` (feature `aws-config`), or a
    /// look-up of your own. Default: unknown, and no target is preferred.
    #[must_use]
    pub fn our_zone(mut self, zone: impl FindZone + 'static) -> Self {
        self.zone = Some(Arc::new(zone));
        self
    }

    /// How long what was looked up is used; the next connection after that looks again, before it is dialled. Default:
    /// [`DEFAULT_REFRESH`](Self::DEFAULT_REFRESH).
    #[must_use]
    pub fn refresh_every(mut self, interval: Duration) -> Self {
        self.refresh = interval;
        self
    }

    /// Resolves the names among the targets. Default: the [`SystemResolver`].
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }
}
