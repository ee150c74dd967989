//! The program `efs-tunnel`: what it prints, what it weighs, how it ends.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    process::{Output, Stdio},
    time::Duration,
};

use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey},
    nfs::{HelloOutcome, nfs_hello},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    time::timeout,
};

const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const MIB: u64 = 1 << 20;

struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
    _pki: tempfile::TempDir,
}

/// The program in front of a mount target, when it has printed the mount command.
async fn start(target: &FakeMountTarget, pki: &TestPki) -> Program {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, pki.root_pem()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_efs-tunnel"))
        .args([
            FILE_SYSTEM,
            "--region",
            "us-east-1",
            "--drain",
            "1",
            "--address",
            &target.addr().to_string(),
            "--ca-file",
        ])
        .arg(&ca)
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_EC2_METADATA_DISABLED", "true")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let command = within(lines.next_line()).await.unwrap().unwrap();
    let port = command.split([',', ' ']).find_map(|option| option.strip_prefix("port=")).unwrap().parse().unwrap();
    assert!(command.starts_with("mount -t nfs4 -o ") && command.ends_with(" 127.0.0.1:/ /mnt/efs"), "{command}");
    Program { child, lines, port, _pki: dir }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(30), future).await.expect("took longer than 30 s")
}

impl Program {
    async fn mount(&self) -> TcpStream {
        let mut local = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let hello = within(nfs_hello(&mut local)).await.unwrap();
        assert!(matches!(hello, HelloOutcome::Admitted { .. }), "{hello:?}");
        local
    }

    /// The memory of the process in bytes: all that is resident, and its own part of it, without the pages of its file.
    fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
        };
        (bytes("VmRSS:"), bytes("RssAnon:"))
    }

    async fn terminate(mut self) -> (Vec<String>, Output) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = within(self.lines.next_line()).await.unwrap() {
            lines.push(line);
        }
        (lines, within(self.child.wait_with_output()).await.unwrap())
    }
}

/// 15 MiB resident while nothing moves, most of which are pages of the program's file; a connection that has carried
/// something adds two buffers of 64 KiB and a TLS session.
#[tokio::test]
async fn it_weighs_little_and_tells_what_it_carried() {
    let pki = TestPki::new().unwrap();
    let key = KnownKey::new(KEY_ID, SECRET, "arn:aws:iam::123456789012:user/test");
    let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1").admission(Admission::IamOnly).key(key);
    let target = FakeMountTarget::builder(rules).start(&pki).await.unwrap();
    let program = start(&target, &pki).await;

    let mounted = program.mount().await;
    let (resident, own) = program.memory();
    // More of the file is touched where nothing is optimised.
    let limit = if cfg!(debug_assertions) { 20 } else { 15 };
    println!("{} KiB resident with one idle mount, {} KiB of them its own", resident / 1024, own / 1024);
    assert!(resident <= limit * MIB && own <= 6 * MIB, "{resident} {own}");
    let mut more = Vec::new();
    for _ in 0..31 {
        more.push(program.mount().await);
    }
    let (_, own_busy) = program.memory();
    println!("{} KiB for each further connection", (own_busy - own) / 31 / 1024);
    assert!(own_busy - own <= 31 * MIB / 4, "{own_busy} after {own}");

    drop((mounted, more));
    let (lines, output) = program.terminate().await;
    assert!(output.status.success(), "{output:?}");
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!((&last["state"]["tunnel"]["accepted"], &last["connections_cut"]), (&32.into(), &0.into()), "{last}");
    assert_eq!(last["state"]["renewal"]["access_key_id"], KEY_ID);
    let shown = format!("{lines:?}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_used_is_said_on_one_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_efs-tunnel"))
        .args([FILE_SYSTEM, "--region", "us-east-1", "--anonymous", "--ca-file", "/nonexistent/ca.pem"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("efs-tunnel: ") && error.contains("/nonexistent/ca.pem"), "{error}");
    assert_eq!((error.lines().count(), output.stdout.len()), (1, 0), "{error}");
}
