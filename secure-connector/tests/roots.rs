//! Where trust anchors come from, what is left out, and that nothing is lost in silence.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "in what the tests share, too")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use secure_connector::{PeerVerifier, Roots, RootsError};
use secure_connector_testkit::{CaOptions, TestPki};

fn pki(name: &str) -> TestPki {
    TestPki::root(CaOptions::default().common_name(name)).unwrap()
}

fn subjects(roots: &Roots) -> Vec<&str> {
    roots.subjects().collect()
}

fn weak_root() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/weak-keys/weak-root.pem")).unwrap()
}

fn file(folder: &tempfile::TempDir, content: &[u8]) -> PathBuf {
    let path = folder.path().join("ca-file");
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_file_may_be_pem_or_der() {
    let (folder, one, two) = (tempfile::tempdir().unwrap(), pki("One"), pki("Two"));
    let text = format!("# one\n{}\nand two:\n{}", one.root_pem(), two.root_pem());
    assert_eq!(subjects(&Roots::from_file(file(&folder, text.as_bytes())).unwrap()), ["CN=One", "CN=Two"]);
    assert_eq!(subjects(&Roots::from_file(file(&folder, one.root_der())).unwrap()), ["CN=One"]);
}

#[test]
fn one_unreadable_certificate_refuses_the_file_and_is_named() {
    let (folder, one) = (tempfile::tempdir().unwrap(), pki("One"));
    let broken = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let not_base64 = broken.replace("MAMCAQE=", "!");
    let not_ended = broken.replace("-----END CERTIFICATE-----", "");
    for bad in [broken, &not_base64, &not_ended] {
        let path = file(&folder, format!("{}{bad}", one.root_pem()).as_bytes());
        match Roots::from_file(&path) {
            Err(RootsError::Certificate { origin, index: 1, .. }) => assert_eq!(origin, path.display().to_string()),
            other => panic!("{bad}: {other:?}"),
        }
    }
    let cut = Roots::from_der(&one.root_der()[..200]);
    assert!(matches!(cut, Err(RootsError::Certificate { index: 0, .. })), "{cut:?}");
    let mut trailing = one.root_der().to_vec();
    trailing.push(0);
    let trailing = Roots::from_der(&trailing);
    assert!(matches!(trailing, Err(RootsError::Certificate { index: 0, .. })), "{trailing:?}");
}

#[test]
fn nothing_is_an_error_and_not_an_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    for nothing in
        [&b""[..], b"no certificate here", b"-----BEGIN TRUSTED CERTIFICATE-----\n-----END TRUSTED CERTIFICATE-----"]
    {
        let empty = Roots::from_pem(nothing);
        assert!(matches!(&empty, Err(RootsError::Empty { origin }) if origin == "the PEM text"), "{empty:?}");
    }
    let absent = folder.path().join("absent");
    match Roots::from_file(&absent) {
        Err(RootsError::Read { path, source }) => {
            assert_eq!((path, source.kind()), (absent, std::io::ErrorKind::NotFound));
        }
        other => panic!("{other:?}"),
    }
    match Roots::from_pem(&weak_root()) {
        Err(RootsError::NoneUsable { dropped }) => {
            assert_eq!(dropped, ["CN=Weak root: its key RSA-1024 is below 2048 bits"])
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_weak_anchor_is_left_out_and_every_connection_says_so() {
    let one = pki("One");
    let roots = Roots::from_pem(&[one.root_pem().as_bytes(), &weak_root()].concat()).unwrap();
    assert_eq!(subjects(&roots), ["CN=One"]);
    let why = "CN=Weak root: its key RSA-1024 is below 2048 bits";
    assert_eq!(roots.dropped().collect::<Vec<_>>(), [why]);
    let leaf = one.leaf().dns("localhost").issue().unwrap();
    let peer = PeerVerifier::check_host(roots, ["localhost".parse().unwrap()]).unwrap();
    let judged = peer.judge(leaf.chain_der(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)).unwrap();
    assert_eq!(judged.warnings(), [secure_connector::Warning::AnchorsDropped(vec![why.into()])]);
}

#[test]
fn joined_lists_have_each_anchor_once() {
    let (one, two) = (pki("One"), pki("Two"));
    let of = |pki: &TestPki| Roots::from_der(pki.root_der()).unwrap();
    assert_eq!(subjects(&of(&one).and(of(&two)).and(of(&one))), ["CN=One", "CN=Two"]);
}

/// The names are those of <https://www.amazontrust.com/repository/>; their fingerprints are checked beside the files.
#[test]
fn the_roots_of_amazon_are_built_in() {
    let roots = Roots::amazon();
    let wanted = [1, 2, 3, 4].map(|n| format!("CN=Amazon Root CA {n},O=Amazon,C=US"));
    assert_eq!(subjects(&roots), wanted);
    assert_eq!(roots.dropped().count(), 0);
}

#[test]
fn the_store_of_this_system_is_readable() {
    match Roots::native() {
        Ok(roots) => assert!(roots.subjects().count() > 0),
        Err(RootsError::Native { .. }) => {} // A container without ca-certificates.
        Err(other) => panic!("{other:?}"),
    }
}
