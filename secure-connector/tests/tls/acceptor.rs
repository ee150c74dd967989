//! The server side: clients prove who they are in every handshake, or are refused.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use secure_connector::{
    ConnectError, Dial, JudgePeer, PeerVerifier, Revocation, SecureAcceptor, SecureStream, SecureTransport,
    StaticIdentity, TlsAcceptor, TlsConnector, TlsVersion, Untrusted, Verified, VerifiedPeer,
};
use secure_connector_testkit::{TestPki, Usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::support::{NAME, SharedClock, TestClock, identity, localhost_peer};

/// Knows one leaf.
#[derive(Debug)]
struct Knows(Vec<u8>);

impl JudgePeer for Knows {
    fn judge(&self, chain: &[&[u8]], _at: SystemTime) -> Result<VerifiedPeer, ConnectError> {
        if chain.first() == Some(&self.0.as_slice()) {
            return Ok(VerifiedPeer::by_own_rules(Verified::SpiffeId("spiffe://a/b".into()), Revocation::NotChecked));
        }
        Err(ConnectError::Untrusted { reason: Untrusted::Invalid { what: "a stranger".into() }, source: None })
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn server(pki: &TestPki, clients: Knows, at: SystemTime) -> TlsAcceptor {
    let own = identity(&pki.leaf().dns(NAME).issue().unwrap());
    TlsAcceptor::new(StaticIdentity::new(own), Arc::new(clients)).clock(SharedClock(TestClock::at(at)))
}

fn client(peer: PeerVerifier) -> secure_connector::TlsConnectorBuilder {
    let nowhere = Dial::addresses(["127.0.0.1:1".parse().unwrap()]);
    TlsConnector::builder(nowhere, peer).clock(SharedClock(TestClock::at(now())))
}

async fn accept(
    client: &TlsConnector,
    server: &TlsAcceptor,
) -> Result<secure_connector::TlsStream<DuplexStream>, ConnectError> {
    let (near, far) = duplex(16_384);
    let talk = async {
        let mut stream = client.secure(near).await?;
        // An error shows on the server's side.
        let _ = stream.write_all(b"x").await;
        let _ = stream.read_u8().await;
        Ok::<_, ConnectError>(())
    };
    let serve = async {
        let mut stream = server.accept(far).await?;
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        stream.write_all(b"y").await.unwrap();
        stream.flush().await.unwrap();
        Ok(stream)
    };
    tokio::join!(talk, serve).1
}

#[tokio::test]
async fn a_client_is_judged_in_every_handshake_and_never_resumes() {
    let pki = TestPki::new().unwrap();
    let known = pki.leaf().common_name("known").usage(Usage::Client).issue().unwrap();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let server = server(&pki, Knows(known.leaf_der().to_vec()), now());
        let own = StaticIdentity::new(identity(&known));
        let client = client(localhost_peer(&pki)).identity(own).maximum_version(version).build().unwrap();
        for _ in 0..2 {
            let stream = accept(&client, &server).await.unwrap();
            let report = stream.report();
            assert_eq!(report.verified, Verified::SpiffeId("spiffe://a/b".into()));
            let tls = report.tls.as_ref().unwrap();
            assert_eq!((tls.version, tls.resumed, tls.peer_chain[0].subject.as_str()), (version, false, "CN=known"));
        }
    }
}

#[tokio::test]
async fn a_stranger_and_a_client_without_a_certificate_are_refused() {
    let pki = TestPki::new().unwrap();
    let server = server(&pki, Knows(vec![]), now());
    let stranger = identity(&pki.leaf().usage(Usage::Client).issue().unwrap());
    let stranger = client(localhost_peer(&pki)).identity(StaticIdentity::new(stranger)).build().unwrap();
    let error = accept(&stranger, &server).await.unwrap_err();
    let reason = Untrusted::Invalid { what: "a stranger".into() };
    assert!(matches!(&error, ConnectError::Untrusted { reason: found, .. } if *found == reason), "{error:?}");
    let nobody = client(localhost_peer(&pki)).build().unwrap();
    let error = accept(&nobody, &server).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Untrusted { reason: Untrusted::NoCertificate, .. }), "{error:?}");
}

#[tokio::test]
async fn an_identity_of_our_own_that_has_ended_is_not_presented() {
    let pki = TestPki::new().unwrap();
    let server = server(&pki, Knows(vec![]), now() + Duration::from_secs(100 * 366 * 86_400));
    let error = server.accept(duplex(64).1).await.unwrap_err();
    assert!(matches!(&error, ConnectError::NoIdentity(why) if why.pending), "{error:?}");
}
