//! A supervisor of the test's own, and its protocol spelled out.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use secure_connector_testkit::{TestPki, efs::FakeMountTarget};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, sleep, timeout},
};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Supervisor {
    dir: TempDir,
    process: Child,
}

/// The open connection that holds a tunnel.
pub(crate) struct Lease(#[expect(unused, reason = "it is dropped")] UnixStream);

impl Supervisor {
    pub(crate) async fn start(pki: &TestPki, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), pki.root_pem()).unwrap();
        fs::write(dir.path().join("efs-utils.conf"), config).unwrap();
        let profiles = "[one]\naws_access_key_id = AKIAIOSFODNN7EXAMPL1\naws_secret_access_key = one\n\
                        [two]\naws_access_key_id = AKIAIOSFODNN7EXAMPL2\naws_secret_access_key = two\n";
        fs::write(dir.path().join("credentials"), profiles).unwrap();
        let (process, log) = spawn(dir.path());
        ready(log).await;
        Self { dir, process }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Without any chance to tidy up.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        let (process, log) = spawn(self.dir.path());
        self.process = process;
        ready(log).await;
    }

    pub(crate) fn tunnel_to(&self, target: &FakeMountTarget) -> Value {
        json!({
            "target": "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com",
            "mount_target_ip": target.addr().ip(),
            "access_point": null,
            "credentials": null,
            "ca_file": self.dir.path().join("ca.pem"),
        })
    }

    pub(crate) async fn held(&self, tunnel: &Value) -> (Lease, u64) {
        self.held_with(tunnel, None, None).await
    }

    pub(crate) async fn held_with(&self, tunnel: &Value, port: Option<u64>, only_for: Option<&str>) -> (Lease, u64) {
        let (stream, reply) = self.ask(&format!("{}\n", hold(tunnel, port, only_for))).await;
        let port = reply["ready"]["port"].as_u64().unwrap_or_else(|| panic!("{reply}"));
        (Lease(stream), port)
    }

    pub(crate) async fn refused(&self, tunnel: &Value, port: Option<u64>) -> String {
        let reply = self.say(&format!("{}\n", hold(tunnel, port, None))).await;
        reply["refused"]["error"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    pub(crate) async fn status(&self) -> Vec<Value> {
        self.say("\"status\"\n").await["status"]["tunnels"].as_array().unwrap().clone()
    }

    pub(crate) async fn say(&self, line: &str) -> Value {
        self.ask(line).await.1
    }

    /// Asks for the status until it is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Value]) -> bool) {
        let end = Instant::now() + LIMIT;
        loop {
            let tunnels = self.status().await;
            if wanted(&tunnels) {
                return;
            }
            assert!(Instant::now() < end, "{tunnels:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ask(&self, line: &str) -> (UnixStream, Value) {
        let mut stream = UnixStream::connect(self.dir.path().join("supervisor.sock")).await.unwrap();
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        while reply.last() != Some(&b'\n') {
            let byte = timeout(LIMIT, stream.read_u8()).await.unwrap().unwrap();
            reply.push(byte);
        }
        (stream, serde_json::from_slice(&reply).unwrap())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Killed already, it cannot be killed again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hold(tunnel: &Value, port: Option<u64>, only_for: Option<&str>) -> Value {
    let network = fs::read_link("/proc/self/ns/net").unwrap();
    json!({ "hold": { "tunnel": tunnel, "port": port, "only_for": only_for, "network": network } })
}

fn spawn(dir: &Path) -> (Child, UnboundedReceiver<String>) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_efs-mount"))
        .arg("supervise")
        .arg("--state-dir")
        .arg(dir)
        .arg("--config")
        .arg(dir.join("efs-utils.conf"))
        .env("AWS_SHARED_CREDENTIALS_FILE", dir.join("credentials"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(process.stderr.take().unwrap());
    let (sender, lines) = unbounded_channel();
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            // Read to the end, whether anybody listens or not.
            let _ = sender.send(line);
        }
    });
    (process, lines)
}

async fn ready(mut log: UnboundedReceiver<String>) {
    let mut lines = Vec::new();
    let supervising = async {
        while let Some(line) = log.recv().await {
            if line.contains("supervising") {
                return true;
            }
            lines.push(line);
        }
        false
    };
    let ready = timeout(LIMIT, supervising).await.unwrap();
    assert!(ready, "{lines:?}");
}
