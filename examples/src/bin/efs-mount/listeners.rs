//! The listening sockets of the tunnels, and the service manager's copies of them: while no supervisor runs, connections wait
//! instead of being refused, and nobody else gets the port.

use std::{
    collections::BTreeMap,
    env,
    io::{self, IoSlice},
    mem::MaybeUninit,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    os::{
        fd::{AsFd, BorrowedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use secure_connector::{Listen, SocketActivationError};

#[derive(Debug)]
pub(crate) struct Listeners {
    range: RangeInclusive<u16>,
    /// A copy of each, so that a tunnel that fails does not give its port away.
    open: Mutex<BTreeMap<u16, TcpListener>>,
}

impl Listeners {
    /// Begins with what the service manager has kept (sd_listen_fds(3)).
    pub(crate) fn take_over(range: RangeInclusive<u16>) -> Result<Self, SocketActivationError> {
        let passed = match Listen::from_systemd() {
            Err(SocketActivationError::NonePassed) => Vec::new(),
            passed => passed?,
        };
        let mut open = BTreeMap::new();
        for (_, passed) in passed {
            if let Listen::Bound(listener) = passed {
                open.insert(listener.local_addr()?.port(), listener);
            }
        }
        Ok(Self { range, open: Mutex::new(open) })
    }

    /// Listens at this port of 127.0.0.1, or at a free one of the range, and returns the port.
    pub(crate) fn open(&self, port: Option<u16>) -> io::Result<u16> {
        let mut open = self.locked();
        let mut ports: Vec<u16> = port.map_or_else(|| self.range.clone().collect(), |port| vec![port]);
        fastrand::shuffle(&mut ports);
        let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
        for port in ports.into_iter().filter(|port| !open.contains_key(port)) {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(listener) => {
                    notify(&format!("FDSTORE=1\nFDNAME={}", name(port)), Some(listener.as_fd()));
                    open.insert(port, listener);
                    return Ok(port);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The listener at this port, which is opened if it is not yet.
    pub(crate) fn at(&self, port: u16) -> io::Result<TcpListener> {
        if !self.locked().contains_key(&port) {
            self.open(Some(port))?;
        }
        self.locked().get(&port).ok_or(io::ErrorKind::NotFound)?.try_clone()
    }

    pub(crate) fn close(&self, port: u16) {
        if self.locked().remove(&port).is_some() {
            notify(&format!("FDSTOREREMOVE=1\nFDNAME={}", name(port)), None);
        }
    }

    /// Closes all but these.
    pub(crate) fn keep(&self, ports: &[u16]) {
        let open: Vec<u16> = self.locked().keys().copied().collect();
        open.into_iter().filter(|port| !ports.contains(port)).for_each(|port| self.close(port));
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<u16, TcpListener>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the service manager that we are ready.
pub(crate) fn notify_ready() {
    notify("READY=1", None);
}

fn name(port: u16) -> String {
    format!("tunnel-{port}")
}

/// sd_notify(3). Without a service manager there is nobody to tell.
fn notify(state: &str, listener: Option<BorrowedFd<'_>>) {
    let Some(manager) = env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty()) else { return };
    let sent = || -> io::Result<()> {
        let address = match manager.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&manager)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let passed: Vec<_> = listener.into_iter().collect();
        if !passed.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&passed));
        }
        sendmsg(&socket, &[IoSlice::new(state.as_bytes())], &mut control, SendFlags::empty())?;
        Ok(())
    };
    if let Err(error) = sent() {
        tracing::warn!(%error, manager, "the service manager is not told");
    }
}
