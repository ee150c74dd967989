//! The connector against TLS servers on the loopback: what is dialled, sent, verified and reported.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::support::{NAME, echo, localhost_peer, roots, start};
use secure_connector::{
    ConnectError, Dial, PeerVerifier, PostQuantum, Resolve, Roots, SecureConnector, SecureStream, SecureTransport, Sni,
    Stage, Timeouts, TlsConnector, TlsVersion, Verified, Warning,
};
use secure_connector_testkit::{EchoServer, ServerOptions, TestPki, misbehaving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn an_address_is_dialled_and_a_name_is_verified_and_none_is_sent() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki)).build().unwrap();
    let mut stream = connector.connect().await.unwrap();
    echo(&mut stream).await;
    let report = stream.report();
    assert_eq!(report.verified, Verified::DnsName(NAME.into()));
    assert_eq!(report.peer.as_deref(), Some(server.addr().to_string().as_str()));
    assert_eq!(report.warnings, []);
    let tls = report.tls.as_ref().unwrap();
    assert_eq!((tls.version, tls.sni.as_deref(), tls.resumed), (TlsVersion::Tls13, None, false));
    assert_eq!(tls.peer_chain.len(), 1);
    assert_eq!(server.next_connection().await.unwrap().sni, None);
}

#[tokio::test]
async fn another_place_is_dialled_with_everything_else_as_configured_and_the_report_says_why() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let silent = misbehaving::silent().await.unwrap();
    let connector = TlsConnector::builder(Dial::addresses([silent.addr()]), localhost_peer(&pki)).build().unwrap();
    let long = Duration::from_secs(10);
    let dial = Dial::addresses([server.addr()]).because("same availability zone use1-az1");
    let mut stream = connector.connect_to(&dial, long).await.unwrap();
    assert_eq!(stream.report().chosen_because.as_deref(), Some("same availability zone use1-az1"));
    echo(&mut stream).await;
    let stream = connector.connect_to(&Dial::addresses([server.addr()]), long).await.unwrap();
    assert!(stream.report().tls.as_ref().unwrap().resumed, "sessions are shared");
    assert_eq!(stream.report().chosen_because, None);

    let limit = Duration::from_millis(50);
    let error = connector.connect_to(&Dial::addresses([silent.addr()]), limit).await.unwrap_err();
    let ConnectError::Timeout { stage, limit: found } = error else { panic!("{error:?}") };
    assert_eq!((stage, found), (Stage::Total, limit));
}

#[derive(Debug)]
struct LeadsTo(SocketAddr);

#[async_trait::async_trait]
impl Resolve for LeadsTo {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        assert!(host.to_ascii_lowercase().contains(".example") && port == 2049);
        Ok(vec![self.0])
    }
}

#[tokio::test]
async fn the_name_that_is_dialled_is_sent_unless_another_is_given_or_none_wanted() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let dial = || Dial::name_resolved_by("Files.Example.", 2049, Arc::new(LeadsTo(server.addr())));
    let sent = async |sni: Sni| {
        let connector = TlsConnector::builder(dial(), localhost_peer(&pki)).sni(sni).build().unwrap();
        let stream = connector.connect().await.unwrap();
        let seen = server.next_connection().await.unwrap().sni;
        assert_eq!(stream.report().tls.as_ref().unwrap().sni.as_deref().map(str::to_lowercase), seen);
        seen
    };
    assert_eq!(sent(Sni::FromTarget).await.as_deref(), Some("files.example"));
    assert_eq!(sent(Sni::Name("other.example".parse().unwrap())).await.as_deref(), Some("other.example"));
    assert_eq!(sent(Sni::Off).await, None);
}

#[tokio::test]
async fn the_text_of_an_address_is_never_sent_as_a_name() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let dial = Dial::name("127.0.0.1", server.addr().port());
    let stream = TlsConnector::builder(dial, localhost_peer(&pki)).build().unwrap().connect().await.unwrap();
    assert_eq!(stream.report().tls.as_ref().unwrap().sni, None);
    assert_eq!(server.next_connection().await.unwrap().sni, None);
}

#[tokio::test]
async fn any_of_several_names_is_enough_and_none_is_an_identity_error_with_what_was_presented() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let connect = async |names: &[&str]| {
        let names = names.iter().map(|name| name.parse().unwrap());
        let peer = PeerVerifier::check_host(roots(&pki), names).unwrap();
        TlsConnector::builder(Dial::addresses([server.addr()]), peer).build().unwrap().connect().await
    };
    let stream = connect(&["nope.example", NAME]).await.unwrap();
    assert_eq!(stream.report().verified, Verified::DnsName(NAME.into()));
    let refused = connect(&["nope.example"]).await.unwrap_err();
    let ConnectError::Identity { expected, presented } = &refused else { panic!("{refused:?}") };
    assert_eq!(
        (expected.as_slice(), presented.dns.as_slice()),
        (&["nope.example".to_owned()][..], &[NAME.to_owned()][..])
    );
    assert!(!refused.is_retryable());
}

#[tokio::test]
async fn a_resolver_hook_decides_where_the_name_leads() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let dial = Dial::name_resolved_by("efs.example", 2049, Arc::new(LeadsTo(server.addr())));
    let connector = TlsConnector::builder(dial, localhost_peer(&pki)).build().unwrap();
    let stream = connector.connect().await.unwrap();
    assert_eq!(stream.report().tls.as_ref().unwrap().sni.as_deref(), Some("efs.example"));
}

#[tokio::test]
async fn a_unix_socket_is_dialled() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let addr = server.addr();
    let relay = tokio::spawn(async move {
        let (mut local, _) = listener.accept().await.unwrap();
        let mut tcp = tokio::net::TcpStream::connect(addr).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut local, &mut tcp).await;
    });
    let connector = TlsConnector::builder(Dial::unix(&path), localhost_peer(&pki)).build().unwrap();
    let mut stream = connector.connect().await.unwrap();
    echo(&mut stream).await;
    assert_eq!(stream.report().peer.as_deref(), path.to_str());
    relay.abort();
    let missing = TlsConnector::builder(Dial::unix(folder.path().join("none")), localhost_peer(&pki)).build().unwrap();
    let error = missing.connect().await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::ConnectUnix { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
}

#[tokio::test]
async fn a_given_transport_is_secured() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let connector = TlsConnector::builder(Dial::name("unused.example", 1), localhost_peer(&pki)).build().unwrap();
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let mut tcp = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
    let pump = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut theirs, &mut tcp).await });
    let mut stream = connector.secure(ours).await.unwrap();
    echo(&mut stream).await;
    assert_eq!(stream.report().peer, None);
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0, "the echo server answers close_notify with its own");
    pump.abort();
}

#[tokio::test]
async fn versions_alpn_and_post_quantum_are_as_chosen() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let options = ServerOptions::default().alpn(["nfs", "h2"]);
    let server = EchoServer::start(&certificate, &options).await.unwrap();
    let builder = || TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki)).alpn(["h2"]);
    let session = async |builder: secure_connector::TlsConnectorBuilder| {
        let stream = builder.build().unwrap().connect().await.unwrap();
        stream.report().tls.clone().unwrap()
    };
    let best = session(builder()).await;
    assert_eq!((best.version, best.alpn.as_deref(), best.post_quantum), (TlsVersion::Tls13, Some("h2"), true));
    assert_eq!(best.key_exchange.as_deref(), Some("X25519MLKEM768"));
    let classical = session(builder().post_quantum(PostQuantum::Off)).await;
    // X25519 alone is not approved for FIPS 140-3.
    let group = if cfg!(feature = "fips") { "secp256r1" } else { "X25519" };
    assert_eq!((classical.key_exchange.as_deref(), classical.post_quantum), (Some(group), false));
    assert_eq!((best.fips, classical.fips), (cfg!(feature = "fips"), cfg!(feature = "fips")));
    let old = session(builder().maximum_version(TlsVersion::Tls12)).await;
    assert_eq!(old.version, TlsVersion::Tls12);
}

#[tokio::test]
async fn each_stage_has_its_own_deadline_and_so_has_the_whole() {
    let pki = TestPki::new().unwrap();
    let silent = misbehaving::silent().await.unwrap();
    let limit = Duration::from_millis(50);
    let connect = async |timeouts: Timeouts| {
        let dial = Dial::addresses([silent.addr()]);
        let builder = TlsConnector::builder(dial, localhost_peer(&pki)).timeouts(timeouts);
        builder.build().unwrap().connect().await.unwrap_err()
    };
    for stage in [Stage::Tls, Stage::Total] {
        let error = connect(Timeouts::default().with(stage, limit)).await;
        assert!(matches!(error, ConnectError::Timeout { stage: s, limit: l } if s == stage && l == limit), "{error:?}");
        assert!(error.is_retryable());
    }

    #[derive(Debug)]
    struct Never;
    #[async_trait::async_trait]
    impl Resolve for Never {
        async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
            std::future::pending().await
        }
    }
    let dial = Dial::name_resolved_by("x.example", 1, Arc::new(Never));
    let timeouts = Timeouts::default().with(Stage::Dns, limit);
    let connector = TlsConnector::builder(dial, localhost_peer(&pki)).timeouts(timeouts).build().unwrap();
    let error = connector.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Dns, .. }), "{error:?}");
}

#[tokio::test]
async fn a_dropped_connect_leaves_the_connector_usable() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki)).build().unwrap();
    for polls in 1..12 {
        let mut connecting = Box::pin(connector.connect());
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut connecting => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    echo(&mut connector.connect().await.unwrap()).await;
}

#[tokio::test]
async fn weakened_checks_are_named_dangerous_and_show_in_the_report() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns("somebody.else.example").issue().unwrap();
    let server = EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap();
    let connect = async |peer: PeerVerifier| {
        TlsConnector::builder(Dial::addresses([server.addr()]), peer).build().unwrap().connect().await
    };
    let stream = connect(PeerVerifier::danger_accept_any_name(roots(&pki))).await.unwrap();
    assert_eq!(
        (&stream.report().verified, &stream.report().warnings[..]),
        (&Verified::ChainOnly, &[Warning::NameNotChecked][..])
    );
    let stream = connect(PeerVerifier::danger_accept_any_certificate()).await.unwrap();
    assert_eq!(
        (&stream.report().verified, &stream.report().warnings[..]),
        (&Verified::Nothing, &[Warning::VerificationDisabled][..])
    );
    assert!(stream.report().to_string().contains("WARNING"));
    let other = TestPki::new().unwrap();
    let refused = connect(PeerVerifier::danger_accept_any_name(roots(&other))).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Untrusted { .. }), "the chain is still checked: {refused:?}");
}

#[tokio::test]
async fn truncation_is_an_error() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let options = ServerOptions::default();
    let server = misbehaving::truncating(&certificate, &options, 10_000).await.unwrap();
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki)).build().unwrap();
    let mut stream = connector.connect().await.unwrap();
    let mut received = Vec::new();
    let error = stream.read_to_end(&mut received).await.unwrap_err();
    assert_eq!((error.kind(), received.len()), (std::io::ErrorKind::UnexpectedEof, 10_000));
}

#[tokio::test]
async fn boxed_and_shared_connectors_work_like_the_plain_one() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki)).build().unwrap();
    let shared = Arc::new(connector);
    echo(&mut shared.connect().await.unwrap()).await;
    let boxed = shared.boxed();
    let mut stream = boxed.connect().await.unwrap();
    echo(&mut stream).await;
    assert_eq!(stream.report().verified, Verified::DnsName(NAME.into()));
}

#[test]
fn impossible_configurations_are_refused_before_anything_is_dialled() {
    use secure_connector::ConfigError;
    let peer = || PeerVerifier::check_host(Roots::amazon(), ["a.example".parse().unwrap()]).unwrap();
    let nothing = TlsConnector::builder(Dial::addresses([]), peer()).build().unwrap_err();
    assert!(matches!(nothing, ConfigError::NothingToDial), "{nothing:?}");
    let range = TlsConnector::builder(Dial::name("a.example", 1), peer()).minimum_version(TlsVersion::Tls13);
    let range = range.maximum_version(TlsVersion::Tls12).build().unwrap_err();
    assert!(
        matches!(range, ConfigError::NoVersion { minimum: TlsVersion::Tls13, maximum: TlsVersion::Tls12 }),
        "{range:?}"
    );
    let alpn = TlsConnector::builder(Dial::name("a.example", 1), peer()).alpn([""]).build().unwrap_err();
    assert!(matches!(alpn, ConfigError::Alpn { length: 0 }), "{alpn:?}");
}
