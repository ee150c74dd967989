//! Block ciphers behind one trait, so that the modes are written once.

use aes::cipher::array::ArraySize;
use aes::cipher::{
    Array, Block, BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
    BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit, ParBlocks,
};

use super::Algorithm;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Encrypt,
    Decrypt,
}

/// A block cipher with its key.
pub(super) trait BlockCipher: Send + Sync {
    fn block_len(&self) -> usize;

    /// Encrypts or decrypts each whole block for itself.
    fn apply(&self, direction: Direction, blocks: &mut [u8]);

    /// The same, each block masked before and after with the mask of its place: what XTS does.
    fn apply_masked(&self, direction: Direction, blocks: &mut [u8], masks: &[u128]);
}

struct Keyed<C>(C);

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync> BlockCipher for Keyed<C> {
    fn block_len(&self) -> usize {
        C::block_size()
    }

    fn apply(&self, direction: Direction, blocks: &mut [u8]) {
        let blocks = Array::slice_as_chunks_mut(blocks).0;
        match direction {
            Direction::Encrypt => self.0.encrypt_blocks(blocks),
            Direction::Decrypt => self.0.decrypt_blocks(blocks),
        }
    }

    fn apply_masked(&self, direction: Direction, blocks: &mut [u8], masks: &[u128]) {
        let masked = Masked::<C::BlockSize> { blocks: Array::slice_as_chunks_mut(blocks).0, masks };
        match direction {
            Direction::Encrypt => self.0.encrypt_with_backend(masked),
            Direction::Decrypt => self.0.decrypt_with_backend(masked),
        }
    }
}

/// Runs inside of the cipher's code for this processor, so that masking is compiled for the same wide registers.
struct Masked<'a, N: ArraySize> {
    blocks: &'a mut [Array<u8, N>],
    masks: &'a [u128],
}

impl<N: ArraySize> BlockSizeUser for Masked<'_, N> {
    type BlockSize = N;
}

impl<N: ArraySize> BlockCipherDecClosure for Masked<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = N>>(self, backend: &B) {
        self.run::<B>(|blocks| backend.decrypt_par_blocks(blocks.into()), |block| backend.decrypt_block(block.into()));
    }
}

impl<N: ArraySize> BlockCipherEncClosure for Masked<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = N>>(self, backend: &B) {
        self.run::<B>(|blocks| backend.encrypt_par_blocks(blocks.into()), |block| backend.encrypt_block(block.into()));
    }
}

impl<N: ArraySize> Masked<'_, N> {
    #[inline(always)]
    fn run<B: aes::cipher::ParBlocksSizeUser<BlockSize = N>>(
        self,
        many: impl Fn(&mut ParBlocks<B>),
        one: impl Fn(&mut Block<B>),
    ) {
        let (groups, rest) = Array::<Array<u8, N>, B::ParBlocksSize>::slice_as_chunks_mut(self.blocks);
        let (group_masks, rest_masks) = self.masks.split_at(self.masks.len().min(groups.len() * group_len::<B>()));
        for (group, masks) in groups.iter_mut().zip(group_masks.chunks_exact(group_len::<B>())) {
            mask(group, masks);
            many(group);
            mask(group, masks);
        }
        for (block, masks) in rest.iter_mut().zip(rest_masks.chunks_exact(1)) {
            mask(std::slice::from_mut(block), masks);
            one(block);
            mask(std::slice::from_mut(block), masks);
        }
    }
}

fn group_len<B: aes::cipher::ParBlocksSizeUser>() -> usize {
    <B::ParBlocksSize as aes::cipher::typenum::Unsigned>::USIZE
}

#[inline(always)]
fn mask<N: ArraySize>(blocks: &mut [Array<u8, N>], masks: &[u128]) {
    for (block, mask) in blocks.iter_mut().zip(masks) {
        // Only ciphers with blocks of 16 bytes are ever masked.
        if let Ok(block) = <&mut [u8; 16]>::try_from(block.as_mut_slice()) {
            *block = (u128::from_le_bytes(*block) ^ mask).to_le_bytes();
        }
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
