//! What those who are let in may do, and who they are.

use super::{Denial, Operation};

/// What a client that is let in may do. The default is everything, as with `rw,no_root_squash` in exports(5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    read_only: bool,
    squash_root: bool,
}

impl Rights {
    /// Nothing can be changed: whatever would is refused with `NFS4ERR_ROFS`, whoever asks.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// User 0 is taken for [`NOBODY`].
    pub fn squash_root(mut self) -> Self {
        self.squash_root = true;
        self
    }
}

/// The user id of a squashed root, and of calls without AUTH_SYS.
pub const NOBODY: u32 = 65534;

/// How the calls of one connection are treated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Treatment {
    Denied(Denial),
    Served(Rights),
}

impl Treatment {
    pub(crate) fn is_denied_at(self, place: Denial) -> bool {
        matches!(self, Self::Denied(denial) if denial == place)
    }

    /// Whether it is refused as on a read-only file system.
    pub(crate) fn forbids(self, operation: Operation) -> bool {
        self.is_read_only() && operation.always_writes()
    }

    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::Served(Rights { read_only: true, .. }))
    }

    /// As whom a user acts.
    pub(crate) fn effective_user(self, user: u32) -> u32 {
        match self {
            Self::Served(Rights { squash_root: true, .. }) if user == 0 => NOBODY,
            _ => user,
        }
    }
}
