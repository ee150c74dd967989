//! One transfer through a tunnel, seen from the plain side.

use std::fmt;
use std::io::{Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::process::cpu_seconds;

/// How long a tunnel may move nothing before it counts as stuck.
const STALL: Duration = Duration::from_secs(30);
/// Bytes read and written at once.
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the TLS server to the application: the tunnel decrypts.
    Down,
    /// From the application to the TLS server: the tunnel encrypts.
    Up,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Up => "up",
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    pub(crate) mib_per_second: f64,
    /// CPU time of the tunnel's process.
    pub(crate) cpu_seconds_per_gib: f64,
}

/// Moves `bytes` through the tunnel at `addr` on a connection of its own; the handshake is not counted.
pub(crate) fn run(addr: SocketAddr, pid: u32, direction: Direction, bytes: u64) -> Result<Transfer> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    let mut chunk = vec![0; CHUNK];
    download(&mut stream, &mut chunk, 1)?;

    let (start, cpu) = (Instant::now(), cpu_seconds(pid)?);
    match direction {
        Direction::Down => download(&mut stream, &mut chunk, bytes)?,
        Direction::Up => upload(&mut stream, &chunk, bytes)?,
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds(pid)? - cpu);

    let mib = bytes as f64 / f64::from(1 << 20);
    Ok(Transfer { mib_per_second: mib / wall, cpu_seconds_per_gib: cpu / mib * 1024.0 })
}

fn download(stream: &mut TcpStream, chunk: &mut [u8], bytes: u64) -> Result<()> {
    stream.write_all(&request(b'd', bytes))?;
    let mut left = stream.take(bytes);
    while left.limit() > 0 {
        if left.read(chunk)? == 0 {
            return Err(Error::other(format!("the tunnel closed with {} bytes to come", left.limit())));
        }
    }
    Ok(())
}

fn upload(stream: &mut TcpStream, chunk: &[u8], bytes: u64) -> Result<()> {
    stream.write_all(&request(b'u', bytes))?;
    for _ in 0..bytes / CHUNK as u64 {
        stream.write_all(chunk)?;
    }
    stream.read_exact(&mut [0])
}

/// See [`crate::server`].
pub(crate) fn request(kind: u8, bytes: u64) -> Vec<u8> {
    let mut request = vec![kind];
    request.extend(bytes.to_be_bytes());
    request
}
