//! What the headers of both versions say about one keyslot, in one form.

use crate::digest::KeyDigest;
use crate::header::LuksHeader;
use crate::kdf::Kdf;
use crate::luks1::{Luks1Header, Luks1Slot, Luks1SlotState};
use crate::luks2::{Digest, DigestKind, KeyslotKind, Metadata, Priority};

use super::{Keyslots, UnlockError};

/// A keyslot that can be tried.
pub(super) struct Candidate<'a> {
    pub(super) slot: u8,
    pub(super) kdf: Kdf,
    pub(super) encryption: &'a str,
    pub(super) encryption_key_size: u32,
    /// In bytes
    pub(super) area_offset: u64,
    pub(super) key_size: u32,
    pub(super) af_hash: &'a str,
    pub(super) digest_id: u8,
    pub(super) digest: KeyDigest<'a>,
}

impl LuksHeader {
    /// Numbers in the order of trying; only a keyslot that is named may be unusable.
    pub(super) fn keyslots_to_try(&self, keyslots: Keyslots) -> Result<Vec<u8>, UnlockError> {
        match (self, keyslots) {
            (Self::Luks1(header), Keyslots::Only(id)) => {
                let active = active_slots(header).any(|slot| slot.id == id);
                if active { Ok(vec![id]) } else { Err(UnlockError::NoSuchKeyslot(id)) }
            }
            (Self::Luks1(header), _) => Ok(active_slots(header).map(|slot| slot.id).collect()),
            (Self::Luks2(header), Keyslots::Only(id)) => {
                let there = header.metadata.keyslots.iter().any(|slot| slot.id == id);
                if there { Ok(vec![id]) } else { Err(UnlockError::NoSuchKeyslot(id)) }
            }
            (Self::Luks2(header), _) => Ok(luks2_order(&header.metadata, keyslots == Keyslots::All)),
        }
    }

    pub(super) fn candidate(&self, slot: u8) -> Result<Candidate<'_>, UnlockError> {
        match self {
            Self::Luks1(header) => {
                let found = active_slots(header).find(|candidate| candidate.id == slot);
                luks1_candidate(header, found.ok_or(UnlockError::NoSuchKeyslot(slot))?)
            }
            Self::Luks2(header) => luks2_candidate(&header.metadata, slot),
        }
    }

    /// Every digest that can be computed. LUKS1 has one.
    pub(super) fn digests(&self) -> Vec<(u8, KeyDigest<'_>)> {
        match self {
            Self::Luks1(header) => vec![(0, luks1_digest(header))],
            Self::Luks2(header) => {
                let digests = header.metadata.digests.iter();
                digests.filter_map(|digest| Some((digest.id, luks2_digest(digest)?))).collect()
            }
        }
    }

    /// The lengths of the digest's keys, if the header tells them.
    pub(super) fn key_sizes(&self, digest_id: u8) -> Option<Vec<u32>> {
        match self {
            Self::Luks1(header) => Some(vec![header.key_bytes]),
            Self::Luks2(header) => {
                let digest = header.metadata.digests.iter().find(|digest| digest.id == digest_id)?;
                let slots = header.metadata.keyslots.iter().filter(|slot| digest.keyslots.contains(&slot.id));
                Some(slots.map(|slot| slot.key_size).collect::<Vec<_>>()).filter(|sizes| !sizes.is_empty())
            }
        }
    }
}

fn active_slots(header: &Luks1Header) -> impl Iterator<Item = &Luks1Slot> {
    header.slots.iter().filter(|slot| slot.state == Luks1SlotState::Active)
}

/// Within one priority the order of the JSON counts.
fn luks2_order(metadata: &Metadata, all: bool) -> Vec<u8> {
    let segment = metadata.default_segment();
    let digests = || metadata.digests.iter().filter(|digest| segment.is_some_and(|id| digest.lists_segment(id)));
    let bound = |id: u8| digests().any(|digest| digest.keyslots.contains(&id));
    let with_passphrase = |kind: &KeyslotKind| matches!(kind, KeyslotKind::Luks2 { .. });
    let slots = metadata.keyslots.iter().filter(|slot| with_passphrase(&slot.kind));
    let regular = |slot: &&crate::luks2::Keyslot| slot.priority != Priority::Ignore && bound(slot.id);
    let (mut first, rest): (Vec<_>, Vec<_>) = slots.partition(regular);
    // Stable, so that the order of the JSON stays.
    first.sort_by_key(|slot| std::cmp::Reverse(slot.priority));
    let rest = if all { rest } else { Vec::new() };
    first.into_iter().chain(rest).map(|slot| slot.id).collect()
}

fn luks1_candidate<'a>(header: &'a Luks1Header, slot: &Luks1Slot) -> Result<Candidate<'a>, UnlockError> {
    if slot.iterations == 0 || header.digest_iterations == 0 {
        return Err(UnlockError::Unusable { slot: slot.id, what: "it has 0 iterations".to_owned() });
    }
    Ok(Candidate {
        slot: slot.id,
        kdf: Kdf::Pbkdf2 { hash: header.hash.name().to_owned(), iterations: slot.iterations, salt: slot.salt },
        encryption: &header.encryption,
        encryption_key_size: header.key_bytes,
        area_offset: u64::from(slot.material_offset) * 512,
        key_size: header.key_bytes,
        af_hash: header.hash.name(),
        digest_id: 0,
        digest: luks1_digest(header),
    })
}

fn luks1_digest(header: &Luks1Header) -> KeyDigest<'_> {
    KeyDigest {
        hash: header.hash.name(),
        iterations: header.digest_iterations,
        salt: &header.digest_salt,
        digest: &header.digest,
    }
}

fn luks2_candidate(metadata: &Metadata, id: u8) -> Result<Candidate<'_>, UnlockError> {
    let unusable = |what: String| UnlockError::Unusable { slot: id, what };
    let slot = metadata.keyslots.iter().find(|slot| slot.id == id).ok_or(UnlockError::NoSuchKeyslot(id))?;
    let KeyslotKind::Luks2 { kdf, af_hash, encryption, encryption_key_size } = &slot.kind else {
        return Err(unusable("it is not of the type `luks2`".to_owned()));
    };
    let digest = metadata.digests.iter().find(|digest| digest.keyslots.contains(&id));
    let digest = digest.ok_or_else(|| unusable("it has no digest".to_owned()))?;
    Ok(Candidate {
        slot: id,
        kdf: kdf.clone(),
        encryption,
        encryption_key_size: *encryption_key_size,
        area_offset: slot.area.offset,
        key_size: slot.key_size,
        af_hash,
        digest_id: digest.id,
        digest: luks2_digest(digest)
            .ok_or_else(|| unusable(format!("its digest {} is not of the type `pbkdf2`", digest.id)))?,
    })
}

fn luks2_digest(digest: &Digest) -> Option<KeyDigest<'_>> {
    match &digest.kind {
        DigestKind::Pbkdf2 { hash, iterations, salt, digest } => {
            Some(KeyDigest { hash, iterations: *iterations, salt, digest })
        }
        DigestKind::Other(_) => None,
    }
}
