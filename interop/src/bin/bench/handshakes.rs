//! Handshakes one after the other, each on a connection of its own, ours beside bare tokio-rustls.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::time::Instant;

use interop::{PemFiles, run as run_program};
use rustls::HandshakeKind;
use secure_connector::{SecureConnector, SecureStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{cpu_seconds, role};
use crate::relay::{bare_connector, our_connector, server_name};
use crate::server::{self, Sessions};
use crate::transfer::request;
use crate::{Effort, Version};

/// One client's figures for one kind of handshake.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) client: &'static str,
    pub(crate) version: Version,
    pub(crate) sessions: Sessions,
    /// The group agreed; a resumed TLS 1.2 session has none. The clients have to agree on the same.
    pub(crate) key_exchange: String,
    pub(crate) per_second: Vec<f64>,
    /// CPU time of the client, microseconds per handshake.
    pub(crate) cpu_micros: Vec<f64>,
}

/// What ours is compared with.
pub(crate) const BARE: &str = "tokio-rustls";
const OURS: &str = "secure-connector";

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
        let mut clients = [BARE, OURS].map(|client| Row {
            client,
            version,
            sessions,
            key_exchange: String::new(),
            per_second: Vec::new(),
            cpu_micros: Vec::new(),
        });
        for run in 1..=effort.runs {
            for row in &mut clients {
                let mut client = role("handshakes")?;
                client.args([row.client, &server.addr().to_string(), &pem.ca(), &effort.handshakes.to_string()]);
                let figures = parse(&run_program(client.arg(format!("{sessions:?}")))?)?;
                eprintln!("{version:?} {sessions:?} run {run}: {}: {figures:?}", row.client);
                let (per_second, cpu_micros, key_exchange) = figures;
                row.per_second.push(per_second);
                row.cpu_micros.push(cpu_micros);
                row.key_exchange = key_exchange;
            }
        }
        rows.extend(clients);
    }
    Ok(rows)
}

fn parse(output: &str) -> Result<(f64, f64, String)> {
    let mut words = output.split_ascii_whitespace();
    let mut figure = || words.next()?.parse().ok();
    figure()
        .zip(figure())
        .zip(words.next())
        .map(|((per_second, cpu_micros), key_exchange)| (per_second, cpu_micros, key_exchange.to_owned()))
        .ok_or_else(|| Error::other(format!("two figures and a group were expected, not {output:?}")))
}

/// The role itself: prints handshakes per second, CPU microseconds per handshake, and the key exchange.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let [client, server, ca, count, sessions] = args else {
        return Err(Error::other("usage: bench handshakes CLIENT SERVER CA COUNT SESSIONS"));
    };
    let server: SocketAddr = server.parse().map_err(Error::other)?;
    let count: u32 = count.parse().map_err(Error::other)?;
    let client = match *client {
        BARE => Client::Bare(bare_connector(ca)?, server),
        OURS => Client::Ours(our_connector(server, ca)?.into()),
        _ => return Err(Error::other(format!("no such client: {client}"))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The first one is never resumed, and not measured.
        let (mut resumed, mut key_exchange) = (0, client.connect().await?.key_exchange);
        let pid = std::process::id();
        let (start, cpu) = (Instant::now(), cpu_seconds(pid)?);
        for _ in 0..count {
            let agreed = client.connect().await?;
            resumed += u32::from(agreed.resumed);
            key_exchange = agreed.key_exchange;
        }
        let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds(pid)? - cpu);
        let expected = if *sessions == format!("{:?}", Sessions::Resumed) { count } else { 0 };
        if resumed != expected {
            return Err(Error::other(format!("{resumed} handshakes were resumed, not {expected}")));
        }
        let count = f64::from(count);
        println!("{} {} {}", count / wall, cpu * 1e6 / count, key_exchange.as_deref().unwrap_or("none"));
        Ok(())
    })
}

enum Client {
    Bare(tokio_rustls::TlsConnector, SocketAddr),
    Ours(Box<secure_connector::TlsConnector>),
}

struct Agreed {
    resumed: bool,
    key_exchange: Option<String>,
}

impl Client {
    /// One connection: dial, handshake, one byte from the server. The tickets of TLS 1.3 come before that byte.
    async fn connect(&self) -> Result<Agreed> {
        match self {
            Self::Bare(connector, server) => {
                let stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                let mut stream = connector.connect(server_name(), stream).await?;
                ask(&mut stream).await?;
                let (_, tls) = stream.get_ref();
                Ok(Agreed {
                    resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
                    key_exchange: tls.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
                })
            }
            Self::Ours(connector) => {
                let mut stream = connector.connect().await?;
                ask(&mut stream).await?;
                let tls = stream.report().tls.as_ref().ok_or_else(|| Error::other("the report tells of no TLS"))?;
                Ok(Agreed { resumed: tls.resumed, key_exchange: tls.key_exchange.clone() })
            }
        }
    }
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    stream.write_all(&request(b'd', 1)).await?;
    stream.flush().await?;
    stream.read_u8().await.map(drop)
}
