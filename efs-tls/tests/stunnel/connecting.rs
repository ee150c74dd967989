//! What the connectors do: whom they accept, what they show, how long they wait.

use std::{fs, net::SocketAddr, time::Duration};

use efs_tls::{StunnelConfig, StunnelImport};
use secure_connector::{
    ConnectError, SecureConnector, SecureStream, Stage, TlsConnector, TlsVersion, Untrusted, Verified, Warning,
    error_chain,
};
use secure_connector_testkit::{
    ClientAuth, EchoServer, ServerOptions, TestCertificate, TestPki, TlsVersion as Spoken, Usage, misbehaving,
};
use tempfile::TempDir;

const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";

/// A PKI, and a folder for its files.
struct Files {
    pki: TestPki,
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { pki: TestPki::new().unwrap(), dir: tempfile::tempdir().unwrap() };
        files.write("ca.pem", &files.pki.root_pem());
        files
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn server(&self) -> TestCertificate {
        self.pki.leaf().dns(NAME).issue().unwrap()
    }

    /// A service that verifies a chain to the root of this PKI and `NAME`, with further lines. `FOLDER` stands for that
    /// of the files.
    fn service(&self, connect: SocketAddr, lines: &str) -> String {
        let head = "[efs]\nclient = yes\naccept = 127.0.0.1:0\nCAfile = FOLDER/ca.pem\nTIMEOUTbusy = 10";
        format!("{head}\nconnect = {connect}\n{lines}").replace("FOLDER", &self.dir.path().display().to_string())
    }
}

async fn connector(text: &str) -> TlsConnector {
    let config: StunnelConfig = text.parse().unwrap();
    config.services()[0].connector().await.unwrap()
}

async fn refused(text: &str) -> String {
    error_chain(&text.parse::<StunnelConfig>().unwrap().services()[0].connector().await.unwrap_err())
}

const CHECKED: &str = "verify = 2\ncheckHost = fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";

#[tokio::test]
async fn any_of_several_names_will_do_and_no_other() {
    let files = Files::new();
    let server = EchoServer::start(&files.server(), &ServerOptions::default()).await.unwrap();
    let text = files.service(server.addr(), &format!("{CHECKED}\ncheckHost = other.example\ncheckIP = 10.0.0.9"));
    let stream = connector(&text).await.connect().await.unwrap();
    assert_eq!(stream.report().verified, Verified::DnsName(NAME.into()));
    assert_eq!(stream.report().warnings, []);

    let text = files.service(server.addr(), "verifyChain = yes\ncheckHost = other.example\ncheckIP = 10.0.0.9");
    let error = connector(&text).await.connect().await.unwrap_err();
    let ConnectError::Identity { expected, presented } = error else { panic!("{error:?}") };
    assert_eq!((expected, presented.dns), (vec!["other.example".into(), "10.0.0.9".into()], vec![NAME.into()]));

    let by_address = files.pki.leaf().ip([127, 0, 0, 1]).issue().unwrap();
    let server = EchoServer::start(&by_address, &ServerOptions::default()).await.unwrap();
    let stream = connector(&files.service(server.addr(), "verify = 1\ncheckIP = 127.0.0.1")).await.connect().await;
    assert_eq!(stream.unwrap().report().verified, Verified::IpAddress([127, 0, 0, 1].into()));
}

#[tokio::test]
async fn another_ca_is_refused_except_where_any_certificate_is_permitted() {
    let (files, others) = (Files::new(), Files::new());
    let server = EchoServer::start(&others.server(), &ServerOptions::default()).await.unwrap();
    let error = connector(&files.service(server.addr(), CHECKED)).await.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Untrusted { reason: Untrusted::UnknownCa { .. }, .. }), "{error:?}");

    let import = StunnelImport::new().danger_accept_any_certificate();
    let config = import.parse(&files.service(server.addr(), "verify = 0")).unwrap();
    let stream = config.services()[0].connector().await.unwrap().connect().await.unwrap();
    assert_eq!(stream.report().warnings, [Warning::VerificationDisabled]);

    let import = StunnelImport::new().danger_accept_any_name();
    let config = import.parse(&files.service(server.addr(), "verify = 2")).unwrap();
    let error = config.services()[0].connector().await.unwrap().connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Untrusted { reason: Untrusted::UnknownCa { .. }, .. }), "{error:?}");
    let config = import.parse(&others.service(server.addr(), "verify = 2")).unwrap();
    let stream = config.services()[0].connector().await.unwrap().connect().await.unwrap();
    assert_eq!(stream.report().verified, Verified::ChainOnly);
}

#[tokio::test]
async fn levels_3_and_4_want_the_certificate_itself_in_the_file() {
    let files = Files::new();
    let own = files.server();
    let self_signed = files.pki.leaf().dns("other.example").self_signed().unwrap();
    let (root, leaf) = (files.pki.root_pem(), own.chain_pem());
    for (certificate, ca_file, lines, accepted) in [
        (&own, root.clone() + &leaf, "verify = 3", true),
        (&own, leaf.clone() + &root, "verifyChain = yes\nverifyPeer = yes", true),
        (&own, root.clone(), "verify = 3", false),
        (&own, root.clone() + &leaf, "verify = 3\ncheckHost = other.example", false),
        (&own, leaf.clone(), "verify = 4", true),
        (&own, root, "verify = 4", false),
        (&self_signed, self_signed.chain_pem(), "verifyPeer = yes", true),
        (&self_signed, leaf, "verifyPeer = yes", false),
    ] {
        files.write("ca.pem", &ca_file);
        let server = EchoServer::start(certificate, &ServerOptions::default()).await.unwrap();
        let outcome = connector(&files.service(server.addr(), lines)).await.connect().await;
        assert_eq!(outcome.is_ok(), accepted, "{lines}: {outcome:?}");
        if let Err(error) = outcome {
            let by_pin = matches!(&error, ConnectError::Untrusted { reason: Untrusted::PinMismatch { .. }, .. });
            assert!(by_pin || matches!(error, ConnectError::Identity { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn the_versions_that_are_written_are_spoken_and_no_other() {
    let files = Files::new();
    let server = EchoServer::start(&files.server(), &ServerOptions::default()).await.unwrap();
    for (line, version) in [
        ("sslVersion = TLSv1.2", TlsVersion::Tls12),
        ("sslVersion = TLSv1.3", TlsVersion::Tls13),
        ("sslVersion = all", TlsVersion::Tls13),
        ("sslVersionMax = TLSv1.2", TlsVersion::Tls12),
        ("sslVersionMin = TLSv1.3", TlsVersion::Tls13),
    ] {
        let text = files.service(server.addr(), &format!("{CHECKED}\n{line}"));
        let stream = connector(&text).await.connect().await.unwrap();
        assert_eq!(stream.report().tls.as_ref().unwrap().version, version, "{line}");
    }
    for (spoken, line) in [(Spoken::Tls13, "sslVersion = TLSv1.2"), (Spoken::Tls12, "sslVersion = TLSv1.3")] {
        let options = ServerOptions::default().versions(&[spoken]);
        let server = EchoServer::start(&files.server(), &options).await.unwrap();
        let text = files.service(server.addr(), &format!("{CHECKED}\n{line}"));
        let error = connector(&text).await.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn the_server_name_is_sent_as_written() {
    let files = Files::new();
    let server = EchoServer::start(&files.server(), &ServerOptions::default()).await.unwrap();
    for (line, sent) in [("", Some(NAME)), ("sni = other.example", Some("other.example")), ("sni =", None)] {
        let text = files.service(server.addr(), &format!("{CHECKED}\n{line}"));
        connector(&text).await.connect().await.unwrap();
        assert_eq!(server.next_connection().await.unwrap().sni.as_deref(), sent);
    }
}

#[tokio::test]
async fn the_client_certificate_is_shown_from_one_file_or_two() {
    let files = Files::new();
    let client = files.pki.leaf().common_name("client").usage(Usage::Client).issue().unwrap();
    files.write("cert.pem", &client.chain_pem());
    files.write("key.pem", &client.key_pem());
    files.write("both.pem", &format!("{}{}", *client.key_pem(), client.chain_pem()));
    let options = ServerOptions::default().client_auth(ClientAuth::RequireAny);
    let server = EchoServer::start(&files.server(), &options).await.unwrap();
    for lines in ["cert = FOLDER/cert.pem\nkey = FOLDER/key.pem", "cert = FOLDER/both.pem"] {
        let text = files.service(server.addr(), &format!("{CHECKED}\n{lines}"));
        let stream = connector(&text).await.connect().await.unwrap();
        assert_eq!(stream.report().identity.as_ref().unwrap().subject, "CN=client");
        assert_eq!(server.next_connection().await.unwrap().client_chain, client.chain_der());
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_their_line() {
    let files = Files::new();
    let folder = files.dir.path().display().to_string();
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let text = files.service(address, &format!("{CHECKED}\ncert = FOLDER/none.pem"));
    let expected = format!("line 9: `cert`: cannot read {folder}/none.pem: No such file or directory (os error 2)");
    assert_eq!(refused(&text).await, expected);

    files.write("cert.pem", "no certificate");
    let text = files.service(address, &format!("{CHECKED}\ncert = FOLDER/cert.pem"));
    assert!(refused(&text).await.starts_with("line 9: `cert`: "), "{}", refused(&text).await);

    files.write("ca.pem", "no certificate");
    let error = refused(&files.service(address, CHECKED)).await;
    assert!(error.starts_with(&format!("line 4: `CAfile`: {folder}/ca.pem has no certificate")), "{error}");
    let error = refused(&files.service(address, "verify = 4")).await;
    let expected = "line 4: `CAfile` does not hold the certificates to compare the peer's with: ";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn timeout_busy_ends_a_handshake_that_does_not_come_about() {
    let files = Files::new();
    let server = misbehaving::silent().await.unwrap();
    let text = files.service(server.addr(), CHECKED).replace("TIMEOUTbusy = 10", "TIMEOUTbusy = 1");
    let error = connector(&text).await.connect().await.unwrap_err();
    let limit = Duration::from_secs(1);
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Tls, limit: l } if l == limit), "{error:?}");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn timeout_connect_ends_a_dialling_that_nobody_answers() {
    let files = Files::new();
    let server = misbehaving::full_backlog().await.unwrap();
    let text = files.service(server.addr(), &format!("{CHECKED}\nTIMEOUTconnect = 1"));
    let error = connector(&text).await.connect().await.unwrap_err();
    let ConnectError::Connect { attempts } = &error else { panic!("{error:?}") };
    assert_eq!(attempts[0].error.to_string(), "no answer within 1s");
}

#[tokio::test]
async fn the_mount_command_does_not_outwait_its_tunnel() {
    let files = Files::new();
    let server = misbehaving::silent().await.unwrap();
    let text = files.service(server.addr(), &format!("{CHECKED}\nretry_nfs_mount_command_timeout_sec = 2"));
    let error = connector(&text).await.connect().await.unwrap_err();
    let limit = Duration::from_secs(1);
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Total, limit: l } if l == limit), "{error:?}");
}

#[tokio::test]
async fn a_target_that_is_away_is_passed_over() {
    let files = Files::new();
    let server = EchoServer::start(&files.server(), &ServerOptions::default()).await.unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lines = format!("connect = {}\n{CHECKED}", server.addr());
    let stream = connector(&files.service(closed, &lines)).await.connect().await.unwrap();
    assert_eq!(stream.report().peer.as_deref(), Some(server.addr().to_string().as_str()));
}

#[tokio::test]
async fn round_robin_takes_turns_and_priority_does_not() {
    let files = Files::new();
    let one = EchoServer::start(&files.server(), &ServerOptions::default()).await.unwrap();
    let two = EchoServer::start(&files.server(), &ServerOptions::default()).await.unwrap();
    for (failover, counts) in [("rr", (2, 2)), ("prio", (6, 2))] {
        let lines = format!("connect = {}\nfailover = {failover}\n{CHECKED}", two.addr());
        let connector = connector(&files.service(one.addr(), &lines)).await;
        for _ in 0..4 {
            connector.connect().await.unwrap();
        }
        assert_eq!((one.connections(), two.connections()), counts, "{failover}");
    }
}

#[tokio::test]
async fn a_unix_socket_is_dialled() {
    let files = Files::new();
    let text = files.service(([127, 0, 0, 1], 1).into(), CHECKED).replace("127.0.0.1:1", "/no/such.sock");
    let error = connector(&text).await.connect().await.unwrap_err();
    let ConnectError::ConnectUnix { path, .. } = &error else { panic!("{error:?}") };
    assert_eq!(path.to_str(), Some("/no/such.sock"));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn keepalive_is_on_unless_it_is_switched_off() {
    let files = Files::new();
    for (line, timer) in [("", 2), ("socket = r:SO_KEEPALIVE=yes", 2), ("socket = r:SO_KEEPALIVE=no", 0)] {
        let server = EchoServer::start(&files.server(), &ServerOptions::default()).await.unwrap();
        let stream = connector(&files.service(server.addr(), &format!("{CHECKED}\n{line}"))).await.connect().await;
        // While a segment is on its way, the timer is another one.
        let settled = async {
            while running_timer(server.addr().port()) != Some(timer) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settled).await.unwrap_or_else(|_| panic!("{line}: {stream:?}"));
    }
}

/// Which timer the kernel runs for our connection to this port (proc_net_tcp.txt): 0 none, 2 keepalive.
#[cfg(target_os = "linux")]
fn running_timer(port: u16) -> Option<u8> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let columns = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let ours = table.lines().map(columns).find(|columns| columns[2].ends_with(&format!(":{port:04X}")))?;
    u8::from_str_radix(ours[5].split(':').next()?, 16).ok()
}
