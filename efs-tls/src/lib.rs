//! Amazon EFS over TLS from inside a Rust process.
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

mod mount_target;
pub use mount_target::MountTargetName;

mod nfs_options;
pub use nfs_options::{NfsMountOptions, NfsOption, NfsOptionError};

mod parse;
pub use parse::ParseError;

mod region;
pub use region::{Partition, Region};

mod resource_id;
pub use resource_id::{AccessPointId, FileSystemId};

mod service;
pub use service::Service;
