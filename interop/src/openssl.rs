//! OpenSSL's `s_server` and `s_client`.

use std::io::Result;
use std::net::SocketAddr;
use std::process::Command;

use crate::{Daemon, run};

/// Starts `openssl s_server` with these options besides `-accept`.
///
/// With `-rev` it answers each line with the line reversed, and hangs up after the line `CLOSE`.
///
/// # Errors
/// As [`Daemon::start`].
pub fn s_server(options: &[&str]) -> Result<Daemon> {
    Daemon::start(|_, addr| {
        let mut server = Command::new("openssl");
        server.args(["s_server", "-accept", &addr.to_string()]).args(options);
        Ok(server)
    })
}

/// Sends `input` by `openssl s_client` with these options besides `-connect`, and returns all that it prints until the
/// server hangs up: the answer, and with `-brief` what was agreed.
///
/// # Errors
/// The handshake or, with `-verify_return_error`, the verification failed; the error holds the output.
pub fn s_client(server: SocketAddr, options: &[&str], input: &str) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("input");
    std::fs::write(&file, input)?;
    run(Command::new("sh")
        .args(["-c", "exec openssl s_client -connect \"$@\" -ign_eof < \"$0\""])
        .arg(file)
        .arg(server.to_string())
        .args(options))
}
