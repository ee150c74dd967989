//! luks-keys and cryptsetup, each with the volumes of the other. Neither needs root or device-mapper for that.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use interop::run;
use luks_keys::{Keyslots, LuksHeader, UnlockError, UnlockOptions, Unlocked};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
/// A key file keeps its newline, and any byte.
const KEY: &[u8] = b"first key\n";
const OTHER_KEY: &[u8] = &[0, 255, b'\n', 0, 7];
const CHEAP: &[&str] = &["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path("key"), KEY).unwrap();
        fs::write(folder.path("other-key"), OTHER_KEY).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn zeros(&self, name: &str, len: usize) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, vec![0; len]).unwrap();
        path
    }

    fn cryptsetup(&self, action: &[&str], options: &[&str]) -> std::io::Result<String> {
        let mut command = Command::new("cryptsetup");
        command.arg("--batch-mode").args(action).arg("--key-file").arg(self.path("key")).args(options);
        run(&mut command)
    }
}

#[test]
fn a_volume_of_any_make_of_cryptsetup_is_unlocked_and_its_volume_key_is_the_same() {
    let folder = Folder::new();
    let argon2 = ["--pbkdf-memory", "1024", "--pbkdf-parallel", "2", "--pbkdf-force-iterations", "4"];
    for (number, options) in [
        vec!["--type", "luks1", "--cipher", "aes-cbc-essiv:sha256", "--key-size", "256"],
        vec!["--type", "luks1", "--hash", "sha512"],
        vec!["--type", "luks2", "--sector-size", "512"],
        vec!["--type", "luks2", "--sector-size", "4096", "--hash", "sha512"],
        vec!["--type", "luks2", "--luks2-metadata-size", "64k", "--label", "data"],
    ]
    .into_iter()
    .map(|options| [options.as_slice(), &CHEAP[if options.contains(&"luks1") { 2 } else { 0 }..]].concat())
    .chain([
        [&["--type", "luks2", "--pbkdf", "argon2i"][..], &argon2].concat(),
        [&["--type", "luks2", "--pbkdf", "argon2id"][..], &argon2].concat(),
    ])
    .enumerate()
    {
        let image = folder.zeros(&format!("image-{number}"), 20 * MIB);
        let name = image.to_str().unwrap();
        folder.cryptsetup(&["luksFormat", name], &options).unwrap();
        let unlocked = unlock(&image, KEY);
        let file = folder.path(&format!("volume-key-{number}"));
        folder
            .cryptsetup(&["luksDump", "--dump-volume-key", "--volume-key-file", file.to_str().unwrap(), name], &[])
            .unwrap();
        assert_eq!(unlocked.key().expose(), fs::read(file).unwrap(), "{options:?}");
        let before = fs::read(&image).unwrap();
        for wrong in [&b"first key"[..], b"", OTHER_KEY] {
            let refused = header(&image).unlock(&mut File::open(&image).unwrap(), wrong);
            assert!(matches!(refused, Err(UnlockError::WrongPassphrase { tried, .. }) if tried == [0]));
        }
        assert!(fs::read(&image).unwrap() == before, "reading and unlocking write nothing");
    }
}

#[test]
fn keyslots_follow_what_cryptsetup_does_to_them() {
    let folder = Folder::new();
    let image = folder.zeros("image", 20 * MIB);
    let name = image.to_str().unwrap();
    let other = folder.path("other-key");
    let other = other.to_str().unwrap();
    folder.cryptsetup(&["luksFormat", "--type", "luks2", name], CHEAP).unwrap();
    folder.cryptsetup(&["luksAddKey", "--key-slot", "5", name, other], CHEAP).unwrap();
    assert_eq!(unlock(&image, OTHER_KEY).keyslot(), Some(5));
    assert_eq!(unlock(&image, OTHER_KEY).key(), unlock(&image, KEY).key());

    folder.cryptsetup(&["config", "--key-slot", "5", "--priority", "prefer", name], &[]).unwrap();
    assert_eq!(tried(&image), [5, 0]);
    folder.cryptsetup(&["config", "--key-slot", "5", "--priority", "ignore", name], &[]).unwrap();
    assert_eq!(tried(&image), [0]);
    let named = UnlockOptions::default().with_keyslots(Keyslots::Only(5));
    let unlocked = header(&image).unlock_with(&mut File::open(&image).unwrap(), OTHER_KEY, &named).unwrap();
    assert_eq!(unlocked.keyslot(), Some(5));

    folder.cryptsetup(&["luksKillSlot", name, "5"], &[]).unwrap();
    let gone = header(&image).unlock_with(&mut File::open(&image).unwrap(), OTHER_KEY, &named);
    assert!(matches!(gone, Err(UnlockError::NoSuchKeyslot(5))));
    assert_eq!(unlock(&image, KEY).keyslot(), Some(0));
}

#[test]
fn data_that_cryptsetup_encrypted_is_read_and_data_that_we_wrote_is_decrypted_by_cryptsetup() {
    for (sector_size, cipher, key_size) in
        [("512", "aes-xts-plain64", "512"), ("4096", "aes-xts-plain64", "256"), ("512", "aes-cbc-essiv:sha256", "256")]
    {
        let folder = Folder::new();
        let plain: Vec<u8> = (0_u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).take(MIB).collect();
        let data = folder.path("data");
        fs::write(&data, &plain).unwrap();
        let (data_name, head) = (data.to_str().unwrap(), folder.path("header"));
        let reencrypt = ["reencrypt", "--force-offline-reencrypt", "--header", head.to_str().unwrap(), data_name];
        let how =
            ["--encrypt", "--type", "luks2", "--sector-size", sector_size, "--cipher", cipher, "--key-size", key_size];
        folder.cryptsetup(&reencrypt, &[&how[..], CHEAP].concat()).unwrap();
        assert!(fs::read(&data).unwrap() != plain);

        let unlocked = unlock(&head, KEY);
        let mut volume =
            unlocked.open_detached(OpenOptions::new().read(true).write(true).open(&data).unwrap()).unwrap();
        let mut read = Vec::new();
        volume.read_to_end(&mut read).unwrap();
        assert!(read == plain, "{cipher} {sector_size}");

        let changed: Vec<u8> = plain.iter().map(|byte| !byte).collect();
        std::io::Seek::rewind(&mut volume).unwrap();
        for part in changed.chunks(100_003) {
            volume.write_all(part).unwrap();
        }
        drop(volume);
        folder.cryptsetup(&reencrypt, &["--decrypt"]).unwrap();
        assert!(fs::read(&data).unwrap() == changed, "{cipher} {sector_size}");
    }
}

fn header(image: &Path) -> LuksHeader {
    LuksHeader::read(&mut File::open(image).unwrap()).unwrap()
}

fn unlock(image: &Path, key: &[u8]) -> Unlocked {
    header(image).unlock(&mut File::open(image).unwrap(), key).unwrap()
}

/// The keyslots that a wrong passphrase meets, in their order.
fn tried(image: &Path) -> Vec<u8> {
    match header(image).unlock(&mut File::open(image).unwrap(), b"wrong") {
        Err(UnlockError::WrongPassphrase { tried, .. }) => tried,
        other => panic!("{other:?}"),
    }
}
