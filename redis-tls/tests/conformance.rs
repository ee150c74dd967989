//! Runs the vectors of `tests/vectors`, or of the folder in `CONFORMANCE_VECTORS` or its sub-folder `redis`: IAM tokens as
//! botocore signs them, and with them every value on the way there. Tokens are compared byte for byte.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "conformance/report.rs"]
mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use redis_tls::{Cache, CacheName, IamToken, IamUser, Region};
use serde::Deserialize;
use serde_json::Value;

use self::report::Report;

/// Cases that are known to fail, with the reason. One that starts to pass fails the run, so that the list stays true.
const KNOWN: &[(&str, &str)] = &[];

#[test]
fn every_vector_holds() {
    let folder = folder();
    let report = run(&read(&folder), KNOWN);
    // Written past the capture of libtest, so that the counts are seen when all is well.
    write!(std::io::stdout(), "\nvectors of {}\n{}", folder.display(), report.counts()).unwrap();
    report.verdict().unwrap_or_else(|failures| panic!("{failures}"));
}

fn folder() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let folder = std::env::var_os("CONFORMANCE_VECTORS").map_or(own, PathBuf::from);
    Some(folder.join("redis")).filter(|sub| sub.is_dir()).unwrap_or(folder)
}

fn read(folder: &Path) -> Vec<Value> {
    let file = folder.join("iam_tokens.json");
    let text = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_slice::<File>(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display())).vectors
}

fn run(cases: &[Value], known: &[(&str, &str)]) -> Report {
    let mut report = Report::new(known);
    for case in cases {
        let name = case.get("name").and_then(Value::as_str).unwrap_or("without a name");
        report.add("IAM tokens", name, || iam_token(&Case::deserialize(case).unwrap()));
    }
    report
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Value>,
}

#[derive(Deserialize)]
struct Case {
    input: Input,
    canonical_request: Option<String>,
    string_to_sign: Option<String>,
    signing_key_hex: Option<String>,
    signature: String,
    token: String,
    token_len: Option<usize>,
    /// `same` where AWS's own developer toolkit takes the names and gives the same token.
    aws_developer_toolkit: Option<String>,
}

#[derive(Deserialize)]
struct Input {
    service: String,
    cache_name: String,
    user_id: String,
    region: String,
    serverless: bool,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    now: String,
    lowercase_inputs: bool,
}

fn iam_token(case: &Case) -> Vec<String> {
    let Case { input, .. } = case;
    let mut differences = Vec::new();
    let mut same = |what: &str, ours: &str, theirs: Option<&str>| {
        if theirs.is_some_and(|theirs| ours != theirs) {
            differences.push(format!("{what}\n  ours   {ours}\n  theirs {}", theirs.unwrap_or_default()));
        }
    };
    let user = input.user_id.parse::<IamUser>();
    if case.aws_developer_toolkit.as_deref() == Some("same") {
        same("the user's name", &format!("{:?}", user.as_ref().err()), Some("None"));
    }
    let user = match (input.lowercase_inputs, &user) {
        (true, Ok(user)) => user.as_str(),
        _ => &input.user_id,
    };
    let (cache, now) = (input.cache(), humantime::parse_rfc3339(&input.now).unwrap());
    let ours = IamToken::sign(&cache, user, &input.credentials(), now).unwrap();

    let key = input.signing_key(&cache, now);
    same("canonical request", ours.canonical_request(), case.canonical_request.as_deref());
    same("string to sign", ours.string_to_sign(), case.string_to_sign.as_deref());
    same("signing key", &hex::encode(&key), case.signing_key_hex.as_deref());
    same("signature", &calculate_signature(&key, ours.string_to_sign().as_bytes()), Some(&case.signature));
    same("token", ours.expose_secret(), Some(&case.token));
    same("length", &ours.expose_secret().len().to_string(), case.token_len.map(|n| n.to_string()).as_deref());
    differences
}

impl Input {
    fn cache(&self) -> Cache {
        let name: CacheName = self.cache_name.parse().unwrap();
        let region: Region = self.region.parse().unwrap();
        match (self.service.as_str(), self.serverless) {
            ("elasticache", false) => Cache::replication_group(name, region),
            ("elasticache", true) => Cache::serverless(name, region),
            ("memorydb", false) => Cache::memory_db(name, region),
            other => panic!("{other:?} is no service"),
        }
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key_id, &self.secret_access_key, self.session_token.clone(), None, "vector")
    }

    fn signing_key(&self, cache: &Cache, now: SystemTime) -> Vec<u8> {
        let (region, service) = (cache.region().as_str(), cache.signing_name());
        generate_signing_key(&self.secret_access_key, now, region, service).as_ref().to_vec()
    }
}

/// The first case, with `field` replaced by `value` if given.
fn one_case(change: Option<(&str, &str)>) -> Vec<Value> {
    let mut case = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")).swap_remove(0);
    if let Some((field, value)) = change {
        *case.get_mut(field).unwrap() = value.into();
    }
    vec![case]
}

#[test]
fn a_value_that_differs_fails_the_run() {
    for (field, what) in [
        ("canonical_request", "canonical request"),
        ("string_to_sign", "string to sign"),
        ("signing_key_hex", "signing key"),
        ("signature", "signature"),
        ("token", "token"),
    ] {
        let report = run(&one_case(Some((field, "00"))), &[]);
        assert_eq!(report.counts(), "IAM tokens   passed   0  failed   1  known   0\n");
        let failure = report.verdict().unwrap_err();
        assert!(failure.starts_with(&format!("rg_static: {what}\n")) && failure.ends_with("theirs 00"), "{failure}");
    }
    assert_eq!(run(&one_case(None), &[]).verdict(), Ok(()));
}

#[test]
fn a_known_failure_is_counted_and_one_that_passes_fails_the_run() {
    let known = &[("rg_static", "an example")];
    let report = run(&one_case(Some(("token", "00"))), known);
    assert_eq!(report.counts(), "IAM tokens   passed   0  failed   0  known   1\n");
    assert_eq!(report.verdict(), Ok(()));
    let failure = "rg_static: passes, though known to fail (an example); take it off the list";
    assert_eq!(run(&one_case(None), known).verdict(), Err(failure.to_owned()));
}

#[test]
fn a_file_without_cases_fails_the_run() {
    assert_eq!(run(&[], &[]).verdict(), Err("the folder holds no case".to_owned()));
}
