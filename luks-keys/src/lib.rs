#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod anti_forensic;
mod cipher;
pub use cipher::{CipherError, CipherSpec};
mod digest;
mod fields;
mod hash;
pub use hash::{HashAlgorithm, UnknownHash};
mod header;
pub use header::{HeaderError, LuksHeader};
mod kdf;
pub use kdf::{Argon2Variant, Kdf, KdfError, KdfLimits};
mod luks1;
pub use luks1::{Luks1Header, Luks1Slot, Luks1SlotState, Luks1Violation};
mod luks2;
pub use luks2::{
    Area, Config, Digest, DigestKind, EditError, EditableDevice, FormatOptions, HeaderCopy, Keyslot, KeyslotCost,
    KeyslotKind, Luks2Editor, Luks2Header, Luks2Violation, Metadata, NeedsRepair, Priority, Random, RepairReason,
    Segment, SegmentKind, Token, os_random,
};
mod payload;
pub use payload::{Payload, PayloadError};
mod unlock;
pub use unlock::{Keyslots, UnlockError, UnlockOptions, Unlocked};
mod volume;
pub use volume::{LuksVolume, VolumeError};
mod volume_key;
pub use volume_key::VolumeKey;
