//! The command-line options that say which file system is meant, and who we are to it.

use std::{error::Error, net::SocketAddr, path::PathBuf};

use efs_tls::{
    AccessPointId, AvailabilityZoneName, EfsConnector, FileSystemId, MountTargetName, Region, default_credentials,
};
use secure_connector::Roots;

/// Options of every program that connects to a file system.
#[derive(Debug, clap::Args)]
#[non_exhaustive]
pub struct EfsOptions {
    /// The file system, for example fs-0123456789abcdef0.
    pub file_system: FileSystemId,
    /// Its region, for example us-east-1.
    #[arg(long, env = "AWS_REGION")]
    pub region: Region,
    /// The availability zone's name, for One Zone file systems.
    #[arg(long, value_name = "NAME")]
    pub az: Option<AvailabilityZoneName>,
    /// Enters through this access point.
    #[arg(long, value_name = "fsap-…")]
    pub access_point: Option<AccessPointId>,
    /// Presents no credentials: only file systems that admit anybody let us in.
    #[arg(long, conflicts_with = "profile")]
    pub anonymous: bool,
    /// The profile of the shared AWS configuration to take credentials from.
    #[arg(long)]
    pub profile: Option<String>,
    /// Dials this address instead of the mount target's name; the name is verified all the same.
    #[arg(long, value_name = "IP:PORT")]
    pub address: Option<SocketAddr>,
    /// Trusts the certificates of this file (PEM or DER) instead of the four Amazon roots.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

impl EfsOptions {
    /// The connector that is asked for. Nothing is dialled.
    ///
    /// # Errors
    /// The zone is of another region, the CA file cannot be read, or [`EfsConfigError`](efs_tls::EfsConfigError).
    pub async fn connector(&self) -> Result<EfsConnector, Box<dyn Error>> {
        let target = match &self.az {
            Some(zone) if *zone.region() != self.region => {
                let (of, wanted) = (zone.region(), &self.region);
                return Err(format!("--az {zone} is a zone of {of}, not of {wanted}: correct one of them").into());
            }
            Some(zone) => MountTargetName::one_zone(self.file_system.clone(), zone.clone()),
            None => MountTargetName::regional(self.file_system.clone(), self.region.clone()),
        };
        let mut connector = if self.anonymous {
            EfsConnector::anonymous(target)
        } else {
            EfsConnector::iam(target, default_credentials(&self.region, self.profile.as_deref()).await)
        };
        if let Some(access_point) = &self.access_point {
            connector = connector.access_point(access_point.clone());
        }
        if let Some(address) = self.address {
            connector = connector.mount_target_address(address);
        }
        if let Some(ca_file) = &self.ca_file {
            connector = connector.roots(Roots::from_file(ca_file)?);
        }
        Ok(connector.build().await?)
    }
}
