//! A new volume.

use std::io::SeekFrom;

use base64ct::{Base64, Encoding};

use crate::hash::HashAlgorithm;
use crate::kdf::SALT_LEN;
use crate::volume_key::VolumeKey;

use super::binary_header::{BINARY_LEN, BinaryHeader, MIN_HEADER_SIZE};
use super::edit::{EditError, EditableDevice, KeyslotCost, Luks2Editor, Random};
use super::json::Json;
use super::{Luks2Header, Luks2Violation, Metadata};

/// As cryptsetup places it.
const DATA_OFFSET: u64 = 16 << 20;
const ENCRYPTION: &str = "aes-xts-plain64";
const KEY_SIZE: usize = 64;
/// The volume key is random: nobody guesses it, so that its digest need not be slow.
const DIGEST_ITERATIONS: u32 = 1000;
const CHUNK: usize = 1 << 20;

/// How a volume is made: LUKS2 with AES-256-XTS, a header of 16 KiB twice, and the data from 16 MiB on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormatOptions {
    label: String,
    sector_size: SectorSize,
    cost: KeyslotCost,
}

/// Sectors of 512 bytes are for devices that cannot write 4096 bytes at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SectorSize {
    Bytes512,
    #[default]
    Bytes4096,
}

impl FormatOptions {
    /// A label of at most 47 bytes; what is longer is refused.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sectors of 512 bytes instead of 4096.
    #[must_use]
    pub fn with_512_byte_sectors(mut self) -> Self {
        self.sector_size = SectorSize::Bytes512;
        self
    }

    /// The cost of the first keyslot.
    #[must_use]
    pub fn with_cost(mut self, cost: KeyslotCost) -> Self {
        self.cost = cost;
        self
    }
}

impl<D: EditableDevice> Luks2Editor<D> {
    /// Makes a new volume with a random volume key and keyslot 0. **What is on the device is lost**, and no old header
    /// or key material stays; the data area itself is left as it is.
    ///
    /// # Errors
    /// [`EditError::TooSmall`], [`EditError::Invalid`] for a label that is too long, and others.
    pub fn format(
        mut device: D,
        mut random: Random,
        passphrase: &[u8],
        options: &FormatOptions,
    ) -> Result<Self, EditError> {
        let sector_size = match options.sector_size {
            SectorSize::Bytes512 => 512,
            SectorSize::Bytes4096 => 4096,
        };
        let found = device.seek(SeekFrom::End(0))?;
        let needed = DATA_OFFSET + sector_size;
        if found < needed {
            return Err(EditError::TooSmall { found, needed });
        }
        if options.label.len() > 47 || options.label.contains('\0') {
            return Err(EditError::Invalid(Luks2Violation::Text("label")));
        }
        let mut key = VolumeKey::zeroed(KEY_SIZE);
        random(key.expose_mut())?;
        let mut uuid = [0; 16];
        random(&mut uuid)?;
        let mut salt = [0; SALT_LEN];
        random(&mut salt)?;
        let document = document(&key, &salt, sector_size).map_err(EditError::Invalid)?;
        let metadata = Metadata::parse(&document, MIN_HEADER_SIZE).map_err(EditError::Invalid)?;
        let binary = BinaryHeader::new(uuid_v4(uuid), options.label.clone(), String::new());
        let header = Luks2Header::new((binary, document, metadata), [None, None], None);
        let mut editor = Self::new(device, header, random);
        editor.locked(|editor| {
            editor.overwrite()?;
            let document = editor.header.document.clone();
            editor.commit(document)?;
            editor.write_keyslot(0, key.expose(), passphrase, &options.cost)
        })?;
        Ok(editor)
    }

    /// Zeros for the headers, of this and of any other format, and noise for the keyslots.
    fn overwrite(&mut self) -> Result<(), EditError> {
        let mut chunk = vec![0; CHUNK];
        self.write_at(0, &chunk)?;
        self.device.sync()?;
        let mut offset = 2 * MIN_HEADER_SIZE;
        while offset < DATA_OFFSET {
            let len = usize::try_from(DATA_OFFSET - offset).unwrap_or(CHUNK).min(CHUNK);
            chunk.truncate(len);
            (self.random)(&mut chunk)?;
            self.write_at(offset, &chunk)?;
            offset += len as u64;
        }
        self.device.sync()?;
        Ok(())
    }
}

fn document(key: &VolumeKey, salt: &[u8; SALT_LEN], sector_size: u64) -> Result<Json, Luks2Violation> {
    let hash = HashAlgorithm::Sha256;
    let mut digest = vec![0; hash.output_len()];
    hash.pbkdf2(key.expose(), salt, DIGEST_ITERATIONS, &mut digest);
    let (salt, digest) = (Base64::encode_string(salt), Base64::encode_string(&digest));
    let json_size = MIN_HEADER_SIZE - BINARY_LEN as u64;
    let keyslots_size = DATA_OFFSET - 2 * MIN_HEADER_SIZE;
    Json::parse(&format!(
        r#"{{"keyslots":{{}},"tokens":{{}},"segments":{{"0":{{"type":"crypt","offset":"{DATA_OFFSET}","size":"dynamic","iv_tweak":"0","encryption":"{ENCRYPTION}","sector_size":{sector_size}}}}},"digests":{{"0":{{"type":"pbkdf2","keyslots":[],"segments":["0"],"hash":"{}","iterations":{DIGEST_ITERATIONS},"salt":"{salt}","digest":"{digest}"}}}},"config":{{"json_size":"{json_size}","keyslots_size":"{keyslots_size}"}}}}"#,
        hash.name()
    ))
}

/// RFC 9562, section 5.4.
fn uuid_v4(random: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(random);
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (4 << 76) | (2 << 62);
    let hex = format!("{bits:032x}");
    let mut uuid = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    uuid
}
