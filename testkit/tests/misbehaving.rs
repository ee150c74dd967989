//! What a client meets at each misbehaving server, and at the echo server that behaves.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, InvalidMessage};
use secure_connector_testkit::misbehaving::{self, alert};
use secure_connector_testkit::rustls_config::client_config;
use secure_connector_testkit::{
    ClientAuth, EchoServer, Resumption, ServerOptions, TestCertificate, TestPki, TlsVersion, Usage,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type TestResult = Result<(), Box<dyn Error>>;

/// Long enough for anything on loopback that is going to happen at all, short enough to wait for what is not.
const NOTHING_COMES: Duration = Duration::from_millis(200);

#[tokio::test]
async fn plaintext_http_is_no_tls() -> TestResult {
    let server = misbehaving::plaintext_http().await?;
    assert_eq!(handshake_error(server.addr()).await, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType));
    let mut tcp = TcpStream::connect(server.addr()).await?;
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer:?}");
    assert_eq!(server.connections(), 2);
    Ok(())
}

#[tokio::test]
async fn garbage_arrives_as_given() -> TestResult {
    let server = misbehaving::garbage([0xff; 64]).await?;
    assert_eq!(handshake_error(server.addr()).await, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType));
    Ok(())
}

#[tokio::test]
async fn a_fatal_alert_arrives_as_given() -> TestResult {
    for (sent, received) in [
        (alert::UNRECOGNIZED_NAME, AlertDescription::UnrecognisedName),
        (alert::ACCESS_DENIED, AlertDescription::AccessDenied),
        (alert::NO_APPLICATION_PROTOCOL, AlertDescription::NoApplicationProtocol),
    ] {
        let server = misbehaving::fatal_alert(sent).await?;
        assert_eq!(handshake_error(server.addr()).await, rustls::Error::AlertReceived(received));
    }
    Ok(())
}

#[tokio::test]
async fn a_close_after_the_client_hello_is_an_end_of_file() -> TestResult {
    let server = misbehaving::closes_after_client_hello().await?;
    let error = connect(&client()?, server.addr()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    Ok(())
}

#[tokio::test]
async fn silent_servers_accept_and_say_nothing() -> TestResult {
    let client = client()?;
    for server in [misbehaving::silent().await?, misbehaving::black_hole().await?] {
        TcpStream::connect(server.addr()).await?;
        let outcome = timeout(NOTHING_COMES, connect(&client, server.addr())).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_backlog_does_not_even_accept() -> TestResult {
    let server = misbehaving::full_backlog().await?;
    let outcome = timeout(NOTHING_COMES, TcpStream::connect(server.addr())).await;
    assert!(outcome.is_err(), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn truncation_is_told_from_an_orderly_end() -> TestResult {
    let (pki, certificate) = localhost()?;
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let options = ServerOptions::default().versions(&[version]);
        let server = misbehaving::truncating(&certificate, &options, 40_000).await?;
        let client = client_config(&[pki.root_der()], &[version], None)?;
        let mut tls = connect(&client, server.addr()).await?;
        let mut received = Vec::new();
        let error = tls.read_to_end(&mut received).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(received.len(), 40_000);

        let echo = EchoServer::start(&certificate, &options).await?;
        let mut tls = connect(&client, echo.addr()).await?;
        tls.shutdown().await?;
        assert_eq!(tls.read(&mut [0]).await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_reset_is_a_reset() -> TestResult {
    let (pki, certificate) = localhost()?;
    let server = misbehaving::resetting(&certificate, &ServerOptions::default(), 1_000).await?;
    let client = client_config(&[pki.root_der()], &[TlsVersion::Tls13], None)?;
    let mut tls = connect(&client, server.addr()).await?;
    let error = tls.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    Ok(())
}

#[tokio::test]
async fn a_dropped_server_no_longer_listens() -> TestResult {
    let server = misbehaving::silent().await?;
    let addr = server.addr();
    let mut open = TcpStream::connect(addr).await?;
    drop(server);
    // Closed if it was accepted by then, reset if it still waited to be.
    let end = open.read(&mut [0]).await.map_err(|error| error.kind());
    assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
    let error = TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    Ok(())
}

#[tokio::test]
async fn echo_returns_the_bytes_and_reports_what_it_saw() -> TestResult {
    let (pki, certificate) = localhost()?;
    let identity = pki.leaf().common_name("client").usage(Usage::Client).issue()?;
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let options =
            ServerOptions::default().client_auth(ClientAuth::RequestAny).resumption(Resumption::Tickets).alpn(["nfs"]);
        let server = EchoServer::start(&certificate, &options).await?;
        let mut client = client_config(&[pki.root_der()], &[version], Some(&identity))?;
        Arc::get_mut(&mut client).unwrap().alpn_protocols = vec![b"nfs".to_vec()];
        for resumed in [false, true] {
            let mut tls = connect(&client, server.addr()).await?;
            tls.write_all(b"hello").await?;
            tls.shutdown().await?;
            let mut echoed = Vec::new();
            tls.read_to_end(&mut echoed).await?;
            assert_eq!(echoed, b"hello");
            let seen = server.next_connection().await?;
            assert_eq!(seen.peer, tls.get_ref().0.local_addr()?);
            assert_eq!(seen.sni.as_deref(), Some("localhost"));
            assert_eq!(seen.client_chain, identity.chain_der());
            assert_eq!(seen.version, Some(version));
            assert_eq!(seen.resumed, resumed);
            assert_eq!(seen.alpn.as_deref(), Some(b"nfs".as_slice()));
        }
        assert_eq!(server.connections(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn echo_reports_a_failed_handshake_as_its_error() -> TestResult {
    let (_, certificate) = localhost()?;
    let server = EchoServer::start(&certificate, &ServerOptions::default()).await?;
    connect(&client()?, server.addr()).await.unwrap_err();
    let error = server.next_connection().await.unwrap_err();
    assert_eq!(rustls_error(error), rustls::Error::AlertReceived(AlertDescription::UnknownCA));
    Ok(())
}

fn localhost() -> Result<(TestPki, TestCertificate), Box<dyn Error>> {
    let pki = TestPki::new()?;
    let certificate = pki.leaf().dns("localhost").issue()?;
    Ok((pki, certificate))
}

/// A client that trusts nobody met here.
fn client() -> Result<Arc<rustls::ClientConfig>, Box<dyn Error>> {
    let versions = [TlsVersion::Tls12, TlsVersion::Tls13];
    Ok(client_config(&[TestPki::new()?.root_der()], &versions, None)?)
}

async fn connect(client: &Arc<rustls::ClientConfig>, addr: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(client)).connect(name, tcp).await
}

async fn handshake_error(addr: SocketAddr) -> rustls::Error {
    rustls_error(connect(&client().unwrap(), addr).await.unwrap_err())
}

#[track_caller]
fn rustls_error(error: std::io::Error) -> rustls::Error {
    *error.into_inner().unwrap().downcast().unwrap()
}
