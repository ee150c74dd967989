//! The server that everything is measured against, with or without TLS.
//!
//! A request is one byte and a length (64 bits, big endian): `d` has it send that many bytes, `u` has it swallow that many
//! and answer with one. It serves requests until the client hangs up.

use std::fmt::Display;
use std::io::{Error, Read, Result, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use interop::{Daemon, PemFiles};
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Version;
use crate::process::start_role;

/// Bytes read and written at once.
const CHUNK: usize = 64 * 1024;

/// Whether a client that comes back may resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    Resumed,
    Full,
}

/// Starts a server without TLS.
pub(crate) fn start_plain() -> Result<Daemon> {
    start_role("server", &[])
}

/// Starts a server with TLS.
pub(crate) fn start_tls(pem: &PemFiles, version: Version, sessions: Sessions) -> Result<Daemon> {
    start_role("server", &[&format!("{version:?}"), &format!("{sessions:?}"), &pem.server_cert(), &pem.server_key()])
}

/// The role itself.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (listen, tls) = match args {
        [listen] => (listen, None),
        [listen, version, sessions, cert, key] => (listen, Some(config(version, sessions, cert, key)?)),
        _ => return Err(Error::other("usage: bench server ADDRESS [VERSION SESSIONS CERT KEY]")),
    };
    for stream in TcpListener::bind(listen)?.incoming() {
        let (mut stream, tls) = (stream?, tls.clone());
        stream.set_nodelay(true)?;
        thread::spawn(move || match tls {
            // The client hangs up without ceremony: every connection ends in an error.
            None => serve(&mut stream),
            Some(config) => {
                let tls = ServerConnection::new(config).map_err(Error::other)?;
                serve(&mut StreamOwned::new(tls, stream))
            }
        });
    }
    Ok(())
}

fn config(version: &str, sessions: &str, cert: &str, key: &str) -> Result<Arc<ServerConfig>> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites =
        vec![cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
    let versions = if version == format!("{:?}", Version::Tls12) { [&TLS12] } else { [&TLS13] };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(other)?;
    let mut config = ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&versions)
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(other)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if sessions == format!("{:?}", Sessions::Resumed) {
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(other)?;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

fn other(error: impl Display) -> Error {
    Error::other(error.to_string())
}

fn serve(stream: &mut (impl Read + Write)) -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut kind = [0];
        let mut length = [0; 8];
        stream.read_exact(&mut kind)?;
        stream.read_exact(&mut length)?;
        let mut left = u64::from_be_bytes(length);
        match kind {
            [b'u'] => {
                while left > 0 {
                    let limit = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                    let (free, _) = chunk.split_at_mut(limit);
                    left -= match stream.read(free)? {
                        0 => return Ok(()),
                        read => read as u64,
                    };
                }
                stream.write_all(&[0])?;
            }
            [b'd'] => {
                while left > 0 {
                    let limit = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                    let (next, _) = chunk.split_at(limit);
                    stream.write_all(next)?;
                    left -= limit as u64;
                }
            }
            _ => return Err(Error::other("a request is neither u nor d")),
        }
        stream.flush()?;
    }
}
