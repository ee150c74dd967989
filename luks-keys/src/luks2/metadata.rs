//! The metadata of LUKS2 as values (LUKS2 On-Disk Format Specification, section 3). What is not known here stays in the
//! JSON document, from which a header is written back.

mod check;
mod parse;

use crate::kdf::{Kdf, SALT_LEN};

/// Everything the JSON says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// In the order of the JSON, in which they are tried.
    pub keyslots: Vec<Keyslot>,
    /// Tokens, known or not.
    pub tokens: Vec<Token>,
    /// By number.
    pub segments: Vec<Segment>,
    /// Digests
    pub digests: Vec<Digest>,
    /// The rest
    pub config: Config,
}

/// One place for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keyslot {
    /// 0 to 31
    pub id: u8,
    /// When it is tried.
    pub priority: Priority,
    /// Bytes of the key that it holds.
    pub key_size: u32,
    /// Where its key material is.
    pub area: Area,
    /// How it is protected.
    pub kind: KeyslotKind,
}

/// When a keyslot is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Only when it is named.
    Ignore,
    /// After those that are preferred.
    Normal,
    /// First.
    Prefer,
}

/// Type of a keyslot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyslotKind {
    /// `luks2`: a key under a passphrase
    #[non_exhaustive]
    Luks2 {
        /// From the passphrase to the key of the area
        kdf: Kdf,
        /// Hash of the anti-forensic splitter
        af_hash: String,
        /// Cipher of the area, such as `aes-xts-plain64`
        encryption: String,
        /// Bytes of the key of the area
        encryption_key_size: u32,
    },
    /// Any other type, such as `reencrypt`. It is kept, but holds no key for us.
    Other(String),
}

/// A part of the keyslots area, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Area {
    /// From the beginning of the device
    pub offset: u64,
    /// Never 0
    pub size: u64,
}

/// Something that knows how to get a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// 0 to 31
    pub id: u8,
    /// `luks2-keyring`, `clevis`, `systemd-tpm2`, `aws-kms` or anything else.
    pub kind: String,
    /// The keyslots it opens; may be empty.
    pub keyslots: Vec<u8>,
    /// The whole token, compact
    pub json: String,
}

/// A part of the data device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// From 0
    pub id: u8,
    /// Bytes from the beginning of the data device, a multiple of 512
    pub offset: u64,
    /// Bytes, a multiple of 512. `None`: up to the end of the device.
    pub size: Option<u64>,
    /// Flags; those that begin with `backup-` mark what a reencryption keeps.
    pub flags: Vec<String>,
    /// What it is.
    pub kind: SegmentKind,
}

/// Type of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentKind {
    /// `crypt`: encrypted sector by sector
    #[non_exhaustive]
    Crypt {
        /// Such as `aes-xts-plain64`
        encryption: String,
        /// 512, 1024, 2048 or 4096
        sector_size: u32,
        /// Added to the number of each sector of 512 bytes
        iv_tweak: u64,
        /// The type of the integrity protection beneath, if there is one.
        integrity: Option<String>,
    },
    /// Any other type, such as `linear`.
    Other(String),
}

/// What tells the right volume key from a wrong one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Digest {
    /// 0 to 7
    pub id: u8,
    /// Whose key it is.
    pub keyslots: Vec<u8>,
    /// What the key is for; empty for an unbound key.
    pub segments: Vec<u8>,
    /// How it is computed.
    pub kind: DigestKind,
}

/// Type of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigestKind {
    /// `pbkdf2`
    #[non_exhaustive]
    Pbkdf2 {
        /// Hash
        hash: String,
        /// Rounds
        iterations: u32,
        /// Salt
        salt: [u8; SALT_LEN],
        /// As long as the hash's output, or 20 bytes if the volume was LUKS1 once.
        digest: Vec<u8>,
    },
    /// Any other type. Its keys cannot be verified, and so not used.
    Other(String),
}

/// The object `config`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Bytes of the keyslots area.
    pub keyslots_size: u64,
    /// `allow-discards` and others, known or not.
    pub flags: Vec<String>,
    /// What a tool must be able to do before it may touch the volume. There is none that this crate can, so that
    /// any entry makes the volume unusable and its header read-only.
    pub mandatory_requirements: Vec<String>,
}

impl Metadata {
    /// The segment whose key is *the* volume key: while a reencryption is unfinished, the one that it leads to.
    pub(crate) fn default_segment(&self) -> Option<u8> {
        let last = self.segments.iter().find(|segment| segment.flags.iter().any(|flag| flag == "backup-final"));
        last.or_else(|| self.segments.first()).map(|segment| segment.id)
    }
}

impl Digest {
    pub(crate) fn lists_segment(&self, segment: u8) -> bool {
        self.segments.contains(&segment)
    }
}

impl Segment {
    /// Whether it is only the memory of a reencryption.
    #[must_use]
    pub fn is_backup(&self) -> bool {
        self.flags.iter().any(|flag| flag.starts_with("backup-"))
    }
}
