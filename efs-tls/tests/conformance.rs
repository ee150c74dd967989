//! Runs the vectors of `tests/vectors`, or of the folder in `CONFORMANCE_VECTORS` or its sub-folder `efs`: what the EFS
//! mount helper 3.2.0 wrote for given inputs. Every value is compared, certificates byte for byte.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

#[path = "conformance/certificates.rs"]
mod certificates;
#[path = "conformance/report.rs"]
mod report;
#[path = "conformance/tunnels.rs"]
mod tunnels;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use efs_tls::{MountTargetName, NfsMountOptions, NfsOption, NfsOptionError, Region};
use serde::Deserialize;
use serde_json::Value;

use self::certificates::{issued, renewed, stock_sigv4};
use self::report::Report;
use self::tunnels::tunnel_configuration;

/// Cases that are known to fail, with the reason. One that starts to pass fails the run, so that the list stays true.
const KNOWN: &[(&str, &str)] = &[];

#[test]
fn every_vector_holds() {
    let folder = folder();
    let report = run(&folder, KNOWN);
    // Written past the capture of libtest, so that the counts are seen when all is well.
    write!(std::io::stdout(), "\nvectors of {}\n{}", folder.display(), report.counts()).unwrap();
    report.verdict().unwrap_or_else(|failures| panic!("{failures}"));
}

fn folder() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let folder = std::env::var_os("CONFORMANCE_VECTORS").map_or(own, PathBuf::from);
    Some(folder.join("efs")).filter(|sub| sub.is_dir()).unwrap_or(folder)
}

fn run(folder: &Path, known: &[(&str, &str)]) -> Report {
    let mut report = Report::new(known);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut signed = Vec::new();
    let mut negatives = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        if name == "dns-names" {
            for row in read::<Vec<BTreeMap<String, Value>>>(file) {
                report.add("names", &format!("{name}/{}", row["region"].as_str().unwrap()), || dns_names(&row));
            }
        } else if name == "nfs-options" {
            for (index, row) in read::<Vec<NfsRow>>(file).iter().enumerate() {
                report.add("NFS options", &format!("{name}/{index}"), || nfs_options(row));
            }
        } else if name == "tunnel-configs" {
            for row in read::<Vec<Value>>(file) {
                let case = format!("{name}/{}", row["name"].as_str().unwrap());
                report.add("tunnels", &case, || tunnel_configuration(&row));
            }
        } else if name.starts_with("negative-") {
            negatives.push((name, file));
        } else if name.starts_with(|digit: char| digit.is_ascii_digit()) {
            let is_issued = read::<Value>(file).get("inputs").is_some();
            if is_issued {
                report.add("certificates", name, || issued(folder, &read(file), &mut signed));
            } else {
                report.add("renewals", name, || renewed(folder, &read(file)));
            }
        }
    }
    for (name, file) in negatives {
        report.add("negatives", name, || stock_sigv4(&read(file), &signed));
    }
    report
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn dns_names(row: &BTreeMap<String, Value>) -> Vec<String> {
    let region: Region = row["region"].as_str().unwrap().parse().unwrap();
    let mut differences = Vec::new();
    let names = row.iter().filter(|(key, _)| key.starts_with("efs_") || key.starts_with("s3files_"));
    for (key, value) in names {
        let theirs = value.as_str().or_else(|| value.get(0)?.as_str()).unwrap();
        let (zone, verified) = theirs.split_at(theirs.find("fs-").unwrap());
        let file_system = verified.split('.').next().unwrap().parse().unwrap();
        let zone = zone.trim_end_matches('.');
        let name = if key == "efs_regional" || key.starts_with("efs_mounttargetip_") {
            MountTargetName::regional(file_system, region.clone())
        } else if key == "efs_az" {
            MountTargetName::one_zone(file_system, zone.parse().unwrap())
        } else if let Some(zone) = key.strip_prefix("efs_crossaccount_azid_") {
            MountTargetName::cross_account(file_system, region.clone(), zone.parse().unwrap())
        } else if let Some(zone) = key.strip_prefix("s3files_azid_") {
            MountTargetName::s3_files(file_system, region.clone(), zone.parse().unwrap())
        } else {
            panic!("unknown column {key}")
        };
        for (what, ours, theirs) in [
            ("dialled", name.dns_name(), theirs),
            ("verified", name.verified_name(), verified),
            ("read back", theirs.parse::<MountTargetName>().unwrap().to_string(), theirs),
        ] {
            if ours != theirs {
                differences.push(format!("{key}, {what}: ours {ours}, theirs {theirs}"));
            }
        }
    }
    let sts = format!("https://sts.{region}.{}/", region.partition().dns_suffix());
    if row.get("sts_endpoint").is_some_and(|theirs| *theirs != sts) {
        differences.push(format!("sts_endpoint: ours {sts}"));
    }
    differences
}

#[derive(Deserialize)]
struct NfsRow {
    #[serde(deserialize_with = "in_order")]
    options: Vec<(String, Value)>,
    nfs_o: String,
}

fn nfs_options(row: &NfsRow) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let port = row.options.iter().find(|(name, _)| name == "tlsport").map(|(_, port)| text(port)).unwrap();
    let mut options = NfsMountOptions::new(port.parse().unwrap());
    for (name, value) in &row.options {
        let option = if value.is_null() { name.clone() } else { format!("{name}={}", text(value)) };
        match option.parse::<NfsOption>() {
            Ok(option) => options = options.with(option),
            Err(NfsOptionError::NotForNfs { .. }) => {}
            Err(e) => return vec![e.to_string()],
        }
    }
    let ours = options.to_string();
    if ours == row.nfs_o { vec![] } else { vec![format!("ours {ours}, theirs {}", row.nfs_o)] }
}

/// The order of the options matters, and the map of serde_json sorts them.
fn in_order<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Value)>, D::Error> {
    struct Entries;
    impl<'de> serde::de::Visitor<'de> for Entries {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_map(Entries)
}

/// A folder with case 08 alone, whose certificate hash is replaced if `with` is given.
fn one_case(with: Option<&str>) -> tempfile::TempDir {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let folder = tempfile::tempdir().unwrap();
    let mut case: Value = read(&own.join("08-tls-only-us-east-1.json"));
    if let Some(hash) = with {
        case["certificate_der_sha256"] = hash.into();
    }
    std::fs::write(folder.path().join("08.json"), case.to_string()).unwrap();
    std::fs::copy(own.join("test-rsa3072-key.pem"), folder.path().join("test-rsa3072-key.pem")).unwrap();
    folder
}

#[test]
fn a_value_that_differs_fails_the_run() {
    let report = run(one_case(Some("00")).path(), &[]);
    assert_eq!(report.counts(), "certificates passed   0  failed   1  known   0\n");
    let failure = report.verdict().unwrap_err();
    assert!(failure.starts_with("08: its hash\n") && failure.ends_with("theirs 00"), "{failure}");
    assert_eq!(run(one_case(None).path(), &[]).verdict(), Ok(()));
}

#[test]
fn a_known_failure_is_counted_and_one_that_passes_fails_the_run() {
    let known = &[("08", "an example")];
    let report = run(one_case(Some("00")).path(), known);
    assert_eq!(report.counts(), "certificates passed   0  failed   0  known   1\n");
    assert_eq!(report.verdict(), Ok(()));
    let report = run(one_case(None).path(), known);
    let failure = "08: passes, though known to fail (an example); take it off the list";
    assert_eq!(report.verdict(), Err(failure.to_owned()));
}

#[test]
fn a_folder_without_cases_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &[]).verdict(), Err("the folder holds no case".to_owned()));
}
