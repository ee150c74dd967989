//! The anti-forensic splitter: a key of `n` bytes as 4000 stripes of `n` bytes each, all of which are needed to get it
//! back, so that a keyslot is dead once any part of it is overwritten (LUKS1 On-Disk Format Specification, section 2.4).

use zeroize::Zeroizing;

use crate::cipher::SECTOR;
use crate::hash::HashAlgorithm;

/// cryptsetup never writes another number of stripes, and reads none.
pub(crate) const STRIPES: u32 = 4000;

/// Bytes of key material on disk for a key of this length: its stripes, in whole sectors.
pub(crate) fn material_len(key_size: u32) -> u64 {
    (u64::from(key_size) * u64::from(STRIPES)).next_multiple_of(SECTOR as u64)
}

/// Gets the key back from its stripes, each as long as `key`, which is not empty.
pub(crate) fn merge(hash: HashAlgorithm, stripes: &[u8], key: &mut [u8]) {
    key.fill(0);
    for (number, stripe) in (1..=STRIPES).zip(stripes.chunks_exact(key.len())) {
        xor(key, stripe);
        if number < STRIPES {
            diffuse(hash, key);
        }
    }
}

/// Completes the stripes of a key. They come in as random bytes; the last one is what turns these into the key.
pub(crate) fn split(hash: HashAlgorithm, key: &[u8], stripes: &mut [u8]) {
    let Some(at) = stripes.len().checked_sub(key.len()) else { return };
    let (random, last) = stripes.split_at_mut(at);
    last.copy_from_slice(key);
    let mut state = Zeroizing::new(vec![0; key.len()]);
    for stripe in random.chunks_exact(key.len()) {
        xor(&mut state, stripe);
        diffuse(hash, &mut state);
    }
    xor(last, &state);
}

/// Makes `H(BE32(i) || block_i)` of each block as long as the hash; a short last block keeps its own length.
fn diffuse(hash: HashAlgorithm, stripe: &mut [u8]) {
    for (counter, block) in (0_u32..).zip(stripe.chunks_mut(hash.output_len())) {
        let digest = Zeroizing::new(hash.digest(&[&counter.to_be_bytes(), block]));
        for (byte, new) in block.iter_mut().zip(digest.iter()) {
            *byte = *new;
        }
    }
}

fn xor(target: &mut [u8], other: &[u8]) {
    for (byte, other) in target.iter_mut().zip(other) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_split_comes_back_and_one_changed_bit_loses_it() {
        for (hash, length) in [
            (HashAlgorithm::Sha256, 64),
            (HashAlgorithm::Sha1, 32),
            (HashAlgorithm::Sha512, 24),
            (HashAlgorithm::Sha1, 9),
        ] {
            let key: Vec<u8> = (1..).take(length).collect();
            let mut stripes: Vec<u8> = (0..length * 4000).map(|n| u8::try_from(n % 251).unwrap()).collect();
            split(hash, &key, &mut stripes);
            let mut merged = vec![0; length];
            merge(hash, &stripes, &mut merged);
            assert_eq!(merged, key);
            stripes[length * 17] ^= 1;
            merge(hash, &stripes, &mut merged);
            assert_ne!(merged, key);
        }
    }
}
