//! A listening Unix socket that owns its path, or was given.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{self, Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use crate::tunnel::{LocalAddr, TunnelError};

const BACKLOG: i32 = 1024;

#[derive(Debug)]
pub(super) struct PathListener {
    listener: UnixListener,
    _path: Option<OwnedPath>,
}

/// Removes the path when it is dropped, if what is there is still what was put there.
#[derive(Debug)]
struct OwnedPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl PathListener {
    pub(super) async fn bind(path: &Path, mode: u32) -> Result<Self, TunnelError> {
        let failed = |source| TunnelError::Listen { address: LocalAddr::Unix(path.to_owned()), source };
        match bind_with_mode(path, mode) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path).await?;
                bind_with_mode(path, mode).map_err(failed)
            }
            bound => bound.map_err(failed),
        }
    }

    pub(super) fn given(listener: std::os::unix::net::UnixListener) -> Result<(PathBuf, Self), TunnelError> {
        let address = listener.local_addr().map_err(TunnelError::Bound)?;
        let path = address.as_pathname().ok_or(TunnelError::NoPath)?.to_owned();
        listener.set_nonblocking(true).map_err(TunnelError::Bound)?;
        let listener = UnixListener::from_std(listener).map_err(TunnelError::Bound)?;
        Ok((path, Self { listener, _path: None }))
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

/// The mode is set between bind and listen, when nobody can connect yet: a process-wide umask is not needed.
fn bind_with_mode(path: &Path, mode: u32) -> io::Result<PathListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let owned = OwnedPath::new(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(PathListener { listener: UnixListener::from_std(socket.into())?, _path: Some(owned) })
}

/// Removes a socket that nobody listens on, such as a killed process leaves behind.
async fn remove_stale(path: &Path) -> Result<(), TunnelError> {
    let failed = |source| TunnelError::Listen { address: LocalAddr::Unix(path.to_owned()), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(TunnelError::NotASocket { path: path.to_owned() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let Err(answer) = UnixStream::connect(path).await else {
        return Err(TunnelError::InUse { path: path.to_owned() });
    };
    match answer.kind() {
        io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        io::ErrorKind::NotFound => Ok(()),
        // A full queue: somebody listens.
        io::ErrorKind::WouldBlock => Err(TunnelError::InUse { path: path.to_owned() }),
        _ => Err(failed(answer)),
    }
}

impl OwnedPath {
    fn new(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        // Absolute, because the working directory may change.
        Ok(Self { path: path::absolute(path)?, device: found.dev(), inode: found.ino() })
    }
}

impl Drop for OwnedPath {
    fn drop(&mut self) {
        let ours = |found: fs::Metadata| found.dev() == self.device && found.ino() == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(ours)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the tunnel's socket");
        }
    }
}
