use super::*;

#[test]
fn an_xts_sector_is_that_of_ieee_1619_vector_10() {
    let key = hex::decode(concat!(
        "2718281828459045235360287471352662497757247093699959574966967627",
        "3141592653589793238462643383279502884197169399375105820974944592",
    ));
    let mut sector: Vec<u8> = (0..=255).chain(0..=255).collect();
    cipher("aes-xts-plain64", &key.unwrap(), 512).encrypt(0xff, &mut sector);
    assert_eq!(hex::encode(&sector[..32]), "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b");
    assert_eq!(hex::encode(&sector[496..]), "c4f36ffda9fcea70b9c6e693e148c151");
}

#[test]
fn what_was_encrypted_decrypts_in_every_mode_and_sector_size_in_one_thread_and_in_several() {
    for spec in [
        "aes-ecb",
        "aes-cbc-null",
        "aes-cbc-plain",
        "aes-cbc-plain64",
        "aes-cbc-plain64be",
        "aes-cbc-benbi",
        "aes-cbc-essiv:sha256",
        "aes-xts-plain",
        "aes-xts-plain64",
        "aes-xts-plain64be",
        "aes-xts-benbi",
    ] {
        for sector_size in [512, 1024, 2048, 4096] {
            let cipher = cipher(spec, &[9; 32], sector_size);
            let plain: Vec<u8> = (0..PARALLEL_FROM * 2).map(|n| u8::try_from(n % 253).unwrap()).collect();
            let mut at_once = plain.clone();
            cipher.encrypt(7, &mut at_once);
            let mut one_by_one = plain.clone();
            for (number, sector) in (7_u64..).step_by(sector_size / SECTOR).zip(one_by_one.chunks_mut(sector_size)) {
                cipher.encrypt(number, sector);
            }
            assert!(at_once == one_by_one, "{spec} with {sector_size}");
            assert!(at_once != plain, "{spec} with {sector_size}");
            cipher.decrypt(7, &mut at_once);
            assert!(at_once == plain, "{spec} with {sector_size}");
        }
    }
}

#[test]
fn plain_forgets_the_upper_half_of_the_number_and_plain64_does_not() {
    let sector = |spec: &str, number| {
        let mut sector = [0; 512];
        cipher(spec, &[9; 32], 512).encrypt(number, &mut sector);
        sector
    };
    assert_eq!(sector("aes-xts-plain", 5), sector("aes-xts-plain", (1 << 32) + 5));
    assert_ne!(sector("aes-xts-plain64", 5), sector("aes-xts-plain64", (1 << 32) + 5));
    assert_eq!(sector("aes-xts-plain64", u64::MAX)[0], sector("aes-xts-plain64", u64::MAX)[0]);
}

#[test]
fn a_specification_is_taken_whole_or_not_at_all() {
    for good in ["aes-ecb", "aes-cbc-essiv:sha256", "aes-xts-plain64", "cast5-cbc-plain64", "serpent-xts-plain64"] {
        assert_eq!(good.parse::<CipherSpec>().map(|spec| spec.to_string()).as_deref(), Ok(good));
    }
    for null in ["cipher_null-ecb", "cipher_null", "null-ecb", "cipher_null-cbc-plain"] {
        assert_eq!(null.parse::<CipherSpec>(), Err(CipherError::Null));
    }
    for bad in [
        "",
        "aes",
        "aes-",
        "aes-xts",
        "aes-xts-",
        "aes-xts-plain64-",
        "aes-xts-essiv:sha256",
        "aes-cbc-essiv",
        "aes-cbc-essiv:",
        "aes-cbc-essiv:md5",
        "aes-ecb-plain",
        "cast5-xts-plain64",
        "AES-xts-plain64",
        "capi:xts(aes)-plain64",
        "xchacha20,aes-adiantum-plain64",
    ] {
        assert_eq!(bad.parse::<CipherSpec>(), Err(CipherError::Unsupported(bad.to_owned())));
    }
}

#[test]
fn a_key_has_one_of_the_lengths_of_its_cipher() {
    for (spec, good, bad) in
        [("aes-cbc-plain64", 16, 17), ("aes-xts-plain64", 64, 63), ("aes-xts-plain64", 48, 40), ("aes-ecb", 32, 0)]
    {
        let parsed: CipherSpec = spec.parse().unwrap();
        assert!(parsed.with_key(&vec![1; good], 512).is_ok(), "{spec} with {good}");
        let refused = CipherError::KeySize { spec: spec.to_owned(), bytes: bad };
        assert_eq!(parsed.with_key(&vec![1; bad], 512).err(), Some(refused));
    }
}

#[test]
fn eboiv_is_refused_where_the_kernel_counts_differently() {
    let spec: CipherSpec = "aes-cbc-eboiv".parse().unwrap();
    assert!(spec.with_key(&[1; 32], 512).is_ok());
    let refused = CipherError::SectorSize { spec: "aes-cbc-eboiv".to_owned(), sector_size: 4096 };
    assert_eq!(spec.with_key(&[1; 32], 4096).err(), Some(refused));
}

fn cipher(spec: &str, key: &[u8], sector_size: usize) -> SectorCipher {
    spec.parse::<CipherSpec>().unwrap().with_key(key, sector_size).unwrap()
}
