//! Damaged and forged headers, with cryptsetup's verdict beside ours.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use luks_keys::{HeaderError, Keyslots, Luks2Violation, LuksHeader, UnlockError, UnlockOptions};
use serde::Deserialize;
use serde_json::Value;

use super::vectors::{Folder, sha256};
use super::{MEMORY, Report, same};

/// Our verdict of each case of our own folder: `name: verdict`.
const VERDICTS: &str = include_str!("verdicts.txt");

const TIME: Duration = Duration::from_secs(1);
const MEBIBYTES: f32 = 8.0;

#[derive(Deserialize)]
struct Cases {
    passphrase: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    base: String,
    truncate: Option<usize>,
    patches: Vec<(usize, String)>,
    sha256: String,
    verdict: Verdict,
}

/// cryptsetup's. What is no exit code is a hang or an abort.
#[derive(Deserialize)]
struct Verdict {
    open_slot0: Value,
    open_wrote: bool,
}

enum Ours {
    Opened(LuksHeader),
    NotRead(HeaderError),
    NotUnlocked(UnlockError),
}

pub(crate) fn run(folder: &Folder, report: &mut Report) {
    let cases: Cases = folder.json("corrupt.json");
    let mut bases = BTreeMap::new();
    let expected: BTreeMap<&str, &str> = VERDICTS.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut verdicts = String::new();
    for case in &cases.cases {
        let base: &Vec<u8> = bases.entry(&case.base).or_insert_with(|| folder.image(&case.base));
        let passphrase = if case.name.starts_with("l2j-pbkdf2-") { "second" } else { &cases.passphrase };
        let (ours, result) = case.check(base, passphrase);
        verdicts.push_str(&format!("{}: {ours}\n", case.name));
        let result = result.and_then(|()| match expected.get(case.name.as_str()) {
            Some(expected) => same("verdict", ours.as_str(), *expected),
            None => Ok(()),
        });
        report.add(&case.name, result, None);
    }
    // For a change of the verdicts on purpose.
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/verdicts.txt"), verdicts).unwrap();
}

impl Case {
    fn check(&self, base: &[u8], passphrase: &str) -> (String, Result<(), String>) {
        let image = self.apply(base);
        let before = MEMORY.current_usage_as_mb();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let ours = judge(&image, passphrase.as_bytes());
        let (took, peak) = (start.elapsed(), MEMORY.peak_usage_as_mb() - before);
        let text = match &ours {
            Ours::Opened(LuksHeader::Luks2(header)) => match &header.needs_repair {
                Some(repair) => format!("opens, {repair}"),
                None => "opens".to_owned(),
            },
            Ours::Opened(_) => "opens".to_owned(),
            Ours::NotRead(error) => error.to_string(),
            Ours::NotUnlocked(error) => match std::error::Error::source(error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
        };
        let result = if took > TIME {
            Err(format!("took {took:?}"))
        } else if peak > MEBIBYTES {
            Err(format!("took {peak} MiB"))
        } else {
            self.compare(&ours).and_then(|()| opens_for_nobody_else(&image))
        };
        (text, result)
    }

    fn apply(&self, base: &[u8]) -> Vec<u8> {
        let mut image = base.to_vec();
        if let Some(len) = self.truncate {
            image.resize(len, 0);
        }
        for (offset, patch) in &self.patches {
            let patch = Base64::decode_vec(patch).unwrap();
            image[*offset..offset + patch.len()].copy_from_slice(&patch);
        }
        assert_eq!(sha256(&image), self.sha256, "{}", self.name);
        image
    }

    /// What cryptsetup does not open, we do not open. What it opens we may refuse, for a rule that says so. Where it
    /// writes, we say what needs repair.
    fn compare(&self, ours: &Ours) -> Result<(), String> {
        let theirs = self.verdict.open_slot0 == 0;
        match ours {
            Ours::Opened(_) if !theirs => Err("opens, though not by cryptsetup".to_owned()),
            Ours::Opened(LuksHeader::Luks2(header)) if self.verdict.open_wrote && header.needs_repair.is_none() => {
                Err("needs no repair, though cryptsetup repaired it".to_owned())
            }
            Ours::NotRead(error) if theirs && !is_stricter(error) => Err(format!("refused: {error}")),
            Ours::NotUnlocked(error) if theirs => Err(format!("not unlocked: {error}")),
            _ => Ok(()),
        }
    }
}

/// The device cannot be written to: `&[u8]`.
fn judge(image: &[u8], passphrase: &[u8]) -> Ours {
    let mut device = Cursor::new(image);
    let header = match LuksHeader::read(&mut device) {
        Ok(header) => header,
        Err(error) => return Ours::NotRead(error),
    };
    let first = UnlockOptions::default().with_keyslots(Keyslots::Only(0));
    match header.unlock_with(&mut device, passphrase, &first) {
        Ok(_) => Ours::Opened(header),
        Err(error) => Ours::NotUnlocked(error),
    }
}

fn opens_for_nobody_else(image: &[u8]) -> Result<(), String> {
    let mut device = Cursor::new(image);
    let Ok(header) = LuksHeader::read(&mut device) else { return Ok(()) };
    let start = Instant::now();
    for keyslots in [Keyslots::ByPriority, Keyslots::All] {
        for passphrase in [&b""[..], b"wrong"] {
            let options = UnlockOptions::default().with_keyslots(keyslots);
            if let Ok(unlocked) = header.unlock_with(&mut device, passphrase, &options) {
                return Err(format!("{unlocked} with a wrong passphrase"));
            }
        }
    }
    if start.elapsed() > 4 * TIME { Err(format!("wrong passphrases took {:?}", start.elapsed())) } else { Ok(()) }
}

/// The rules that are documented to be stricter than cryptsetup's.
fn is_stricter(error: &HeaderError) -> bool {
    let HeaderError::Luks2 { primary, .. } = error else { return false };
    matches!(
        primary,
        Luks2Violation::Reserved
            | Luks2Violation::Text(_)
            | Luks2Violation::ChecksumAlgorithm(_)
            | Luks2Violation::Duplicate(_)
            | Luks2Violation::Json(_)
            | Luks2Violation::Values
            | Luks2Violation::Id { .. }
            | Luks2Violation::Value { .. }
            | Luks2Violation::Unsupported { .. }
            | Luks2Violation::AreaSize { .. }
            | Luks2Violation::Stripes { .. }
            | Luks2Violation::DigestLength { .. }
    )
}
