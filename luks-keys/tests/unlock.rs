//! Which keyslots are tried, what is refused before a key is derived, and what a key opens.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[path = "shared/made_volume.rs"]
mod made_volume;

use std::io::Cursor;

use luks_keys::{
    EditError, FormatOptions, KdfError, KdfLimits, KeyslotCost, Keyslots, Luks2Editor, LuksHeader, PayloadError,
    UnlockError, UnlockOptions, VolumeError, os_random,
};

use self::made_volume::{FIRST, MIB, disk_of, format, read, unlock, with_json};

#[test]
fn preferred_keyslots_are_tried_first_and_ignored_ones_only_when_asked_for() {
    let mut editor = format();
    let unlocked = unlock(&editor.header().clone(), disk_of(&editor), FIRST).unwrap();
    for number in 1..4_u8 {
        editor.add_keyslot(&unlocked, &[number], &KeyslotCost::pbkdf2(1)).unwrap();
    }
    let json = with_priority(&with_priority(&editor.header().json(), 1, 0), 3, 2);
    let disk = with_json(editor.into_inner().into_inner(), &json);
    let header = LuksHeader::Luks2(Box::new(read(&disk)));
    let tried = |keyslots| {
        let options = UnlockOptions::default().with_keyslots(keyslots);
        match header.unlock_with(&mut Cursor::new(&disk), b"wrong", &options) {
            Err(UnlockError::WrongPassphrase { tried, .. }) => tried,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(tried(Keyslots::ByPriority), [3, 0, 2]);
    assert_eq!(tried(Keyslots::All), [3, 0, 2, 1]);
    assert_eq!(tried(Keyslots::Only(1)), [1]);
    let gone =
        header.unlock_with(&mut Cursor::new(&disk), FIRST, &UnlockOptions::default().with_keyslots(Keyslots::Only(9)));
    assert!(matches!(gone, Err(UnlockError::NoSuchKeyslot(9))));
}

#[test]
fn a_requirement_leaves_the_key_but_neither_the_data_nor_the_header() {
    let editor = format();
    let json =
        editor.header().json().replace(r#""config":{"#, r#""config":{"requirements":{"mandatory":["of-tomorrow"]},"#);
    let disk = with_json(editor.into_inner().into_inner(), &json);
    let unlocked = unlock(&read(&disk), &disk, FIRST).unwrap();
    let required = vec!["of-tomorrow".to_owned()];
    assert_eq!(unlocked.payload(), Err(PayloadError::Requirements(required.clone())));
    let opened = unlocked.open(Cursor::new(&disk));
    assert!(matches!(opened, Err(VolumeError::Payload(PayloadError::Requirements(found))) if found == required));
    let mut editor = Luks2Editor::new(Cursor::new(disk.clone()), read(&disk), os_random());
    let added = editor.add_keyslot(&unlocked, b"x", &KeyslotCost::pbkdf2(1));
    assert!(matches!(added, Err(EditError::Requirements(found)) if found == required));
    assert!(matches!(editor.remove_keyslot(0), Err(EditError::Requirements(_))));
    assert!(disk_of(&editor) == disk);
}

#[test]
fn a_volume_key_is_taken_if_it_is_the_right_one_with_its_right_length() {
    // HMAC pads a key of up to 64 bytes with zeros: without its last zero, the digest of this key is the same.
    let mut os = os_random();
    let random = Box::new(move |bytes: &mut [u8]| {
        os(bytes)?;
        *bytes.last_mut().unwrap() = 0;
        Ok(())
    });
    let options = FormatOptions::default().with_cost(KeyslotCost::pbkdf2(1));
    let editor = Luks2Editor::format(Cursor::new(vec![0; 17 * MIB]), random, FIRST, &options).unwrap();
    let (header, disk) = (editor.header().clone(), editor.into_inner().into_inner());
    let key = unlock(&header, &disk, FIRST).unwrap().key().expose().to_vec();
    let header = LuksHeader::Luks2(Box::new(header));
    let limits = KdfLimits::default();
    let unlocked = header.unlock_with_volume_key(&key, &limits).unwrap();
    assert_eq!((unlocked.keyslot(), unlocked.key().expose()), (None, key.as_slice()));
    let mut wrong = key.clone();
    wrong[0] ^= 1;
    for wrong in [wrong, [&key[..], &[0]].concat(), key[..63].to_vec(), Vec::new()] {
        let refused = header.unlock_with_volume_key(&wrong, &limits);
        assert!(matches!(refused, Err(UnlockError::WrongVolumeKey)), "{refused:?}");
    }
}

#[test]
fn costs_above_the_limits_are_refused_for_keyslots_and_for_digests() {
    let editor = format();
    let (header, disk) = (editor.header().clone(), editor.into_inner().into_inner());
    let header = LuksHeader::Luks2(Box::new(header));
    // The digest has 1000 iterations, the keyslot one. What is refused is refused before any key material is read.
    for (limit, allowed) in [(999, false), (1000, true)] {
        let limits = KdfLimits::default().with_pbkdf2_iterations(limit);
        let disk = if allowed { &disk[..] } else { &disk[..32 << 10] };
        let unlocked = header.unlock_with(&mut Cursor::new(disk), FIRST, &UnlockOptions::default().with_limits(limits));
        match unlocked {
            Ok(_) => assert!(allowed),
            Err(UnlockError::Kdf { slot: 0, source: KdfError::TooCostly { asked: 1000, limit: 999, .. }, .. }) => {
                assert!(!allowed);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn data_beyond_the_device_and_a_detached_header_are_refused_when_opened() {
    let editor = format();
    let (header, disk) = (editor.header().clone(), editor.into_inner().into_inner());
    let opened = |segment: &str| {
        let json = header.json().replace(r#""offset":"16777216","size":"dynamic""#, segment);
        let disk = with_json(disk.clone(), &json);
        let unlocked = unlock(&read(&disk), &disk, FIRST).unwrap();
        unlocked.open(Cursor::new(disk)).map(|volume| volume.len())
    };
    assert_eq!(opened(r#""offset":"16777216","size":"1048576""#).unwrap(), MIB as u64);
    let (found, end) = (17 * MIB as u64, 17 * MIB as u64 + 4096);
    let beyond = opened(r#""offset":"16777216","size":"1052672""#);
    assert!(
        matches!(beyond, Err(VolumeError::BeyondDevice { found: size, needed, .. }) if (size, needed) == (found, end))
    );
    let beyond = opened(r#""offset":"18446744073709547520","size":"dynamic""#);
    assert!(matches!(beyond, Err(VolumeError::BeyondDevice { needed, .. }) if needed == u64::MAX - 4095));
    assert!(matches!(opened(r#""offset":"0","size":"dynamic""#), Err(VolumeError::Detached)));
}

#[test]
fn secrets_are_not_shown() {
    let editor = format();
    let unlocked = unlock(&editor.header().clone(), disk_of(&editor), FIRST).unwrap();
    let shown = format!("{unlocked:?} {unlocked} {:?}", unlocked.open(Cursor::new(disk_of(&editor))).unwrap());
    let key = unlocked.key().expose();
    assert!(!shown.contains(&hex::encode(key)) && !shown.contains(&format!("{:?}", &key[..4])[1..10]), "{shown}");
    assert!(shown.contains("redacted"));
}

fn with_priority(json: &str, keyslot: u8, priority: u8) -> String {
    let slot = format!(r#""{keyslot}":{{"type":"luks2","#);
    json.replacen(&slot, &format!(r#"{slot}"priority":{priority},"#), 1)
}
