//! The choice among mount targets: fake ones on 127.0.0.2, 127.0.0.3 … stand for the zones of a region.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[cfg(feature = "aws-sdk-efs")]
#[path = "mount_targets/describe.rs"]
mod describe;
#[path = "mount_targets/failover.rs"]
mod failover;
#[cfg(any(feature = "aws-sdk-efs", feature = "aws-config"))]
#[path = "mount_targets/http.rs"]
mod http;
#[cfg(feature = "aws-config")]
#[path = "mount_targets/instance_metadata.rs"]
mod instance_metadata;
#[path = "mount_targets/look_up.rs"]
mod look_up;
#[path = "mount_targets/region.rs"]
mod region;
