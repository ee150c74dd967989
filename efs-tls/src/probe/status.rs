//! The operations that are asked for, and the answers that are not success.

use std::fmt;

/// An NFSv4.1 operation of the exchange (RFC 8881 section 18). Displays as its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// EXCHANGE_ID: introduces the client.
    ExchangeId,
    /// CREATE_SESSION: opens a session.
    CreateSession,
    /// SEQUENCE: begins every request within a session.
    Sequence,
    /// PUTROOTFH: goes to the root, which is that of the access point.
    PutRootFh,
    /// GETATTR: owner and mode of the root.
    GetAttr,
    /// ACCESS: what the user may do there.
    Access,
    /// DESTROY_SESSION.
    DestroySession,
    /// DESTROY_CLIENTID.
    DestroyClientId,
}

/// The answer that ended the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Refusal {
    /// What was asked.
    pub operation: Operation,
    /// What was answered.
    pub status: Status,
}

/// An answer other than success, by its number. Displays as its name in the RFC, or the number where it is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// An `nfsstat4` (RFC 8881 section 15.1).
    Nfs(u32),
    /// An `auth_stat`: RPC refuses the AUTH_SYS credentials (RFC 5531 section 9).
    RpcAuth(u32),
    /// An `accept_stat`: RPC cannot execute the call (RFC 5531 section 9).
    Rpc(u32),
}

impl Operation {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Access => 3,
            Self::GetAttr => 9,
            Self::PutRootFh => 24,
            Self::ExchangeId => 42,
            Self::CreateSession => 43,
            Self::DestroySession => 44,
            Self::Sequence => 53,
            Self::DestroyClientId => 57,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::ExchangeId => "EXCHANGE_ID",
            Self::CreateSession => "CREATE_SESSION",
            Self::Sequence => "SEQUENCE",
            Self::PutRootFh => "PUTROOTFH",
            Self::GetAttr => "GETATTR",
            Self::Access => "ACCESS",
            Self::DestroySession => "DESTROY_SESSION",
            Self::DestroyClientId => "DESTROY_CLIENTID",
        }
    }
}

impl Status {
    pub(super) const OK: u32 = 0;
    pub(super) const PERM: u32 = 1;
    pub(super) const NOENT: u32 = 2;
    pub(super) const ACCESS: u32 = 13;
    pub(super) const NOTSUPP: u32 = 10_004;
    pub(super) const DELAY: u32 = 10_008;
    pub(super) const GRACE: u32 = 10_013;
    pub(super) const WRONGSEC: u32 = 10_016;
    pub(super) const MINOR_VERS_MISMATCH: u32 = 10_021;
    pub(super) const OP_ILLEGAL: u32 = 10_044;

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Nfs(Self::PERM) => "NFS4ERR_PERM",
            Self::Nfs(Self::NOENT) => "NFS4ERR_NOENT",
            Self::Nfs(5) => "NFS4ERR_IO",
            Self::Nfs(Self::ACCESS) => "NFS4ERR_ACCESS",
            Self::Nfs(22) => "NFS4ERR_INVAL",
            Self::Nfs(28) => "NFS4ERR_NOSPC",
            Self::Nfs(70) => "NFS4ERR_STALE",
            Self::Nfs(Self::NOTSUPP) => "NFS4ERR_NOTSUPP",
            Self::Nfs(10_005) => "NFS4ERR_TOOSMALL",
            Self::Nfs(10_006) => "NFS4ERR_SERVERFAULT",
            Self::Nfs(Self::DELAY) => "NFS4ERR_DELAY",
            Self::Nfs(Self::GRACE) => "NFS4ERR_GRACE",
            Self::Nfs(Self::WRONGSEC) => "NFS4ERR_WRONGSEC",
            Self::Nfs(10_018) => "NFS4ERR_RESOURCE",
            Self::Nfs(10_019) => "NFS4ERR_MOVED",
            Self::Nfs(Self::MINOR_VERS_MISMATCH) => "NFS4ERR_MINOR_VERS_MISMATCH",
            Self::Nfs(10_022) => "NFS4ERR_STALE_CLIENTID",
            Self::Nfs(10_036) => "NFS4ERR_BADXDR",
            Self::Nfs(Self::OP_ILLEGAL) => "NFS4ERR_OP_ILLEGAL",
            Self::Nfs(10_052) => "NFS4ERR_BADSESSION",
            Self::Nfs(10_053) => "NFS4ERR_BADSLOT",
            Self::Nfs(10_055) => "NFS4ERR_CONN_NOT_BOUND_TO_SESSION",
            Self::Nfs(10_063) => "NFS4ERR_SEQ_MISORDERED",
            Self::Nfs(10_071) => "NFS4ERR_OP_NOT_IN_SESSION",
            Self::Nfs(10_078) => "NFS4ERR_DEADSESSION",
            Self::RpcAuth(1) => "RPC AUTH_BADCRED",
            Self::RpcAuth(2) => "RPC AUTH_REJECTEDCRED",
            Self::RpcAuth(5) => "RPC AUTH_TOOWEAK",
            Self::Rpc(3) => "RPC PROC_UNAVAIL",
            Self::Rpc(4) => "RPC GARBAGE_ARGS",
            Self::Rpc(5) => "RPC SYSTEM_ERR",
            _ => return None,
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.status, self.operation)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::Nfs(number)) => write!(f, "NFS status {number}"),
            (None, Self::RpcAuth(number)) => write!(f, "RPC auth_stat {number}"),
            (None, Self::Rpc(number)) => write!(f, "RPC accept_stat {number}"),
        }
    }
}
