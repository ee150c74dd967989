//! Listeners that the service manager opened: sd_listen_fds(3).

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use socket2::{Domain, SockRef, Type};

use super::Listen;

/// The descriptors are given once: a second owner would close what the first one uses.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Why no listeners were taken over from the service manager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketActivationError {
    /// There are none for this process.
    #[error("no listener was passed to this process: start it by a systemd.socket unit, or give it an address")]
    NonePassed,

    /// They have been taken already.
    #[error("the passed listeners have been taken: call Listen::from_systemd() once and share out what it returns")]
    AlreadyTaken,

    /// `LISTEN_PID` or `LISTEN_FDS` is not a number.
    #[error("LISTEN_PID and LISTEN_FDS have to be numbers, as the service manager sets them")]
    Environment,

    /// One of them is not what a tunnel can listen on.
    #[error(
        "the descriptor {} is not a listening TCP or Unix stream socket; use ListenStream= without Accept=yes",
        name.as_deref().unwrap_or("without a name")
    )]
    NotAListener {
        /// Its `FileDescriptorName=`.
        name: Option<String>,
    },

    /// One of them cannot be examined.
    #[error("a passed descriptor cannot be examined")]
    Io(#[from] io::Error),
}

impl Listen {
    /// All listeners that systemd, or what acts like it, opened for this process, each with its `FileDescriptorName=`, in
    /// the order of the unit.
    ///
    /// The service manager keeps them open while the process is replaced, so that connections wait instead of being
    /// refused. How the rest of a replacement goes is told [at the tunnel](super::super::Tunnel#replacing-the-process).
    ///
    /// ```no_run
    /// use secure_connector::Listen;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut passed = Listen::from_systemd()?;
    /// let home = passed.iter().position(|(name, _)| name.as_deref() == Some("home")).ok_or("no socket named home")?;
    /// let (_, home) = passed.swap_remove(home);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SocketActivationError`]; of the listeners, none is left open then.
    pub fn from_systemd() -> Result<Vec<(Option<String>, Self)>, SocketActivationError> {
        if TAKEN.swap(true, SeqCst) {
            return Err(SocketActivationError::AlreadyTaken);
        }
        let passed = sd_listen_fds::get().map_err(|_| SocketActivationError::Environment)?;
        if passed.is_empty() {
            return Err(SocketActivationError::NonePassed);
        }
        // All are owned from here on, and closed if one is not good.
        passed.into_iter().map(|(name, fd)| Ok((name.clone(), listener(name, fd.into_std())?))).collect()
    }
}

fn listener(name: Option<String>, fd: OwnedFd) -> Result<Listen, SocketActivationError> {
    let socket = SockRef::from(&fd);
    // They come open to every program that this one starts.
    socket.set_cloexec(true)?;
    let listens = socket.is_listener().unwrap_or(false) && socket.r#type()? == Type::STREAM;
    match socket.domain() {
        Ok(Domain::IPV4 | Domain::IPV6) if listens => Ok(Listen::Bound(fd.into())),
        Ok(Domain::UNIX) if listens => Ok(Listen::BoundUnix(fd.into())),
        _ => Err(SocketActivationError::NotAListener { name }),
    }
}
