//! luks-keys and cryptsetup, each with the volumes of the other. Neither needs root or device-mapper for that.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use interop::run;
use luks_keys::{
    FormatOptions, KeyslotCost, Keyslots, Luks2Editor, LuksHeader, UnlockError, UnlockOptions, Unlocked, os_random,
};
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

#[test]
fn a_volume_that_we_made_and_changed_is_at_every_step_one_of_cryptsetup_too() {
    for (options, cost) in [
        (FormatOptions::default().with_label("ours"), KeyslotCost::argon2id(4, 1024, 2)),
        (FormatOptions::default().with_512_byte_sectors(), KeyslotCost::random_key()),
    ] {
        let folder = Folder::new();
        let image = folder.zeros("image", 18 * MIB);
        let name = image.to_str().unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(&image).unwrap();
        let opens = |slot: &str, key: &str| {
            let mut command = Command::new("cryptsetup");
            command.args(["open", "--test-passphrase", "--key-slot", slot, "--key-file"]);
            let before = fs::read(&image).unwrap();
            let opened = run(command.arg(folder.path(key)).arg(name)).is_ok();
            assert!(fs::read(&image).unwrap() == before, "cryptsetup found something to repair");
            opened
        };
        let mut editor = Luks2Editor::format(open(), os_random(), KEY, &options.with_cost(cost.clone())).unwrap();
        assert!(opens("0", "key") && !opens("0", "other-key"));
        let unlocked = unlock(&image, KEY);
        assert_eq!(editor.add_keyslot(&unlocked, OTHER_KEY, &cost).unwrap(), 1);
        assert!(opens("0", "key") && opens("1", "other-key") && !opens("1", "key"));

        let plain: Vec<u8> = (0_u32..).flat_map(u32::to_le_bytes).take(2 * MIB).collect();
        unlocked.open(open()).unwrap().write_all(&plain).unwrap();

        // A token that cryptsetup added survives our change, and a keyslot of cryptsetup's stands beside ours.
        let token = folder.path("token");
        fs::write(&token, r#"{"type":"aws-kms","keyslots":["1"],"ciphertext":"AQID"}"#).unwrap();
        folder.cryptsetup(&["token", "import", "--json-file", token.to_str().unwrap(), name], &[]).unwrap();
        folder.cryptsetup(&["luksAddKey", name, folder.path("other-key").to_str().unwrap()], CHEAP).unwrap();
        assert!(opens("2", "other-key"));
        let LuksHeader::Luks2(changed) = header(&image) else { panic!("not LUKS2") };
        let mut editor = Luks2Editor::new(editor.into_inner(), *changed, os_random());
        editor.remove_keyslot(0).unwrap();
        assert!(!opens("0", "key") && opens("1", "other-key") && opens("2", "other-key"));
        let dump = folder.cryptsetup(&["luksDump", "--dump-json-metadata", name], &[]).unwrap();
        assert!(dump.contains("aws-kms") && dump.contains("AQID"), "{dump}");

        // With a header apart, cryptsetup decrypts the data in place.
        let (head, data) = (folder.path("header"), folder.path("data"));
        fs::write(&data, fs::read(&image).unwrap().split_off(16 * MIB)).unwrap();
        let unlocked = unlock(&image, OTHER_KEY);
        let mut read = Vec::new();
        unlocked.open(open()).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == plain);
        let key = folder.path("volume-key");
        fs::write(&key, unlocked.key().expose()).unwrap();
        let sector_size = unlocked.payload().unwrap().sector_size.to_string();
        File::create(&head).unwrap().set_len(16 * MIB as u64).unwrap();
        let detached = ["--header", head.to_str().unwrap(), data.to_str().unwrap()];
        let volume_key =
            ["--volume-key-file", key.to_str().unwrap(), "--key-size", "512", "--sector-size", &sector_size];
        folder.cryptsetup(&[&["luksFormat"][..], &detached].concat(), &[&volume_key[..], CHEAP].concat()).unwrap();
        let decrypt = ["reencrypt", "--decrypt", "--force-offline-reencrypt"];
        folder.cryptsetup(&[&decrypt[..], &detached].concat(), &[]).unwrap();
        assert!(fs::read(&data).unwrap() == plain);
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
