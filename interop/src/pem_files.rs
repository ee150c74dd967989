//! Test certificates as the PEM files that other programs read.

use std::fs;
use std::io::{Error, Result};

use secure_connector_testkit::{TestPki, Usage};
use tempfile::TempDir;

/// A root, a server certificate and a client certificate under it, P-256, each in a file of its own.
#[derive(Debug)]
pub struct PemFiles {
    dir: TempDir,
}

impl PemFiles {
    /// Makes fresh keys and certificates; the server's is for `server_name`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn new(server_name: &str) -> Result<Self> {
        let pki = TestPki::new().map_err(Error::other)?;
        let server = pki.leaf().dns(server_name).issue().map_err(Error::other)?;
        let client = pki.leaf().common_name("test client").usage(Usage::Client).issue().map_err(Error::other)?;
        let files = Self { dir: TempDir::new()? };
        fs::write(files.ca(), pki.root_pem())?;
        fs::write(files.server_cert(), server.chain_pem())?;
        fs::write(files.server_key(), server.key_pem().as_bytes())?;
        fs::write(files.client_cert(), client.chain_pem())?;
        fs::write(files.client_key(), client.key_pem().as_bytes())?;
        Ok(files)
    }

    /// The root.
    #[must_use]
    pub fn ca(&self) -> String {
        self.path("ca.pem")
    }

    /// The server's chain.
    #[must_use]
    pub fn server_cert(&self) -> String {
        self.path("server.pem")
    }

    /// The server's key.
    #[must_use]
    pub fn server_key(&self) -> String {
        self.path("server.key")
    }

    /// The client's chain.
    #[must_use]
    pub fn client_cert(&self) -> String {
        self.path("client.pem")
    }

    /// The client's key.
    #[must_use]
    pub fn client_key(&self) -> String {
        self.path("client.key")
    }

    fn path(&self, file: &str) -> String {
        self.dir.path().join(file).display().to_string()
    }
}
