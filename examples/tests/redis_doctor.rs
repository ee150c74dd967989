//! What scripts and health checks go by: the exit codes of `redis-doctor`, and its JSON.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{path::Path, process::Command};

use secure_connector_testkit::{
    TestPki,
    redis::{Encryption, FakeElastiCache},
};
use serde_json::Value;

const TOKEN: &str = "an-auth-token-0123456789";

struct Run {
    code: Option<i32>,
    text: String,
}

async fn run(port: u16, ca_file: &Path, more: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-doctor"));
    command.arg(format!("localhost:{port}")).arg("--ca-file").arg(ca_file).args(more).env("REDIS_AUTH_TOKEN", TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    Run { code: output.status.code(), text }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_healthy_problem_or_not_reached() {
    let pki = TestPki::new().unwrap();
    let ca_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-doctor-{}.pem", std::process::id()));
    std::fs::write(&ca_file, pki.root_pem()).unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = async |builder: secure_connector_testkit::redis::ElastiCacheBuilder| builder.start(&pki).await.unwrap();
    let good = start(FakeElastiCache::builder().auth_token(TOKEN)).await;
    let both = start(FakeElastiCache::builder().auth_token(TOKEN).encryption(Encryption::Preferred)).await;
    let other = start(FakeElastiCache::builder().auth_token("another-token-0123456789")).await;
    let (good, both, other) = (good.addr().port(), both.addr().port(), other.addr().port());

    for (port, more, code) in [
        (good, &["--strict"][..], 0),
        (both, &[], 0),
        (both, &["--strict"], 1),
        (other, &[], 1),
        (good, &["--anonymous"], 1),
        (closed, &[], 3),
        (good, &["--user", "app"], 2), // REDIS_PASSWORD is not set
        (good, &["--user", "app", "--anonymous"], 2),
        (good, &["--iam-user", "app"], 2), // localhost is no name of AWS
        (good, &["--timeout", "0"], 2),
    ] {
        let run = run(port, &ca_file, more).await;
        assert_eq!(run.code, Some(code), "{more:?}\n{}", run.text);
    }
    let run = run(other, &ca_file, &["--json"]).await;
    let json: Value = serde_json::from_str(&run.text).unwrap();
    let problems: Vec<&Value> =
        json["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "problem").collect();
    assert_eq!(problems.len(), 1, "{json}");
    assert_eq!(problems[0]["check"], "authentication");
    std::fs::remove_file(ca_file).unwrap();
}
