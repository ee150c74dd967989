//! Why the options of a mount are refused.

use crate::{NfsOptionError, ParseError};

/// Why a text is no [`MountOptions`](super::MountOptions).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountOptionError {
    /// Nothing asks for encryption.
    #[error("expected the mount option tls, found none: add tls; to mount without encryption, use mount -t nfs4")]
    NotEncrypted,
    /// An option without its value.
    #[error("the mount option {option} needs a value: write {option}=…")]
    NeedsValue {
        /// The option.
        option: &'static str,
    },
    /// A value where none belongs.
    #[error("the mount option {option} takes no value, found {found:?}: write {option} alone, or leave it out")]
    TakesNoValue {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
    },
    /// An option with two values.
    #[error("the mount option {option} is given as {first:?} and as {second:?}: leave one of them out")]
    GivenTwice {
        /// The option.
        option: &'static str,
        /// The first value.
        first: String,
        /// Another one.
        second: String,
    },
    /// A value that is not of its option's kind.
    #[error("the value of the mount option {option}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was expected, what was found.
        source: ParseError,
    },
    /// An option without the one it belongs to.
    #[error("the mount option {option} needs {needed}: add {needed}, or leave out {option}")]
    Needs {
        /// The option.
        option: &'static str,
        /// What it needs.
        needed: &'static str,
    },
    /// Two options that contradict each other.
    #[error("the mount options {one} and {other} exclude each other: leave out one of them")]
    Exclusive {
        /// One option.
        one: &'static str,
        /// The other one.
        other: &'static str,
    },
    /// An option of the EFS mount helper that has no counterpart here, and that would be missed if it were ignored.
    #[error("the mount option {option} is not supported: {remedy}")]
    Unsupported {
        /// The option, with its value where that decides.
        option: String,
        /// What is the case instead, and what to change.
        remedy: &'static str,
    },
    /// An option for `mount.nfs4`.
    #[error("an option for mount.nfs4")]
    Nfs(#[from] NfsOptionError),
}
