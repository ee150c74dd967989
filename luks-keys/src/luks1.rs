//! LUKS1: one header of 592 bytes with eight keyslots, no checksum and no second copy.

mod header;
mod violation;

pub(crate) use header::HEADER_LEN;
pub use header::{Luks1Header, Luks1Slot, Luks1SlotState};
pub use violation::Luks1Violation;
