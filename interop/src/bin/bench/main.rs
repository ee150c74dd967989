//! Measures TLS-initiating tunnels and TLS handshakes, ours beside others, and prints the report as Markdown.
//!
//! Run by `cargo xtask bench`. `--quick` goes through the motions in seconds; its figures mean nothing. The servers and
//! the Rust tunnels are this program again, in processes of their own, so that each one's CPU time can be read.

mod handshakes;
mod machine;
mod placement;
mod process;
mod relay;
mod report;
mod server;
mod transfer;
mod tunnels;

use std::io::{Error, Result};
use std::{env, fmt};

use interop::PemFiles;
use placement::Placement;

/// The name in the server's certificate.
const SERVER_NAME: &str = "server.example";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Bytes per transfer.
    bytes: u64,
    /// Handshakes per run.
    handshakes: u32,
    /// Runs of each case; the median counts.
    runs: usize,
}

const FULL: Effort = Effort { bytes: 1 << 30, handshakes: 4000, runs: 5 };
const QUICK: Effort = Effort { bytes: 4 << 20, handshakes: 10, runs: 1 };

/// The protocol version of a case, with the one suite that the server offers in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Tls12,
    Tls13,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2, ECDHE-ECDSA-AES128-GCM-SHA256",
            Self::Tls13 => "TLS 1.3, TLS_AES_128_GCM_SHA256",
        })
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => measure(FULL),
        ["--quick"] => measure(QUICK),
        ["server", rest @ ..] => server::run(rest),
        ["relay", rest @ ..] => relay::run(rest),
        ["handshakes", rest @ ..] => handshakes::run(rest),
        _ => Err(Error::other("usage: bench [--quick]")),
    }
}

fn measure(effort: Effort) -> Result<()> {
    let pem = PemFiles::new(SERVER_NAME)?;
    report::heading(effort)?;
    for version in [Version::Tls13, Version::Tls12] {
        for placement in [Placement::OneCpu, Placement::AllCpus] {
            report::tunnels(version, placement, &placement.hold(|| tunnels::compare(&pem, version, effort))?);
        }
    }
    let placement = Placement::OneCpu;
    report::handshakes(placement, &placement.hold(|| handshakes::compare(&pem, effort))?);
    Ok(())
}
