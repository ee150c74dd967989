//! Which users may use the local side.

#[cfg(target_os = "linux")]
mod tcp_owner;

use std::collections::BTreeSet;
#[cfg(not(target_os = "linux"))]
use std::{io, net::SocketAddr};

#[cfg(target_os = "linux")]
use self::tcp_owner::{owners_can_be_told, tcp_owner};
use super::{LocalAddr, LocalPeer, TunnelError, local::Local};

#[derive(Debug, Default)]
pub(super) enum Users {
    #[default]
    Anybody,
    Only(BTreeSet<u32>),
}

impl Users {
    pub(super) fn allow(&mut self, uids: impl IntoIterator<Item = u32>) {
        match self {
            Self::Anybody => *self = Self::Only(uids.into_iter().collect()),
            Self::Only(allowed) => allowed.extend(uids),
        }
    }

    /// Whether there are any, and can be told apart at `address`.
    pub(super) fn check(&self, address: &LocalAddr) -> Result<(), TunnelError> {
        match (self, address) {
            (Self::Only(uids), _) if uids.is_empty() => Err(TunnelError::NobodyAllowed),
            (Self::Only(_), LocalAddr::Tcp(_)) => {
                owners_can_be_told().map_err(|source| TunnelError::UnknownOwners { address: address.clone(), source })
            }
            _ => Ok(()),
        }
    }

    /// The permissions of a Unix socket.
    #[cfg(unix)]
    pub(super) fn socket_mode(&self) -> u32 {
        match self {
            Self::Anybody => 0o600,
            Self::Only(_) => 0o666,
        }
    }

    /// The error is the uid that was found, if one was.
    pub(super) async fn admit(&self, local: &Local, peer: LocalPeer) -> Result<(), Option<u32>> {
        let Self::Only(uids) = self else { return Ok(()) };
        let uid = match (peer, local.tcp_address()) {
            (LocalPeer::Unix { uid, .. }, _) => uid,
            (LocalPeer::Tcp(client), Some(tunnel)) => tcp_owner(client, tunnel).await,
            (LocalPeer::Tcp(_), None) => None,
        };
        if uid.is_some_and(|uid| uids.contains(&uid)) { Ok(()) } else { Err(uid) }
    }
}

#[cfg(not(target_os = "linux"))]
fn owners_can_be_told() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
async fn tcp_owner(_: SocketAddr, _: SocketAddr) -> Option<u32> {
    None
}
