//! What the mount helper and the supervisor say to each other: one JSON object a line, one answer to one question.
//!
//! The connection of a [`Request::Hold`] is a lease: the tunnel stays for as long as it is open, mounted or not.

use std::io;

use efs_tls::TunnelSpec;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Hold(Box<Hold>),
    Status,
}

/// Asks for a tunnel.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hold {
    pub(crate) tunnel: TunnelSpec,
    /// The local port it has to have.
    pub(crate) port: Option<u16>,
    /// Set when no other mount point may use it.
    pub(crate) only_for: Option<String>,
    /// The network namespace that is going to mount, as /proc/self/ns/net names it: 127.0.0.1 is another one in each.
    pub(crate) network: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The file system lets us in through this port of 127.0.0.1.
    Ready {
        port: u16,
        found: String,
        /// Whose signature it was that let us in.
        access_key_id: Option<String>,
    },
    Refused {
        error: String,
    },
    Status {
        tunnels: Vec<TunnelReport>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TunnelReport {
    pub(crate) tunnel: TunnelSpec,
    pub(crate) port: u16,
    pub(crate) only_for: Option<String>,
    /// Where it is mounted.
    pub(crate) mounts: Vec<String>,
    /// Mounts that are being made.
    pub(crate) leases: usize,
    /// Why it does not run; it is tried again.
    pub(crate) error: Option<String>,
    /// `EfsTunnelStatus`, of a tunnel that runs.
    pub(crate) status: Option<serde_json::Value>,
}

/// More than any message needs.
const LONGEST: u64 = 1 << 20;

pub(crate) async fn send(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

pub(crate) async fn receive<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST)).read_until(b'\n', &mut line).await?;
    match line.last() {
        Some(b'\n') => Ok(serde_json::from_slice(&line)?),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(crate) fn our_network() -> io::Result<String> {
    Ok(std::fs::read_link("/proc/self/ns/net")?.to_string_lossy().into_owned())
}
