//! nfs-ganesha: an NFSv4 server in user space, in the place of the file system behind an EFS mount target.

use std::fs;
use std::io::Result;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::Daemon;

/// A running NFSv4.0/4.1 server that exports one folder as `/export`. Needs root: it opens files by handle.
#[derive(Debug)]
pub struct Ganesha {
    daemon: Daemon,
}

impl Ganesha {
    /// Starts the server with an empty export.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start() -> Result<Self> {
        let daemon = Daemon::start(|dir, addr| {
            let (export, recovery, config) = (dir.join("export"), dir.join("recovery"), dir.join("ganesha.conf"));
            fs::create_dir(&export)?;
            fs::create_dir(&recovery)?;
            // Without portmapper and D-Bus ganesha logs that it misses them, and serves. `Graceless`: the first
            // request would wait 90 s for clients of an earlier run. The export is not at `/` because libnfs
            // refuses an empty export path.
            fs::write(
                &config,
                format!(
                    "NFS_CORE_PARAM {{
                        Protocols = 4; NFS_Port = {port}; Bind_addr = {ip};
                        Enable_UDP = false; Enable_NLM = false; Enable_RQUOTA = false;
                    }}
                    NFSV4 {{ Graceless = true; RecoveryBackend = fs; RecoveryRoot = {recovery}; Minor_Versions = 0,1; }}
                    NFS_KRB5 {{ Active_krb5 = false; }}
                    EXPORT {{
                        Export_Id = 1; Path = {export}; Pseudo = /export;
                        Protocols = 4; Transports = TCP; SecType = sys; Squash = None; Access_Type = RW;
                        FSAL {{ Name = VFS; }}
                    }}
                    LOG {{ Default_Log_Level = EVENT; }}",
                    port = addr.port(),
                    ip = addr.ip(),
                    recovery = recovery.display(),
                    export = export.display(),
                ),
            )?;
            let mut ganesha = Command::new("ganesha.nfsd");
            ganesha.args(["-F", "-L", "STDERR"]).arg("-f").arg(config).arg("-p").arg(dir.join("pid"));
            Ok(ganesha)
        })?;
        Ok(Self { daemon })
    }

    /// Where it speaks NFS over plain TCP.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.daemon.addr()
    }

    /// The exported folder, to put files into or look at behind the server's back.
    #[must_use]
    pub fn export(&self) -> PathBuf {
        self.daemon.dir().join("export")
    }
}
