//! ECB, CBC (NIST SP 800-38A) and XTS (IEEE 1619) over one sector. Sectors are whole blocks, so nothing is ever stolen
//! or padded.

use super::block::BlockCipher;
use super::iv::{IvGenerator, MAX_BLOCK};

/// Blocks that are given to the cipher at once: one sector of 512 bytes.
const BATCH: usize = 32;

pub(super) enum ModeState {
    Ecb,
    Cbc(IvGenerator),
    Xts { tweak: Box<dyn BlockCipher>, iv: IvGenerator },
}

impl ModeState {
    pub(super) fn decrypt(&self, cipher: &dyn BlockCipher, number: u64, sector: &mut [u8]) {
        match self {
            Self::Ecb => cipher.decrypt(sector),
            Self::Cbc(iv) => cbc_decrypt(cipher, iv.generate(number, cipher.block_len()), sector),
            Self::Xts { tweak, iv } => xts(first_tweak(&**tweak, iv, number), sector, |blocks| cipher.decrypt(blocks)),
        }
    }

    pub(super) fn encrypt(&self, cipher: &dyn BlockCipher, number: u64, sector: &mut [u8]) {
        match self {
            Self::Ecb => cipher.encrypt(sector),
            Self::Cbc(iv) => cbc_encrypt(cipher, iv.generate(number, cipher.block_len()), sector),
            Self::Xts { tweak, iv } => xts(first_tweak(&**tweak, iv, number), sector, |blocks| cipher.encrypt(blocks)),
        }
    }
}

fn cbc_encrypt(cipher: &dyn BlockCipher, mut previous: [u8; MAX_BLOCK], sector: &mut [u8]) {
    for block in sector.chunks_exact_mut(cipher.block_len()) {
        xor(block, &previous);
        cipher.encrypt(block);
        copy(&mut previous, block);
    }
}

fn cbc_decrypt(cipher: &dyn BlockCipher, mut previous: [u8; MAX_BLOCK], sector: &mut [u8]) {
    let block_len = cipher.block_len();
    let mut encrypted = [0; BATCH * MAX_BLOCK];
    for blocks in sector.chunks_mut(BATCH * block_len) {
        copy(&mut encrypted, blocks);
        cipher.decrypt(blocks);
        for (block, encrypted) in blocks.chunks_exact_mut(block_len).zip(encrypted.chunks_exact(block_len)) {
            xor(block, &previous);
            copy(&mut previous, encrypted);
        }
    }
}

fn first_tweak(cipher: &dyn BlockCipher, iv: &IvGenerator, number: u64) -> u128 {
    let mut tweak = iv.generate(number, MAX_BLOCK);
    cipher.encrypt(&mut tweak);
    u128::from_le_bytes(tweak)
}

fn xts(mut tweak: u128, sector: &mut [u8], apply: impl Fn(&mut [u8])) {
    let mut tweaks = [0; BATCH];
    for blocks in sector.chunks_mut(BATCH * MAX_BLOCK) {
        for slot in &mut tweaks {
            *slot = tweak;
            tweak = double(tweak);
        }
        mask(blocks, &tweaks);
        apply(blocks);
        mask(blocks, &tweaks);
    }
}

fn mask(blocks: &mut [u8], tweaks: &[u128; BATCH]) {
    for (block, tweak) in blocks.as_chunks_mut::<MAX_BLOCK>().0.iter_mut().zip(tweaks) {
        *block = (u128::from_le_bytes(*block) ^ tweak).to_le_bytes();
    }
}

/// Times x in GF(2^128) modulo x^128 + x^7 + x^2 + x + 1.
fn double(tweak: u128) -> u128 {
    (tweak << 1) ^ ((tweak >> 127) * 0x87)
}

fn xor(block: &mut [u8], other: &[u8]) {
    for (byte, other) in block.iter_mut().zip(other) {
        *byte ^= other;
    }
}

fn copy(target: &mut [u8], source: &[u8]) {
    for (byte, source) in target.iter_mut().zip(source) {
        *byte = *source;
    }
}
