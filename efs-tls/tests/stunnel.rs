//! Configuration files of stunnel: what is read, what is refused, and what the connectors and tunnels made of them do.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[path = "stunnel/connecting.rs"]
mod connecting;
#[path = "stunnel/reading.rs"]
mod reading;
#[path = "stunnel/tunnelling.rs"]
mod tunnelling;
#[path = "stunnel/weaknesses.rs"]
mod weaknesses;

use efs_tls::{StunnelConfig, StunnelImport};
use secure_connector::error_chain;

/// A service that is complete and has no weakness; line 1 is for what a test adds above it.
const SERVICE: &str = "
[efs]
client = yes
accept = 127.0.0.1:0
connect = 127.0.0.1:2049
verifyChain = yes
CAfile = ca.pem
checkHost = fs.example";

#[track_caller]
fn read(text: &str) -> StunnelConfig {
    text.parse().unwrap_or_else(|e| panic!("{}\n{text}", error_chain(&e)))
}

/// The error and its causes.
#[track_caller]
fn refusal(text: &str) -> String {
    refusal_by(&StunnelImport::new(), text)
}

#[track_caller]
fn refusal_by(import: &StunnelImport, text: &str) -> String {
    match import.parse(text) {
        Ok(config) => panic!("taken over: {config:?}"),
        Err(error) => error_chain(&error),
    }
}

fn warnings(config: &StunnelConfig) -> Vec<String> {
    config.warnings().iter().map(ToString::to_string).collect()
}
