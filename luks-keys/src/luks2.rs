//! LUKS2: two copies of a binary header with JSON metadata behind it.

mod binary_header;
mod document;
mod edit;
mod format;
mod json;
mod load;
mod metadata;
mod node;
mod violation;

pub use edit::{EditError, EditableDevice, KeyslotCost, Luks2Editor, Random, os_random};
pub use format::FormatOptions;
pub(crate) use load::LoadFault;
pub use load::{HeaderCopy, Luks2Header, NeedsRepair, RepairReason};
pub use metadata::{
    Area, Config, Digest, DigestKind, Keyslot, KeyslotKind, Metadata, Priority, Segment, SegmentKind, Token,
};
pub use violation::Luks2Violation;
