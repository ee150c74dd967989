//! ECB, CBC (NIST SP 800-38A) and XTS (IEEE 1619) over whole sectors. Sectors are whole blocks, so nothing is ever stolen
//! or padded.

use super::SECTOR;
use super::block::{BlockCipher, Direction};
use super::iv::{IvGenerator, MAX_BLOCK};

/// Bytes that are worked on at once: a multiple of every sector size.
const BATCH: usize = 4096;
/// Tweaks that are computed side by side.
const LANES: usize = 8;

pub(super) enum ModeState {
    Ecb,
    Cbc(IvGenerator),
    Xts { tweak: Box<dyn BlockCipher>, iv: IvGenerator },
}

impl ModeState {
    /// Sectors whose first one has this IV number.
    pub(super) fn apply(
        &self,
        direction: Direction,
        cipher: &dyn BlockCipher,
        first: u64,
        sectors: &mut [u8],
        sector_size: usize,
    ) {
        let numbers = |first: u64| {
            let step = (sector_size / SECTOR) as u64;
            (0_u64..).map(move |index| first.wrapping_add(index.wrapping_mul(step)))
        };
        match self {
            Self::Ecb => cipher.apply(direction, sectors),
            Self::Cbc(iv) => {
                for (number, sector) in numbers(first).zip(sectors.chunks_exact_mut(sector_size)) {
                    let iv = iv.generate(number, cipher.block_len());
                    match direction {
                        Direction::Encrypt => cbc_encrypt(cipher, iv, sector),
                        Direction::Decrypt => cbc_decrypt(cipher, iv, sector),
                    }
                }
            }
            Self::Xts { tweak, iv } => {
                let mut numbers = numbers(first);
                let mut masks = [0; BATCH / MAX_BLOCK];
                for batch in sectors.chunks_mut(BATCH) {
                    let mut first_tweaks = [0; BATCH / SECTOR * MAX_BLOCK];
                    let count = batch.len() / sector_size;
                    let first_tweaks = first_tweaks.split_at_mut(count * MAX_BLOCK).0.as_chunks_mut().0;
                    for (target, number) in first_tweaks.iter_mut().zip(numbers.by_ref()) {
                        *target = iv.generate(number, MAX_BLOCK);
                    }
                    tweak.apply(Direction::Encrypt, first_tweaks.as_flattened_mut());
                    for (masks, tweak) in masks.chunks_mut(sector_size / MAX_BLOCK).zip(first_tweaks) {
                        fill_tweaks(u128::from_le_bytes(*tweak), masks);
                    }
                    cipher.apply_masked(direction, batch, &masks);
                }
            }
        }
    }
}

fn cbc_encrypt(cipher: &dyn BlockCipher, mut previous: [u8; MAX_BLOCK], sector: &mut [u8]) {
    for block in sector.chunks_exact_mut(cipher.block_len()) {
        xor(block, &previous);
        cipher.apply(Direction::Encrypt, block);
        copy(&mut previous, block);
    }
}

fn cbc_decrypt(cipher: &dyn BlockCipher, mut previous: [u8; MAX_BLOCK], sector: &mut [u8]) {
    let block_len = cipher.block_len();
    let mut encrypted = [0; BATCH];
    copy(&mut encrypted, sector);
    cipher.apply(Direction::Decrypt, sector);
    for (block, encrypted) in sector.chunks_exact_mut(block_len).zip(encrypted.chunks_exact(block_len)) {
        xor(block, &previous);
        copy(&mut previous, encrypted);
    }
}

/// The tweak of each block of a sector: the first one times x, x^2 and so on in GF(2^128).
fn fill_tweaks(first: u128, tweaks: &mut [u128]) {
    let mut next = [0; LANES];
    let mut tweak = first;
    for lane in &mut next {
        *lane = tweak;
        tweak = reduce(tweak << 1, tweak >> 127);
    }
    for tweaks in tweaks.chunks_mut(LANES) {
        for (tweak, lane) in tweaks.iter_mut().zip(&mut next) {
            *tweak = *lane;
            *lane = reduce(*lane << LANES, *lane >> (128 - LANES));
        }
    }
}

/// Takes what was shifted out modulo x^128 + x^7 + x^2 + x + 1.
fn reduce(shifted: u128, out: u128) -> u128 {
    shifted ^ out ^ (out << 1) ^ (out << 2) ^ (out << 7)
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
