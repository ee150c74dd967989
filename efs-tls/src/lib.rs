//! Amazon EFS over TLS from inside a Rust process: no mount helper, no stunnel, no files.
//!
//! A mount target of EFS speaks NFS inside TLS. Who the client is, which file system it wants and by which access point
//! it enters all stand in the client certificate, which the client makes itself and signs with its AWS credentials.
//! Here that certificate is a pure function of request, key, credentials and time:
//! ```
//! # #[cfg(feature = "aws-lc-rs")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aws_credential_types::Credentials;
//! use efs_tls::{CertificateRequest, ClientKey, CommonName};
//!
//! let key = ClientKey::generate().await?;
//! let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", None, None, "example");
//! let certificate =
//!     CertificateRequest::new("fs-0123456789abcdef0".parse()?, "us-east-1".parse()?, CommonName::of_this_host())
//!         .access_point("fsap-0123456789abcdef0".parse()?)
//!         .issue(&key, Some(&credentials), std::time::SystemTime::now())?;
//!
//! assert_eq!(certificate.authenticated_as(), Some("AKIDEXAMPLE"));
//! print!("{}", certificate.explain()); // what was signed, without secrets
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "aws-lc-rs"))]
//! # fn main() {}
//! ```
//!
//! No `Debug`, `Display`, error or log of this crate ever has a secret access key, a session token or a private key in
//! it.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod availability_zone;
pub use availability_zone::{AvailabilityZoneId, AvailabilityZoneName};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod certificate;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use certificate::{
    CertificateError, CertificateRequest, ClientAuth, ClientCertificate, ClientInfo, CommonName, EfsCertificate,
    EfsCertificateError, SignedConnect,
};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod client_key;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use client_key::{ClientKey, KeyError, PublicKeyHash};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod connector;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use connector::{EfsConfigError, EfsConnector, EfsConnectorBuilder, NFS_PORT};

#[cfg(feature = "aws-config")]
mod default_credentials;
#[cfg(feature = "aws-config")]
pub use default_credentials::default_credentials;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod identity;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use identity::{EfsIdentity, EfsIdentityBuilder, RenewalStatus, renewal_delay};

mod mount_options;
pub use mount_options::{
    CredentialSource, MountHelperConfig, MountHelperConfigError, MountHost, MountOptionError, MountOptions,
    MountRequest, MountRequestError, MountSource, TunnelSpec,
};

mod mount_target;
pub use mount_target::MountTargetName;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod mount_targets;
#[cfg(all(feature = "aws-sdk-efs", any(feature = "aws-lc-rs", feature = "ring")))]
pub use mount_targets::DescribeMountTargets;
#[cfg(all(feature = "aws-config", any(feature = "aws-lc-rs", feature = "ring")))]
pub use mount_targets::InstanceMetadata;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use mount_targets::{
    AvailabilityZone, FindMountTargets, FindMountTargetsError, FindZone, MountTarget, MountTargets,
};

mod nfs_options;
pub use nfs_options::{NfsMountOptions, NfsOption, NfsOptionError};

mod parse;
pub use parse::ParseError;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod probe;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use probe::{
    Access, Admission, Denial, Found, Hint, Operation, Probe, ProbeKind, ProbeOptions, ProbeOutcome, Refusal,
    RootDirectory, Status, WithoutAccessPoint, probe_stream,
};

mod region;
pub use region::{Partition, Region};

mod resource_id;
pub use resource_id::{AccessPointId, FileSystemId};

mod service;
pub use service::Service;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod stunnel;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use stunnel::{
    StunnelConfig, StunnelError, StunnelForeground, StunnelImport, StunnelService, StunnelTarget, StunnelWarning,
    StunnelWeakness,
};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod tunnel;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use tunnel::{EfsTunnel, EfsTunnelBuilder, EfsTunnelError, EfsTunnelHealth, EfsTunnelStatus};
