//! All tunnels side by side, in interleaved runs.

use std::io::{Error, Result};

use interop::{Daemon, PemFiles, haproxy, stunnel};

use crate::process::{peak_memory, start_role};
use crate::server::{self, Sessions};
use crate::transfer::{self, Direction, Transfer};
use crate::{Effort, SERVER_NAME, Version};

/// One tunnel's figures.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) tunnel: &'static str,
    pub(crate) down: Vec<Transfer>,
    pub(crate) up: Vec<Transfer>,
    /// MiB.
    pub(crate) peak_memory: f64,
}

pub(crate) const OURS: &str = "secure-connector `Tunnel`";
/// What it is compared with.
pub(crate) const STUNNEL: &str = "stunnel";
pub(crate) const HAPROXY: &str = "haproxy, 1 thread";

/// Measures every tunnel against one server.
pub(crate) fn compare(pem: &PemFiles, version: Version, effort: Effort) -> Result<Vec<Row>> {
    let plain_server = server::start_plain()?;
    let tls_server = server::start_tls(pem, version, Sessions::Resumed)?;
    let mut tunnels = start(pem, &plain_server, &tls_server)?;
    for run in 1..=effort.runs {
        for (row, tunnel) in &mut tunnels {
            for (direction, results) in [(Direction::Down, &mut row.down), (Direction::Up, &mut row.up)] {
                let result = transfer::run(tunnel.addr(), tunnel.pid(), direction, effort.bytes)
                    .map_err(|error| Error::new(error.kind(), format!("{} {direction}: {error}", row.tunnel)))?;
                eprintln!("{version:?} run {run}: {} {direction}: {result:.2?}", row.tunnel);
                results.push(result);
            }
        }
    }
    for (row, tunnel) in &mut tunnels {
        row.peak_memory = peak_memory(tunnel.pid())?;
    }
    Ok(tunnels.into_iter().map(|(row, _)| row).collect())
}

fn start(pem: &PemFiles, plain_server: &Daemon, tls_server: &Daemon) -> Result<Vec<(Row, Daemon)>> {
    let (plain, tls, ca) = (plain_server.addr().to_string(), tls_server.addr().to_string(), pem.ca());
    let stunnel = stunnel(&format!(
        "client = yes\nconnect = {tls}\nCAfile = {ca}\nverifyChain = yes\ncheckHost = {SERVER_NAME}\nsni = {SERVER_NAME}"
    ))?;
    let haproxy =
        haproxy(&format!("{tls} ssl verify required ca-file {ca} verifyhost {SERVER_NAME} sni str({SERVER_NAME})"))?;
    let tunnels = [
        ("plain TCP, no TLS", start_role("relay", &["plain", &plain, &ca])?),
        (STUNNEL, stunnel),
        (HAPROXY, haproxy),
        ("tokio-rustls, `copy_bidirectional` with 64 KiB", start_role("relay", &["tokio-rustls", &tls, &ca])?),
        (OURS, start_role("relay", &["secure-connector", &tls, &ca])?),
    ];
    Ok(tunnels
        .into_iter()
        .map(|(tunnel, daemon)| (Row { tunnel, down: Vec::new(), up: Vec::new(), peak_memory: 0.0 }, daemon))
        .collect())
}
