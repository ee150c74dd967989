//! Volumes that open: every keyslot gives the volume key, the data has the right hash, and writing it again gives the
//! same ciphertext.

use std::io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _};

use luks_keys::{
    KdfLimits, Keyslots, LuksHeader, LuksVolume, PayloadError, UnlockError, UnlockOptions, Unlocked, VolumeError,
};
use serde::Deserialize;

use super::vectors::{Folder, sha256};
use super::{Report, same};

/// Volumes that are known not to open, with the reason.
const KNOWN: &[(&str, &str)] = &[("vm-adiantum", "no maintained crate has Adiantum")];

#[derive(Deserialize)]
struct Manifest {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    name: String,
    #[serde(rename = "type")]
    version: String,
    keyslots: Vec<Passphrase>,
    volume_key_hex: Option<String>,
    cipher: String,
    payload_offset: u64,
    sector_size: u32,
    iv_tweak: u64,
    payload_len: Option<usize>,
    plaintext_sha256: Option<String>,
    integrity: Option<serde_json::Value>,
    file: String,
    file_sha256: String,
    data_file: Option<String>,
    expect: Option<Expect>,
}

#[derive(Deserialize)]
struct Passphrase {
    slot: u8,
    passphrase_hex: String,
}

#[derive(Deserialize)]
struct Expect {
    label: Option<String>,
    subsystem: Option<String>,
    uuid: Option<String>,
    requirements: Option<Requirements>,
}

#[derive(Deserialize)]
struct Requirements {
    mandatory: Vec<String>,
}

pub(crate) fn run(folder: &Folder, report: &mut Report) {
    let manifest: Manifest = folder.json("manifest.json");
    for image in &manifest.images {
        let known = KNOWN.iter().find(|(name, _)| *name == image.name).map(|(_, why)| *why);
        let without = cfg!(not(feature = "other-ciphers")) && !image.cipher.starts_with("aes-");
        let known = known.or(if without { Some("the feature `other-ciphers` is off") } else { None });
        report.add(&image.name, image.check(folder), known);
    }
}

impl Image {
    fn check(&self, folder: &Folder) -> Result<(), String> {
        let bytes = folder.image(&self.file);
        same("file", sha256(&bytes), self.file_sha256.clone())?;
        let mut device = Cursor::new(bytes.as_slice());
        let header = LuksHeader::read(&mut device).map_err(text)?;
        self.check_header(&header)?;
        let mut unlocked = None;
        for Passphrase { slot, passphrase_hex } in &self.keyslots {
            let passphrase = hex::decode(passphrase_hex).unwrap();
            let only = UnlockOptions::default().with_keyslots(Keyslots::Only(*slot));
            let one = header.unlock_with(&mut device, &passphrase, &only).map_err(text)?;
            same("keyslot", one.keyslot(), Some(*slot))?;
            // While a reencryption is unfinished there are two keys, and the manifest has that of the last segment.
            if one.payload().is_ok() {
                self.check_key(&one)?;
            }
            // A keyslot without a segment, or with the priority to be ignored, opens by its number only.
            match header.unlock(&mut device, &passphrase) {
                Ok(any) => self.check_key(&any)?,
                Err(UnlockError::WrongPassphrase { tried, .. }) if !tried.contains(slot) => {}
                Err(error) => return Err(text(error)),
            }
            unlocked.get_or_insert(one);
        }
        let wrong = header.unlock(&mut device, b"no passphrase of any vector");
        if !matches!(wrong, Err(UnlockError::WrongPassphrase { .. } | UnlockError::NoUsableKeyslot)) {
            return Err(format!("a wrong passphrase gave {wrong:?}"));
        }
        if let Some(key) = &self.volume_key_hex {
            let key = hex::decode(key).unwrap();
            unlocked = Some(header.unlock_with_volume_key(&key, &KdfLimits::default()).map_err(text)?);
        }
        match unlocked {
            Some(unlocked) => self.check_payload(folder, &bytes, &unlocked),
            None => Ok(()),
        }
    }

    fn check_header(&self, header: &LuksHeader) -> Result<(), String> {
        let version = match header {
            LuksHeader::Luks1(_) => "luks1",
            LuksHeader::Luks2(header) => {
                same("needs repair", header.needs_repair.clone(), None)?;
                if let Some(expect) = &self.expect {
                    let given = |expected: &Option<String>, found: &str| {
                        expected.as_ref().map_or(Ok(()), |expected| same("label", found, expected.as_str()))
                    };
                    given(&expect.label, &header.label)?;
                    given(&expect.subsystem, &header.subsystem)?;
                    given(&expect.uuid, &header.uuid)?;
                }
                "luks2"
            }
            _ => "unknown",
        };
        same("version", version, self.version.as_str())
    }

    fn check_key(&self, unlocked: &Unlocked) -> Result<(), String> {
        match &self.volume_key_hex {
            Some(key) => same("volume key", &hex::encode(unlocked.key().expose()), key),
            None => Ok(()),
        }
    }

    fn check_payload(&self, folder: &Folder, bytes: &[u8], unlocked: &Unlocked) -> Result<(), String> {
        let mut device = match &self.data_file {
            Some(data) => folder.image(data),
            None => bytes.to_vec(),
        };
        let opened = if self.payload_offset == 0 {
            unlocked.open_detached(Cursor::new(&mut device))
        } else {
            unlocked.open(Cursor::new(&mut device))
        };
        if let Some(mandatory) = self.expect.as_ref().and_then(|expect| expect.requirements.as_ref()) {
            let refused = PayloadError::Requirements(mandatory.mandatory.clone());
            return match opened {
                Err(VolumeError::Payload(found)) => same("refusal", found, refused),
                other => Err(format!("found {other:?}, expected {refused}")),
            };
        }
        if let Some(integrity) = &self.integrity {
            let refused = PayloadError::Integrity(integrity["type"].as_str().unwrap().to_owned());
            return match opened {
                Err(VolumeError::Payload(found)) => same("refusal", found, refused),
                other => Err(format!("found {other:?}, expected {refused}")),
            };
        }
        let payload = unlocked.payload().map_err(text)?;
        same("cipher", payload.encryption.as_str(), self.cipher.as_str())?;
        same("offset", payload.offset, self.payload_offset)?;
        same("sector size", payload.sector_size, self.sector_size)?;
        same("IV tweak", payload.iv_tweak, self.iv_tweak)?;
        let (Some(len), Some(hash)) = (self.payload_len, &self.plaintext_sha256) else { return Ok(()) };
        check_data(opened.map_err(text)?, len, hash)
    }
}

fn check_data(mut volume: LuksVolume<Cursor<&mut Vec<u8>>>, len: usize, hash: &str) -> Result<(), String> {
    let mut plain = vec![0; len];
    volume.read_exact(&mut plain).map_err(text)?;
    same("plaintext", sha256(&plain).as_str(), hash)?;
    for (at, some) in [(0, 1), (511, 2), (len / 3, 5000), (len - 1, 1)] {
        let mut part = vec![0; some];
        volume.seek(SeekFrom::Start(at as u64)).map_err(text)?;
        volume.read_exact(&mut part).map_err(text)?;
        same("part", &part[..], &plain[at..at + some])?;
    }
    let before = sha256(volume.get_ref().get_ref());
    volume.rewind().map_err(text)?;
    volume.write_all(&vec![0; len]).map_err(text)?;
    assert_ne!(sha256(volume.get_ref().get_ref()), before);
    // In steps that end within sectors.
    volume.rewind().map_err(text)?;
    for part in plain.chunks(len / 7) {
        volume.write_all(part).map_err(text)?;
    }
    same("ciphertext", sha256(volume.get_ref().get_ref()), before)
}

fn text(error: impl std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
