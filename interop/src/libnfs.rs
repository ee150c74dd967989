//! libnfs's `nfs-cp` and `nfs-ls`: an NFSv4 client that needs no kernel mount.

use std::io::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::run;

/// libnfs before 5.0 (libnfs.so.13) makes room for the header only when it sends an NFSv4 WRITE, and so refuses to
/// write more than about 2 KiB at once; `nfs-cp` writes 1 MiB. This gives every message room.
const ROOM: &str = "
    #include <stddef.h>
    void *rpc_allocate_pdu2(void *rpc, int program, int version, int procedure, void *callback, void *data,
                            void *decode, int decode_size, size_t room);
    void *rpc_allocate_pdu(void *rpc, int program, int version, int procedure, void *callback, void *data,
                           void *decode, int decode_size) {
        return rpc_allocate_pdu2(rpc, program, version, procedure, callback, data, decode, decode_size, 2 << 20);
    }
";

/// An NFSv4 client for the export `/export` behind one TCP address: the server's own, or that of a tunnel to it.
#[derive(Debug)]
pub struct Libnfs {
    server: SocketAddr,
    preload: Option<TempDir>,
}

impl Libnfs {
    /// Prepares the client; nothing is connected yet.
    ///
    /// # Errors
    /// libnfs-utils or a C compiler is missing.
    pub fn new(server: SocketAddr) -> Result<Self> {
        let old = run(Command::new("sh").args(["-c", "ldd \"$(command -v nfs-cp)\""]))?.contains("libnfs.so.13");
        Ok(Self { server, preload: old.then(compile_room).transpose()? })
    }

    /// Copies a local file to the export.
    ///
    /// # Errors
    /// What `nfs-cp` says.
    pub fn put(&self, local: &Path, name: &str) -> Result<String> {
        run(self.command("nfs-cp").arg(local).arg(self.url(name)))
    }

    /// Copies a file of the export to a local file that must not exist.
    ///
    /// # Errors
    /// What `nfs-cp` says.
    pub fn get(&self, name: &str, local: &Path) -> Result<String> {
        run(self.command("nfs-cp").arg(self.url(name)).arg(local))
    }

    /// Lists the export as `nfs-ls` prints it.
    ///
    /// # Errors
    /// What `nfs-ls` says.
    pub fn list(&self) -> Result<String> {
        run(self.command("nfs-ls").arg(self.url("")))
    }

    fn url(&self, name: &str) -> String {
        format!("nfs://{}/export/{name}?version=4&nfsport={}", self.server.ip(), self.server.port())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(dir) = &self.preload {
            command.env("LD_PRELOAD", dir.path().join("room.so"));
        }
        command
    }
}

fn compile_room() -> Result<TempDir> {
    let dir = TempDir::new()?;
    let source = dir.path().join("room.c");
    std::fs::write(&source, ROOM)?;
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(dir.path().join("room.so")).arg(source))?;
    Ok(dir)
}
