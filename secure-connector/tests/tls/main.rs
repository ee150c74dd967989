//! The TLS connector against servers on the loopback.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod acceptor;
mod connect;
mod diagnoses;
mod hardening;
mod identity;
mod sessions;
mod support;
