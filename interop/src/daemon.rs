//! A server program started for one test, and a client program run to its end.

use std::fs::File;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// For anything that a healthy peer does at once, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// Between our choice of a free port and the program's bind another process may take it.
const ATTEMPTS: usize = 3;

/// A running server program. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct Daemon {
    program: String,
    child: Child,
    dir: TempDir,
    addr: SocketAddr,
}

impl Daemon {
    /// Starts what `command` describes and returns once it listens.
    ///
    /// `command` gets an empty folder for configuration and state, and the loopback address to listen on. Standard
    /// output and error go to the log; standard input is empty but stays open.
    ///
    /// # Errors
    /// The program is missing, exits, or does not listen within 30 s; the error holds its log.
    pub fn start(command: impl Fn(&Path, SocketAddr) -> Result<Command>) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(&command) {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_once(command: &impl Fn(&Path, SocketAddr) -> Result<Command>) -> Result<Self> {
        let dir = TempDir::new()?;
        let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = command(dir.path(), addr)?;
        let program = command.get_program().to_string_lossy().into_owned();
        let log = File::create(dir.path().join(LOG))?;
        let child = command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn().map_err(|e| {
            Error::new(e.kind(), format!("cannot start {program}: {e}; `cargo xtask test` installs it"))
        })?;
        let mut daemon = Self { program, child, dir, addr };
        daemon.wait_until_listening()?;
        Ok(daemon)
    }

    fn wait_until_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(Error::other(format!("{} ended with {status}:\n{}", self.program, self.log())));
            }
            if is_listening(self.addr.port())? {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::other(format!(
                    "{} does not listen on {}:\n{}",
                    self.program,
                    self.addr,
                    self.log()
                )));
            }
            thread::sleep(POLL);
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Process id, for measuring.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process; its folder stays.
    pub fn kill(&mut self) {
        // Errors mean that it is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// The folder that holds its configuration, state and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(self.dir.path().join(LOG))
            .map_or_else(|e| format!("no log: {e}"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until the log holds `text`: a program may write down what happened after its peer has seen it.
    ///
    /// # Errors
    /// It does not within 30 s; the error holds the log.
    pub fn wait_for_log(&self, text: &str) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.log().contains(text) {
            if Instant::now() > deadline {
                return Err(Error::other(format!("the log of {} lacks {text:?}:\n{}", self.program, self.log())));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("---- log of {} on {}\n{}----", self.program, self.addr, self.log());
        }
    }
}

const LOG: &str = "output.log";

/// Whether some process listens on this TCP port.
///
/// Asked of the kernel: a trial connection would show up at the peer behind a proxy.
fn is_listening(port: u16) -> Result<bool> {
    const LISTEN: &str = "0A";
    let local_end = format!(":{port:04X}");
    let mut tables = std::fs::read_to_string("/proc/net/tcp")?;
    // Missing where IPv6 is off; ganesha listens on ::ffff:127.0.0.1 where it is on.
    tables += &std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    Ok(tables.lines().any(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&local_end)) && columns.nth(1) == Some(LISTEN)
    }))
}

/// Runs a client program to its end, at most a minute, and returns what it wrote to standard output and error.
///
/// # Errors
/// The program is missing or fails; the error holds its output.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let mut limited = Command::new("timeout");
    limited.arg("60").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let output = limited.stdin(Stdio::null()).output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(Error::other(format!("{shown} ended with {}:\n{text}", output.status)))
    }
}
