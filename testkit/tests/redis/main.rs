//! The fake ElastiCache: who is let in, what a journal says of it, and everything that it does wrong when told to.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod authentication;
mod client;
mod commands;
mod iam;
mod misbehaviour;
mod topology;
