//! The connector against a cache that behaves and misbehaves.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod authentication;
mod doctor;
mod failures;
mod nodes;
mod support;
mod tls;
