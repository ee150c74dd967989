//! What scripts and health checks go by: the exit codes of `efs-probe`, and its JSON.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{net::SocketAddr, path::Path, process::Command};

use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget},
};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_admitted_denied_or_could_not_tell() {
    let pki = TestPki::new().unwrap();
    let ca_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("efs-probe-{}.pem", std::process::id()));
    std::fs::write(&ca_file, pki.root_pem()).unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rules = || AdmissionRules::new("fs-0123456789abcdef0", "us-east-1");
    let open = FakeMountTarget::builder(rules()).start(&pki).await.unwrap();
    let shut = FakeMountTarget::builder(rules().admission(Admission::IamOnly)).start(&pki).await.unwrap();
    for (address, code, outcome) in [(open.addr(), 0, "admitted"), (shut.addr(), 1, "denied"), (closed, 3, "network")] {
        let ca_file = ca_file.clone();
        let (found, json) = tokio::task::spawn_blocking(move || run(address, &ca_file, &["--json"])).await.unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((found, json["outcome"].as_str()), (Some(code), Some(outcome)), "{json}");
    }
    for unusable in [["--user", "1000"], ["--user", "root:root"], ["--timeout", "0"]] {
        let ca_file = ca_file.clone();
        let (found, _) = tokio::task::spawn_blocking(move || run(closed, &ca_file, &unusable)).await.unwrap();
        assert_eq!(found, Some(2), "{unusable:?}");
    }
    let missing = ca_file.with_extension("missing");
    let (found, _) = tokio::task::spawn_blocking(move || run(closed, &missing, &[])).await.unwrap();
    assert_eq!(found, Some(2));
    std::fs::remove_file(ca_file).unwrap();
}

fn run(address: SocketAddr, ca_file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_efs-probe"))
        .args(["fs-0123456789abcdef0", "--region", "us-east-1", "--anonymous", "--address", &address.to_string()])
        .arg("--ca-file")
        .arg(ca_file)
        .args(more)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}
