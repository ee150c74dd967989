//! Block ciphers behind one trait, so that the modes are written once.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::Algorithm;

/// A block cipher with its key.
pub(super) trait BlockCipher: Send + Sync {
    fn block_len(&self) -> usize;

    /// Encrypts each whole block for itself.
    fn encrypt(&self, blocks: &mut [u8]);

    /// Decrypts each whole block for itself.
    fn decrypt(&self, blocks: &mut [u8]);
}

struct Keyed<C>(C);

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync> BlockCipher for Keyed<C> {
    fn block_len(&self) -> usize {
        C::block_size()
    }

    fn encrypt(&self, blocks: &mut [u8]) {
        self.0.encrypt_blocks(Array::slice_as_chunks_mut(blocks).0);
    }

    fn decrypt(&self, blocks: &mut [u8]) {
        self.0.decrypt_blocks(Array::slice_as_chunks_mut(blocks).0);
    }
}

/// The cipher with its key, unless it is not compiled in or takes no key of this length.
pub(super) fn schedule(algorithm: Algorithm, key: &[u8]) -> Option<Box<dyn BlockCipher>> {
    match (algorithm, key.len()) {
        (Algorithm::Aes, 16) => keyed::<aes::Aes128>(key),
        (Algorithm::Aes, 24) => keyed::<aes::Aes192>(key),
        (Algorithm::Aes, 32) => keyed::<aes::Aes256>(key),
        #[cfg(feature = "other-ciphers")]
        (Algorithm::Serpent, 16 | 24 | 32) => keyed::<serpent::Serpent>(key),
        #[cfg(feature = "other-ciphers")]
        (Algorithm::Twofish, 16 | 24 | 32) => keyed::<twofish::Twofish>(key),
        #[cfg(feature = "other-ciphers")]
        (Algorithm::Camellia, 16) => keyed::<camellia::Camellia128>(key),
        #[cfg(feature = "other-ciphers")]
        (Algorithm::Camellia, 24) => keyed::<camellia::Camellia192>(key),
        #[cfg(feature = "other-ciphers")]
        (Algorithm::Camellia, 32) => keyed::<camellia::Camellia256>(key),
        #[cfg(feature = "other-ciphers")]
        (Algorithm::Cast5, 5..=16) => keyed::<cast5::Cast5>(key),
        _ => None,
    }
}

fn keyed<C>(key: &[u8]) -> Option<Box<dyn BlockCipher>>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync + 'static,
{
    C::new_from_slice(key).ok().map(|cipher| Box::new(Keyed(cipher)) as Box<dyn BlockCipher>)
}
