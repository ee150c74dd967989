//! nfs-ganesha: an NFSv4 server in user space, in the place of the file system behind an EFS mount target.

use std::fs;
use std::io::Result;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use secure_connector_testkit::nfs::NOBODY;

use crate::Daemon;

/// A running NFSv4.0/4.1 server that exports one folder as `/export`. Needs root: it opens files by handle.
#[derive(Debug)]
pub struct Ganesha {
    daemon: Daemon,
    export: PathBuf,
}

/// What an export lets its clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportAccess {
    /// Everything, root included.
    Full,
    /// To read, root included.
    ReadOnly,
    /// To read and to write, user 0 as nobody.
    RootSquashed,
    /// To read, user 0 as nobody.
    ReadOnlyRootSquashed,
}

impl Ganesha {
    /// Starts the server with an empty export.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start() -> Result<Self> {
        Self::start_on(None, ExportAccess::Full)
    }

    /// Starts another server for the same folder, which must outlive it, with an access of its own.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start_beside(&self, access: ExportAccess) -> Result<Self> {
        Self::start_on(Some(&self.export), access)
    }

    /// The folder is made if there is none.
    fn start_on(folder: Option<&Path>, access: ExportAccess) -> Result<Self> {
        let (access_type, squash) = match access {
            ExportAccess::Full => ("RW", "None"),
            ExportAccess::ReadOnly => ("RO", "None"),
            ExportAccess::RootSquashed => ("RW", "Root"),
            ExportAccess::ReadOnlyRootSquashed => ("RO", "Root"),
        };
        let daemon = Daemon::start(|dir, addr| {
            let (recovery, config) = (dir.join("recovery"), dir.join("ganesha.conf"));
            let export = folder.map_or_else(|| dir.join("export"), Path::to_path_buf);
            fs::create_dir_all(&export)?;
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
                        Protocols = 4; Transports = TCP; SecType = sys; Squash = {squash}; Access_Type = {access_type};
                        Anonymous_Uid = {NOBODY}; Anonymous_Gid = {NOBODY};
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
        let export = folder.map_or_else(|| daemon.dir().join("export"), Path::to_path_buf);
        Ok(Self { daemon, export })
    }

    /// Where it speaks NFS over plain TCP.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.daemon.addr()
    }

    /// The exported folder, to put files into or look at behind the server's back.
    #[must_use]
    pub fn export(&self) -> PathBuf {
        self.export.clone()
    }
}
