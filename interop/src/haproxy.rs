//! haproxy as TLS-initiating proxy.

use std::fs;
use std::io::Result;
use std::process::Command;

use crate::Daemon;

/// Starts haproxy with one thread: plain TCP in, and out to the `server` line's address and options.
///
/// `server` is what follows the name, such as `127.0.0.1:443 ssl verify required ca-file ca.pem`.
///
/// # Errors
/// As [`Daemon::start`].
pub fn haproxy(server: &str) -> Result<Daemon> {
    Daemon::start(|dir, addr| {
        let config = dir.join("haproxy.cfg");
        fs::write(
            &config,
            format!(
                "global
                    nbthread 1
                    log stdout format raw local0
                defaults
                    mode tcp
                    log global
                    timeout connect 5s
                    timeout client 1m
                    timeout server 1m
                listen peer
                    bind {addr}
                    server backend {server}\n"
            ),
        )?;
        let mut haproxy = Command::new("/usr/sbin/haproxy");
        haproxy.arg("-db").arg("-f").arg(config);
        Ok(haproxy)
    })
}
