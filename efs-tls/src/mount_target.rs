//! The DNS names of a file system's mount targets.

use std::fmt;
use std::str::FromStr;

use crate::parse::text_form;
use crate::{AvailabilityZoneId, AvailabilityZoneName, FileSystemId, ParseError, Region, Service};

/// The name of a mount target: what is looked up and dialled, and what its certificate must cover.
///
/// The two differ when the name begins with a zone. The certificate is for `*.efs.REGION.SUFFIX`, and a wildcard
/// covers one label (RFC 9525, section 6.3), so the zone is cut off before verifying.
/// ```
/// use efs_tls::MountTargetName;
///
/// let name = MountTargetName::one_zone("fs-0123456789abcdef0".parse()?, "us-east-1a".parse()?);
/// assert_eq!(name.dns_name(), "us-east-1a.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com");
/// assert_eq!(name.verified_name(), "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com");
/// # Ok::<(), efs_tls::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountTargetName {
    service: Service,
    region: Region,
    file_system: FileSystemId,
    zone: Zone,
}

/// The first label, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Zone {
    Callers,
    Named(AvailabilityZoneName),
    Identified(AvailabilityZoneId),
}

impl MountTargetName {
    /// The mount target in the zone of whoever looks the name up.
    pub fn regional(file_system: FileSystemId, region: Region) -> Self {
        Self { service: Service::ElasticFileSystem, region, file_system, zone: Zone::Callers }
    }

    /// The mount target in one zone: the only one that a One Zone file system has.
    pub fn one_zone(file_system: FileSystemId, zone: AvailabilityZoneName) -> Self {
        Self {
            service: Service::ElasticFileSystem,
            region: zone.region().clone(),
            file_system,
            zone: Zone::Named(zone),
        }
    }

    /// The mount target of another account's file system. The name exists once a Route 53 record is made for it.
    pub fn cross_account(file_system: FileSystemId, region: Region, zone: AvailabilityZoneId) -> Self {
        Self { service: Service::ElasticFileSystem, region, file_system, zone: Zone::Identified(zone) }
    }

    /// The mount target of a file system of S3 Files, which is always named with its zone.
    pub fn s3_files(file_system: FileSystemId, region: Region, zone: AvailabilityZoneId) -> Self {
        Self { service: Service::S3Files, region, file_system, zone: Zone::Identified(zone) }
    }

    /// The name to look up and to dial.
    pub fn dns_name(&self) -> String {
        let verified = self.verified_name();
        match &self.zone {
            Zone::Callers => verified,
            Zone::Named(zone) => format!("{zone}.{verified}"),
            Zone::Identified(zone) => format!("{zone}.{verified}"),
        }
    }

    /// The name to send as SNI and to verify the certificate against: without the zone.
    pub fn verified_name(&self) -> String {
        let Self { service, region, file_system, .. } = self;
        let suffix = service.dns_suffix(region.partition());
        format!("{file_system}.{}.{region}.{suffix}", service.dns_label())
    }

    /// The service that owns the file system.
    pub const fn service(&self) -> Service {
        self.service
    }

    /// The region of the file system.
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The file system.
    pub const fn file_system(&self) -> &FileSystemId {
        &self.file_system
    }
}

impl FromStr for MountTargetName {
    type Err = ParseError;

    /// Reads the names that [`dns_name`](Self::dns_name) writes; case and one trailing dot do not matter (RFC 1034).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        read_name(&name).filter(|read| read.dns_name() == name).ok_or_else(|| ParseError {
            expected: "the DNS name of a mount target, like fs-0123456789abcdef0.efs.us-east-1.amazonaws.com",
            found: text.to_owned(),
            remedy: "check the file system id, the region and the suffix of its partition, and that the zone is of that region",
        })
    }
}

impl fmt::Display for MountTargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.dns_name())
    }
}

text_form!(MountTargetName);

/// What the labels say. The caller compares the whole name, so the suffix need not be looked at here.
fn read_name(name: &str) -> Option<MountTargetName> {
    let (zone, rest) =
        if name.starts_with("fs-") { (None, name) } else { name.split_once('.').map(|(z, r)| (Some(z), r))? };
    let mut labels = rest.split('.');
    let file_system = labels.next()?.parse().ok()?;
    let service = labels.next()?;
    let region = labels.next()?.parse().ok()?;
    match (service, zone) {
        ("efs", None) => Some(MountTargetName::regional(file_system, region)),
        ("efs", Some(zone)) => match zone.parse() {
            Ok(zone) => Some(MountTargetName::one_zone(file_system, zone)),
            Err(_) => Some(MountTargetName::cross_account(file_system, region, zone.parse().ok()?)),
        },
        ("s3files", Some(zone)) => Some(MountTargetName::s3_files(file_system, region, zone.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_zone_is_dialled_and_not_verified() {
        for (text, verified) in [
            ("fs-01234567.efs.us-east-1.amazonaws.com", "fs-01234567.efs.us-east-1.amazonaws.com"),
            ("us-east-1a.fs-01234567.efs.us-east-1.amazonaws.com", "fs-01234567.efs.us-east-1.amazonaws.com"),
            ("use1-az1.fs-01234567.efs.us-east-1.amazonaws.com", "fs-01234567.efs.us-east-1.amazonaws.com"),
            ("cnn1-az1.fs-01234567.efs.cn-north-1.amazonaws.com.cn", "fs-01234567.efs.cn-north-1.amazonaws.com.cn"),
            ("use1-az1.fs-01234567.s3files.us-east-1.on.aws", "fs-01234567.s3files.us-east-1.on.aws"),
        ] {
            let name: MountTargetName = text.parse().unwrap();
            assert_eq!((name.dns_name().as_str(), name.verified_name().as_str()), (text, verified));
        }
    }

    #[test]
    fn case_and_one_trailing_dot_do_not_matter() {
        let name: MountTargetName = "FS-01234567.EFS.us-east-1.amazonaws.com.".parse().unwrap();
        assert_eq!(name.to_string(), "fs-01234567.efs.us-east-1.amazonaws.com");
    }

    #[test]
    fn names_that_no_mount_target_has_are_refused() {
        for bad in [
            "",
            "fs-01234567",
            "fs-01234567.efs.us-east-1.amazonaws.com..",
            "fs-01234567.efs.us-east-1.amazonaws.com.evil.example",
            "fs-01234567.efs.us-east-1.amazonaws.com.cn",
            "fs-01234567.efs.cn-north-1.amazonaws.com",
            "us-west-2a.fs-01234567.efs.us-east-1.amazonaws.com",
            "x.us-east-1a.fs-01234567.efs.us-east-1.amazonaws.com",
            "fs-01234567.s3files.us-east-1.on.aws",
            "us-east-1a.fs-01234567.s3files.us-east-1.on.aws",
            "fs-01234567.fsx.us-east-1.amazonaws.com",
        ] {
            let error = bad.parse::<MountTargetName>().unwrap_err();
            assert_eq!(error.found, bad);
            assert!(error.expected.starts_with("the DNS name of a mount target"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back_as_it_was_written(
            file_system in "fs-[0-9a-f]{17}",
            region in "(us-gov-west|us-isob-east|eusc-de-east|cn-north|ap-south)-[1-9]",
            zone in "[a-z]{3,5}[1-9]-az[1-9]",
        ) {
            let file_system: FileSystemId = file_system.parse().unwrap();
            let named: AvailabilityZoneName = format!("{region}c").parse().unwrap();
            let region: Region = region.parse().unwrap();
            let zone: AvailabilityZoneId = zone.parse().unwrap();
            for name in [
                MountTargetName::regional(file_system.clone(), region.clone()),
                MountTargetName::one_zone(file_system.clone(), named),
                MountTargetName::cross_account(file_system.clone(), region.clone(), zone.clone()),
                MountTargetName::s3_files(file_system, region, zone),
            ] {
                prop_assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
    }
}
