//! Outside verdicts, run whole: a truth table measured with stunnel, OpenSSL, s2n-tls and rustls, and x509-limbo.
//!
//! The files are read from `tests/vectors`, or from the folder (or its sub-folder `tls`) that `CONFORMANCE_VECTORS` names.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "vectors of another shape have to fail the test")]

#[path = "conformance/checkhost.rs"]
mod checkhost;
#[path = "conformance/limbo.rs"]
mod limbo;

use std::{
    collections::BTreeSet,
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::de::DeserializeOwned;

#[test]
fn checkhost_truth_table() {
    if let Some(table) = read("checkhost.json") {
        checkhost::run(&table).conclude("checkhost.json", &[]);
    }
}

#[test]
fn x509_limbo_is_never_worse_than_plain_rustls() {
    if let Some(suite) = read("limbo-core.json") {
        limbo::run(&suite, &baseline()).conclude("limbo-core.json", limbo::KNOWN);
    }
}

#[test]
fn the_folder_holds_cases() {
    let cases = read::<checkhost::Table>("checkhost.json").map_or(0, |table| table.cases())
        + read::<limbo::Suite>("limbo-core.json").map_or(0, |suite| suite.cases());
    assert!(cases > 0, "no case in {}", folder().display());
}

/// What came out of one file.
#[derive(Default)]
struct Outcome {
    passed: usize,
    skipped: usize,
    failed: Vec<String>,
    known: BTreeSet<String>,
}

impl Outcome {
    fn check(&mut self, case: impl FnOnce() -> String, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(why) => self.failed.push(format!("{}: {why}", case())),
        }
    }

    /// The exceptions of our own copy of the file are exactly `listed`; a fresh file may hold others.
    #[expect(clippy::explicit_write, reason = "the test harness swallows what `println!` writes")]
    fn conclude(mut self, file: &str, listed: &[(&str, &[&str])]) {
        if folder() == own_folder() {
            let listed: BTreeSet<String> = listed.iter().flat_map(|(_, ids)| *ids).map(|id| (*id).to_owned()).collect();
            self.failed.extend(self.known.difference(&listed).map(|id| format!("{id}: not in the list of exceptions")));
            self.failed
                .extend(listed.difference(&self.known).map(|id| format!("{id}: listed as exception and is none")));
        }
        let Self { passed, skipped, failed, known } = self;
        let counts = format!("{passed} passed, {} failed, {} known, {skipped} skipped", failed.len(), known.len());
        writeln!(io::stdout(), "{file}: {counts}").unwrap();
        assert!(failed.is_empty(), "{file}: {counts}\n{}", failed.join("\n"));
    }
}

/// A fresh suite may come without baseline: ours then serves for the cases that it knows.
fn baseline() -> Vec<limbo::Baseline> {
    const NAME: &str = "limbo-core-baseline.json";
    read(NAME).or_else(|| read_from(&own_folder(), NAME)).expect("our own folder has the baseline")
}

fn read<T: DeserializeOwned>(name: &str) -> Option<T> {
    read_from(&folder(), name)
}

fn read_from<T: DeserializeOwned>(folder: &Path, name: &str) -> Option<T> {
    let path = folder.join(name);
    path.exists().then(|| serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
}

fn folder() -> PathBuf {
    let Some(given) = env::var_os("CONFORMANCE_VECTORS").map(PathBuf::from) else {
        return own_folder();
    };
    let sub = given.join("tls");
    if sub.is_dir() { sub } else { given }
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}
