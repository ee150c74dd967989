//! What outlives the supervisor's process: which tunnel has which port. No secret, and nothing that can be found out anew.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use efs_tls::TunnelSpec;
use serde::{Deserialize, Serialize};

/// One tunnel, as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) tunnel: TunnelSpec,
    pub(crate) port: u16,
    pub(crate) only_for: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    tunnels: Vec<Record>,
}

const VERSION: u32 = 1;

#[derive(Debug)]
pub(crate) struct StateFile {
    dir: PathBuf,
    path: PathBuf,
}

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("{}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is no state of this version: remove it when nothing is mounted through it any more", path.display())]
    Contents { path: PathBuf, source: serde_json::Error },
    #[error("{} is of version {found}, expected {VERSION}: start the program that wrote it", path.display())]
    Version { path: PathBuf, found: u32 },
}

impl StateFile {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), path: dir.join("state.json") }
    }

    pub(crate) fn read(&self) -> Result<Vec<Record>, StateError> {
        let path = || self.path.clone();
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| StateError::Io { path: path(), source })?,
        };
        let contents: Contents =
            serde_json::from_slice(&text).map_err(|source| StateError::Contents { path: path(), source })?;
        match contents.version {
            VERSION => Ok(contents.tunnels),
            found => Err(StateError::Version { path: path(), found }),
        }
    }

    /// Replaces the file as a whole: whoever reads it, after a crash too, finds the old or the new one.
    pub(crate) fn write(&self, tunnels: Vec<Record>) -> Result<(), StateError> {
        let written = || {
            // Made with mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(&serde_json::to_vec_pretty(&Contents { version: VERSION, tunnels })?)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        written().map_err(|source| StateError::Io { path: self.path.clone(), source })
    }
}
