//! From a passphrase to the volume key.

mod candidate;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use crate::anti_forensic;
use crate::cipher::{CipherError, CipherSpec, SECTOR};
use crate::hash::HashAlgorithm;
use crate::header::LuksHeader;
use crate::kdf::{KdfError, KdfLimits};
use crate::payload::{Payload, PayloadError};
use crate::volume_key::VolumeKey;
use candidate::Candidate;

/// No cipher takes a key of more than 64 bytes, and integrity protection adds no more than that again. cryptsetup
/// allocates gigabytes where a header says so.
const MAX_KEY_LEN: u32 = 512;

/// Which keyslots are tried, and what they may cost.
///
/// ```
/// use luks_keys::{KdfLimits, Keyslots, UnlockOptions};
/// let options = UnlockOptions::default().with_keyslots(Keyslots::Only(3)).with_limits(KdfLimits::default());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnlockOptions {
    keyslots: Keyslots,
    limits: KdfLimits,
}

/// Which keyslots are tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keyslots {
    /// Those that are preferred, then the others, but none of priority *ignore* and none without a segment: what
    /// cryptsetup does.
    #[default]
    ByPriority,
    /// As above, then the rest.
    All,
    /// This one, whatever its priority.
    Only(u8),
}

/// A volume key with what it is for.
#[derive(Debug)]
pub struct Unlocked {
    keyslot: Option<u8>,
    digest_id: u8,
    key: VolumeKey,
    payload: Result<Payload, PayloadError>,
}

/// Why there is no volume key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// No keyslot that was tried opens with it.
    #[error("no keyslot opens with this passphrase; tried: {tried:?}")]
    #[non_exhaustive]
    WrongPassphrase {
        /// In the order in which they were tried
        tried: Vec<u8>,
    },
    /// The volume key that was given is another one's.
    #[error("this is not the volume key of this header")]
    WrongVolumeKey,
    /// There is nothing to try.
    #[error("the header has no keyslot that could be tried")]
    NoUsableKeyslot,
    /// The keyslot that was named holds no key.
    #[error("keyslot {0} is not in use")]
    NoSuchKeyslot(u8),
    /// The keyslot, its digest, or a rule in it is of a type that is not known.
    #[error("keyslot {slot} cannot be used: {what}")]
    #[non_exhaustive]
    Unusable {
        /// Keyslot
        slot: u8,
        /// What is not known
        what: String,
    },
    /// Key derivation was refused or impossible.
    #[error("keyslot {slot} cannot be tried")]
    #[non_exhaustive]
    Kdf {
        /// Keyslot
        slot: u8,
        /// Why
        source: KdfError,
    },
    /// The digest that would confirm a volume key cannot be computed.
    #[error("the volume key cannot be verified")]
    Digest(#[source] KdfError),
    /// The key material's cipher cannot be used.
    #[error("keyslot {slot} cannot be decrypted")]
    #[non_exhaustive]
    Cipher {
        /// Keyslot
        slot: u8,
        /// Why
        source: CipherError,
    },
    /// Reading the key material failed.
    #[error("the key material of keyslot {slot} cannot be read")]
    #[non_exhaustive]
    Io {
        /// Keyslot
        slot: u8,
        /// Why
        source: io::Error,
    },
}

impl UnlockOptions {
    /// Which keyslots to try. Default: by priority.
    #[must_use]
    pub fn with_keyslots(mut self, keyslots: Keyslots) -> Self {
        self.keyslots = keyslots;
        self
    }

    /// What they may cost.
    #[must_use]
    pub fn with_limits(mut self, limits: KdfLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl LuksHeader {
    /// Unlocks with a passphrase or with the bytes of a key file, of which nothing is cut off: a newline at its end
    /// belongs to it, as with `cryptsetup --key-file`.
    ///
    /// `device` is the one with the header. Key derivation takes its time, a second or two as cryptsetup chooses: call
    /// it on a blocking thread.
    ///
    /// # Errors
    /// [`UnlockError::WrongPassphrase`] after all keyslots of [`Keyslots::ByPriority`]; any other error at once.
    pub fn unlock(&self, device: &mut (impl Read + Seek), passphrase: &[u8]) -> Result<Unlocked, UnlockError> {
        self.unlock_with(device, passphrase, &UnlockOptions::default())
    }

    /// Unlocks with the keyslots and costs of `options`.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub fn unlock_with(
        &self,
        device: &mut (impl Read + Seek),
        passphrase: &[u8],
        options: &UnlockOptions,
    ) -> Result<Unlocked, UnlockError> {
        let mut tried = Vec::new();
        for slot in self.keyslots_to_try(options.keyslots)? {
            let candidate = self.candidate(slot)?;
            tried.push(slot);
            if let Some(key) = candidate.try_passphrase(device, passphrase, &options.limits)? {
                return Ok(self.unlocked(Some(slot), candidate.digest_id, key));
            }
        }
        if tried.is_empty() { Err(UnlockError::NoUsableKeyslot) } else { Err(UnlockError::WrongPassphrase { tried }) }
    }

    /// Takes a volume key that is already known, such as the one of a backup, once the header's digest confirms it.
    ///
    /// # Errors
    /// [`UnlockError::WrongVolumeKey`], or [`UnlockError::Digest`] where the digest cannot be computed.
    pub fn unlock_with_volume_key(&self, key: &[u8], limits: &KdfLimits) -> Result<Unlocked, UnlockError> {
        for (digest_id, digest) in self.digests() {
            // HMAC pads a short key with zeros: a key of the wrong length could pass.
            if self.key_sizes(digest_id).is_some_and(|sizes| !sizes.iter().any(|size| *size as usize == key.len())) {
                continue;
            }
            if digest.confirms(key, limits).map_err(UnlockError::Digest)? {
                let mut volume_key = VolumeKey::zeroed(key.len());
                volume_key.expose_mut().copy_from_slice(key);
                return Ok(self.unlocked(None, digest_id, volume_key));
            }
        }
        Err(UnlockError::WrongVolumeKey)
    }

    fn unlocked(&self, keyslot: Option<u8>, digest_id: u8, key: VolumeKey) -> Unlocked {
        Unlocked { keyslot, digest_id, key, payload: self.payload(digest_id) }
    }
}

impl Candidate<'_> {
    /// `None`: another passphrase. Everything that can be refused without deriving a key is.
    fn try_passphrase(
        &self,
        device: &mut (impl Read + Seek),
        passphrase: &[u8],
        limits: &KdfLimits,
    ) -> Result<Option<VolumeKey>, UnlockError> {
        let slot = self.slot;
        let kdf = |source| UnlockError::Kdf { slot, source };
        let cipher = |source| UnlockError::Cipher { slot, source };
        let io = |source| UnlockError::Io { slot, source };
        if self.key_size.max(self.encryption_key_size) > MAX_KEY_LEN {
            let what = format!("its key or that of its area is longer than {MAX_KEY_LEN} bytes");
            return Err(UnlockError::Unusable { slot, what });
        }
        let spec: CipherSpec = self.encryption.parse().map_err(cipher)?;
        let mut area_key = Zeroizing::new(vec![0; self.encryption_key_size as usize]);
        spec.with_key(&area_key, SECTOR).map_err(cipher)?;
        let af_hash: HashAlgorithm = self.af_hash.parse().map_err(|error| kdf(KdfError::Hash(error)))?;
        self.digest.affordable(limits).map_err(kdf)?;

        self.kdf.derive(passphrase, limits, &mut area_key).map_err(kdf)?;

        let stripes = (self.key_size * anti_forensic::STRIPES) as usize;
        let mut material = Zeroizing::new(vec![0; stripes.next_multiple_of(SECTOR)]);
        device.seek(SeekFrom::Start(self.area_offset)).map_err(io)?;
        device.read_exact(&mut material).map_err(io)?;
        // Whatever the volume's sectors are, those of an area have 512 bytes and are counted from its beginning.
        spec.with_key(&area_key, SECTOR).map_err(cipher)?.decrypt(0, &mut material);
        material.truncate(stripes);
        let mut key = VolumeKey::zeroed(self.key_size as usize);
        anti_forensic::merge(af_hash, &material, key.expose_mut());
        Ok(self.digest.confirms(key.expose(), limits).map_err(kdf)?.then_some(key))
    }
}

impl Unlocked {
    /// The keyslot that opened; `None` if the volume key itself was given.
    #[must_use]
    pub fn keyslot(&self) -> Option<u8> {
        self.keyslot
    }

    pub(crate) fn digest_id(&self) -> u8 {
        self.digest_id
    }

    /// The volume key.
    #[must_use]
    pub fn key(&self) -> &VolumeKey {
        &self.key
    }

    /// Where the data is and how it is encrypted.
    ///
    /// # Errors
    /// Why there is no data that this key opens, or none that may be touched.
    pub fn payload(&self) -> Result<&Payload, PayloadError> {
        self.payload.as_ref().map_err(Clone::clone)
    }
}

impl fmt::Display for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keyslot {
            Some(slot) => write!(f, "unlocked by keyslot {slot}"),
            None => f.write_str("unlocked by the volume key"),
        }
    }
}
