//! Keyslots added and removed.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::anti_forensic::{self, material_len};
use crate::cipher::{CipherSpec, SECTOR};
use crate::digest::KeyDigest;
use crate::hash::HashAlgorithm;
use crate::kdf::{Argon2Variant, Kdf, KdfLimits, SALT_LEN};
use crate::luks2::{Area, DigestKind, Keyslot, KeyslotKind, Luks2Violation};
use crate::unlock::Unlocked;

use super::super::json::Json;
use super::{EditError, EditableDevice, Luks2Editor};

const KEYSLOTS: u8 = 32;
const AREA_ALIGNMENT: u64 = 4096;
/// What cryptsetup writes too. The keyslot's own cipher is AES-256-XTS, whatever that of the data is.
const AREA_ENCRYPTION: &str = "aes-xts-plain64";
const AREA_KEY_SIZE: usize = 64;
const AF_HASH: HashAlgorithm = HashAlgorithm::Sha256;

/// What one guess of a passphrase costs, for us and for whoever steals the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyslotCost(Cost);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cost {
    Pbkdf2 { iterations: u32 },
    Argon2id { time: u32, memory_kib: u32, lanes: u32 },
}

impl KeyslotCost {
    /// Argon2id with these passes, memory in KiB and lanes.
    #[must_use]
    pub fn argon2id(time: u32, memory_kib: u32, lanes: u32) -> Self {
        Self(Cost::Argon2id { time, memory_kib, lanes })
    }

    /// PBKDF2-HMAC-SHA-256 with these iterations.
    #[must_use]
    pub fn pbkdf2(iterations: u32) -> Self {
        Self(Cost::Pbkdf2 { iterations })
    }

    /// For key files of 32 random bytes and more, which nobody guesses: next to nothing.
    #[must_use]
    pub fn random_key() -> Self {
        Self::pbkdf2(1000)
    }

    fn with_salt(&self, salt: [u8; SALT_LEN]) -> Kdf {
        match self.0 {
            Cost::Pbkdf2 { iterations } => Kdf::Pbkdf2 { hash: "sha256".to_owned(), iterations, salt },
            Cost::Argon2id { time, memory_kib, lanes } => {
                Kdf::Argon2 { variant: Argon2Variant::Argon2id, time, memory_kib, lanes, salt }
            }
        }
    }
}

/// The second recommended option of RFC 9106, section 4: 3 passes over 64 MiB in 4 lanes.
impl Default for KeyslotCost {
    fn default() -> Self {
        Self::argon2id(3, 64 << 10, 4)
    }
}

impl<D: EditableDevice> Luks2Editor<D> {
    /// Adds a keyslot for the key that was unlocked, and returns its number: the lowest that is free.
    ///
    /// The key material is written first: a crash before the header leaves the volume as it was.
    ///
    /// # Errors
    /// [`EditError::OtherVolume`] if the key is not that of this header, [`EditError::NoRoomForKeyslot`], and others.
    pub fn add_keyslot(&mut self, unlocked: &Unlocked, passphrase: &[u8], cost: &KeyslotCost) -> Result<u8, EditError> {
        self.check_requirements()?;
        self.check_key(unlocked)?;
        self.locked(|editor| {
            editor.check_unchanged()?;
            editor.write_keyslot(unlocked.digest_id(), unlocked.key().expose(), passphrase, cost)
        })
    }

    /// Removes a keyslot: its key material is overwritten before the header forgets it.
    ///
    /// # Errors
    /// [`EditError::LastKeyslot`] if no other keyslot opens the data, [`EditError::NoSuchKeyslot`], and others.
    pub fn remove_keyslot(&mut self, id: u8) -> Result<(), EditError> {
        self.check_requirements()?;
        let slot = self.header.metadata.keyslots.iter().find(|slot| slot.id == id && is_luks2(slot));
        let area = slot.ok_or(EditError::NoSuchKeyslot(id))?.area;
        if self.opens_the_data().eq([id]) {
            return Err(EditError::LastKeyslot(id));
        }
        self.locked(|editor| {
            editor.check_unchanged()?;
            let mut noise = vec![0; usize::try_from(area.size).unwrap_or_default()];
            (editor.random)(&mut noise)?;
            editor.write_at(area.offset, &noise)?;
            editor.device.sync()?;
            let mut document = editor.header.document.clone();
            let name = id.to_string();
            if let Some(keyslots) = document.get_mut("keyslots") {
                keyslots.remove(&name);
            }
            for section in ["digests", "tokens"] {
                if let Some(section) = document.get_mut(section) {
                    section.drop_references("keyslots", &name);
                }
            }
            editor.commit(document)
        })
    }

    /// The lock is held, and the key is that of the digest.
    pub(in crate::luks2) fn write_keyslot(
        &mut self,
        digest_id: u8,
        key: &[u8],
        passphrase: &[u8],
        cost: &KeyslotCost,
    ) -> Result<u8, EditError> {
        let key_size = u32::try_from(key.len()).map_err(|_| EditError::NoRoomForKeyslot)?;
        let (id, area) = self.free_place(key_size).ok_or(EditError::NoRoomForKeyslot)?;
        let mut salt = [0; SALT_LEN];
        (self.random)(&mut salt)?;
        let kdf = cost.with_salt(salt);
        let mut area_key = Zeroizing::new(vec![0; AREA_KEY_SIZE]);
        kdf.derive(passphrase, &KdfLimits::danger_unlimited(), &mut area_key)?;

        let mut material = Zeroizing::new(vec![0; usize::try_from(material_len(key_size)).unwrap_or_default()]);
        (self.random)(&mut material)?;
        let stripes = key.len() * anti_forensic::STRIPES as usize;
        anti_forensic::split(AF_HASH, key, material.split_at_mut(stripes).0);
        let spec: CipherSpec = AREA_ENCRYPTION.parse().expect("a cipher of this crate");
        spec.with_key(&area_key, SECTOR).expect("a key of its length").encrypt(0, &mut material);
        self.write_at(area.offset, &material)?;
        self.device.sync()?;

        let mut document = self.header.document.clone();
        if let Some(keyslots) = document.get_mut("keyslots") {
            keyslots.insert(id.to_string(), keyslot_json(key_size, area, &kdf).map_err(EditError::Invalid)?);
        }
        let digest = document.get_mut("digests").and_then(|digests| digests.get_mut(&digest_id.to_string()));
        if let Some(list) = digest.and_then(|digest| digest.get_mut("keyslots")) {
            list.push(id.to_string());
        }
        self.commit(document)?;
        Ok(id)
    }

    /// The lowest free number, and the first gap in the keyslots area.
    fn free_place(&self, key_size: u32) -> Option<(u8, Area)> {
        let metadata = &self.header.metadata;
        let id = (0..KEYSLOTS).find(|id| metadata.keyslots.iter().all(|slot| slot.id != *id))?;
        let size = material_len(key_size).next_multiple_of(AREA_ALIGNMENT);
        let begin = 2 * self.header.header_size;
        let mut areas: Vec<Area> = metadata.keyslots.iter().map(|slot| slot.area).collect();
        areas.sort_by_key(|area| area.offset);
        let mut offset = begin;
        for area in areas {
            if offset + size <= area.offset {
                break;
            }
            offset = (area.offset + area.size).next_multiple_of(AREA_ALIGNMENT);
        }
        (offset + size <= begin + metadata.config.keyslots_size).then_some((id, Area { offset, size }))
    }

    fn check_key(&self, unlocked: &Unlocked) -> Result<(), EditError> {
        let digest = self.header.metadata.digests.iter().find(|digest| digest.id == unlocked.digest_id());
        let Some(DigestKind::Pbkdf2 { hash, iterations, salt, digest }) = digest.map(|digest| &digest.kind) else {
            return Err(EditError::OtherVolume);
        };
        let digest = KeyDigest { hash, iterations: *iterations, salt, digest };
        // The key was unlocked, so that the cost of its digest has been accepted.
        let confirmed = digest.confirms(unlocked.key().expose(), &KdfLimits::danger_unlimited())?;
        if confirmed { Ok(()) } else { Err(EditError::OtherVolume) }
    }

    /// The keyslots that open the data.
    fn opens_the_data(&self) -> impl Iterator<Item = u8> {
        let metadata = &self.header.metadata;
        let segment = metadata.default_segment();
        let lists = move |id: u8| {
            let mut digests = metadata.digests.iter();
            digests.any(|digest| digest.keyslots.contains(&id) && segment.is_some_and(|at| digest.lists_segment(at)))
        };
        metadata.keyslots.iter().filter(move |slot| is_luks2(slot) && lists(slot.id)).map(|slot| slot.id)
    }
}

fn is_luks2(slot: &Keyslot) -> bool {
    matches!(slot.kind, KeyslotKind::Luks2 { .. })
}

fn keyslot_json(key_size: u32, area: Area, kdf: &Kdf) -> Result<Json, Luks2Violation> {
    let kdf = match kdf {
        Kdf::Pbkdf2 { hash, iterations, salt } => format!(
            r#"{{"type":"pbkdf2","salt":"{}","hash":"{hash}","iterations":{iterations}}}"#,
            Base64::encode_string(salt)
        ),
        Kdf::Argon2 { time, memory_kib, lanes, salt, .. } => format!(
            r#"{{"type":"argon2id","salt":"{}","time":{time},"memory":{memory_kib},"cpus":{lanes}}}"#,
            Base64::encode_string(salt)
        ),
    };
    let (offset, size, stripes, hash) = (area.offset, area.size, anti_forensic::STRIPES, AF_HASH.name());
    Json::parse(&format!(
        r#"{{"type":"luks2","key_size":{key_size},"af":{{"type":"luks1","stripes":{stripes},"hash":"{hash}"}},"area":{{"type":"raw","offset":"{offset}","size":"{size}","encryption":"{AREA_ENCRYPTION}","key_size":{AREA_KEY_SIZE}}},"kdf":{kdf}}}"#
    ))
}
