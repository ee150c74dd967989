//! The example program `efs-stunnel` in the place of stunnel: the files of the EFS mount helper, its signals, real peers.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime},
};

use aws_credential_types::Credentials;
use efs_tls::{CertificateRequest, ClientKey, CommonName};
use interop::{Daemon, Ganesha, Libnfs, PemFiles, plain, run, stunnel};
use secure_connector_testkit::{
    TestPki, Usage,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, Principal, Verdict},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ARN: &str = "arn:aws:sts::123456789012:assumed-role/batch/i-0123456789abcdef0";
const KEY: &str = include_str!("../../efs-tls/tests/vectors/test-rsa3072-key.pem");
const WRITTEN: &str = include_str!("../../efs-tls/tests/vectors/tunnel-configs.json");

/// What the mount helper wrote for stunnel, with the values of some options replaced.
fn written_by_the_mount_helper(values: &[(&str, String)]) -> String {
    let cases: Vec<Value> = serde_json::from_str(WRITTEN).unwrap();
    let is_wanted = |row: &&Value| row.get("name").unwrap() == "stunnel-tls-5.68-real-help";
    let case = cases.iter().find(is_wanted).unwrap();
    let mut lines: Vec<String> =
        case.get("config_text").unwrap().as_str().unwrap().lines().map(str::to_owned).collect();
    for (option, value) in values {
        let line = lines.iter_mut().find(|line| line.starts_with(&format!("{option} = "))).unwrap();
        *line = format!("{option} = {value}");
    }
    lines.join("\n")
}

/// The example's program, built now: cargo tells no test where the programs of another package are.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "examples", "--bin", "efs-stunnel"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        let test = std::env::current_exe().unwrap();
        test.parent().and_then(Path::parent).unwrap().join("efs-stunnel")
    })
}

/// Starts a program with a configuration file as its only argument. `ACCEPT` in it stands for the address.
fn start(program: &Path, text: &str) -> Daemon {
    let started = Daemon::start(|dir, addr| {
        let config = dir.join("tunnel.conf");
        fs::write(&config, text.replace("ACCEPT", &addr.to_string()).replace("DIR", &dir.display().to_string()))?;
        let mut command = Command::new(program);
        command.arg(config);
        Ok(command)
    });
    started.unwrap()
}

fn rewrite(daemon: &Daemon, from: &str, to: &str) {
    let config = daemon.dir().join("tunnel.conf");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(config, text.replace(from, to)).unwrap();
}

fn send(signal: &str, pid: u32) {
    run(Command::new("kill").args([format!("-{signal}"), pid.to_string()])).unwrap();
}

#[track_caller]
fn assert_echo<S>(mut stream: &S, bytes: &[u8])
where
    for<'a> &'a S: Read + Write,
{
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer == bytes, "the echo differs");
}

fn connect(to: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(to.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// A TLS server of stunnel that wants a client certificate, in front of an echo server.
fn echo_server(pem: &PemFiles) -> Daemon {
    let echo = plain::echo().unwrap();
    let files = format!("cert = {}\nkey = {}\nCAfile = {}", pem.server_cert(), pem.server_key(), pem.ca());
    stunnel(&format!("{files}\nverifyChain = yes\nconnect = {echo}")).unwrap()
}

/// The mount helper's configuration for that server; the log in a file.
fn to_echo_server(pem: &PemFiles, server: &Daemon) -> String {
    let text = written_by_the_mount_helper(&[
        ("pid", "DIR/stunnel.pid".into()),
        ("accept", "ACCEPT".into()),
        ("connect", server.addr().to_string()),
        ("CAfile", pem.ca()),
        ("cert", pem.client_cert()),
        ("key", pem.client_key()),
    ]);
    format!("output = DIR/tunnel.log\n{text}")
}

/// Waits until the file of `output` has `text`.
fn wait_for_log(daemon: &Daemon, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let log = || fs::read_to_string(daemon.dir().join("tunnel.log")).unwrap_or_default();
    while !log().contains(text) {
        assert!(Instant::now() < deadline, "the log lacks {text:?}:\n{}", log());
        thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nfs_goes_through_the_mount_helpers_tunnel_and_a_renewed_certificate_is_shown_next() {
    let (pki, ganesha, dir) = (TestPki::new().unwrap(), Ganesha::start().unwrap(), TempDir::new().unwrap());
    let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
        .admission(Admission::IamOnly)
        .key(KnownKey::new(KEY_ID, SECRET, ARN));
    let target = FakeMountTarget::builder(rules).backend(ganesha.addr()).start(&pki).await.unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    fs::write(file("ca.pem"), pki.root_pem()).unwrap();
    fs::write(file("privateKey.pem"), KEY).unwrap();
    let renew = |at: SystemTime| {
        let credentials = Credentials::new(KEY_ID, SECRET, None, None, "test");
        let host = CommonName::of_this_host();
        let request = CertificateRequest::new(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap(), host);
        let key = ClientKey::from_pkcs8_pem(KEY.as_bytes()).unwrap();
        let certificate = request.issue(&key, Some(&credentials), at).unwrap();
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.der()));
        fs::write(file("certificate.pem"), pem).unwrap();
        certificate.der().to_vec()
    };
    let first = renew(SystemTime::now());
    let text = written_by_the_mount_helper(&[
        ("pid", "DIR/stunnel.pid".into()),
        ("accept", "ACCEPT".into()),
        ("connect", target.addr().to_string()),
        ("CAfile", file("ca.pem")),
        ("cert", file("certificate.pem")),
        ("key", file("privateKey.pem")),
    ]);
    let tunnel = tokio::task::spawn_blocking(move || start(program(), &format!("output = DIR/tunnel.log\n{text}")));
    let tunnel = tunnel.await.unwrap();
    let pid = fs::read_to_string(tunnel.dir().join("stunnel.pid")).unwrap();
    assert_eq!(pid.trim(), tunnel.pid().to_string());

    let original = dir.path().join("original");
    fs::write(&original, noise(16 * MIB)).unwrap();
    copy_there_and_back(tunnel.addr(), &original, "one").await;
    assert_eq!(sha256(&ganesha.export().join("one")), sha256(&original));

    let second = renew(SystemTime::now() - Duration::from_secs(60));
    send("HUP", tunnel.pid());
    wait_for_log(&tunnel, "configuration read again");
    copy_there_and_back(tunnel.addr(), &original, "two").await;

    let admitted = Verdict::Admitted(Principal::Iam { arn: ARN.into(), access_key_id: KEY_ID.into() });
    let mut shown = BTreeSet::new();
    for _ in 0..target.counters().admitted {
        let event = target.next_event().await.unwrap();
        assert_eq!((&event.verdict, event.connection.sni.as_deref()), (&admitted, Some(NAME)));
        shown.insert(event.connection.client_chain.first().unwrap().clone());
    }
    assert_eq!(shown, BTreeSet::from([first, second]));
}

async fn copy_there_and_back(through: SocketAddr, original: &Path, name: &str) {
    let (original, name) = (original.to_owned(), name.to_owned());
    let copied = tokio::task::spawn_blocking(move || {
        let client = Libnfs::new(through).unwrap();
        let copy = original.with_file_name(format!("copy-{name}"));
        client.put(&original, &name).unwrap();
        client.get(&name, &copy).unwrap();
        assert_eq!(sha256(&copy), sha256(&original));
    });
    copied.await.unwrap();
}

#[test]
fn one_file_serves_stunnel_and_efs_stunnel_alike() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = echo_server(&pem);
    // This build of stunnel knows no `fips`.
    let text = to_echo_server(&pem, &server).replace("fips = no\n", "");
    for program in [Path::new("stunnel4"), program()] {
        let tunnel = start(program, &text);
        let stream = connect(&tunnel);
        assert_echo(&stream, &noise(4 * MIB));
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&stream).read(&mut [0]).unwrap(), 0);

        let wrong = start(program, &text.replace(&format!("checkHost = {NAME}"), "checkHost = other.example"));
        let refused = connect(&wrong);
        (&refused).write_all(b"ping").ok();
        assert_eq!((&refused).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

/// A server that answers half a second after the client has finished: with `TIMEOUTclose = 0` nobody waits for it.
#[test]
fn timeout_close_means_the_same_to_stunnel_and_efs_stunnel() {
    let pem = PemFiles::new(NAME).unwrap();
    let late = plain::late_answer(Duration::from_millis(500), b"late").unwrap();
    let files = format!("cert = {}\nkey = {}", pem.server_cert(), pem.server_key());
    let server = stunnel(&format!("{files}\nTIMEOUTclose = 60\nconnect = {late}")).unwrap();
    let text = to_echo_server(&pem, &server).replace("fips = no\n", "");
    for (limit, expected) in [("0", ""), ("60", "late")] {
        let text = text.replace("TIMEOUTclose = 0\n", &format!("TIMEOUTclose = {limit}\n"));
        for program in [Path::new("stunnel4"), program()] {
            let tunnel = start(program, &text);
            let mut client = connect(&tunnel);
            client.write_all(b"done").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, expected, "{} with TIMEOUTclose = {limit}", program.display());
        }
    }
}

#[test]
fn a_reload_leaves_connections_alone_and_a_file_that_cannot_be_used_leaves_everything() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = echo_server(&pem);
    let tunnel = start(program(), &to_echo_server(&pem, &server));
    let old = connect(&tunnel);
    assert_echo(&old, b"before");

    for (from, to, error) in [
        ("verify = 2", "verify = two", "line 17: `verify = two` cannot be used: write a level from 0 to 4"),
        ("verify = two", "verify = 0", "line 17: the peer is not verified"),
        ("verify = 0", "verify = 2\n[efs]", "line 18: a section [efs] begins in line 7 already"),
        ("verify = 2\n[efs]", "verify = 2\nOCSPaia = yes", "line 18: revocation is not checked"),
        ("verify = 2\nOCSPaia = yes", "verify = 2", ""),
        ("client.pem", "missing.pem", "missing.pem: No such file or directory"),
    ] {
        rewrite(&tunnel, from, to);
        if error.is_empty() {
            continue;
        }
        send("HUP", tunnel.pid());
        wait_for_log(&tunnel, error);
        assert_echo(&old, b"still");
        assert_echo(&connect(&tunnel), b"new ones too");
    }

    rewrite(&tunnel, "missing.pem", "client.pem");
    rewrite(&tunnel, &format!("checkHost = {NAME}"), "checkHost = other.example");
    send("HUP", tunnel.pid());
    wait_for_log(&tunnel, "configuration read again");
    let refused = connect(&tunnel);
    assert_eq!((&refused).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_echo(&old, b"after");
    wait_for_log(&tunnel, "the peer's certificate is not for other.example");
}

#[test]
fn services_come_and_go_and_a_unix_socket_stays() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = echo_server(&pem);
    let text = to_echo_server(&pem, &server);
    let (program_options, service) = text.split_once("[efs]").unwrap();
    let unix =
        service.replace("accept = ACCEPT", "accept = DIR/efs.sock").replace("socket = a:SO_BINDTODEVICE=lo\n", "");
    let tunnel = start(program(), &format!("{program_options}[tcp]{service}\n[unix]{unix}"));
    let path = tunnel.dir().join("efs.sock");
    let over_unix = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };
    let (old_tcp, old_unix) = (connect(&tunnel), over_unix());
    assert_echo(&old_tcp, b"one");
    assert_echo(&old_unix, b"two");

    rewrite(&tunnel, "[tcp]", "[renamed]");
    send("HUP", tunnel.pid());
    wait_for_log(&tunnel, "configuration read again");
    assert_echo(&over_unix(), b"three");
    assert_echo(&connect(&tunnel), b"four");

    let config = fs::read_to_string(tunnel.dir().join("tunnel.conf")).unwrap();
    let (without, _) = config.split_once("[unix]").unwrap();
    fs::write(tunnel.dir().join("tunnel.conf"), without).unwrap();
    fs::write(tunnel.dir().join("tunnel.log"), "").unwrap();
    send("HUP", tunnel.pid());
    wait_for_log(&tunnel, "configuration read again");
    assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_echo(&old_tcp, b"five");
    assert_echo(&old_unix, b"six");
}

#[test]
fn the_log_is_opened_again_and_connections_are_listed() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = echo_server(&pem);
    let tunnel = start(program(), &to_echo_server(&pem, &server));
    let stream = connect(&tunnel);
    assert_echo(&stream, b"four");
    let (log, rotated) = (tunnel.dir().join("tunnel.log"), tunnel.dir().join("tunnel.log.1"));
    fs::rename(&log, &rotated).unwrap();
    send("USR1", tunnel.pid());
    send("USR2", tunnel.pid());
    wait_for_log(&tunnel, "up=4 down=4");
    // `foreground = quiet`: only what was to be said before the start is on standard error.
    let said = tunnel.log();
    assert!(said.contains("tunnel.conf: line 11: TLS 1.3 is ruled out") && !said.contains("up=4"), "{said}");
}

#[test]
fn it_ends_when_told_to_and_takes_its_pid_file_along() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = echo_server(&pem);
    for signal in ["TERM", "INT", "QUIT"] {
        let dir = TempDir::new().unwrap();
        let (mut running, _) = Running::start(dir.path(), &to_echo_server(&pem, &server));
        send(signal, running.0.id());
        assert!(running.end().success(), "{signal}");
        assert!(!dir.path().join("stunnel.pid").exists(), "{signal}");
    }
}

/// As under the mount helper's watchdog.
#[test]
fn a_standard_error_that_nobody_reads_holds_nothing_up() {
    const CONNECTIONS: usize = 50;
    const PIPE: usize = 64 << 10;
    let pem = PemFiles::new(NAME).unwrap();
    let server = echo_server(&pem);
    let dir = TempDir::new().unwrap();
    let text = to_echo_server(&pem, &server).replace("foreground = quiet", "foreground = yes");
    let (running, addr) = Running::start(dir.path(), &text);
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(addr).unwrap()).collect();
    for connection in &connections {
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert_echo(connection, b"open");
    }
    let log = || fs::read_to_string(dir.path().join("tunnel.log")).unwrap();
    // The last line is held up by whatever holds up the program.
    while log().len() < 3 * PIPE {
        let listed = log().matches("up=4 down=4").count();
        send("USR2", running.0.id());
        let deadline = Instant::now() + Duration::from_secs(30);
        while log().matches("up=4 down=4").count() < listed + CONNECTIONS {
            assert!(Instant::now() < deadline, "held up after {} bytes of log", log().len());
            thread::sleep(Duration::from_millis(5));
        }
    }
    assert_echo(connections.last().unwrap(), b"still");
}

/// A program whose end, or standard error, is part of the test. Killed when that fails.
struct Running(Child);

impl Running {
    /// Also returns where it listens.
    fn start(dir: &Path, text: &str) -> (Self, SocketAddr) {
        let config = dir.join("tunnel.conf");
        let text = text.replace("ACCEPT", "127.0.0.1:0").replace("DIR", &dir.display().to_string());
        fs::write(&config, text).unwrap();
        let running = Self(Command::new(program()).arg(config).stderr(Stdio::piped()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(dir.join("stunnel.pid")).is_ok_and(|pid| pid.ends_with('\n')) {
            assert!(Instant::now() < deadline, "no pid file");
            thread::sleep(Duration::from_millis(5));
        }
        let log = fs::read_to_string(dir.join("tunnel.log")).unwrap();
        let (_, rest) = log.split_once(" on=").unwrap();
        (running, rest.split_whitespace().next().unwrap().parse().unwrap())
    }

    fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(Instant::now() < deadline, "it goes on"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn it_says_which_line_is_at_fault_and_ends() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("tunnel.conf");
    fs::write(&config, "[efs]\nclient = yes\nconect = 1\n").unwrap();
    let error = run(Command::new(program()).arg(config)).unwrap_err().to_string();
    assert!(error.contains("efs-stunnel: line 3: there is no option `conect`; did you mean `connect`?"), "{error}");
}

/// The mount helper looks for option names at the beginning of lines on standard error.
#[test]
fn its_help_lists_options_of_stunnel_as_stunnel_does() {
    let help = |program: &Path| {
        let output = Command::new(program).arg("-help").output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.map(|(name, values)| (name.trim_end().to_owned(), values.to_owned())).collect::<Vec<_>>()
    };
    let (theirs, ours) = (help(Path::new("stunnel4")), help(program()));
    let known: BTreeSet<_> = theirs.iter().map(|(name, _)| name.as_str()).collect();
    let unknown: Vec<_> = ours.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
    // This build of stunnel knows no `fips`.
    assert_eq!(unknown, ["fips"]);
    for (option, value) in [("foreground", "quiet"), ("checkHost", ""), ("libwrap", "")] {
        assert!(ours.iter().any(|(name, values)| name == option && values.contains(value)), "{option}");
    }
    assert!(!ours.iter().any(|(name, _)| name == "OCSPaia"));
}

/// The certificate follows its file without a signal too.
#[test]
fn a_certificate_that_is_replaced_is_found_without_a_signal() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = echo_server(&pem);
    let tunnel = start(program(), &to_echo_server(&pem, &server).replace("foreground = quiet", "foreground = yes"));
    assert_echo(&connect(&tunnel), b"before");
    let other = TestPki::new().unwrap();
    let stranger = other.leaf().common_name("stranger").usage(Usage::Client).issue().unwrap();
    fs::write(pem.client_key(), stranger.key_pem().as_bytes()).unwrap();
    fs::write(pem.client_cert(), stranger.chain_pem()).unwrap();
    tunnel.wait_for_log("identity reloaded").unwrap();
    let refused = connect(&tunnel);
    assert_eq!((&refused).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// Bytes that no compression or block repetition makes equal by chance; the same on every run.
fn noise(len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|n| Sha256::digest(n.to_be_bytes()));
    blocks.take(len).collect()
}

fn sha256(file: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(file).unwrap()))
}
