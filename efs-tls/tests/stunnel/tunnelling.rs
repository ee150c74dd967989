//! What the tunnels do: where they listen, what they carry, when they end a connection.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use efs_tls::{CertificateRequest, ClientKey, CommonName, StunnelConfig, StunnelError, StunnelImport};
use secure_connector::{Listen, LocalAddr, TlsVersion, Tunnel, TunnelError};
use secure_connector_testkit::{
    EchoServer, ServerOptions, TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, Principal, Verdict},
    nfs::{HelloOutcome, nfs_hello},
};
use serde_json::Value;
use socket2::SockRef;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{SERVICE, read};

const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const ACCESS_POINT: &str = "fsap-0123456789abcdef0";
const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ARN: &str = "arn:aws:sts::123456789012:assumed-role/batch/i-0123456789abcdef0";
const KEY: &str = include_str!("../vectors/test-rsa3072-key.pem");

/// The file of the mount helper in this case of the vectors.
fn written_by_the_mount_helper(case: &str) -> String {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/tunnel-configs.json")).unwrap();
    let case = cases.iter().find(|row| row["name"] == case).unwrap();
    case["config_text"].as_str().unwrap().to_owned()
}

/// Replaces the values of options; each has to be there.
fn with(mut text: String, values: &[(&str, String)]) -> String {
    for (option, value) in values {
        let start = text.find(&format!("\n{option} = ")).unwrap() + 1;
        let end = text[start..].find('\n').map_or(text.len(), |len| start + len);
        text.replace_range(start..end, &format!("{option} = {value}"));
    }
    text
}

async fn start(text: &str) -> Tunnel {
    let config: StunnelConfig = text.parse().unwrap();
    config.services()[0].tunnel().await.unwrap().start().await.unwrap()
}

/// A tunnel to an echo server whose certificate is for `NAME`.
struct Echo {
    server: EchoServer,
    dir: TempDir,
}

impl Echo {
    async fn start() -> Self {
        let (pki, dir) = (TestPki::new().unwrap(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("ca.pem"), pki.root_pem()).unwrap();
        let certificate = pki.leaf().dns(NAME).issue().unwrap();
        Self { server: EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap(), dir }
    }

    fn text(&self, lines: &str) -> String {
        let values = [
            ("connect", self.server.addr().to_string()),
            ("CAfile", self.dir.path().join("ca.pem").display().to_string()),
            ("checkHost", NAME.to_owned()),
        ];
        with(format!("{SERVICE}\n{lines}"), &values)
    }
}

#[tokio::test]
async fn the_mount_helpers_file_leads_to_its_file_system() {
    let (pki, dir) = (TestPki::new().unwrap(), tempfile::tempdir().unwrap());
    let key = ClientKey::from_pkcs8_pem(KEY.as_bytes()).unwrap();
    let credentials = Credentials::new(KEY_ID, SECRET, None, None, "test");
    let request =
        CertificateRequest::new(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap(), CommonName::of_this_host());
    let certificate =
        request.access_point(ACCESS_POINT.parse().unwrap()).issue(&key, Some(&credentials), SystemTime::now()).unwrap();
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).display().to_string()
    };
    let files = [
        ("CAfile", write("ca.pem", &pki.root_pem())),
        ("cert", write("certificate.pem", &pem::encode(&pem::Pem::new("CERTIFICATE", certificate.der())))),
        ("key", write("privateKey.pem", KEY)),
        ("accept", "127.0.0.1:0".to_owned()),
    ];
    for case in ["proxy-tls-iam-default", "stunnel-tls-5.68-real-help"] {
        let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
            .admission(Admission::IamOnly)
            .access_point(ACCESS_POINT)
            .key(KnownKey::new(KEY_ID, SECRET, ARN));
        let target = FakeMountTarget::builder(rules).start(&pki).await.unwrap();
        let text = with(written_by_the_mount_helper(case), &files);
        let tunnel = start(&with(text, &[("connect", target.addr().to_string())])).await;

        let mut nfs = TcpStream::connect(tunnel.local_addr().tcp().unwrap()).await.unwrap();
        assert!(matches!(nfs_hello(&mut nfs).await.unwrap(), HelloOutcome::Admitted { .. }));
        let event = target.next_event().await.unwrap();
        assert_eq!(event.verdict, Verdict::Admitted(Principal::Iam { arn: ARN.into(), access_key_id: KEY_ID.into() }));
        let report = tunnel.connections()[0].report.clone().unwrap();
        let tls = report.tls.as_ref().unwrap();
        assert_eq!((tls.sni.as_deref(), tls.version), (Some(NAME), TlsVersion::Tls12));
    }
}

#[tokio::test]
async fn bytes_are_carried_and_the_last_of_them_arrive_after_a_half_close() {
    let echo = Echo::start().await;
    let tunnel = start(&echo.text("TIMEOUTclose = 60")).await;
    let mut local = TcpStream::connect(tunnel.local_addr().tcp().unwrap()).await.unwrap();
    local.write_all(b"ping").await.unwrap();
    local.shutdown().await.unwrap();
    let mut answer = Vec::new();
    local.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"ping");
}

#[tokio::test]
async fn timeout_idle_resets_a_connection_that_is_quiet() {
    let echo = Echo::start().await;
    let tunnel = start(&echo.text("TIMEOUTidle = 1")).await;
    let mut local = TcpStream::connect(tunnel.local_addr().tcp().unwrap()).await.unwrap();
    local.write_all(b"ping").await.unwrap();
    local.read_exact(&mut [0; 4]).await.unwrap();
    let ended = timeout(Duration::from_secs(30), local.read(&mut [0])).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(tunnel.status().idle_closed, 1);
}

#[tokio::test]
async fn a_target_that_is_away_resets_at_once_unless_it_is_to_be_retried() {
    let echo = Echo::start().await;
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (line, retried) in [("", 0), ("retry = no", 0), ("retry = yes", 1)] {
        let tunnel = start(&with(echo.text(line), &[("connect", away.to_string())])).await;
        let mut events = tunnel.events();
        let mut local = TcpStream::connect(tunnel.local_addr().tcp().unwrap()).await.unwrap();
        local.write_all(b"ping").await.unwrap();
        if retried == 0 {
            assert_eq!(local.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        } else {
            while tunnel.status().retried == 0 {
                events.recv().await.unwrap();
            }
        }
        assert!(tunnel.status().retried >= retried && tunnel.status().retried <= retried * 9, "{line}");
    }
}

#[tokio::test]
async fn a_unix_socket_is_listened_on() {
    let echo = Echo::start().await;
    let path: PathBuf = echo.dir.path().join("efs.sock");
    let tunnel = start(&with(echo.text(""), &[("accept", path.display().to_string())])).await;
    assert_eq!(tunnel.local_addr(), &LocalAddr::Unix(path.clone()));
    let mut local = UnixStream::connect(path).await.unwrap();
    local.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    local.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

#[tokio::test]
async fn remote_clients_are_let_in_only_when_permitted() {
    let echo = Echo::start().await;
    let text = with(echo.text(""), &[("accept", "0.0.0.0:0".to_owned())]);
    let config = StunnelImport::new().danger_accept_remote_clients().parse(&text).unwrap();
    let tunnel = config.services()[0].tunnel().await.unwrap().start().await.unwrap();
    assert!(tunnel.status().remote_clients);

    // The tunnel itself looks at the listener that it is given.
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let given = read(&echo.text("")).services()[0].tunnel_on(Listen::Bound(listener)).await.unwrap().start().await;
    assert!(matches!(given, Err(TunnelError::NotLoopback { .. })), "{given:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_listener_has_the_options_of_the_socket_lines() {
    let listener = |lines: &str| match read(&format!("{SERVICE}\n{lines}")).services()[0].listen().unwrap() {
        Listen::Bound(listener) => listener,
        other => panic!("{other:?}"),
    };
    let plain = listener("");
    assert_eq!(SockRef::from(&plain).device().unwrap(), None);
    assert!(SockRef::from(&plain).reuse_address().unwrap());
    let bound = listener("socket = a:SO_BINDTODEVICE=lo\nsocket = a:SO_REUSEADDR=no");
    assert_eq!(SockRef::from(&bound).device().unwrap().as_deref(), Some(&b"lo"[..]));
    assert!(!SockRef::from(&bound).reuse_address().unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn a_device_or_address_that_is_not_there_is_named() {
    for (text, device) in [
        (format!("{SERVICE}\nsocket = a:SO_BINDTODEVICE=nodev0"), Some("nodev0")),
        (with(SERVICE.to_owned(), &[("accept", "192.0.2.1:0".to_owned())]), None),
    ] {
        let config = StunnelImport::new().danger_accept_remote_clients().parse(&text).unwrap();
        match config.services()[0].listen() {
            Err(StunnelError::Listen { line: 4, device: named, .. }) => assert_eq!(named.as_deref(), device),
            other => panic!("{other:?}"),
        }
    }
}
