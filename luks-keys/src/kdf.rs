//! From a passphrase to the key of a keyslot: PBKDF2 and Argon2, with their costs judged before they run.

use argon2::{Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::hash::{HashAlgorithm, UnknownHash};

/// Bytes of salt of every keyslot and digest.
pub(crate) const SALT_LEN: usize = 32;

/// How a keyslot derives its key, as its header says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kdf {
    /// PBKDF2-HMAC (RFC 8018)
    #[non_exhaustive]
    Pbkdf2 {
        /// The name of the hash; see [`HashAlgorithm`] for those that can be used.
        hash: String,
        /// Rounds
        iterations: u32,
        /// Salt
        salt: [u8; SALT_LEN],
    },
    /// Argon2 (RFC 9106), version 0x13
    #[non_exhaustive]
    Argon2 {
        /// `argon2i` or `argon2id`
        variant: Argon2Variant,
        /// Passes over the memory
        time: u32,
        /// Memory in KiB
        memory_kib: u32,
        /// Lanes, which are also the threads that are of use
        lanes: u32,
        /// Salt
        salt: [u8; SALT_LEN],
    },
}

/// The variants of Argon2 that LUKS2 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Argon2Variant {
    /// `argon2i`
    Argon2i,
    /// `argon2id`, the default
    Argon2id,
}

/// The highest costs that are paid for a header. It may come from somebody else, and its checksum proves nothing about
/// its author: cryptsetup runs for hours where a header says so.
///
/// ```
/// let patient = luks_keys::KdfLimits::default().with_argon2_memory_kib(16 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfLimits {
    pbkdf2_iterations: u32,
    argon2_memory_kib: u32,
    argon2_work_kib: u64,
    argon2_lanes: u32,
}

/// Why no key was derived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KdfError {
    /// The header asks for more than [`KdfLimits`] allows. Nothing was computed.
    #[error(
        "the header asks for {what} = {asked}, the limit is {limit}; raise it in KdfLimits if you trust the header"
    )]
    #[non_exhaustive]
    TooCostly {
        /// Which cost
        what: &'static str,
        /// What the header says
        asked: u64,
        /// What the caller allows
        limit: u64,
    },
    /// This host has not the memory that Argon2 needs here.
    #[error("argon2 needs {kib} KiB of memory, which this host does not give; unlock elsewhere, or by another keyslot")]
    #[non_exhaustive]
    OutOfMemory {
        /// Memory in KiB
        kib: u32,
    },
    /// The hash is unknown.
    #[error(transparent)]
    Hash(#[from] UnknownHash),
    /// Argon2 does not take these parameters.
    #[error("argon2 does not take time = {time}, memory = {memory_kib} KiB, cpus = {lanes}")]
    #[non_exhaustive]
    Argon2Parameters {
        /// Passes
        time: u32,
        /// Memory in KiB
        memory_kib: u32,
        /// Lanes
        lanes: u32,
    },
}

impl Kdf {
    /// Fills `out` with the key of the keyslot.
    pub(crate) fn derive(&self, passphrase: &[u8], limits: &KdfLimits, out: &mut [u8]) -> Result<(), KdfError> {
        match self {
            Self::Pbkdf2 { hash, iterations, salt } => {
                let hash: HashAlgorithm = hash.parse()?;
                limits.check_pbkdf2(*iterations)?;
                hash.pbkdf2(passphrase, salt, *iterations, out);
                Ok(())
            }
            Self::Argon2 { variant, time, memory_kib, lanes, salt } => {
                limits.check_argon2(*time, *memory_kib, *lanes)?;
                let refused = |_| KdfError::Argon2Parameters { time: *time, memory_kib: *memory_kib, lanes: *lanes };
                let params = Params::new(*memory_kib, *time, *lanes, Some(out.len())).map_err(refused)?;
                let mut memory = Zeroizing::new(Vec::new());
                memory
                    .try_reserve_exact(params.block_count())
                    .map_err(|_| KdfError::OutOfMemory { kib: *memory_kib })?;
                memory.resize(params.block_count(), Block::default());
                let algorithm = match variant {
                    Argon2Variant::Argon2i => argon2::Algorithm::Argon2i,
                    Argon2Variant::Argon2id => argon2::Algorithm::Argon2id,
                };
                Argon2::new(algorithm, Version::V0x13, params)
                    .hash_password_into_with_memory(passphrase, salt, out, memory.as_mut_slice())
                    .map_err(refused)
            }
        }
    }
}

impl KdfLimits {
    /// No limits at all: for headers whose origin you trust as much as your own code.
    #[must_use]
    pub fn danger_unlimited() -> Self {
        Self {
            pbkdf2_iterations: u32::MAX,
            argon2_memory_kib: u32::MAX,
            argon2_work_kib: u64::MAX,
            argon2_lanes: u32::MAX,
        }
    }

    /// Rounds of PBKDF2, of keyslots and of digests. Default: 2^26.
    #[must_use]
    pub fn with_pbkdf2_iterations(mut self, limit: u32) -> Self {
        self.pbkdf2_iterations = limit;
        self
    }

    /// Memory of Argon2 in KiB. Default: 4 GiB.
    #[must_use]
    pub fn with_argon2_memory_kib(mut self, limit: u32) -> Self {
        self.argon2_memory_kib = limit;
        self
    }

    /// Passes times memory of Argon2, in KiB. Default: 64 GiB, sixteen times what cryptsetup chooses at most.
    #[must_use]
    pub fn with_argon2_work_kib(mut self, limit: u64) -> Self {
        self.argon2_work_kib = limit;
        self
    }

    /// Lanes of Argon2. Default: 64.
    #[must_use]
    pub fn with_argon2_lanes(mut self, limit: u32) -> Self {
        self.argon2_lanes = limit;
        self
    }

    pub(crate) fn check_pbkdf2(&self, iterations: u32) -> Result<(), KdfError> {
        within("PBKDF2 iterations", iterations.into(), self.pbkdf2_iterations.into())
    }

    fn check_argon2(&self, time: u32, memory_kib: u32, lanes: u32) -> Result<(), KdfError> {
        within("argon2 memory in KiB", memory_kib.into(), self.argon2_memory_kib.into())?;
        within("argon2 time x memory in KiB", u64::from(time) * u64::from(memory_kib), self.argon2_work_kib)?;
        within("argon2 cpus", lanes.into(), self.argon2_lanes.into())
    }
}

fn within(what: &'static str, asked: u64, limit: u64) -> Result<(), KdfError> {
    if asked > limit { Err(KdfError::TooCostly { what, asked, limit }) } else { Ok(()) }
}

impl Default for KdfLimits {
    fn default() -> Self {
        Self { pbkdf2_iterations: 1 << 26, argon2_memory_kib: 4 << 20, argon2_work_kib: 64 << 20, argon2_lanes: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_LEN] = [7; SALT_LEN];

    #[test]
    fn each_cost_is_allowed_at_its_limit_and_refused_above_it() {
        let limits = KdfLimits::default()
            .with_pbkdf2_iterations(10)
            .with_argon2_memory_kib(64)
            .with_argon2_work_kib(128)
            .with_argon2_lanes(2);
        assert_eq!(derive(&pbkdf2(10), &limits), Ok(()));
        assert_eq!(derive(&argon2(2, 64, 2), &limits), Ok(()));
        for (kdf, what, asked, limit) in [
            (pbkdf2(11), "PBKDF2 iterations", 11, 10),
            (argon2(1, 65, 1), "argon2 memory in KiB", 65, 64),
            (argon2(3, 64, 1), "argon2 time x memory in KiB", 192, 128),
            (argon2(1, 64, 3), "argon2 cpus", 3, 2),
        ] {
            assert_eq!(derive(&kdf, &limits), Err(KdfError::TooCostly { what, asked, limit }));
            assert_eq!(derive(&kdf, &KdfLimits::danger_unlimited()), Ok(()));
        }
    }

    #[test]
    fn the_highest_costs_that_a_header_can_name_are_refused_at_once() {
        let most = argon2(i32::MAX.cast_unsigned(), 4 << 20, 64);
        let refused = KdfError::TooCostly {
            what: "argon2 time x memory in KiB",
            asked: u64::from(i32::MAX.cast_unsigned()) << 22,
            limit: 64 << 20,
        };
        assert_eq!(derive(&most, &KdfLimits::default()), Err(refused));
    }

    #[test]
    fn parameters_that_argon2_does_not_take_are_named() {
        let refused = KdfError::Argon2Parameters { time: 1, memory_kib: 31, lanes: 4 };
        assert_eq!(derive(&argon2(1, 31, 4), &KdfLimits::default()), Err(refused));
        assert_eq!(derive(&argon2(1, 32, 4), &KdfLimits::default()), Ok(()));
    }

    fn derive(kdf: &Kdf, limits: &KdfLimits) -> Result<(), KdfError> {
        kdf.derive(b"passphrase", limits, &mut [0; 32])
    }

    fn pbkdf2(iterations: u32) -> Kdf {
        Kdf::Pbkdf2 { hash: "sha256".to_owned(), iterations, salt: SALT }
    }

    fn argon2(time: u32, memory_kib: u32, lanes: u32) -> Kdf {
        Kdf::Argon2 { variant: Argon2Variant::Argon2id, time, memory_kib, lanes, salt: SALT }
    }
}
