//! Numbers of RFC 8881 (their XDR form is in RFC 5662), with their names.

use std::fmt;

macro_rules! numbers {
    ($(#[$doc:meta])* $type:ident, { $($name:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $type(u32);

        impl $type {
            $(
                #[doc = $text]
                pub const $name: Self = Self($number);
            )*

            /// The status or operation of this number, known or not.
            pub const fn new(number: u32) -> Self {
                Self(number)
            }

            /// The number on the wire.
            pub const fn number(self) -> u32 {
                self.0
            }

            /// The name in RFC 8881, if it is one that is known here.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{name} ({})", self.0),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

numbers! {
    /// The status of an NFSv4.1 operation (RFC 8881 section 15.1).
    NfsStatus, {
        OK = 0, "NFS4_OK";
        NOENT = 2, "NFS4ERR_NOENT";
        IO = 5, "NFS4ERR_IO";
        ACCESS = 13, "NFS4ERR_ACCESS";
        NOTDIR = 20, "NFS4ERR_NOTDIR";
        ISDIR = 21, "NFS4ERR_ISDIR";
        INVAL = 22, "NFS4ERR_INVAL";
        FBIG = 27, "NFS4ERR_FBIG";
        ROFS = 30, "NFS4ERR_ROFS";
        BADHANDLE = 10001, "NFS4ERR_BADHANDLE";
        BAD_COOKIE = 10003, "NFS4ERR_BAD_COOKIE";
        NOTSUPP = 10004, "NFS4ERR_NOTSUPP";
        TOOSMALL = 10005, "NFS4ERR_TOOSMALL";
        DELAY = 10008, "NFS4ERR_DELAY";
        WRONGSEC = 10016, "NFS4ERR_WRONGSEC";
        RESOURCE = 10018, "NFS4ERR_RESOURCE";
        NOFILEHANDLE = 10020, "NFS4ERR_NOFILEHANDLE";
        MINOR_VERS_MISMATCH = 10021, "NFS4ERR_MINOR_VERS_MISMATCH";
        STALE_CLIENTID = 10022, "NFS4ERR_STALE_CLIENTID";
        BAD_STATEID = 10025, "NFS4ERR_BAD_STATEID";
        BADXDR = 10036, "NFS4ERR_BADXDR";
        OPENMODE = 10038, "NFS4ERR_OPENMODE";
        BADNAME = 10041, "NFS4ERR_BADNAME";
        OP_ILLEGAL = 10044, "NFS4ERR_OP_ILLEGAL";
        BADSESSION = 10052, "NFS4ERR_BADSESSION";
        BADSLOT = 10053, "NFS4ERR_BADSLOT";
        COMPLETE_ALREADY = 10054, "NFS4ERR_COMPLETE_ALREADY";
        SEQ_MISORDERED = 10063, "NFS4ERR_SEQ_MISORDERED";
        SEQUENCE_POS = 10064, "NFS4ERR_SEQUENCE_POS";
        REP_TOO_BIG = 10066, "NFS4ERR_REP_TOO_BIG";
        RETRY_UNCACHED_REP = 10068, "NFS4ERR_RETRY_UNCACHED_REP";
        TOO_MANY_OPS = 10070, "NFS4ERR_TOO_MANY_OPS";
        OP_NOT_IN_SESSION = 10071, "NFS4ERR_OP_NOT_IN_SESSION";
        CLIENTID_BUSY = 10074, "NFS4ERR_CLIENTID_BUSY";
        NOT_ONLY_OP = 10081, "NFS4ERR_NOT_ONLY_OP";
    }
}

numbers! {
    /// An NFSv4.1 operation (nfs_opnum4, RFC 8881 section 16.2.1).
    Operation, {
        ACCESS = 3, "ACCESS";
        CLOSE = 4, "CLOSE";
        CREATE = 6, "CREATE";
        GETATTR = 9, "GETATTR";
        GETFH = 10, "GETFH";
        LINK = 11, "LINK";
        LOOKUP = 15, "LOOKUP";
        OPEN = 18, "OPEN";
        PUTFH = 22, "PUTFH";
        PUTROOTFH = 24, "PUTROOTFH";
        READ = 25, "READ";
        READDIR = 26, "READDIR";
        REMOVE = 28, "REMOVE";
        RENAME = 29, "RENAME";
        SETATTR = 34, "SETATTR";
        WRITE = 38, "WRITE";
        EXCHANGE_ID = 42, "EXCHANGE_ID";
        CREATE_SESSION = 43, "CREATE_SESSION";
        DESTROY_SESSION = 44, "DESTROY_SESSION";
        SEQUENCE = 53, "SEQUENCE";
        DESTROY_CLIENTID = 57, "DESTROY_CLIENTID";
        RECLAIM_COMPLETE = 58, "RECLAIM_COMPLETE";
        ILLEGAL = 10044, "ILLEGAL";
    }
}

impl Operation {
    /// Whether NFSv4.1 has an operation of this number, supported here or not.
    pub(crate) fn is_defined(self) -> bool {
        matches!(self.0, 3..=58)
    }

    /// Whether it changes the file system, whatever its arguments (OPEN may or may not).
    pub(crate) fn always_writes(self) -> bool {
        matches!(self, Self::CREATE | Self::LINK | Self::REMOVE | Self::RENAME | Self::SETATTR | Self::WRITE)
    }

    /// Whether it needs no session (section 2.6.3.1.1; without BIND_CONN_TO_SESSION, which is not supported).
    pub(crate) fn may_stand_alone(self) -> bool {
        matches!(self, Self::EXCHANGE_ID | Self::CREATE_SESSION | Self::DESTROY_SESSION | Self::DESTROY_CLIENTID)
    }
}
