//! What a rustls client makes of each certificate the PKI can issue: the right one is accepted, each odd one is refused for
//! exactly its oddity.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, OtherError};
use secure_connector_testkit::rustls_config::{client_config, server_config};
use secure_connector_testkit::{
    CaOptions, ClientAuth, KeyKind, Resumption, ServerOptions, TestCertificate, TestPki, TlsVersion, Usage, Validity,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

type TestResult = Result<(), Box<dyn Error>>;

const BOTH: &[TlsVersion] = &[TlsVersion::Tls12, TlsVersion::Tls13];

#[tokio::test]
async fn every_kind_of_key_serves() -> TestResult {
    for key in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048, KeyKind::Rsa3072] {
        let pki = TestPki::root(CaOptions::default().key(key))?;
        let server = pki.leaf().dns("localhost").key(key).issue()?;
        shake_hands(&server, pki.root_der(), "localhost").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_wildcard_covers_one_label_only() -> TestResult {
    let pki = TestPki::new()?;
    let server = pki.leaf().dns("*.efs.us-east-1.amazonaws.com").issue()?;
    shake_hands(&server, pki.root_der(), "fs-1.efs.us-east-1.amazonaws.com").await?;
    assert_not_valid_for_name(
        shake_hands(&server, pki.root_der(), "us-east-1a.fs-1.efs.us-east-1.amazonaws.com").await,
        &["DnsName(\"*.efs.us-east-1.amazonaws.com\")"],
    );
    Ok(())
}

#[tokio::test]
async fn an_ip_address_stands_beside_the_common_name_that_does_not_count() -> TestResult {
    let pki = TestPki::new()?;
    let by_address = pki.leaf().ip(Ipv4Addr::LOCALHOST).issue()?;
    shake_hands(&by_address, pki.root_der(), "127.0.0.1").await?;
    let common_name_only = pki.leaf().common_name("localhost").issue()?;
    assert_not_valid_for_name(shake_hands(&common_name_only, pki.root_der(), "localhost").await, &[]);
    let uri_only = pki.leaf().common_name("localhost").uri("spiffe://example.org/a").issue()?;
    assert_not_valid_for_name(
        shake_hands(&uri_only, pki.root_der(), "localhost").await,
        &["UniformResourceIdentifier(\"spiffe://example.org/a\")"],
    );
    Ok(())
}

#[tokio::test]
async fn dates_are_those_asked_for() -> TestResult {
    let now = SystemTime::now();
    let pki = TestPki::new()?;
    let expired = pki.leaf().dns("localhost").validity(Validity::expired(now)).issue()?;
    let early = pki.leaf().dns("localhost").validity(Validity::not_yet_valid(now)).issue()?;
    assert!(matches!(
        refusal(shake_hands(&expired, pki.root_der(), "localhost").await),
        CertificateError::ExpiredContext { .. }
    ));
    assert!(matches!(
        refusal(shake_hands(&early, pki.root_der(), "localhost").await),
        CertificateError::NotValidYetContext { .. }
    ));
    Ok(())
}

#[tokio::test]
async fn the_purpose_is_the_one_asked_for() -> TestResult {
    let pki = TestPki::new()?;
    for usage in [Usage::Server, Usage::ServerAndClient, Usage::Unrestricted] {
        let server = pki.leaf().dns("localhost").usage(usage).issue()?;
        shake_hands(&server, pki.root_der(), "localhost").await?;
    }
    let server = pki.leaf().dns("localhost").usage(Usage::Client).issue()?;
    assert!(matches!(
        refusal(shake_hands(&server, pki.root_der(), "localhost").await),
        CertificateError::InvalidPurposeContext { .. }
    ));
    Ok(())
}

#[tokio::test]
async fn an_unknown_or_absent_issuer_is_unknown() -> TestResult {
    let (pki, stranger) = (TestPki::new()?, TestPki::new()?);
    let server = stranger.leaf().dns("localhost").issue()?;
    shake_hands(&server, stranger.root_der(), "localhost").await?;
    let self_signed = pki.leaf().common_name("itself").dns("localhost").self_signed()?;
    for unknown in [server, self_signed] {
        assert_eq!(refusal(shake_hands(&unknown, pki.root_der(), "localhost").await), CertificateError::UnknownIssuer);
    }
    Ok(())
}

#[tokio::test]
async fn an_authority_cannot_serve() -> TestResult {
    let pki = TestPki::new()?;
    let server = pki.leaf().dns("localhost").authority().issue()?;
    let CertificateError::Other(OtherError(cause)) = refusal(shake_hands(&server, pki.root_der(), "localhost").await)
    else {
        panic!("another refusal");
    };
    assert_eq!(cause.to_string(), "CaUsedAsEndEntity");
    Ok(())
}

#[tokio::test]
async fn an_intermediate_is_sent_and_needed_and_dated() -> TestResult {
    let root = TestPki::new()?;
    let below = root.intermediate(CaOptions::default())?.intermediate(CaOptions::default())?;
    let server = below.leaf().dns("localhost").issue()?;
    assert_eq!(server.chain_der().len(), 3);
    shake_hands(&server, root.root_der(), "localhost").await?;
    assert_eq!(
        refusal(shake_hands(&server.without_intermediates(), root.root_der(), "localhost").await),
        CertificateError::UnknownIssuer
    );

    let expired = CaOptions::default().validity(Validity::expired(SystemTime::now()));
    let server = root.intermediate(expired.clone())?.leaf().dns("localhost").issue()?;
    assert!(matches!(
        refusal(shake_hands(&server, root.root_der(), "localhost").await),
        CertificateError::ExpiredContext { .. }
    ));
    // webpki takes no notice of an anchor's dates, so the root's are read from the certificate.
    let root = TestPki::root(expired)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(root.root_der())?;
    assert!(!parsed.validity().is_valid());
    assert!(parsed.is_ca());
    Ok(())
}

#[test]
fn pem_reads_back_to_the_same_certificate() -> TestResult {
    let server = TestPki::new()?.intermediate(CaOptions::default())?.leaf().dns("a").issue()?;
    let read = TestCertificate::from_pem(&server.chain_pem(), &server.key_pem())?;
    assert_eq!(read.chain_der(), server.chain_der());
    assert_eq!(read.key_der(), server.key_der());
    let swapped = TestCertificate::from_pem(&server.key_pem(), &server.chain_pem());
    assert_eq!(swapped.unwrap_err().to_string(), "expected a CERTIFICATE block in the PEM text");
    Ok(())
}

#[test]
fn debug_does_not_show_the_key() -> TestResult {
    let server = TestPki::new()?.leaf().dns("a").issue()?;
    let shown = format!("{server:?}");
    assert!(shown.contains(&hex::encode(server.leaf_der())));
    assert!(!shown.contains(&hex::encode(server.key_der())));
    Ok(())
}

#[test]
fn a_name_beyond_ascii_is_an_error_that_names_it() -> TestResult {
    let error = TestPki::new()?.leaf().dns("bücher.example").issue().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"bücher.example\" cannot be a subject alternative name: it must be ASCII (write a host name as its A-label)"
    );
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_as_configured() -> TestResult {
    let pki = TestPki::new()?;
    let client = pki.leaf().common_name("client").usage(Usage::Client).issue()?;
    let stranger = TestPki::new()?.leaf().common_name("stranger").usage(Usage::Client).issue()?;
    let required = ClientAuth::RequireFrom(pki.root_der().to_vec());
    for (client_auth, identity, expected) in [
        (ClientAuth::None, Some(&client), Ok(0)),
        (ClientAuth::RequestAny, None, Ok(0)),
        (ClientAuth::RequestAny, Some(&stranger), Ok(1)),
        (ClientAuth::RequireAny, Some(&stranger), Ok(1)),
        (ClientAuth::RequireAny, None, Err(rustls::Error::NoCertificatesPresented)),
        (required.clone(), Some(&client), Ok(1)),
        (required, Some(&stranger), Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))),
    ] {
        let options = ServerOptions::default().client_auth(client_auth.clone());
        let outcome = server_sees(&pki, &options, identity).await?;
        assert_eq!(outcome, expected, "{client_auth:?}");
    }
    Ok(())
}

#[tokio::test]
async fn versions_are_those_asked_for() -> TestResult {
    let pki = TestPki::new()?;
    let server = pki.leaf().dns("localhost").issue()?;
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let config = server_config(&server, &ServerOptions::default().versions(&[version]))?;
        let client = client_config(&[pki.root_der()], &[version], None)?;
        handshake(config, client, "localhost").await?;
    }
    let config = server_config(&server, &ServerOptions::default().versions(&[TlsVersion::Tls13]))?;
    let client = client_config(&[pki.root_der()], &[TlsVersion::Tls12], None)?;
    let error = handshake(config, client, "localhost").await.unwrap_err();
    assert_eq!(*error, rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion));
    Ok(())
}

#[tokio::test]
async fn sessions_resume_by_cache_and_by_ticket_and_not_when_off() -> TestResult {
    let pki = TestPki::new()?;
    let server = pki.leaf().dns("localhost").issue()?;
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        for (resumption, resumes) in
            [(Resumption::Off, false), (Resumption::SessionCache, true), (Resumption::Tickets, true)]
        {
            let config = server_config(&server, &ServerOptions::default().resumption(resumption))?;
            let client = client_config(&[pki.root_der()], &[version], None)?;
            let first = handshake(Arc::clone(&config), Arc::clone(&client), "localhost").await?;
            let second = handshake(config, client, "localhost").await?;
            assert_eq!(first, rustls::HandshakeKind::Full);
            assert_eq!(second == rustls::HandshakeKind::Resumed, resumes, "{version:?} {resumption:?}");
        }
    }
    Ok(())
}

/// A whole handshake and one byte each way; the client's error if it fails.
async fn shake_hands(
    server: &TestCertificate,
    root: &[u8],
    name: &str,
) -> Result<rustls::HandshakeKind, Box<rustls::Error>> {
    let config = server_config(server, &ServerOptions::default()).unwrap();
    handshake(config, client_config(&[root], BOTH, None).unwrap(), name).await
}

async fn handshake(
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
    name: &str,
) -> Result<rustls::HandshakeKind, Box<rustls::Error>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = match name.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        Err(_) => ServerName::try_from(name.to_owned()).unwrap(),
    };
    let serving = async {
        if let Ok(mut tls) = TlsAcceptor::from(server).accept(far).await {
            tls.write_all(b"!").await.unwrap();
            tls.shutdown().await.unwrap();
        }
    };
    let connecting = async {
        let mut tls = TlsConnector::from(client).connect(name, near).await?;
        // TLS 1.3 tickets come after the handshake, with the first read.
        assert_eq!(tls.read_u8().await?, b'!');
        Ok::<_, std::io::Error>(tls.get_ref().1.handshake_kind().unwrap())
    };
    let (outcome, ()) = tokio::join!(connecting, serving);
    outcome.map_err(rustls_error)
}

/// The number of certificates the server got from the client, or the server's error.
async fn server_sees(
    pki: &TestPki,
    options: &ServerOptions,
    identity: Option<&TestCertificate>,
) -> Result<Result<usize, rustls::Error>, Box<dyn Error>> {
    let server = server_config(&pki.leaf().dns("localhost").issue()?, options)?;
    let client = client_config(&[pki.root_der()], BOTH, identity)?;
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connecting = TlsConnector::from(client).connect(ServerName::try_from("localhost")?, near);
    let (accepted, connected) = tokio::join!(TlsAcceptor::from(server).accept(far), connecting);
    drop(connected);
    Ok(match accepted {
        Ok(tls) => Ok(tls.get_ref().1.peer_certificates().map_or(0, <[_]>::len)),
        Err(error) => Err(*rustls_error(error)),
    })
}

fn rustls_error(error: std::io::Error) -> Box<rustls::Error> {
    error.into_inner().unwrap().downcast().unwrap()
}

#[track_caller]
fn refusal(outcome: Result<rustls::HandshakeKind, Box<rustls::Error>>) -> CertificateError {
    match outcome.map_err(|error| *error) {
        Err(rustls::Error::InvalidCertificate(why)) => why,
        other => panic!("expected a refused certificate, got {other:?}"),
    }
}

#[track_caller]
fn assert_not_valid_for_name(outcome: Result<rustls::HandshakeKind, Box<rustls::Error>>, names: &[&str]) {
    match refusal(outcome) {
        CertificateError::NotValidForNameContext { presented, .. } => assert_eq!(presented, names),
        other => panic!("expected a name mismatch, got {other:?}"),
    }
}
