//! Files without a mount: `efs-files` → the tunnel in its process → fake mount target for IAM clients → nfs-ganesha.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use interop::Ganesha;
use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, Refusal, Verdict},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const ACCESS_POINT: &str = "fsap-0123456789abcdef0";
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ARN: &str = "arn:aws:iam::123456789012:user/files";

/// A file system for IAM clients only, on a real NFS server that exports `/export`.
struct FileSystem {
    ganesha: Ganesha,
    target: FakeMountTarget,
    dir: TempDir,
}

impl FileSystem {
    async fn start() -> Self {
        let (pki, ganesha, dir) = (TestPki::new().unwrap(), Ganesha::start().unwrap(), TempDir::new().unwrap());
        fs::write(dir.path().join("ca.der"), pki.root_der()).unwrap();
        let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
            .admission(Admission::IamOnly)
            .access_point(ACCESS_POINT)
            .key(KnownKey::new(KEY_ID, SECRET, ARN));
        let target = FakeMountTarget::builder(rules).backend(ganesha.addr()).start(&pki).await.unwrap();
        Self { ganesha, target, dir }
    }

    fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_efs-files"));
        command.args([FILE_SYSTEM, "--region", "us-east-1", "--access-point", ACCESS_POINT, "--json"]);
        command.arg("--address").arg(self.target.addr().to_string()).arg("--ca-file").arg(self.local("ca.der"));
        command.env_clear().env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET).args(args);
        command
    }

    async fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// The JSON lines of a run that succeeds.
    async fn lines<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Vec<Value> {
        let output = self.run(args).await;
        let text = String::from_utf8(stdout(output)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn local(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn exported(&self) -> Vec<String> {
        let entries = fs::read_dir(self.ganesha.export()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_64_mib_there_and_back() {
    let file_system = FileSystem::start().await;
    let (original, copy) = (file_system.local("original"), file_system.local("copy"));
    fs::write(&original, noise(64 * MIB + 1)).unwrap();
    let sum = sha256(&fs::read(&original).unwrap());

    let put = file_system.lines(["put", "--sha256", original.to_str().unwrap(), "/export/file"]).await;
    assert_eq!((put[0]["bytes"].as_u64(), put[0]["sha256"].as_str()), (Some(67_108_865), Some(&sum as &str)));
    assert_eq!(sha256(&fs::read(file_system.ganesha.export().join("file")).unwrap()), sum);
    assert_eq!(file_system.exported(), ["file"]);

    let ls = file_system.lines(["ls", "/export"]).await;
    assert_eq!((ls.len(), &ls[0]["name"], &ls[0]["type"]), (1, &"file".into(), &"file".into()));
    assert_eq!(ls[0]["size"].as_u64(), Some(67_108_865));

    let get = file_system.lines(["get", "--sha256", "/export/file", copy.to_str().unwrap()]).await;
    assert_eq!(get[0]["sha256"].as_str(), Some(&sum as &str));
    assert_eq!(sha256(&fs::read(&copy).unwrap()), sum);

    assert_eq!(sha256(&stdout(file_system.run(["cat", "/export/file"]).await)), sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_file_takes_the_place_of_a_longer_one_and_an_empty_one_that_of_both() {
    let file_system = FileSystem::start().await;
    let (file, copy) = (file_system.local("file"), file_system.local("copy"));
    for content in ["a longer text", "short", ""] {
        fs::write(&file, content).unwrap();
        file_system.lines(["put", file.to_str().unwrap(), "/export/file"]).await;
        file_system.lines(["get", "/export/file", copy.to_str().unwrap()]).await;
        assert_eq!(fs::read_to_string(&copy).unwrap(), content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_iam_the_program_says_that_it_is_denied() {
    let file_system = FileSystem::start().await;
    let refused = file_system.run(["--anonymous", "ls", "/export"]).await;
    let said = failed(refused, 4);
    assert!(said.contains("denied: NFS4ERR_ACCESS") && said.contains("We came without credentials"), "{said}");
    let event = file_system.target.next_event().await.unwrap();
    assert_eq!(event.verdict, Verdict::Refused(Refusal::AnonymousNotAllowed));
    assert_eq!(file_system.lines(["ls", "/export"]).await, [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_failure_has_its_exit_code() {
    let file_system = FileSystem::start().await;
    let (file, copy) = (file_system.local("file"), file_system.local("copy"));
    fs::write(&file, "content").unwrap();
    let (file, copy) = (file.to_str().unwrap(), copy.to_str().unwrap());
    failed(file_system.run(["cat", "/export/missing"]).await, 5);
    failed(file_system.run(["get", "/export/missing", copy]).await, 5);
    assert!(!Path::new(copy).exists());
    failed(file_system.run(["--user", "1000:1000", "put", file, "/export/file"]).await, 4);
    assert_eq!(file_system.exported(), [] as [&str; 0]);
    failed(file_system.run(["put", "/missing", "/export/file"]).await, 1);
    failed(file_system.run(["--user", "root", "ls"]).await, 2);

    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_efs-files"));
    command.env_clear().args([FILE_SYSTEM, "--region", "us-east-1", "--anonymous", "--address", &free, "ls"]);
    let said = failed(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap(), 3);
    assert!(said.contains("refused"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_copy_leaves_nothing_behind() {
    let file_system = FileSystem::start().await;
    let pipe = file_system.local("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = file_system.command(["put", pipe.to_str().unwrap(), "/export/file"]).spawn().unwrap();
    tokio::task::spawn_blocking(move || {
        // A chunk is written, and the copy waits for the next.
        let mut pipe = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        pipe.write_all(&noise(9 * MIB)).unwrap();
        wait_until(|| file_system.exported().len() == 1);
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        wait_until(|| file_system.exported().is_empty());
        drop(pipe);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    })
    .await
    .unwrap();
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "waited for 20 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn stdout(output: Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What a run that fails with this exit code says.
#[track_caller]
fn failed(output: Output, code: i32) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{said}");
    said
}

/// Bytes that no compression or block repetition makes equal by chance; the same on every run.
fn noise(len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|n| Sha256::digest(n.to_be_bytes()));
    blocks.take(len).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
