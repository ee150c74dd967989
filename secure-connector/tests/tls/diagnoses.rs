//! Each way in which a handshake fails has its own error, and words that say what to change.

use std::time::SystemTime;

use crate::support::{NAME, identity, localhost_peer};
use secure_connector::{
    ConnectError, Dial, PeerVerifier, SecureConnector, StaticIdentity, TlsConnector, TlsFailure, TlsVersion, Untrusted,
};
use secure_connector_testkit::{
    CaOptions, ClientAuth, EchoServer, LeafBuilder, ServerOptions, TestCertificate, TestPki, TlsVersion as Spoken,
    Usage, Validity, misbehaving,
};
use tokio::io::AsyncReadExt;

async fn dial(address: std::net::SocketAddr) -> ConnectError {
    let pki = TestPki::new().unwrap();
    let connector = TlsConnector::builder(Dial::addresses([address]), localhost_peer(&pki)).build().unwrap();
    connector.connect().await.unwrap_err()
}

#[track_caller]
fn tls_failure(error: &ConnectError) -> &TlsFailure {
    let ConnectError::Tls { reason, .. } = error else { panic!("{error:?}") };
    reason
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls() {
    let server = misbehaving::plaintext_http().await.unwrap();
    let error = dial(server.addr()).await;
    assert_eq!(tls_failure(&error), &TlsFailure::NotTls { looks_like: Some("HTTP") });
    assert!(error.explain().contains("HTTP"), "{}", error.explain());
    assert!(!error.is_retryable());
    let server = misbehaving::garbage(vec![0xff; 64]).await.unwrap();
    assert_eq!(tls_failure(&dial(server.addr()).await), &TlsFailure::NotTls { looks_like: None });
}

#[tokio::test]
async fn a_peer_that_closes_in_the_handshake() {
    let server = misbehaving::closes_after_client_hello().await.unwrap();
    let error = dial(server.addr()).await;
    assert_eq!(tls_failure(&error), &TlsFailure::Closed);
    assert!(error.is_retryable());
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_peer_that_refuses_with_an_alert() {
    for (code, name, retryable) in
        [(40, "handshake_failure", false), (48, "unknown_ca", false), (80, "internal_error", true)]
    {
        let server = misbehaving::fatal_alert(code).await.unwrap();
        let error = dial(server.addr()).await;
        assert_eq!(tls_failure(&error), &TlsFailure::Alert { description: name.into() });
        assert_eq!(error.is_retryable(), retryable, "{name}");
        assert!(error.explain().contains(name));
    }
}

#[tokio::test]
async fn nothing_in_common() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let connect = async |options: ServerOptions, minimum: TlsVersion, maximum: TlsVersion| {
        let server = EchoServer::start(&certificate, &options).await.unwrap();
        let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
        let connector = builder.alpn(["h2"]).minimum_version(minimum).maximum_version(maximum).build().unwrap();
        connector.connect().await.unwrap_err()
    };
    let old = ServerOptions::default().versions(&[Spoken::Tls12]);
    let new = ServerOptions::default().versions(&[Spoken::Tls13]);
    let other_alpn = ServerOptions::default().alpn(["nfs"]);
    for (options, minimum, maximum) in [
        (old, TlsVersion::Tls13, TlsVersion::Tls13),
        (new, TlsVersion::Tls12, TlsVersion::Tls12),
        (other_alpn, TlsVersion::Tls12, TlsVersion::Tls13),
    ] {
        let error = connect(options, minimum, maximum).await;
        let TlsFailure::NothingInCommon { minimum: offered, .. } = tls_failure(&error) else { panic!("{error:?}") };
        assert_eq!(*offered, minimum);
        assert!(error.explain().contains("nothing in common"), "{}", error.explain());
    }
}

/// The error for a certificate that `build` makes under a trusted root.
async fn presented(build: impl FnOnce(LeafBuilder<'_>) -> TestCertificate) -> ConnectError {
    let pki = TestPki::new().unwrap();
    refused(&pki, &build(pki.leaf())).await
}

async fn refused(pki: &TestPki, certificate: &TestCertificate) -> ConnectError {
    let server = EchoServer::start(certificate, &ServerOptions::default()).await.unwrap();
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(pki)).build().unwrap();
    let error = connector.connect().await.unwrap_err();
    assert!(!error.is_retryable());
    error
}

#[track_caller]
fn untrusted(error: &ConnectError) -> &Untrusted {
    let ConnectError::Untrusted { reason, .. } = error else { panic!("{error:?}") };
    reason
}

#[tokio::test]
async fn a_name_only_in_the_common_name_does_not_count_and_is_shown() {
    let error = presented(|leaf| leaf.common_name(NAME).issue().unwrap()).await;
    let ConnectError::Identity { expected, presented } = &error else { panic!("{error:?}") };
    assert_eq!(
        (expected.as_slice(), presented.common_name.as_slice()),
        (&[NAME.to_owned()][..], &[NAME.to_owned()][..])
    );
    assert!(presented.dns.is_empty());
    assert!(error.explain().contains("common name") && error.explain().contains(NAME), "{}", error.explain());
}

#[tokio::test]
async fn another_name_is_refused_with_what_was_presented() {
    let error = presented(|leaf| leaf.dns("*.us-east-1.amazonaws.com").issue().unwrap()).await;
    let ConnectError::Identity { presented, .. } = &error else { panic!("{error:?}") };
    assert_eq!(presented.dns, ["*.us-east-1.amazonaws.com"]);
    assert!(error.explain().contains("exactly one label"), "{}", error.explain());
}

#[tokio::test]
async fn an_unknown_ca_is_named() {
    let (pki, other) = (TestPki::new().unwrap(), TestPki::root(CaOptions::default().common_name("Other CA")).unwrap());
    let error = refused(&pki, &other.leaf().dns(NAME).issue().unwrap()).await;
    let Untrusted::UnknownCa { issuer, anchors } = untrusted(&error) else { panic!("{error:?}") };
    assert!(issuer.contains("Other CA"), "{issuer}");
    assert_eq!(*anchors, 1);
    assert!(error.explain().contains("Other CA"));
}

#[tokio::test]
async fn dates_are_judged_with_a_hint_at_the_clock() {
    let now = SystemTime::now();
    let error = presented(|leaf| leaf.dns(NAME).validity(Validity::expired(now)).issue().unwrap()).await;
    assert!(matches!(untrusted(&error), Untrusted::Expired { .. }), "{error:?}");
    assert!(error.explain().contains("clock"), "{}", error.explain());
    let error = presented(|leaf| leaf.dns(NAME).validity(Validity::not_yet_valid(now)).issue().unwrap()).await;
    assert!(matches!(untrusted(&error), Untrusted::NotYetValid { .. }), "{error:?}");
    assert!(error.explain().contains("clock"), "{}", error.explain());
}

#[tokio::test]
async fn a_ca_certificate_as_server_certificate_is_refused_and_can_be_pinned() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns(NAME).authority().issue().unwrap();
    let error = refused(&pki, &certificate).await;
    assert!(matches!(untrusted(&error), Untrusted::CaUsedAsServer { .. }), "{error:?}");
    assert!(error.explain().contains("CA:FALSE"), "{}", error.explain());

    let server = EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap();
    let pin = secure_connector::SpkiPin::of_certificate(certificate.leaf_der()).unwrap();
    let peer = PeerVerifier::pinned([pin]).unwrap();
    TlsConnector::builder(Dial::addresses([server.addr()]), peer).build().unwrap().connect().await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_as_server_certificate_is_refused() {
    let error = presented(|leaf| leaf.dns(NAME).usage(Usage::Client).issue().unwrap()).await;
    assert!(matches!(untrusted(&error), Untrusted::WrongPurpose { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refused_client_certificate_is_an_alert_in_tls_1_2_and_an_error_at_the_first_read_in_tls_1_3() {
    let (pki, other) = (TestPki::new().unwrap(), TestPki::new().unwrap());
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let options = ServerOptions::default().client_auth(ClientAuth::RequireFrom(other.root_der().to_vec()));
    let server = EchoServer::start(&certificate, &options).await.unwrap();
    let client = || identity(&pki.leaf().common_name("stranger").usage(Usage::Client).issue().unwrap());
    let builder = || {
        TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki))
            .identity(StaticIdentity::new(client()))
    };
    let error = builder().maximum_version(TlsVersion::Tls12).build().unwrap().connect().await.unwrap_err();
    let expected = TlsFailure::Alert { description: "unknown_ca".into() };
    assert_eq!(tls_failure(&error), &expected);
    let mut stream = builder().build().unwrap().connect().await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    let inner = error.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap();
    assert_eq!(tls_failure(inner), &expected);
    assert!(inner.explain().contains("CA of our client certificate"), "{}", inner.explain());
}
