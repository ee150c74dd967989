//! What tells the right volume key from a wrong one.

use subtle::ConstantTimeEq;

use crate::hash::HashAlgorithm;
use crate::kdf::{KdfError, KdfLimits, SALT_LEN};

/// `PBKDF2(hash, key, salt, iterations)`, kept in the header.
pub(crate) struct KeyDigest<'a> {
    pub(crate) hash: &'a str,
    pub(crate) iterations: u32,
    pub(crate) salt: &'a [u8; SALT_LEN],
    /// Neither empty nor of another length than the formats allow: the headers' rules see to that.
    pub(crate) digest: &'a [u8],
}

impl KeyDigest<'_> {
    /// The hash, if it can be computed at these costs. Asked before a keyslot is tried.
    pub(crate) fn affordable(&self, limits: &KdfLimits) -> Result<HashAlgorithm, KdfError> {
        limits.check_pbkdf2(self.iterations)?;
        Ok(self.hash.parse()?)
    }

    /// Whether this is the key.
    pub(crate) fn confirms(&self, key: &[u8], limits: &KdfLimits) -> Result<bool, KdfError> {
        let mut computed = vec![0; self.digest.len()];
        self.affordable(limits)?.pbkdf2(key, self.salt, self.iterations, &mut computed);
        Ok(self.digest.ct_eq(&computed).into())
    }
}
