//! Volumes that are made and changed, and the same with the power cut at every point.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[path = "shared/made_volume.rs"]
mod made_volume;

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use luks_keys::{
    EditError, EditableDevice, HeaderCopy, KeyslotCost, Luks2Editor, RepairReason, UnlockError, os_random,
};

use self::made_volume::{FIRST, MIB, disk_of, format, read, unlock, with_json};

const SECOND: &[u8] = b"second passphrase";

/// Remembers what is written, in order.
struct Recorder {
    disk: Cursor<Vec<u8>>,
    writes: Vec<(u64, Vec<u8>)>,
    unsynced: usize,
    locked: bool,
}

impl Recorder {
    fn new(disk: Vec<u8>) -> Self {
        Self { disk: Cursor::new(disk), writes: Vec::new(), unsynced: 0, locked: false }
    }
}

impl Read for Recorder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.read(buffer)
    }
}

impl Seek for Recorder {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.disk.seek(to)
    }
}

impl Write for Recorder {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        assert!(self.locked, "written without the lock");
        // The order of two writes is only certain with a sync between them.
        self.unsynced += 1;
        assert_eq!(self.unsynced, 1, "two writes without a sync");
        self.writes.push((self.disk.position(), buffer.to_vec()));
        self.disk.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl EditableDevice for Recorder {
    fn sync(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        Ok(())
    }

    fn lock(&mut self) -> io::Result<()> {
        assert!(!std::mem::replace(&mut self.locked, true));
        Ok(())
    }

    fn unlock(&mut self) -> io::Result<()> {
        assert!(std::mem::replace(&mut self.locked, false));
        assert_eq!(self.unsynced, 0, "unlocked before the last sync");
        Ok(())
    }
}

#[test]
fn what_is_written_to_a_new_volume_is_read_back_with_either_passphrase() {
    let mut editor = format();
    let unlocked = unlock(&editor.header().clone(), disk_of(&editor), FIRST).unwrap();
    assert_eq!(editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::argon2id(1, 64, 1)).unwrap(), 1);
    let mut disk = editor.into_inner().into_inner();
    let mut volume = unlocked.open(Cursor::new(&mut disk)).unwrap();
    assert_eq!((volume.len(), volume.sector_size()), (MIB as u64, 4096));
    volume.seek(SeekFrom::Start(4000)).unwrap();
    volume.write_all(b"across two sectors".repeat(100).as_slice()).unwrap();

    let unlocked = unlock(&read(&disk), &disk, SECOND).unwrap();
    let mut volume = unlocked.open(Cursor::new(&disk)).unwrap();
    let mut text = [0; 18];
    volume.seek(SeekFrom::Start(4000 + 18 * 99)).unwrap();
    volume.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"across two sectors");
}

#[test]
fn a_removed_keyslot_opens_nothing_and_the_last_one_stays() {
    let mut editor = format();
    let unlocked = unlock(&editor.header().clone(), disk_of(&editor), FIRST).unwrap();
    assert!(matches!(editor.remove_keyslot(0), Err(EditError::LastKeyslot(0))));
    assert!(matches!(editor.remove_keyslot(7), Err(EditError::NoSuchKeyslot(7))));
    editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::random_key()).unwrap();
    let with_both = disk_of(&editor).to_vec();
    editor.remove_keyslot(0).unwrap();
    let disk = editor.into_inner().into_inner();
    assert!(
        matches!(unlock(&read(&disk), &disk, FIRST), Err(UnlockError::WrongPassphrase { tried, .. }) if tried == [1])
    );
    assert_eq!(unlock(&read(&disk), &disk, SECOND).unwrap().keyslot(), Some(1));
    // Not even with the header of before: the key material is gone.
    let old_header = unlock(&read(&with_both), &disk, FIRST);
    assert!(matches!(old_header, Err(UnlockError::WrongPassphrase { tried, .. }) if tried == [0, 1]));
}

#[test]
fn thirty_two_keyslots_fit_and_a_freed_place_is_used_again() {
    let mut editor = format();
    let unlocked = unlock(&editor.header().clone(), disk_of(&editor), FIRST).unwrap();
    for number in 1..32 {
        assert_eq!(editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1)).unwrap(), number);
    }
    let full = editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1));
    assert!(matches!(full, Err(EditError::NoRoomForKeyslot)));
    let place = editor.header().metadata.keyslots.iter().find(|slot| slot.id == 9).unwrap().area;
    editor.remove_keyslot(9).unwrap();
    assert_eq!(editor.add_keyslot(&unlocked, b"third", &KeyslotCost::pbkdf2(1)).unwrap(), 9);
    assert_eq!(editor.header().metadata.keyslots.iter().find(|slot| slot.id == 9).unwrap().area, place);
    let disk = editor.into_inner().into_inner();
    assert_eq!(unlock(&read(&disk), &disk, b"third").unwrap().keyslot(), Some(9));
}

#[test]
fn a_header_that_somebody_else_changed_is_not_overwritten() {
    let editor = format();
    let header = editor.header().clone();
    let unlocked = unlock(&header, disk_of(&editor), FIRST).unwrap();
    let disk = editor.into_inner();
    let mut first = Luks2Editor::new(disk, header.clone(), os_random());
    first.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1)).unwrap();
    let mut second = Luks2Editor::new(first.into_inner(), header, os_random());
    let before = disk_of(&second).to_vec();
    let refused = second.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1));
    assert!(matches!(refused, Err(EditError::Changed)));
    assert!(disk_of(&second) == before);
}

#[test]
fn the_key_of_another_volume_gets_no_keyslot() {
    let (mut editor, other) = (format(), format());
    let unlocked = unlock(other.header(), disk_of(&other), FIRST).unwrap();
    let refused = editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1));
    assert!(matches!(refused, Err(EditError::OtherVolume)));
}

#[test]
fn repair_rewrites_the_bad_copy_only_and_keeps_the_good_one() {
    let good = format().into_inner().into_inner();
    for (which, at) in [(HeaderCopy::Primary, 0), (HeaderCopy::Secondary, 16 << 10)] {
        let mut bad = good.clone();
        bad.splice(at..at + 5000, vec![0xee; 5000]);
        let header = read(&bad);
        assert_eq!(header.needs_repair.as_ref().map(|repair| repair.which), Some(which));
        let mut editor = Luks2Editor::new(Recorder::new(bad), header, os_random());
        editor.repair().unwrap();
        let Recorder { disk, writes, .. } = editor.into_inner();
        assert_eq!(writes.iter().map(|(at, bytes)| (*at, bytes.len())).collect::<Vec<_>>(), [(at as u64, 16 << 10)]);
        let repaired = read(disk.get_ref());
        assert_eq!(repaired.needs_repair, None);
        assert_eq!(repaired.sequence_id, read(&good).sequence_id);
        assert!(unlock(&repaired, disk.get_ref(), FIRST).is_ok());
    }
}

#[test]
fn unknown_fields_tokens_and_numbers_are_still_there_after_a_change() {
    let editor = format();
    let (header, disk) = (editor.header().clone(), editor.into_inner().into_inner());
    let odd = r#""x-odd":{"a/b":[1.10,123456789012345678901234567890,null]},"tokens":{"3":{"type":"clevis","keyslots":["0"],"jwe":{"p":"é"}}}"#;
    let json = header.json().replace(r#""tokens":{}"#, odd);
    let disk = with_json(disk, &json);
    let header = read(&disk);
    let unlocked = unlock(&header, &disk, FIRST).unwrap();
    let mut editor = Luks2Editor::new(Cursor::new(disk), header, os_random());
    editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1)).unwrap();
    editor.remove_keyslot(0).unwrap();
    let disk = editor.into_inner().into_inner();
    assert!(
        read(&disk).json().contains(&odd.replace(r#""keyslots":["0"]"#, r#""keyslots":[]"#)),
        "{}",
        read(&disk).json()
    );
}

/// Every prefix of the writes, each with the next write torn at every 512 bytes.
#[test]
fn a_crash_at_any_point_leaves_a_volume_that_opens() {
    let editor = format();
    let (header, disk) = (editor.header().clone(), editor.into_inner().into_inner());
    let unlocked = unlock(&header, &disk, FIRST).unwrap();

    let mut editor = Luks2Editor::new(Recorder::new(disk.clone()), header, os_random());
    editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1)).unwrap();
    let added = editor.into_inner();
    let states = replay(&disk, &added.writes, |state| assert!(unlock(&read(state), state, FIRST).is_ok()));
    assert!(states > 500, "{states}");
    assert!(unlock(&read(added.disk.get_ref()), added.disk.get_ref(), SECOND).is_ok());

    let disk = added.disk.into_inner();
    let mut editor = Luks2Editor::new(Recorder::new(disk.clone()), read(&disk), os_random());
    editor.remove_keyslot(0).unwrap();
    let removed = editor.into_inner();
    replay(&disk, &removed.writes, |state| assert!(unlock(&read(state), state, SECOND).is_ok()));

    // The only good copy is the secondary: the bad one is written first.
    let mut bad = disk;
    bad.splice(0..512, [0; 512]);
    let mut editor = Luks2Editor::new(Recorder::new(bad.clone()), read(&bad), os_random());
    editor.remove_keyslot(0).unwrap();
    replay(&bad, &editor.into_inner().writes, |state| assert!(unlock(&read(state), state, SECOND).is_ok()));
    let mut bad = removed.disk.into_inner();
    bad.splice(16384..16896, [0; 512]);
    let unlocked = unlock(&read(&bad), &bad, SECOND).unwrap();
    let mut editor = Luks2Editor::new(Recorder::new(bad.clone()), read(&bad), os_random());
    editor.add_keyslot(&unlocked, FIRST, &KeyslotCost::pbkdf2(1)).unwrap();
    replay(&bad, &editor.into_inner().writes, |state| assert!(unlock(&read(state), state, SECOND).is_ok()));
}

#[test]
fn a_crash_between_the_two_copies_is_reported_with_both_sequence_numbers() {
    let editor = format();
    let (header, disk) = (editor.header().clone(), editor.into_inner().into_inner());
    let unlocked = unlock(&header, &disk, FIRST).unwrap();
    let mut editor = Luks2Editor::new(Recorder::new(disk.clone()), header, os_random());
    editor.add_keyslot(&unlocked, SECOND, &KeyslotCost::pbkdf2(1)).unwrap();
    let mut state = disk;
    for (at, bytes) in editor.into_inner().writes.iter().take(2) {
        put(&mut state, *at, bytes);
    }
    let repair = read(&state).needs_repair.unwrap();
    assert_eq!(repair.which, HeaderCopy::Secondary);
    assert!(matches!(repair.why, RepairReason::Older { sequence_id: 2, newest: 3, .. }), "{repair}");
}

fn replay(before: &[u8], writes: &[(u64, Vec<u8>)], check: impl Fn(&[u8])) -> usize {
    let mut state = before.to_vec();
    let mut states = 0;
    check(&state);
    for (at, bytes) in writes {
        for (index, sector) in bytes.chunks(512).enumerate() {
            put(&mut state, at + 512 * index as u64, sector);
            check(&state);
            states += 1;
        }
    }
    states
}

fn put(disk: &mut [u8], at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap();
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}
