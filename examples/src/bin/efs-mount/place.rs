//! Where the supervisor of a host is to be found, and who may be believed there.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use efs_tls::{MountHelperConfig, MountHelperConfigError};

pub(crate) const STATE_DIR: &str = "/run/efs-mount";

/// Options of all commands.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The directory with the supervisor's socket and state: one supervisor for each.
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub(crate) state_dir: PathBuf,
    /// The configuration file, in the form of the EFS mount helper's; its default one need not exist.
    #[arg(long, value_name = "FILE", env = "EFS_UTILS_CONF", default_value = MountHelperConfig::PATH)]
    pub(crate) config: PathBuf,
}

/// Why the state directory or the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("{}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{} has to belong to user {expected} and to be writable by nobody else, found user {uid}, mode {mode:o}: correct that, or \
         give another --state-dir", path.display()
    )]
    NotOurs { path: PathBuf, expected: u32, uid: u32, mode: u32 },
    #[error("{}", path.display())]
    Config { path: PathBuf, source: MountHelperConfigError },
}

impl Place {
    pub(crate) fn socket(&self) -> PathBuf {
        self.state_dir.join("supervisor.sock")
    }

    pub(crate) fn is_default(&self) -> bool {
        self.state_dir == Path::new(STATE_DIR)
    }

    /// Makes the state directory if there is none. Whoever may write there could answer in the supervisor's name.
    pub(crate) fn secure_state_dir(&self) -> Result<(), PlaceError> {
        let path = self.state_dir.clone();
        let io = |source| PlaceError::Io { path: path.clone(), source };
        match DirBuilder::new().mode(0o700).create(&self.state_dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        let found = fs::symlink_metadata(&self.state_dir).map_err(io)?;
        let expected = our_uid();
        if !found.is_dir() || found.uid() != expected || found.mode() & 0o022 != 0 {
            let (uid, mode) = (found.uid(), found.mode() & 0o7777);
            return Err(PlaceError::NotOurs { path, expected, uid, mode });
        }
        Ok(())
    }

    pub(crate) fn read_config(&self) -> Result<MountHelperConfig, PlaceError> {
        let path = self.config.clone();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path == Path::new(MountHelperConfig::PATH) => {
                String::new()
            }
            read => read.map_err(|source| PlaceError::Io { path: path.clone(), source })?,
        };
        let config: MountHelperConfig = text.parse().map_err(|source| PlaceError::Config { path, source })?;
        for key in config.ignored() {
            tracing::debug!(file = %self.config.display(), key, "not read");
        }
        Ok(config)
    }
}

pub(crate) fn our_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
