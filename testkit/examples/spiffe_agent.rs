//! A SPIFFE agent for any program that speaks the Workload API:
//! `cargo run -p secure-connector-testkit --example spiffe_agent -- /tmp/agent.sock example.org /web`
//!
//! It rotates every ten seconds, until it is interrupted.

use std::{env, error::Error, future::pending, time::Duration};

use secure_connector_testkit::spiffe::SpiffeAgent;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: spiffe_agent SOCKET TRUST-DOMAIN PATH…";
    let mut args = env::args().skip(1);
    let (socket, trust_domain) = (args.next().ok_or(usage)?, args.next().ok_or(usage)?);
    let agent = SpiffeAgent::builder(trust_domain).unix(socket).rotate_every(Duration::from_secs(10));
    let agent = args.fold(agent, |agent, path| agent.workload(path)).start().await?;
    println!("SPIFFE_ENDPOINT_SOCKET={}", agent.address());
    pending().await
}
