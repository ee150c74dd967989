//! Sector encryption as dm-crypt defines it: block cipher, mode and the rule for initialisation vectors.

mod block;
mod iv;
mod mode;

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;

use crate::hash::HashAlgorithm;
use block::{BlockCipher, Direction};
use iv::IvGenerator;
use mode::ModeState;

/// Initialisation vectors and LUKS1 sectors count in these units, whatever the sector size is.
pub(crate) const SECTOR: usize = 512;

/// From this many bytes on, the work is worth several threads.
const PARALLEL_FROM: usize = 128 << 10;
const PARALLEL_CHUNK: usize = 32 << 10;

/// What a header says about encryption: `aes-xts-plain64`, `aes-cbc-essiv:sha256`, `aes-ecb`.
///
/// ```
/// let spec: luks_keys::CipherSpec = "aes-xts-plain64".parse()?;
/// assert_eq!(spec.to_string(), "aes-xts-plain64");
/// let refused = "cipher_null-ecb".parse::<luks_keys::CipherSpec>();
/// assert_eq!(refused, Err(luks_keys::CipherError::Null));
/// # Ok::<(), luks_keys::CipherError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherSpec {
    text: String,
    algorithm: Algorithm,
    mode: Mode,
}

/// Why data cannot be encrypted or decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// `cipher_null` leaves everything readable.
    #[error("cipher_null does not encrypt: whoever wrote this header may want you to believe in its data")]
    Null,
    /// A cipher, mode or IV rule this crate does not have.
    #[error("cipher `{0}` is not supported")]
    Unsupported(String),
    /// The cipher is behind a feature of this crate.
    #[error("cipher `{0}` needs the feature `other-ciphers` of luks-keys")]
    NeedsFeature(String),
    /// The cipher takes no key of this length.
    #[error("cipher `{spec}` takes no key of {bytes} bytes")]
    #[non_exhaustive]
    KeySize {
        /// As the header says
        spec: String,
        /// Length of the key
        bytes: usize,
    },
    /// The IV rule of this cipher is defined for sectors of 512 bytes only.
    #[error("cipher `{spec}` is defined for sectors of 512 bytes only, the header says {sector_size}")]
    #[non_exhaustive]
    SectorSize {
        /// As the header says
        spec: String,
        /// As the header says
        sector_size: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Aes,
    Serpent,
    Twofish,
    Camellia,
    Cast5,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ecb,
    Cbc(Iv),
    Xts(Iv),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Iv {
    Null,
    Plain,
    Plain64,
    Plain64be,
    Benbi,
    Essiv(HashAlgorithm),
    Eboiv,
}

/// A cipher with its key, for sectors of one size.
pub(crate) struct SectorCipher {
    block: Box<dyn BlockCipher>,
    mode: ModeState,
    sector_size: usize,
}

impl CipherSpec {
    /// The cipher with its key. The key is not kept, but its schedule is, and that is wiped on drop.
    pub(crate) fn with_key(&self, key: &[u8], sector_size: usize) -> Result<SectorCipher, CipherError> {
        let bad_key = || CipherError::KeySize { spec: self.text.clone(), bytes: key.len() };
        let schedule = |key: &[u8]| match block::schedule(self.algorithm, key) {
            None if cfg!(not(feature = "other-ciphers")) && self.algorithm != Algorithm::Aes => {
                Err(CipherError::NeedsFeature(self.text.clone()))
            }
            scheduled => scheduled.ok_or_else(bad_key),
        };
        let iv = |iv: Iv| {
            Ok(match iv {
                Iv::Null => IvGenerator::Null,
                Iv::Plain => IvGenerator::Plain,
                Iv::Plain64 => IvGenerator::Plain64,
                Iv::Plain64be => IvGenerator::Plain64be,
                Iv::Benbi => IvGenerator::Benbi,
                Iv::Essiv(hash) => IvGenerator::Essiv(schedule(&zeroize::Zeroizing::new(hash.digest(&[key])))?),
                Iv::Eboiv if sector_size != SECTOR => {
                    return Err(CipherError::SectorSize { spec: self.text.clone(), sector_size });
                }
                Iv::Eboiv => IvGenerator::Eboiv(schedule(key)?),
            })
        };
        let (block, mode) = match self.mode {
            Mode::Ecb => (schedule(key)?, ModeState::Ecb),
            Mode::Cbc(rule) => (schedule(key)?, ModeState::Cbc(iv(rule)?)),
            Mode::Xts(rule) => {
                let (data, tweak) = key.split_at(key.len() / 2);
                if data.len() != tweak.len() {
                    return Err(bad_key());
                }
                (schedule(data)?, ModeState::Xts { tweak: schedule(tweak)?, iv: iv(rule)? })
            }
        };
        Ok(SectorCipher { block, mode, sector_size })
    }
}

impl SectorCipher {
    /// Decrypts whole sectors, the first of which has this IV number. Numbers wrap, as in the kernel.
    pub(crate) fn decrypt(&self, iv_number: u64, sectors: &mut [u8]) {
        self.apply(Direction::Decrypt, iv_number, sectors);
    }

    /// Encrypts whole sectors, the first of which has this IV number.
    pub(crate) fn encrypt(&self, iv_number: u64, sectors: &mut [u8]) {
        self.apply(Direction::Encrypt, iv_number, sectors);
    }

    fn apply(&self, direction: Direction, first: u64, sectors: &mut [u8]) {
        if sectors.len() < PARALLEL_FROM {
            return self.mode.apply(direction, &*self.block, first, sectors, self.sector_size);
        }
        sectors.par_chunks_mut(PARALLEL_CHUNK).enumerate().for_each(|(index, chunk)| {
            let number = first.wrapping_add((index * (PARALLEL_CHUNK / SECTOR)) as u64);
            self.mode.apply(direction, &*self.block, number, chunk, self.sector_size);
        });
    }
}

impl fmt::Debug for SectorCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SectorCipher").field("sector_size", &self.sector_size).finish_non_exhaustive()
    }
}

impl fmt::Display for CipherSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for CipherSpec {
    type Err = CipherError;

    fn from_str(text: &str) -> Result<Self, CipherError> {
        let unsupported = || CipherError::Unsupported(text.to_owned());
        let mut parts = text.splitn(3, '-');
        let algorithm = match parts.next() {
            Some("aes") => Algorithm::Aes,
            Some("serpent") => Algorithm::Serpent,
            Some("twofish") => Algorithm::Twofish,
            Some("camellia") => Algorithm::Camellia,
            Some("cast5") => Algorithm::Cast5,
            Some("cipher_null" | "null") => return Err(CipherError::Null),
            _ => return Err(unsupported()),
        };
        let mode = match (parts.next(), parts.next()) {
            (Some("ecb"), None) => Mode::Ecb,
            (Some("cbc"), Some(iv)) => Mode::Cbc(Iv::parse(iv).ok_or_else(unsupported)?),
            (Some("xts"), Some(iv)) if algorithm != Algorithm::Cast5 => match Iv::parse(iv) {
                Some(Iv::Essiv(_) | Iv::Eboiv) | None => return Err(unsupported()),
                Some(iv) => Mode::Xts(iv),
            },
            _ => return Err(unsupported()),
        };
        Ok(Self { text: text.to_owned(), algorithm, mode })
    }
}

impl Iv {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "null" => Self::Null,
            "plain" => Self::Plain,
            "plain64" => Self::Plain64,
            "plain64be" => Self::Plain64be,
            "benbi" => Self::Benbi,
            "eboiv" => Self::Eboiv,
            _ => Self::Essiv(text.strip_prefix("essiv:")?.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests;
