//! Rules between the objects.

use super::super::Luks2Violation;
use super::{Area, KeyslotKind, Metadata};
use crate::anti_forensic::material_len;

const MAX_KEYSLOTS_SIZE: u64 = 128 << 20;

impl Metadata {
    pub(super) fn check(&self, header_size: u64) -> Result<(), Luks2Violation> {
        self.check_keyslots_area(header_size)?;
        self.check_areas(header_size)?;
        self.check_references()?;
        self.check_segments()?;
        self.check_reencryption()
    }

    fn check_keyslots_area(&self, header_size: u64) -> Result<(), Luks2Violation> {
        let size = self.config.keyslots_size;
        if !size.is_multiple_of(4096) || size > MAX_KEYSLOTS_SIZE {
            return Err(Luks2Violation::KeyslotsSize(size));
        }
        let end = 2 * header_size + size;
        match self.segments.iter().map(|segment| segment.offset).min() {
            Some(segment) if segment != 0 && end > segment => Err(Luks2Violation::KeyslotsInData { end, segment }),
            _ => Ok(()),
        }
    }

    /// Areas of unknown keyslots count too: their bytes are not ours to overwrite.
    fn check_areas(&self, header_size: u64) -> Result<(), Luks2Violation> {
        let begin = 2 * header_size;
        let end = begin + self.config.keyslots_size;
        for slot in &self.keyslots {
            let Area { offset, size } = slot.area;
            let inside = offset >= begin && offset.checked_add(size).is_some_and(|slot_end| slot_end <= end);
            if size == 0 || !inside {
                return Err(Luks2Violation::AreaPlace(slot.id));
            }
            let needed = material_len(slot.key_size);
            if matches!(slot.kind, KeyslotKind::Luks2 { .. }) && size < needed {
                return Err(Luks2Violation::AreaSize { slot: slot.id, found: size, needed });
            }
        }
        let mut by_place: Vec<_> = self.keyslots.iter().collect();
        by_place.sort_by_key(|slot| slot.area.offset);
        for (first, second) in by_place.iter().zip(by_place.iter().skip(1)) {
            if first.area.offset + first.area.size > second.area.offset {
                return Err(Luks2Violation::AreaOverlap { first: first.id, second: second.id });
            }
        }
        Ok(())
    }

    fn check_references(&self) -> Result<(), Luks2Violation> {
        let keyslot = |id: &u8| self.keyslots.iter().any(|slot| slot.id == *id);
        let segment = |id: &u8| self.segments.iter().any(|segment| segment.id == *id);
        let missing = |path: String, id: &u8| Err(Luks2Violation::Reference { path, id: id.to_string() });
        for token in &self.tokens {
            if let Some(id) = token.keyslots.iter().find(|id| !keyslot(id)) {
                return missing(format!("tokens.{}.keyslots", token.id), id);
            }
        }
        for digest in &self.digests {
            if let Some(id) = digest.keyslots.iter().find(|id| !keyslot(id)) {
                return missing(format!("digests.{}.keyslots", digest.id), id);
            }
            if let Some(id) = digest.segments.iter().find(|id| !segment(id)) {
                return missing(format!("digests.{}.segments", digest.id), id);
            }
        }
        for slot in self.keyslots.iter().filter(|slot| matches!(slot.kind, KeyslotKind::Luks2 { .. })) {
            let found = self.digests.iter().filter(|digest| digest.keyslots.contains(&slot.id)).count();
            if found != 1 {
                return Err(Luks2Violation::DigestsOfKeyslot { slot: slot.id, found });
            }
        }
        Ok(())
    }

    fn check_segments(&self) -> Result<(), Luks2Violation> {
        let first_backup = self.segments.iter().position(super::Segment::is_backup).unwrap_or(self.segments.len());
        let (regular, backups) = self.segments.split_at_checked(first_backup).unwrap_or((&self.segments, &[]));
        if let Some(segment) = backups.iter().find(|segment| !segment.is_backup()) {
            return Err(Luks2Violation::SegmentOrder(segment.id));
        }
        let mut by_place: Vec<_> = regular.iter().collect();
        by_place.sort_by_key(|segment| segment.offset);
        for (segment, next) in by_place.iter().zip(by_place.iter().skip(1)) {
            if segment.size.is_none_or(|size| segment.offset + size > next.offset) {
                return Err(Luks2Violation::SegmentOrder(segment.id));
            }
        }
        for segment in regular.iter().rev().skip(1) {
            if segment.size.is_none() {
                return Err(Luks2Violation::SegmentOrder(segment.id));
            }
        }
        let has_digest = |id: u8| self.digests.iter().any(|digest| digest.lists_segment(id));
        let is_crypt = |segment: &&super::Segment| matches!(segment.kind, super::SegmentKind::Crypt { .. });
        match self.segments.iter().filter(is_crypt).find(|segment| !has_digest(segment.id)) {
            Some(segment) => Err(Luks2Violation::SegmentWithoutDigest(segment.id)),
            None => Ok(()),
        }
    }

    fn check_reencryption(&self) -> Result<(), Luks2Violation> {
        let required =
            self.config.mandatory_requirements.iter().any(|requirement| requirement.starts_with("online-reencrypt"));
        let has_keyslot =
            self.keyslots.iter().any(|slot| matches!(&slot.kind, KeyslotKind::Other(kind) if kind == "reencrypt"));
        if required == has_keyslot { Ok(()) } else { Err(Luks2Violation::Reencryption) }
    }
}
