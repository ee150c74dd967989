//! LUKS1 On-Disk Format Specification, section 3.

use crate::anti_forensic::{STRIPES, material_len};
use crate::cipher::SECTOR;
use crate::fields::Fields;
use crate::hash::HashAlgorithm;
use crate::kdf::SALT_LEN;

use super::Luks1Violation;

/// Bytes that are used.
pub(crate) const HEADER_LEN: usize = 592;
pub(crate) const MAGIC: &[u8; 6] = b"LUKS\xba\xbe";

const DIGEST_LEN: usize = 20;
const SLOTS: u8 = 8;
const ACTIVE: u32 = 0x00ac_71f3;
const INACTIVE: u32 = 0x0000_dead;

/// A LUKS1 header whose every rule was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Luks1Header {
    /// Cipher and mode, joined as LUKS2 writes them: `aes-xts-plain64`.
    pub encryption: String,
    /// Of key derivation, splitter and digest, as the header has it.
    pub hash: HashAlgorithm,
    /// Where the data begins, in sectors of 512 bytes. 0: on another device.
    pub payload_offset: u32,
    /// Length of the volume key.
    pub key_bytes: u32,
    /// Of the volume key.
    pub digest: [u8; DIGEST_LEN],
    /// Of the digest.
    pub digest_salt: [u8; SALT_LEN],
    /// Of the digest. 0 cannot be unlocked.
    pub digest_iterations: u32,
    /// As the header has it, which need not be a UUID.
    pub uuid: String,
    /// The eight keyslots.
    pub slots: Vec<Luks1Slot>,
}

/// One of the eight keyslots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Luks1Slot {
    /// 0 to 7
    pub id: u8,
    /// Whether it holds a key.
    pub state: Luks1SlotState,
    /// Of PBKDF2. 0 cannot be unlocked.
    pub iterations: u32,
    /// Of PBKDF2
    pub salt: [u8; SALT_LEN],
    /// First sector (512 bytes) of the key material
    pub material_offset: u32,
}

/// Whether a LUKS1 keyslot holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Luks1SlotState {
    /// It does.
    Active,
    /// It does not.
    Inactive,
    /// Neither mark is there: this keyslot, not the whole header, is damaged.
    Invalid(u32),
}

impl Luks1Header {
    /// Reads the header from the first 592 bytes of a device.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(header: &[u8; HEADER_LEN]) -> Result<Self, Luks1Violation> {
        let mut fields = Fields::new(header);
        if fields.array() != *MAGIC {
            return Err(Luks1Violation::Magic);
        }
        let version = fields.u16();
        if version != 1 {
            return Err(Luks1Violation::Version(version));
        }
        let mut text = |len, name| fields.text(len).text.ok_or(Luks1Violation::NotText(name));
        let encryption = format!("{}-{}", text(32, "cipher name")?, text(32, "cipher mode")?);
        let hash = text(32, "hash name")?;
        let hash: HashAlgorithm = hash.parse().map_err(|_| Luks1Violation::Hash(hash.to_owned()))?;
        let payload_offset = fields.u32();
        let key_bytes = fields.u32();
        if key_bytes == 0 {
            return Err(Luks1Violation::KeyBytes);
        }
        let (digest, digest_salt, digest_iterations) = (fields.array(), fields.array(), fields.u32());
        let uuid = fields.text(40).text.ok_or(Luks1Violation::NotText("UUID"))?.to_owned();
        let slots = (0..SLOTS).map(|id| parse_slot(id, &mut fields)).collect::<Result<_, _>>()?;
        let header =
            Self { encryption, hash, payload_offset, key_bytes, digest, digest_salt, digest_iterations, uuid, slots };
        header.check_places()?;
        Ok(header)
    }

    /// The least size in bytes of the device with the header: all key material is on it.
    pub(crate) fn least_device_size(&self) -> u64 {
        self.slots.iter().map(|slot| self.end_of(slot)).max().unwrap_or_default() * SECTOR as u64
    }

    /// Inactive keyslots count too: their places are where the next keys are written.
    fn check_places(&self) -> Result<(), Luks1Violation> {
        for slot in &self.slots {
            if u64::from(slot.material_offset) * (SECTOR as u64) < 1024 {
                return Err(Luks1Violation::MaterialInHeader { slot: slot.id, found: slot.material_offset });
            }
            let end = self.end_of(slot);
            if self.payload_offset != 0 && end > self.payload_offset.into() {
                let payload = self.payload_offset;
                return Err(Luks1Violation::MaterialInPayload { slot: slot.id, end, payload });
            }
        }
        let mut by_place: Vec<_> = self.slots.iter().collect();
        by_place.sort_by_key(|slot| slot.material_offset);
        for (first, second) in by_place.iter().zip(by_place.iter().skip(1)) {
            if self.end_of(first) > second.material_offset.into() {
                return Err(Luks1Violation::Overlap { first: first.id, second: second.id });
            }
        }
        Ok(())
    }

    /// First sector after the keyslot's key material.
    fn end_of(&self, slot: &Luks1Slot) -> u64 {
        u64::from(slot.material_offset) + material_len(self.key_bytes) / SECTOR as u64
    }
}

fn parse_slot(id: u8, fields: &mut Fields<'_>) -> Result<Luks1Slot, Luks1Violation> {
    let state = match fields.u32() {
        ACTIVE => Luks1SlotState::Active,
        INACTIVE => Luks1SlotState::Inactive,
        other => Luks1SlotState::Invalid(other),
    };
    let (iterations, salt, material_offset) = (fields.u32(), fields.array(), fields.u32());
    let found = fields.u32();
    if found != STRIPES {
        return Err(Luks1Violation::Stripes { slot: id, found });
    }
    Ok(Luks1Slot { id, state, iterations, salt, material_offset })
}
