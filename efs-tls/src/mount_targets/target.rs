//! One mount target.

use std::{net::SocketAddr, sync::Arc};

use secure_connector::{Dial, Resolve};

use super::AvailabilityZone;
use crate::{AvailabilityZoneId, AvailabilityZoneName, MountTargetName, NFS_PORT};

/// A mount target to choose among others: where it is dialled, and the zone it is in.
///
/// Names are those of the connector's own file system, so none can lead to another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MountTarget {
    at: At,
    zone: Option<AvailabilityZone>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    OwnName,
    ZoneName(AvailabilityZoneName),
    ZoneId(AvailabilityZoneId),
    Addresses(Vec<SocketAddr>),
}

impl MountTarget {
    /// By the addresses of its one network interface, IPv4, IPv6 or both, which race (RFC 8305). The port of EFS is
    /// [`NFS_PORT`].
    pub fn addresses(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { at: At::Addresses(addresses.into_iter().collect()), zone: None }
    }

    /// By the zone's own DNS name, as `us-east-1a.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com`.
    pub fn in_zone_named(zone: AvailabilityZoneName) -> Self {
        Self { at: At::ZoneName(zone.clone()), zone: Some(zone.into()) }
    }

    /// By a DNS name with the zone's id, as `use1-az1.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com`: the Route 53 record
    /// for another account's file system, and the names of S3 Files.
    pub fn cross_account(zone: AvailabilityZoneId) -> Self {
        Self { at: At::ZoneId(zone.clone()), zone: Some(zone.into()) }
    }

    /// By the connector's own name, [`MountTargetName::dns_name`]: for a regional one, whatever the resolver of the network
    /// prefers. It comes after all targets that are known by their zone.
    pub fn own_name() -> Self {
        Self { at: At::OwnName, zone: None }
    }

    /// Says in which zone it is, or more of the zone than the name that is dialled.
    #[must_use]
    pub fn in_zone(mut self, zone: impl Into<AvailabilityZone>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// The zone, where it is known.
    pub const fn zone(&self) -> Option<&AvailabilityZone> {
        self.zone.as_ref()
    }

    pub(super) fn is_own_name(&self) -> bool {
        self.at == At::OwnName
    }

    pub(super) fn dial(&self, file_system: &MountTargetName, resolver: &Arc<dyn Resolve>) -> Dial {
        let regional = file_system.verified_name();
        let name = match &self.at {
            At::Addresses(addresses) => return Dial::addresses(addresses.iter().copied()),
            At::OwnName => file_system.dns_name(),
            At::ZoneName(zone) => format!("{zone}.{regional}"),
            At::ZoneId(zone) => format!("{zone}.{regional}"),
        };
        Dial::name_resolved_by(name, NFS_PORT, resolver.clone())
    }
}

#[cfg(test)]
mod tests {
    use secure_connector::SystemResolver;

    use super::*;

    #[test]
    fn names_are_those_of_the_connectors_file_system_in_its_partition() {
        let resolver: Arc<dyn Resolve> = Arc::new(SystemResolver);
        for (own, expected) in [
            (
                "fs-01234567.efs.us-east-1.amazonaws.com",
                [
                    "fs-01234567.efs.us-east-1.amazonaws.com:2049",
                    "us-east-1a.fs-01234567.efs.us-east-1.amazonaws.com:2049",
                    "use1-az1.fs-01234567.efs.us-east-1.amazonaws.com:2049",
                ],
            ),
            (
                "cn-north-1b.fs-01234567.efs.cn-north-1.amazonaws.com.cn",
                [
                    "cn-north-1b.fs-01234567.efs.cn-north-1.amazonaws.com.cn:2049",
                    "us-east-1a.fs-01234567.efs.cn-north-1.amazonaws.com.cn:2049",
                    "use1-az1.fs-01234567.efs.cn-north-1.amazonaws.com.cn:2049",
                ],
            ),
        ] {
            let own: MountTargetName = own.parse().unwrap();
            let (name, id) = ("us-east-1a".parse().unwrap(), "use1-az1".parse().unwrap());
            let targets = [MountTarget::own_name(), MountTarget::in_zone_named(name), MountTarget::cross_account(id)];
            assert_eq!(targets.map(|target| target.dial(&own, &resolver).to_string()), expected);
        }
        let addresses = ["10.0.0.9:2049", "[fd00::9]:2049"].map(|address| address.parse().unwrap());
        let dial = MountTarget::addresses(addresses)
            .dial(&"fs-01234567.efs.us-east-1.amazonaws.com".parse().unwrap(), &resolver);
        assert_eq!(dial.to_string(), "10.0.0.9:2049, [fd00::9]:2049");
    }
}
