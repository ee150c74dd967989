//! stunnel, as TLS client or TLS server.

use std::fs;
use std::io::Result;
use std::process::Command;

use crate::Daemon;

/// Starts stunnel with one service whose options are these lines of a stunnel.conf, `accept` left out.
///
/// ```no_run
/// let client = interop::stunnel("client = yes\nconnect = 127.0.0.1:443\nCAfile = ca.pem\nverifyChain = yes")?;
/// println!("plain text goes in at {}", client.addr());
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
/// As [`Daemon::start`].
pub fn stunnel(service: &str) -> Result<Daemon> {
    Daemon::start(|dir, addr| {
        let config = dir.join("stunnel.conf");
        let text = format!("foreground = yes\npid =\nsyslog = no\ndebug = info\n[peer]\naccept = {addr}\n{service}\n");
        fs::write(&config, text)?;
        let mut stunnel = Command::new("stunnel4");
        stunnel.arg(config);
        Ok(stunnel)
    })
}
