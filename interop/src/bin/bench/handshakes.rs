//! Handshakes one after the other, each on a connection of its own, ours beside bare tokio-rustls.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::time::Instant;

use interop::{PemFiles, run as run_program};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{cpu_seconds, role};
use crate::relay::{bare_connector, server_name};
use crate::server::{self, Sessions};
use crate::transfer::request;
use crate::{Effort, Version};

/// One client's figures for one kind of handshake.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) client: &'static str,
    pub(crate) version: Version,
    pub(crate) sessions: Sessions,
    pub(crate) per_second: Vec<f64>,
    /// CPU time of the client, microseconds per handshake.
    pub(crate) cpu_micros: Vec<f64>,
}

/// The row that the others are compared with.
pub(crate) const BARE: &str = "tokio-rustls";
const CLIENTS: [&str; 1] = [BARE];

/// Measures every client against one server for each kind of handshake.
pub(crate) fn compare(pem: &PemFiles, effort: Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (version, sessions) in [
        (Version::Tls13, Sessions::Full),
        (Version::Tls13, Sessions::Resumed),
        (Version::Tls12, Sessions::Full),
        (Version::Tls12, Sessions::Resumed),
    ] {
        let server = server::start_tls(pem, version, sessions)?;
        let mut clients =
            CLIENTS.map(|client| Row { client, version, sessions, per_second: Vec::new(), cpu_micros: Vec::new() });
        for run in 1..=effort.runs {
            for row in &mut clients {
                let mut client = role("handshakes")?;
                client.args([row.client, &server.addr().to_string(), &pem.ca(), &effort.handshakes.to_string()]);
                let figures = parse(&run_program(client.arg(format!("{sessions:?}")))?)?;
                eprintln!("{version:?} {sessions:?} run {run}: {}: {figures:.0?}", row.client);
                row.per_second.push(figures.0);
                row.cpu_micros.push(figures.1);
            }
        }
        rows.extend(clients);
    }
    Ok(rows)
}

fn parse(output: &str) -> Result<(f64, f64)> {
    output
        .trim()
        .split_once(' ')
        .and_then(|(rate, micros)| Some((rate.parse().ok()?, micros.parse().ok()?)))
        .ok_or_else(|| Error::other(format!("two figures were expected, not {output:?}")))
}

/// The role itself: prints handshakes per second and CPU microseconds per handshake.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let [client, server, ca, count, sessions] = args else {
        return Err(Error::other("usage: bench handshakes CLIENT SERVER CA COUNT SESSIONS"));
    };
    let server: SocketAddr = server.parse().map_err(Error::other)?;
    let count: u32 = count.parse().map_err(Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let resumable = *sessions == format!("{:?}", Sessions::Resumed);
    runtime.block_on(async {
        let connector = bare_connector(ca)?;
        // The first one is never resumed, and not measured.
        let mut resumed = 0;
        bare(&connector, server).await?;
        let pid = std::process::id();
        let (start, cpu) = (Instant::now(), cpu_seconds(pid)?);
        for _ in 0..count {
            resumed += match *client {
                BARE => u32::from(bare(&connector, server).await?),
                _ => return Err(Error::other(format!("no such client: {client}"))),
            };
        }
        let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds(pid)? - cpu);
        if resumed != if resumable { count } else { 0 } {
            return Err(Error::other(format!("{resumed} of {count} handshakes were resumed")));
        }
        println!("{} {}", f64::from(count) / wall, cpu * 1e6 / f64::from(count));
        Ok(())
    })
}

/// Whether the session was resumed.
async fn bare(connector: &tokio_rustls::TlsConnector, server: SocketAddr) -> Result<bool> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut stream = connector.connect(server_name(), stream).await?;
    ask(&mut stream).await?;
    Ok(stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed))
}

/// One byte from the server: the tickets of TLS 1.3 come before it.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> Result<()> {
    stream.write_all(&request(b'd', 1)).await?;
    stream.flush().await?;
    stream.read_u8().await.map(drop)
}
