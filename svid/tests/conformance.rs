//! Runs the vectors of `tests/vectors`, or of the folder in `CONFORMANCE_VECTORS` or its sub-folder `svid`: hostile and odd
//! certificates, tokens, bundles and names, each with the verdict that the SPIFFE standard demands. Where the standard
//! leaves a choice (`either`), the verdict is compared with the policy that this crate documents.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

#[path = "conformance/names.rs"]
mod names;
#[path = "conformance/policy.rs"]
mod policy;
#[path = "conformance/report.rs"]
mod report;
#[path = "conformance/tokens_and_bundles.rs"]
mod tokens_and_bundles;
#[path = "conformance/x509.rs"]
mod x509;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use self::report::Report;

/// Cases that are known to fail, with the reason. One that starts to pass fails the run, so that the list stays true.
#[cfg(feature = "aws-lc-rs")]
const KNOWN: &[(&str, &str)] = &[];
/// Without P-521 and without a check of points that are only kept.
#[cfg(not(feature = "aws-lc-rs"))]
const KNOWN: &[(&str, &str)] = &[
    ("jwt-svids/ok-es512", "ring has no P-521"),
    ("bundles/jwt-point-off-curve", "ring looks at a point when it verifies, and refuses then"),
];

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
    Some(folder.join("svid")).filter(|sub| sub.is_dir()).unwrap_or(folder)
}

fn run(folder: &Path, known: &[(&str, &str)]) -> Report {
    let mut report = Report::new(known);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let document: Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut each = |kind, member: &str, check: &dyn Fn(&Value) -> Vec<String>| {
            for case in document[member].as_array().into_iter().flatten() {
                report.add(kind, &format!("{name}/{}", case["id"].as_str().unwrap()), || check(case));
            }
        };
        match name {
            "spiffe-ids" => each("IDs", "cases", &names::spiffe_id),
            "trust-domains" => each("domains", "cases", &names::trust_domain),
            "endpoints" => each("endpoints", "cases", &names::endpoint),
            "x509-cases" => each("X.509", "cases", &|case| x509::judged(folder, case)),
            "jwt-svids" => each("JWT", "cases", &|case| tokens_and_bundles::token(&document, case)),
            "bundles" => {
                let domain = document["trust_domain"].as_str().unwrap();
                each("bundles", "cases", &|case| tokens_and_bundles::bundle(domain, case));
                each("bundle maps", "bundle_maps", &tokens_and_bundles::bundle_map);
            }
            other => panic!("a file that nothing reads: {other}"),
        }
    }
    report
}

/// What a case demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expect {
    Accept,
    Reject,
    /// The standard leaves it open; then it is what [`policy`] says.
    Either,
    /// The key in question is not used, whether the document as a whole is refused or not.
    NoKey,
}

impl Expect {
    pub(crate) fn of(case: &Value, member: &str) -> Self {
        Self::deserialize(&case[member]).unwrap_or_else(|e| panic!("{member}: {e}"))
    }

    /// The difference between a verdict and what is demanded, if there is one. `policy` is for `either`.
    pub(crate) fn difference<T: std::fmt::Debug, E: std::fmt::Display>(
        self,
        ours: &Result<T, E>,
        policy: Option<policy::Choice>,
    ) -> Option<String> {
        let accepts = match (self, policy) {
            (Self::Accept, _) | (Self::Either, Some(policy::Choice::Accept)) => true,
            (Self::Reject, _) | (Self::Either, Some(policy::Choice::Refuse)) => false,
            // A case that is new to this list: both are right.
            (Self::Either | Self::NoKey, _) => return None,
        };
        match ours {
            Ok(ours) if !accepts => Some(format!("to be refused, and is accepted: {ours:?}")),
            Err(error) if accepts => Some(format!("to be accepted, and is refused: {error}")),
            _ => None,
        }
    }
}

/// A folder with one file of one case.
fn one_case(file: &str, case: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), serde_json::json!({ "cases": [case] }).to_string()).unwrap();
    folder
}

fn an_id(expect: &str) -> tempfile::TempDir {
    let case =
        serde_json::json!({ "id": "a", "input": "spiffe://a/b", "expect": expect, "trust_domain": "a", "path": "/b" });
    one_case("spiffe-ids.json", &case)
}

#[test]
fn a_verdict_that_differs_fails_the_run() {
    let report = run(an_id("reject").path(), &[]);
    assert_eq!(report.counts(), "IDs          passed   0  failed   1  known   0\n");
    let failure = "spiffe-ids/a: to be refused, and is accepted: SpiffeId(spiffe://a/b)";
    assert_eq!(report.verdict(), Err(failure.to_owned()));
    assert_eq!(run(an_id("accept").path(), &[]).verdict(), Ok(()));
}

#[test]
fn a_known_failure_is_counted_and_one_that_passes_fails_the_run() {
    let known = &[("spiffe-ids/a", "an example")];
    let report = run(an_id("reject").path(), known);
    assert_eq!(report.counts(), "IDs          passed   0  failed   0  known   1\n");
    assert_eq!(report.verdict(), Ok(()));
    let failure = "spiffe-ids/a: passes, though known to fail (an example); take it off the list";
    assert_eq!(run(an_id("accept").path(), known).verdict(), Err(failure.to_owned()));
}

#[test]
fn a_folder_without_cases_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &[]).verdict(), Err("the folder holds no case".to_owned()));
}
