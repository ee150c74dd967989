//! Changes to a LUKS2 header, each in an order in which a crash at any point leaves a volume that opens.

mod device;
mod keyslot;

use std::fmt;
use std::io::{self, SeekFrom};

use crate::kdf::KdfError;

use super::binary_header::BINARY_LEN;
use super::json::Json;
use super::{HeaderCopy, Luks2Header, Luks2Violation, Metadata};

pub use device::{EditableDevice, Random, os_random};
pub use keyslot::KeyslotCost;

/// Changes the header of a LUKS2 volume.
///
/// Key material is written and synced before the header that names it; of the two header copies the worse one is written
/// and synced first, so that one good copy is on disk at any time. Every change is made under the device's lock, and only
/// if nobody else has changed the header since it was read.
pub struct Luks2Editor<D> {
    pub(super) device: D,
    pub(super) random: Random,
    pub(super) header: Luks2Header,
}

/// Why a header was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// Reading or writing failed. The volume opens as before or as after the change.
    #[error("the device cannot be read or written")]
    Io(#[from] io::Error),
    /// Somebody else changed the header since it was read.
    #[error("the header has changed since it was read: open it again")]
    Changed,
    /// Reencryption and its like forbid it.
    #[error("the header requires {}, so that only a tool that knows it may change the header", .0.join(", "))]
    Requirements(Vec<String>),
    /// The header would break this rule.
    #[error("the new header would be invalid: {0}")]
    Invalid(Luks2Violation),
    /// The JSON area is full.
    #[error("the metadata needs {needed} bytes, the header has room for {room}: remove tokens or keyslots")]
    #[non_exhaustive]
    NoRoomForJson {
        /// Bytes
        needed: usize,
        /// Bytes
        room: usize,
    },
    /// All 32 keyslots are in use, or the keyslots area is full.
    #[error("there is no room for another keyslot: remove one first")]
    NoRoomForKeyslot,
    /// There is no such keyslot of the type `luks2`.
    #[error("keyslot {0} is not in use")]
    NoSuchKeyslot(u8),
    /// Without this keyslot nothing would open the volume any more.
    #[error("keyslot {0} is the last one that opens the volume: add another one first")]
    LastKeyslot(u8),
    /// The key is that of another volume.
    #[error("the volume key is not that of this header")]
    OtherVolume,
    /// The device is too small to be formatted.
    #[error("the device has {found} bytes, a volume needs at least {needed}")]
    #[non_exhaustive]
    TooSmall {
        /// Size of the device in bytes
        found: u64,
        /// Least size in bytes
        needed: u64,
    },
    /// Key derivation was refused or impossible.
    #[error("the key of the keyslot cannot be derived")]
    Kdf(#[from] KdfError),
}

impl<D: EditableDevice> Luks2Editor<D> {
    /// Takes a header that was read from this device.
    pub fn new(device: D, header: Luks2Header, random: Random) -> Self {
        Self { device, random, header }
    }

    /// The header as it is now.
    #[must_use]
    pub fn header(&self) -> &Luks2Header {
        &self.header
    }

    /// The device, whose position is anywhere.
    #[must_use]
    pub fn get_ref(&self) -> &D {
        &self.device
    }

    /// Gives the device back.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }

    /// Rewrites the copy that [`needs_repair`](Luks2Header::needs_repair) from the good one, with a salt of its own.
    /// Does nothing to a good header.
    ///
    /// # Errors
    /// [`EditError::Io`] or [`EditError::Changed`].
    pub fn repair(&mut self) -> Result<(), EditError> {
        let Some(repair) = self.header.needs_repair.clone() else { return Ok(()) };
        self.locked(|editor| {
            editor.check_unchanged()?;
            let slot = usize::from(repair.which == HeaderCopy::Secondary);
            if let Some(salt) = editor.header.salts.get_mut(slot) {
                *salt = None;
            }
            let json_area = editor.json_area(&editor.header.document)?;
            editor.write_copy(repair.which, &json_area)?;
            editor.header.needs_repair = None;
            Ok(())
        })
    }

    /// Writes a new document under the next sequence number, the worse copy first. The lock is held.
    pub(super) fn commit(&mut self, document: Json) -> Result<(), EditError> {
        let metadata = Metadata::parse(&document, self.header.header_size).map_err(EditError::Invalid)?;
        let json_area = self.json_area(&document)?;
        self.header.sequence_id += 1;
        self.header.binary.sequence_id = self.header.sequence_id;
        let worse = self.header.needs_repair.as_ref().map_or(HeaderCopy::Primary, |repair| repair.which);
        let other = if worse == HeaderCopy::Primary { HeaderCopy::Secondary } else { HeaderCopy::Primary };
        self.write_copy(worse, &json_area)?;
        self.write_copy(other, &json_area)?;
        self.header.document = document;
        self.header.metadata = metadata;
        self.header.needs_repair = None;
        Ok(())
    }

    pub(super) fn locked<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T, EditError>) -> Result<T, EditError> {
        self.device.lock()?;
        let result = change(self);
        let unlocked = self.device.unlock();
        let value = result?;
        unlocked?;
        Ok(value)
    }

    /// The header on disk is the one that was read.
    pub(super) fn check_unchanged(&mut self) -> Result<(), EditError> {
        let size = self.device.seek(SeekFrom::End(0))?;
        let now = Luks2Header::load(&mut self.device, size).map_err(|_| EditError::Changed)?;
        if now.uuid == self.header.uuid && now.sequence_id == self.header.sequence_id {
            Ok(())
        } else {
            Err(EditError::Changed)
        }
    }

    pub(super) fn check_requirements(&self) -> Result<(), EditError> {
        match self.header.metadata.config.mandatory_requirements.as_slice() {
            [] => Ok(()),
            requirements => Err(EditError::Requirements(requirements.to_vec())),
        }
    }

    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.device.seek(SeekFrom::Start(offset))?;
        self.device.write_all(bytes)
    }

    /// The text with all that is left of the area as zeros, so that nothing of a longer one stays.
    fn json_area(&self, document: &Json) -> Result<Vec<u8>, EditError> {
        let mut json = document.to_string().into_bytes();
        let area = usize::try_from(self.header.header_size).unwrap_or(BINARY_LEN) - BINARY_LEN;
        let (needed, room) = (json.len(), area - 1);
        if needed > room {
            return Err(EditError::NoRoomForJson { needed, room });
        }
        json.resize(area, 0);
        Ok(json)
    }

    fn write_copy(&mut self, copy: HeaderCopy, json_area: &[u8]) -> Result<(), EditError> {
        let (salt, offset) = match (&mut self.header.salts, copy) {
            ([primary, _], HeaderCopy::Primary) => (primary, 0),
            ([_, secondary], HeaderCopy::Secondary) => (secondary, self.header.header_size),
        };
        let mut bytes = salt.unwrap_or([0; 64]);
        if salt.is_none() {
            (self.random)(&mut bytes)?;
            *salt = Some(bytes);
        }
        self.header.binary.salt = bytes;
        let bytes = self.header.binary.to_bytes(copy, json_area);
        self.write_at(offset, &bytes)?;
        self.device.sync()?;
        Ok(())
    }
}

impl<D> fmt::Debug for Luks2Editor<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Luks2Editor").field("header", &self.header).finish_non_exhaustive()
    }
}
