//! A supervisor of the test's own, and its protocol spelled out.

use std::{
    fs,
    io::{BufRead, BufReader, IoSliceMut},
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    cmsg_space,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
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
        Self::start_by(pki, config, None).await
    }

    pub(crate) async fn start_by(pki: &TestPki, config: &str, manager: Option<&ServiceManager>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), pki.root_pem()).unwrap();
        fs::write(dir.path().join("efs-utils.conf"), config).unwrap();
        let profiles = "[one]\naws_access_key_id = AKIAIOSFODNN7EXAMPL1\naws_secret_access_key = one\n\
                        [two]\naws_access_key_id = AKIAIOSFODNN7EXAMPL2\naws_secret_access_key = two\n";
        fs::write(dir.path().join("credentials"), profiles).unwrap();
        let (process, log) = spawn(dir.path(), manager, None);
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
        let (process, log) = spawn(self.dir.path(), None, None);
        self.process = process;
        ready(log).await;
    }

    pub(crate) async fn restart_with(&mut self, manager: &ServiceManager, listener: OwnedFd) {
        let (process, log) = spawn(self.dir.path(), Some(manager), Some(listener));
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

/// What systemd is to a service: it is told the state, and given descriptors to keep.
pub(crate) struct ServiceManager {
    socket: UnixDatagram,
    dir: TempDir,
}

impl ServiceManager {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { socket, dir }
    }

    pub(crate) async fn next(&self) -> (String, Option<OwnedFd>) {
        let socket = self.socket.try_clone().unwrap();
        tokio::task::spawn_blocking(move || {
            let (mut state, mut space) = ([0; 256], [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))]);
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received =
                recvmsg(&socket, &mut [IoSliceMut::new(&mut state)], &mut control, RecvFlags::empty()).unwrap();
            let passed = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut passed) => passed.next(),
                _ => None,
            });
            (String::from_utf8_lossy(&state[..received.bytes]).into_owned(), passed)
        })
        .await
        .unwrap()
    }
}

/// The shell puts the listener where sd_listen_fds(3) has it, in the process that is going to be the supervisor.
const PASSED: &str = "LISTEN_FDS=1 LISTEN_FDNAMES=x LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 0</dev/null";

fn spawn(
    dir: &Path,
    manager: Option<&ServiceManager>,
    listener: Option<OwnedFd>,
) -> (Child, UnboundedReceiver<String>) {
    let program = env!("CARGO_BIN_EXE_efs-mount");
    let mut command = match listener {
        None => Command::new(program),
        Some(listener) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", PASSED, program]).stdin(Stdio::from(listener));
            shell
        }
    };
    if let Some(manager) = manager {
        command.env("NOTIFY_SOCKET", manager.dir.path().join("notify"));
    }
    let mut process = command
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
