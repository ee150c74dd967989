//! Initialisation vectors from sector numbers, as the kernel's dm-crypt documentation lists them.

use super::SECTOR;
use super::block::{BlockCipher, Direction};

/// The longest block of any cipher here.
pub(super) const MAX_BLOCK: usize = 16;

pub(super) enum IvGenerator {
    /// All zero
    Null,
    /// The low 32 bits of the number, little-endian
    Plain,
    /// The number, little-endian
    Plain64,
    /// The number, big-endian, at the end
    Plain64be,
    /// The number of the first cipher block, counted from one, big-endian, at the end
    Benbi,
    /// The number, little-endian, encrypted under the hash of the key
    Essiv(Box<dyn BlockCipher>),
    /// The offset in bytes, little-endian, encrypted under the key itself
    Eboiv(Box<dyn BlockCipher>),
}

impl IvGenerator {
    /// The IV in the first `block_len` bytes.
    pub(super) fn generate(&self, number: u64, block_len: usize) -> [u8; MAX_BLOCK] {
        let mut iv = [0; MAX_BLOCK];
        let (at, bytes) = match self {
            Self::Null => return iv,
            Self::Plain => (0, (number & u64::from(u32::MAX)).to_le_bytes()),
            Self::Plain64 | Self::Essiv(_) => (0, number.to_le_bytes()),
            Self::Plain64be => (block_len.saturating_sub(8), number.to_be_bytes()),
            Self::Benbi => {
                let blocks = (SECTOR / block_len) as u64;
                (block_len.saturating_sub(8), number.wrapping_mul(blocks).wrapping_add(1).to_be_bytes())
            }
            Self::Eboiv(_) => (0, number.wrapping_mul(SECTOR as u64).to_le_bytes()),
        };
        for (target, byte) in iv.iter_mut().skip(at).zip(bytes) {
            *target = byte;
        }
        if let Self::Essiv(cipher) | Self::Eboiv(cipher) = self {
            let block = iv.split_at_mut(block_len).0;
            cipher.apply(Direction::Encrypt, block);
        }
        iv
    }
}
