//! Clients over our connections, against a fake ElastiCache.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod pools;
mod redis;
mod rustis;
mod support;
mod tunnel;
