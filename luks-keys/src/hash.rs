//! The hashes that LUKS names: for key derivation, for the anti-forensic splitter, for digests and checksums.

use std::str::FromStr;

use hmac::SimpleHmac;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// A hash that a LUKS header may name.
///
/// MD5 is missing on purpose: cryptsetup refuses it for LUKS1, and so do we everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// `sha1`, the default of LUKS1 until 2016.
    Sha1,
    /// `sha224`
    Sha224,
    /// `sha256`, the default of today.
    Sha256,
    /// `sha384`
    Sha384,
    /// `sha512`
    Sha512,
    /// `sha3-224`
    Sha3_224,
    /// `sha3-256`
    Sha3_256,
    /// `sha3-384`
    Sha3_384,
    /// `sha3-512`
    Sha3_512,
    /// `ripemd160`
    Ripemd160,
    /// `whirlpool`
    Whirlpool,
    /// `blake2b-512`
    Blake2b512,
    /// `blake2s-256`
    Blake2s256,
}

/// A hash this crate does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hash `{0}` is not supported; sha256 is what cryptsetup chooses")]
pub struct UnknownHash(pub(crate) String);

const NAMES: &[(&str, HashAlgorithm)] = &[
    ("sha1", HashAlgorithm::Sha1),
    ("sha224", HashAlgorithm::Sha224),
    ("sha256", HashAlgorithm::Sha256),
    ("sha384", HashAlgorithm::Sha384),
    ("sha512", HashAlgorithm::Sha512),
    ("sha3-224", HashAlgorithm::Sha3_224),
    ("sha3-256", HashAlgorithm::Sha3_256),
    ("sha3-384", HashAlgorithm::Sha3_384),
    ("sha3-512", HashAlgorithm::Sha3_512),
    ("ripemd160", HashAlgorithm::Ripemd160),
    ("whirlpool", HashAlgorithm::Whirlpool),
    ("blake2b-512", HashAlgorithm::Blake2b512),
    ("blake2s-256", HashAlgorithm::Blake2s256),
];

/// Runs `$body` with `$D` standing for the type of the hash.
macro_rules! with_digest {
    ($hash:expr, $D:ident => $body:expr) => {
        match $hash {
            HashAlgorithm::Sha1 => with_digest!(@ Sha1, $D, $body),
            HashAlgorithm::Sha224 => with_digest!(@ Sha224, $D, $body),
            HashAlgorithm::Sha256 => with_digest!(@ Sha256, $D, $body),
            HashAlgorithm::Sha384 => with_digest!(@ Sha384, $D, $body),
            HashAlgorithm::Sha512 => with_digest!(@ Sha512, $D, $body),
            HashAlgorithm::Sha3_224 => with_digest!(@ sha3::Sha3_224, $D, $body),
            HashAlgorithm::Sha3_256 => with_digest!(@ sha3::Sha3_256, $D, $body),
            HashAlgorithm::Sha3_384 => with_digest!(@ sha3::Sha3_384, $D, $body),
            HashAlgorithm::Sha3_512 => with_digest!(@ sha3::Sha3_512, $D, $body),
            HashAlgorithm::Ripemd160 => with_digest!(@ ripemd::Ripemd160, $D, $body),
            HashAlgorithm::Whirlpool => with_digest!(@ whirlpool::Whirlpool, $D, $body),
            HashAlgorithm::Blake2b512 => with_digest!(@ blake2::Blake2b512, $D, $body),
            HashAlgorithm::Blake2s256 => with_digest!(@ blake2::Blake2s256, $D, $body),
        }
    };
    (@ $type:ty, $D:ident, $body:expr) => {{
        type $D = $type;
        $body
    }};
}

impl HashAlgorithm {
    /// The name in a header.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, hash)| *hash == self).map_or("", |(name, _)| name)
    }

    /// Bytes of output.
    #[must_use]
    pub fn output_len(self) -> usize {
        with_digest!(self, D => <D as Digest>::output_size())
    }

    /// The hash of the parts, one after the other.
    pub(crate) fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        with_digest!(self, D => {
            let mut hasher = D::new();
            for part in parts {
                hasher.update(part);
            }
            hasher.finalize().to_vec()
        })
    }

    /// PBKDF2-HMAC (RFC 8018, section 5.2) into the whole of `out`.
    pub(crate) fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, out),
            Self::Sha224 => pbkdf2::pbkdf2_hmac::<Sha224>(password, salt, iterations, out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, out),
            Self::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(password, salt, iterations, out),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, out),
            // BLAKE2 buffers its last block, so that the faster form of HMAC, which keeps two half-done hashes, is
            // not there for it; the rare others do not need it.
            other => with_digest!(other, D => {
                pbkdf2::pbkdf2::<SimpleHmac<D>>(password, salt, iterations, out).expect("HMAC takes a key of any length");
            }),
        }
    }
}

/// Names are compared without regard to case, as cryptsetup does.
impl FromStr for HashAlgorithm {
    type Err = UnknownHash;

    fn from_str(name: &str) -> Result<Self, UnknownHash> {
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, hash)| *hash)
            .ok_or_else(|| UnknownHash(name.to_owned()))
    }
}
