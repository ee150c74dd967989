//! Our connector, tunnel and test servers against TLS of another make: stunnel and OpenSSL, as server and as client.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{net::SocketAddr, process::Command, time::Duration};

use interop::{Daemon, PemFiles, plain, run, s_server, stunnel};
use secure_connector::{
    ConnectError, Dial, PeerVerifier, Roots, SecureConnector, SecureStream, TlsConnector, TlsConnectorBuilder,
    TlsFailure, TlsVersion, Tunnel, Verified,
};
use secure_connector_testkit::{ClientAuth, EchoServer, ServerOptions, TestPki, TlsVersion as Spoken, Usage};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

const MIB: usize = 1 << 20;
const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
const VERSIONS: [(TlsVersion, &str); 2] = [(TlsVersion::Tls12, "TLSv1.2"), (TlsVersion::Tls13, "TLSv1.3")];

fn connector(address: SocketAddr, pem: &PemFiles) -> TlsConnectorBuilder {
    let roots = Roots::from_file(pem.ca()).unwrap();
    let peer = PeerVerifier::check_host(roots, [NAME.parse().unwrap()]).unwrap();
    TlsConnector::builder(Dial::addresses([address]), peer)
}

/// TLS in front of an echo server.
fn stunnel_server(pem: &PemFiles, more: &str) -> Daemon {
    let echo = plain::echo().unwrap();
    stunnel(&format!("cert = {}\nkey = {}\nconnect = {echo}\n{more}", pem.server_cert(), pem.server_key())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stunnel_server_is_verified_and_its_sessions_are_resumed() {
    let pem = PemFiles::new(NAME).unwrap();
    for (version, spelled) in VERSIONS {
        let server = stunnel_server(&pem, &format!("sslVersion = {spelled}"));
        let connector = connector(server.addr(), &pem).build().unwrap();
        for resumed in [false, true] {
            let mut stream = connector.connect().await.unwrap();
            let tls = stream.report().tls.clone().unwrap();
            assert_eq!((tls.version, tls.resumed), (version, resumed));
            assert_eq!(stream.report().verified, Verified::DnsName(NAME.into()));
            stream.write_all(b"ping").await.unwrap();
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.unwrap();
            // Half-close: stunnel answers the end of our data with the end of its own.
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stunnel_server_of_another_version_has_nothing_in_common() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = stunnel_server(&pem, "sslVersion = TLSv1.2");
    let connector = connector(server.addr(), &pem).minimum_version(TlsVersion::Tls13).build().unwrap();
    let error = connector.connect().await.unwrap_err();
    let expected = matches!(&error, ConnectError::Tls { reason: TlsFailure::NothingInCommon { .. }, .. });
    assert!(expected, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stunnel_server_takes_our_client_certificate_and_resumes_under_it() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = stunnel_server(&pem, &format!("CAfile = {}\nverifyChain = yes", pem.ca()));
    let never = Duration::from_secs(3600);
    let identity = secure_connector::PemFiles::open(pem.client_cert(), pem.client_key(), never).await.unwrap();
    let with = connector(server.addr(), &pem).identity(identity).build().unwrap();
    for resumed in [false, true] {
        let mut stream = with.connect().await.unwrap();
        assert_eq!(stream.report().tls.as_ref().unwrap().resumed, resumed);
        assert_eq!(stream.report().identity.as_ref().unwrap().subject, "CN=test client");
        stream.write_all(b"ping").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
    }
    let without = connector(server.addr(), &pem).maximum_version(TlsVersion::Tls12).build().unwrap();
    let error = without.connect().await.unwrap_err();
    assert!(matches!(&error, ConnectError::Tls { reason: TlsFailure::Alert { .. }, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_tunnel_carries_bytes_to_a_stunnel_server_both_ways() {
    let pem = PemFiles::new(NAME).unwrap();
    for (_, spelled) in VERSIONS {
        let server = stunnel_server(&pem, &format!("sslVersion = {spelled}"));
        let tunnel = Tunnel::builder(connector(server.addr(), &pem).build().unwrap()).start().await.unwrap();
        assert_echo(tunnel.local_addr().tcp().unwrap(), 8 * MIB).await;
        let status = tunnel.status();
        assert_eq!((status.bytes_up, status.bytes_down, status.truncated), (8 << 20, 8 << 20, 0), "{spelled}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stunnel_client_goes_through_our_tunnel_to_a_stunnel_server() {
    let pem = PemFiles::new(NAME).unwrap();
    let inner = stunnel_server(&pem, "");
    let outer =
        stunnel(&format!("cert = {}\nkey = {}\nconnect = {}", pem.server_cert(), pem.server_key(), inner.addr()))
            .unwrap();
    let tunnel = Tunnel::builder(connector(outer.addr(), &pem).build().unwrap()).start().await.unwrap();
    let client = stunnel(&format!(
        "client = yes\nconnect = {}\nCAfile = {}\nverifyChain = yes\ncheckHost = {NAME}",
        tunnel.local_addr(),
        pem.ca()
    ))
    .unwrap();
    assert_echo(client.addr(), 4 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stunnel_client_reaches_the_test_servers() {
    let (pki, dir) = (TestPki::new().unwrap(), tempfile::tempdir().unwrap());
    let server = pki.leaf().dns(NAME).issue().unwrap();
    let client = pki.leaf().common_name("stunnel").usage(Usage::Client).issue().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).display().to_string()
    };
    let (ca, cert) = (file("ca.pem", &pki.root_pem()), file("client.pem", &client.chain_pem()));
    let key = file("client.key", &client.key_pem());
    for (version, spelled) in [(Spoken::Tls12, "TLSv1.2"), (Spoken::Tls13, "TLSv1.3")] {
        let options = ServerOptions::default().client_auth(ClientAuth::RequireAny);
        let echo = EchoServer::start(&server, &options).await.unwrap();
        let stunnel = stunnel(&format!(
            "client = yes\nconnect = {}\nCAfile = {ca}\ncert = {cert}\nkey = {key}\nverifyChain = yes\ncheckHost = {NAME}\nsslVersion = {spelled}",
            echo.addr()
        ))
        .unwrap();
        for resumed in [false, true] {
            assert_echo(stunnel.addr(), MIB).await;
            let seen = echo.next_connection().await.unwrap();
            assert_eq!((seen.version, seen.resumed), (Some(version), resumed));
            // stunnel adds the root that it finds in its CAfile.
            assert_eq!(seen.client_chain.first().unwrap(), client.leaf_der());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openssl_server_is_verified_and_its_sessions_are_resumed() {
    let pem = PemFiles::new(NAME).unwrap();
    for (version, flag) in [(TlsVersion::Tls12, "-tls1_2"), (TlsVersion::Tls13, "-tls1_3")] {
        let server = s_server(&["-rev", flag, "-cert", &pem.server_cert(), "-key", &pem.server_key()]).unwrap();
        let connector = connector(server.addr(), &pem).build().unwrap();
        for resumed in [false, true] {
            let mut stream = BufReader::new(connector.connect().await.unwrap());
            let tls = stream.get_ref().report().tls.clone().unwrap();
            assert_eq!((tls.version, tls.resumed), (version, resumed));
            stream.write_all(b"hello\n").await.unwrap();
            let mut answer = String::new();
            stream.read_line(&mut answer).await.unwrap();
            assert_eq!(answer, "olleh\n");
            stream.write_all(b"CLOSE\n").await.unwrap();
            // s_server serves one client at a time.
            while stream.read_line(&mut answer).await.unwrap_or(0) > 0 {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openssl_server_for_another_name_is_refused() {
    let pem = PemFiles::new("other.example").unwrap();
    let server = s_server(&["-rev", "-cert", &pem.server_cert(), "-key", &pem.server_key()]).unwrap();
    let error = connector(server.addr(), &pem).build().unwrap().connect().await.unwrap_err();
    let ConnectError::Identity { presented, .. } = &error else { panic!("{error:?}") };
    assert_eq!(presented.dns, ["other.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openssl_client_reaches_the_test_servers() {
    let (pki, dir) = (TestPki::new().unwrap(), tempfile::tempdir().unwrap());
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, pki.root_pem()).unwrap();
    let ca = ca.display().to_string();
    let server = pki.leaf().dns(NAME).issue().unwrap();
    for (version, flag) in [(Spoken::Tls12, "-tls1_2"), (Spoken::Tls13, "-tls1_3")] {
        let echo = EchoServer::start(&server, &ServerOptions::default()).await.unwrap();
        let address = echo.addr();
        // `Q` at the start of a line ends s_client.
        let script = format!(
            "echo Q | openssl s_client -connect {address} -brief {flag} -verify_return_error \
             -CAfile {ca} -verify_hostname {NAME} -servername {NAME}"
        );
        let client = tokio::task::spawn_blocking(move || run(Command::new("sh").args(["-c", &script])));
        let said = client.await.unwrap().unwrap();
        assert!(said.contains("Verification: OK"), "{said}");
        let seen = echo.next_connection().await.unwrap();
        assert_eq!((seen.version, seen.sni.as_deref()), (Some(version), Some(NAME)));
    }
}

async fn assert_echo(address: SocketAddr, len: usize) {
    let sent = noise(len);
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    let sending = tokio::spawn({
        let sent = sent.clone();
        async move {
            to.write_all(&sent).await.unwrap();
            to
        }
    });
    // Ended only when all is back: stunnel, when busy, now and then loses the rest after the end of our half.
    let mut answer = vec![0; len];
    from.read_exact(&mut answer).await.unwrap();
    sending.await.unwrap();
    assert!(answer == sent, "other bytes came back");
}

/// Bytes that no compression or block repetition makes equal by chance; the same on every run.
fn noise(len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|n| Sha256::digest(n.to_be_bytes()));
    blocks.take(len).collect()
}
