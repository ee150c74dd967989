//! The probe: connectors against the fake mount target and servers that misbehave; streams against scripted servers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[path = "probe/connector.rs"]
mod connector;
#[cfg(feature = "serde")]
#[path = "probe/json.rs"]
mod json;
#[path = "probe/mount_target.rs"]
mod mount_target;
#[path = "probe/script.rs"]
mod script;
#[path = "probe/stream.rs"]
mod stream;
