//! A small volume in memory, and its header with other JSON.

use std::io::Cursor;

use luks_keys::{FormatOptions, KeyslotCost, Luks2Editor, Luks2Header, LuksHeader, UnlockError, Unlocked, os_random};
use sha2::{Digest as _, Sha256};

pub(crate) const MIB: usize = 1 << 20;
pub(crate) const FIRST: &[u8] = b"first passphrase";

pub(crate) fn format() -> Luks2Editor<Cursor<Vec<u8>>> {
    let options = FormatOptions::default().with_label("data").with_cost(KeyslotCost::pbkdf2(1));
    Luks2Editor::format(Cursor::new(vec![0; 17 * MIB]), os_random(), FIRST, &options).unwrap()
}

pub(crate) fn disk_of(editor: &Luks2Editor<Cursor<Vec<u8>>>) -> &[u8] {
    editor.get_ref().get_ref()
}

pub(crate) fn read(disk: &[u8]) -> Luks2Header {
    match LuksHeader::read(&mut Cursor::new(disk)).unwrap() {
        LuksHeader::Luks2(header) => *header,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn unlock(header: &Luks2Header, disk: &[u8], passphrase: &[u8]) -> Result<Unlocked, UnlockError> {
    let header = LuksHeader::Luks2(Box::new(header.clone()));
    header.unlock(&mut Cursor::new(disk), passphrase)
}

/// Both copies with this JSON and a checksum that fits.
pub(crate) fn with_json(mut disk: Vec<u8>, json: &str) -> Vec<u8> {
    for at in [0, 16 << 10] {
        let copy = &mut disk[at..at + (16 << 10)];
        copy[4096..].fill(0);
        copy[4096..4096 + json.len()].copy_from_slice(json.as_bytes());
        copy[448..512].fill(0);
        let checksum = Sha256::digest(&copy);
        copy[448..480].copy_from_slice(&checksum);
    }
    disk
}
