//! What a hostile or unlucky neighbour could do, and does not.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use secure_connector::{
    AuthenticatedAs, ConnectError, Dial, Identity, PeerVerifier, PemFiles, Resolve, Roots, SecureConnector,
    SecureStream, SecureTransport, SpkiPin, StaticIdentity, TlsConnector, TlsVersion, Untrusted, Verified, error_chain,
};
use secure_connector_testkit::{
    CaOptions, ClientAuth, EchoServer, ServerOptions, TestPki, Usage, Validity, rustls_config,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::support::{NAME, echo, identity, localhost_peer, roots, start};

fn connector_for(pki: &TestPki, server: &EchoServer, name: &str, newest: TlsVersion) -> TlsConnector {
    let peer = PeerVerifier::check_host(roots(pki), [name.parse().unwrap()]).unwrap();
    TlsConnector::builder(Dial::addresses([server.addr()]), peer).maximum_version(newest).build().unwrap()
}

#[tokio::test]
async fn verdicts_of_many_handshakes_on_one_thread_do_not_mix() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let (pki, server) = start(&ServerOptions::default()).await;
        let stranger = TestPki::new().unwrap();
        let connectors = [(&pki, NAME), (&stranger, NAME), (&pki, "x.example")]
            .map(|(pki, name)| Arc::new(connector_for(pki, &server, name, version)));
        let mut connecting = tokio::task::JoinSet::new();
        for which in (0..90).map(|i| i % 3) {
            let connector = connectors[which].clone();
            connecting.spawn(async move { (which, connector.connect().await) });
        }
        for (which, outcome) in connecting.join_all().await {
            let right = match (which, &outcome) {
                (0, Ok(stream)) => stream.report().verified == Verified::DnsName(NAME.into()),
                (1, Err(ConnectError::Untrusted { reason: Untrusted::UnknownCa { .. }, .. })) => true,
                (2, Err(ConnectError::Identity { .. })) => true,
                _ => false,
            };
            assert!(right, "{which}: {outcome:?}");
        }
    }
}

/// Panics at the second write: after the server was verified.
struct Panicking(TcpStream, bool);

impl AsyncRead for Panicking {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Panicking {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!std::mem::replace(&mut self.1, true), "this transport fails its user");
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn the_verdict_of_a_handshake_that_panicked_is_nobody_elses() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns("a.example").dns("b.example").issue().unwrap();
    let server = EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap();
    let b = connector_for(&pki, &server, "b.example", TlsVersion::Tls13);
    echo(&mut b.connect().await.unwrap()).await;
    let a = connector_for(&pki, &server, "a.example", TlsVersion::Tls13);
    let transport = Panicking(TcpStream::connect(server.addr()).await.unwrap(), false);
    let panicked = tokio::spawn(async move { a.secure(transport).await.map(drop) }).await;
    assert!(panicked.unwrap_err().is_panic());
    let stream = b.connect().await.unwrap();
    assert!(stream.report().tls.as_ref().unwrap().resumed);
    assert_eq!(stream.report().verified, Verified::DnsName("b.example".into()));
}

/// Servers in turn behind one name.
#[derive(Debug)]
struct InTurn(Vec<SocketAddr>, AtomicUsize);

#[async_trait::async_trait]
impl Resolve for InTurn {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        let turn = self.1.fetch_add(1, Ordering::Relaxed);
        Ok(vec![self.0[turn % self.0.len()]])
    }
}

#[tokio::test]
async fn the_report_names_the_identity_that_each_of_several_servers_has_seen() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let asking = ServerOptions::default().client_auth(ClientAuth::RequireAny);
    let asks = EchoServer::start(&certificate, &asking).await.unwrap();
    let does_not = EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap();
    let both = Arc::new(InTurn(vec![asks.addr(), does_not.addr()], AtomicUsize::new(0)));
    let client = identity(&pki.leaf().common_name("me").usage(Usage::Client).issue().unwrap());
    let connector = TlsConnector::builder(Dial::name_resolved_by(NAME, 1, both), localhost_peer(&pki))
        .identity(StaticIdentity::new(client))
        .build()
        .unwrap();
    for _ in 0..3 {
        for (server, seen) in [(&asks, true), (&does_not, false)] {
            let mut stream = connector.connect().await.unwrap();
            echo(&mut stream).await;
            let has_it = !server.next_connection().await.unwrap().client_chain.is_empty();
            assert_eq!((stream.report().identity.is_some(), has_it), (seen, seen));
        }
    }
}

#[tokio::test]
async fn an_identity_that_the_peer_cannot_verify_is_not_reported_as_presented() {
    let (pki, rsa) = (TestPki::new().unwrap(), rustls::SignatureScheme::RSA_PSS_SHA256);
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let options = ServerOptions::default().client_auth(ClientAuth::RequestAny);
    let usual = rustls_config::server_config(&certificate, &options).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(usual.crypto_provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(Only(rsa)))
        .with_cert_resolver(usual.cert_resolver.clone());
    config.send_tls13_tickets = 0;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
        tls.get_ref().1.peer_certificates().map(<[_]>::len)
    });
    let client = identity(&pki.leaf().common_name("me").usage(Usage::Client).issue().unwrap());
    let source = StaticIdentity::new(client.authenticating_as(AuthenticatedAs::new("aws-iam", "AKIA")));
    let builder = TlsConnector::builder(Dial::addresses([address]), localhost_peer(&pki));
    let stream = builder.identity(source).build().unwrap().connect().await.unwrap();
    assert_eq!(serving.await.unwrap(), None);
    assert_eq!((&stream.report().identity, &stream.report().authenticated_as), (&None, &None));
}

/// Asks for client certificates of one signature scheme, and takes none as well.
#[derive(Debug)]
struct Only(rustls::SignatureScheme);

impl rustls::server::danger::ClientCertVerifier for Only {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("not reached".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("not reached".into()))
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![self.0]
    }
}

#[tokio::test]
async fn a_ca_name_cannot_forge_a_line_or_another_name() {
    let name = "x\nWARNING     all fine\u{1b}[31m, O=Amazon";
    let ca = TestPki::root(CaOptions::default().common_name(name)).unwrap();
    let server = EchoServer::start(&ca.leaf().dns(NAME).issue().unwrap(), &ServerOptions::default()).await.unwrap();
    let trusted = TestPki::new().unwrap();
    let error = connector_for(&trusted, &server, NAME, TlsVersion::Tls13).connect().await.unwrap_err();
    let ConnectError::Untrusted { reason: Untrusted::UnknownCa { issuer, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(issuer, "CN=x\\0AWARNING     all fine\\1B[31m\\, O=Amazon");
    assert!(!error.explain().contains('\n'));
}

#[tokio::test]
async fn dates_that_have_no_text_in_rfc_3339_are_still_shown() {
    let pki = TestPki::new().unwrap();
    let long_ago = SystemTime::UNIX_EPOCH - Duration::from_secs(50_000_000);
    let old = pki.leaf().common_name("old").validity(Validity::between(long_ago, long_ago)).issue().unwrap();
    let pin = SpkiPin::of_certificate(old.leaf_der()).unwrap();
    let server = EchoServer::start(&old, &ServerOptions::default()).await.unwrap();
    let peer = PeerVerifier::pinned([pin]).unwrap();
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), peer).build().unwrap();
    let report = connector.connect().await.unwrap().report().to_string();
    assert!(report.contains("valid until before 1970"), "{report}");
}

#[tokio::test]
async fn files_given_to_a_connector_go_on_being_read() {
    let (pki, server) = start(&ServerOptions::default().client_auth(ClientAuth::RequireAny)).await;
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let write = |name: &str| {
        let certificate = pki.leaf().common_name(name).usage(Usage::Client).issue().unwrap();
        std::fs::write(&chain, certificate.chain_pem()).unwrap();
        std::fs::write(&key, certificate.key_pem().as_bytes()).unwrap();
    };
    write("one");
    let files = PemFiles::open(&chain, &key, Duration::from_millis(100)).await.unwrap();
    let mut status = files.status();
    let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
    let connector = builder.identity(files).build().unwrap();
    let subject = async || connector.connect().await.unwrap().report().identity.clone().unwrap().subject;
    assert_eq!(subject().await, "CN=one");
    write("two");
    status.wait_for(|status| status.published == 2).await.unwrap();
    while subject().await != "CN=two" {
        tokio::task::yield_now().await;
    }
    drop(connector);
    assert!(status.changed().await.is_err(), "the connector's end is that of the source");
}

#[tokio::test]
async fn a_valid_identity_is_not_given_up_for_one_that_is_not_valid_yet() {
    let pki = TestPki::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let write = |name: &str, validity: Validity| {
        let leaf = pki.leaf().common_name(name).usage(Usage::Client).validity(validity);
        let certificate = leaf.issue().unwrap();
        std::fs::write(&chain, certificate.chain_pem()).unwrap();
        std::fs::write(&key, certificate.key_pem().as_bytes()).unwrap();
    };
    write("present", Validity::default());
    let files = PemFiles::open(&chain, &key, Duration::from_secs(3600)).await.unwrap();
    let mut status = files.status();
    write("future", Validity::not_yet_valid(SystemTime::now()));
    files.reload();
    status.wait_for(|s| s.last_error.as_ref().is_some_and(|e| e.contains("the earlier one stays"))).await.unwrap();
    assert_eq!(status.borrow().published, 1);
}

#[tokio::test]
async fn a_key_in_a_damaged_file_is_never_quoted() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().common_name("me").usage(Usage::Client).issue().unwrap();
    let whole = format!("{}{}", certificate.key_pem().as_str(), certificate.chain_pem());
    let damaged = [
        whole.replace('\n', ""),
        whole.replacen("-----END", "-----", 1),
        whole.replacen("-----\n", "----- ", 1),
        whole.replacen("\n", "\n*", 2),
        whole.replace("CERTIFICATE", "CERT"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for text in damaged {
        let file = folder.path().join("both.pem");
        std::fs::write(&file, &text).unwrap();
        let mut shown = String::new();
        let mut show = |error: &(dyn std::error::Error + 'static)| {
            shown += &format!("{} {error:?}", error_chain(error));
        };
        if let Err(error) = PemFiles::open(&file, &file, Duration::from_secs(3600)).await {
            show(&error);
        }
        if let Err(error) = Identity::from_pem(text.as_bytes(), text.as_bytes()) {
            show(&error);
        }
        if let Err(error) = Roots::from_file(&file) {
            show(&error);
        }
        if let Err(error) = SpkiPin::of_certificate(text.as_bytes()) {
            show(&error);
        }
        let peer = PeerVerifier::danger_accept_any_name(Roots::amazon());
        if let Err(error) = peer.with_crls([text.clone().into_bytes()]) {
            show(&error);
        }
        assert!(!shown.is_empty());
        let body = certificate.key_pem().lines().nth(1).unwrap().to_owned();
        for part in body.as_bytes().windows(12) {
            let decimal = part.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
            let plain = String::from_utf8(part.to_vec()).unwrap();
            assert!(!shown.contains(&plain) && !shown.contains(&decimal), "{shown}");
        }
    }
}
