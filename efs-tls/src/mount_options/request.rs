//! A mount, with everything decided that can be decided without asking anybody.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use super::{CredentialSource, MountHelperConfig, MountHelperConfigError, MountOptions, MountSource, source::Named};
use crate::{
    AccessPointId, AvailabilityZoneId, AvailabilityZoneName, MountTargetName, NfsMountOptions, NfsOption, Region,
    Service,
};

/// What a mount needs: a tunnel, and the options of the NFS mount through it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountRequest {
    /// The tunnel.
    pub tunnel: TunnelSpec,
    /// `tlsport`: the local port that the tunnel has to have.
    pub port: Option<u16>,
    /// The directory in the file system or below the access point's root.
    pub path: String,
    /// Whether another mount may use the same tunnel: not with `nosharetls`.
    pub shared: bool,
    /// The options for `mount.nfs4`.
    pub nfs: Vec<NfsOption>,
}

/// What makes one tunnel differ from another. Mounts with equal ones can share a tunnel. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TunnelSpec {
    /// The name to dial, and to verify without its zone.
    pub target: MountTargetName,
    /// The address to dial instead.
    pub mount_target_ip: Option<IpAddr>,
    /// The access point to enter by.
    pub access_point: Option<AccessPointId>,
    /// Where the credentials come from; `None` for a client without any.
    pub credentials: Option<CredentialSource>,
    /// The trust anchors; `None` for Amazon's.
    pub ca_file: Option<PathBuf>,
}

/// What is known about the host, for what the options leave open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountHost {
    /// The region by `AWS_REGION` or `AWS_DEFAULT_REGION`: it goes before the configuration file's.
    pub environment_region: Option<Region>,
    /// The region by the instance metadata: it comes last.
    pub instance_region: Option<Region>,
    /// The id of our zone, for `crossaccount`.
    pub zone_id: Option<AvailabilityZoneId>,
}

/// Why options that are good in themselves make no mount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountRequestError {
    /// Nothing says which region the file system is in.
    #[error(
        "the region of the file system is unknown: add region=…, set AWS_REGION, or write region to [mount] of the configuration file"
    )]
    RegionUnknown,
    /// Nothing says which zone we are in.
    #[error(
        "crossaccount needs the id of our Availability Zone, which is unknown: write az_id to [mount] of the configuration file"
    )]
    ZoneUnknown,
    /// The DNS name is of another region.
    #[error("the mount option region is {region}, and the file system's name is {name}: correct one of them")]
    OtherRegion {
        /// The region.
        region: Region,
        /// The name.
        name: Box<MountTargetName>,
    },
    /// The zone is of another region.
    #[error("the mount option az is {zone}, a zone of {}, and the region is {region}: correct one of them", zone.region())]
    ZoneOfOtherRegion {
        /// The zone.
        zone: AvailabilityZoneName,
        /// The region.
        region: Region,
    },
    /// The DNS name already has a zone.
    #[error("the file system's name {name} has a zone, and so have the mount options: give the file system by its id")]
    ZoneTwice {
        /// The name.
        name: Box<MountTargetName>,
    },
    /// Another service's file system.
    #[error("{name} is a file system of Amazon S3 Files: expected one of Amazon EFS")]
    S3Files {
        /// The name.
        name: Box<MountTargetName>,
    },
    /// The configuration file.
    #[error("the configuration file of the mount helper")]
    Config(#[from] MountHelperConfigError),
}

impl MountRequest {
    /// Puts together what a mount asks for. [`RegionUnknown`](MountRequestError::RegionUnknown) and
    /// [`ZoneUnknown`](MountRequestError::ZoneUnknown) say that more about the host would help.
    ///
    /// # Errors
    /// [`MountRequestError`].
    pub fn new(
        source: &MountSource,
        options: MountOptions,
        config: &MountHelperConfig,
        host: &MountHost,
    ) -> Result<Self, MountRequestError> {
        let target = target(source, &options, config, host)?;
        if target.service() == Service::S3Files {
            return Err(MountRequestError::S3Files { name: target.into() });
        }
        config.refuse_unsupported(&target, options.no_ocsp)?;
        let ca_file = match options.ca_file {
            Some(path) => Some(path),
            None => config.ca_file(target.region())?,
        };
        Ok(Self {
            tunnel: TunnelSpec {
                target,
                mount_target_ip: options.mount_target_ip,
                access_point: options.access_point,
                credentials: options.credentials,
                ca_file,
            },
            port: options.tls_port,
            path: source.path.clone(),
            shared: !options.no_share,
            nfs: options.nfs,
        })
    }

    /// The arguments of `mount.nfs4` for a mount at `mount_point` through the tunnel that listens at `port`, with `flags` such
    /// as `-v`.
    pub fn mount_nfs4_arguments(
        &self,
        port: u16,
        mount_point: impl Into<OsString>,
        flags: impl IntoIterator<Item = &'static str>,
    ) -> Vec<OsString> {
        let options = self.nfs.iter().cloned().fold(NfsMountOptions::new(port), NfsMountOptions::with);
        let mut mount_point = mount_point.into();
        if mount_point.as_encoded_bytes().starts_with(b"-") {
            let mut path = OsString::from("./");
            path.push(mount_point);
            mount_point = path;
        }
        let mut arguments = vec![format!("127.0.0.1:{}", self.path).into(), mount_point];
        arguments.extend(flags.into_iter().map(OsString::from));
        arguments.extend(["-o".into(), options.to_string().into()]);
        arguments
    }
}

fn target(
    source: &MountSource,
    options: &MountOptions,
    config: &MountHelperConfig,
    host: &MountHost,
) -> Result<MountTargetName, MountRequestError> {
    let file_system = match &source.file_system {
        Named::Id(id) => id.clone(),
        Named::MountTarget(name) => return named_target(name, options, config, host),
    };
    let region = match (&options.region, &host.environment_region) {
        (Some(region), _) | (None, Some(region)) => Some(region.clone()),
        (None, None) => config.region()?.or_else(|| host.instance_region.clone()),
    };
    match (&options.az, region) {
        (Some(zone), Some(region)) if *zone.region() != region => {
            Err(MountRequestError::ZoneOfOtherRegion { zone: zone.clone(), region })
        }
        (Some(zone), _) => Ok(MountTargetName::one_zone(file_system, zone.clone())),
        (None, None) => Err(MountRequestError::RegionUnknown),
        (None, Some(region)) if options.cross_account => {
            Ok(MountTargetName::cross_account(file_system, region, zone_id(config, host)?))
        }
        (None, Some(region)) => Ok(MountTargetName::regional(file_system, region)),
    }
}

/// A DNS name says the region itself, and may say the zone.
fn named_target(
    name: &MountTargetName,
    options: &MountOptions,
    config: &MountHelperConfig,
    host: &MountHost,
) -> Result<MountTargetName, MountRequestError> {
    if let Some(region) = options.region.as_ref().filter(|region| *region != name.region()) {
        return Err(MountRequestError::OtherRegion { region: region.clone(), name: name.clone().into() });
    }
    let (file_system, region) = (name.file_system().clone(), name.region().clone());
    let has_zone = name.dns_name() != name.verified_name();
    match &options.az {
        None if !options.cross_account => Ok(name.clone()),
        _ if has_zone => Err(MountRequestError::ZoneTwice { name: name.clone().into() }),
        Some(zone) if *zone.region() != region => {
            Err(MountRequestError::ZoneOfOtherRegion { zone: zone.clone(), region })
        }
        Some(zone) => Ok(MountTargetName::one_zone(file_system, zone.clone())),
        None => Ok(MountTargetName::cross_account(file_system, region, zone_id(config, host)?)),
    }
}

fn zone_id(config: &MountHelperConfig, host: &MountHost) -> Result<AvailabilityZoneId, MountRequestError> {
    config.zone_id()?.or_else(|| host.zone_id.clone()).ok_or(MountRequestError::ZoneUnknown)
}
