//! Resumption: across connections of one identity, never across identities, and never of a chain that no longer stands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::support::{NAME, SharedClock, TestClock, echo, identity, localhost_peer, roots, start};
use secure_connector::{
    ConnectError, CurrentIdentity, Dial, Identity, JudgePeer, PeerVerifier, Revocation, SecureConnector, SecureStream,
    StaticIdentity, TlsConnector, TlsStream, TlsVersion, Untrusted, Verified, VerifiedPeer,
};
use secure_connector_testkit::{
    CaOptions, ClientAuth, EchoServer, Resumption, ServerOptions, TestPki, Usage, Validity, rustls_config,
};
use tokio::sync::watch;

fn resumed<IO: Send + Unpin + 'static>(stream: &TlsStream<IO>) -> bool
where
    TlsStream<IO>: SecureStream,
{
    stream.report().tls.as_ref().unwrap().resumed
}

#[tokio::test]
async fn the_second_connection_resumes_and_its_report_is_as_complete_as_the_first() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        for resumption in [Resumption::SessionCache, Resumption::Tickets] {
            let (pki, server) = start(&ServerOptions::default().resumption(resumption)).await;
            let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
            let connector = builder.maximum_version(version).build().unwrap();
            let mut first = connector.connect().await.unwrap();
            echo(&mut first).await;
            let mut second = connector.connect().await.unwrap();
            echo(&mut second).await;
            assert_eq!((resumed(&first), resumed(&second)), (false, true), "{version} {resumption:?}");
            assert_eq!(first.report().verified, second.report().verified);
            let chain = |stream: &TlsStream<_>| stream.report().tls.as_ref().unwrap().peer_chain.clone();
            assert_eq!(chain(&first), chain(&second));
        }
    }
}

#[tokio::test]
async fn there_are_tickets_for_32_dials_at_once() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki)).build().unwrap();
    let connector = Arc::new(connector);
    // Each connection spends one ticket and earns two.
    for _ in 0..40 {
        echo(&mut connector.connect().await.unwrap()).await;
    }
    let dials: Vec<_> = (0..32)
        .map(|_| {
            tokio::spawn({
                let c = connector.clone();
                async move { c.connect().await }
            })
        })
        .collect();
    let mut count = 0;
    for dial in dials {
        count += usize::from(resumed(&dial.await.unwrap().unwrap()));
    }
    assert_eq!(count, 32);
}

/// A server that wants client certificates, and two identities.
async fn mutual() -> (TestPki, EchoServer, Identity, Identity) {
    let options = ServerOptions::default().client_auth(ClientAuth::RequireAny).resumption(Resumption::Tickets);
    let (pki, server) = start(&options).await;
    let client = |name| identity(&pki.leaf().common_name(name).usage(Usage::Client).issue().unwrap());
    let (old, new) = (client("old"), client("new"));
    (pki, server, old, new)
}

#[tokio::test]
async fn a_rotated_identity_never_resumes_a_session_of_the_old_one() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let (pki, server, old, new) = mutual().await;
        let (publish, identities) = watch::channel::<CurrentIdentity>(Ok(Arc::new(old)));
        let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
        let connector = builder.identity(identities).maximum_version(version).build().unwrap();
        let connect = async || {
            let mut stream = connector.connect().await.unwrap();
            echo(&mut stream).await;
            let subject = stream.report().identity.as_ref().unwrap().subject.clone();
            (subject, resumed(&stream), server.next_connection().await.unwrap().client_chain)
        };
        let (subject, was_resumed, seen_old) = connect().await;
        assert_eq!((subject.as_str(), was_resumed), ("CN=old", false));
        let (subject, was_resumed, seen) = connect().await;
        assert_eq!(
            (subject.as_str(), was_resumed, &seen),
            ("CN=old", true, &seen_old),
            "the old identity resumes its own"
        );
        publish.send(Ok(Arc::new(new))).unwrap();
        let (subject, was_resumed, seen_new) = connect().await;
        assert_eq!((subject.as_str(), was_resumed), ("CN=new", false));
        assert_ne!(seen_new, seen_old);
        let (subject, was_resumed, seen) = connect().await;
        assert_eq!((subject.as_str(), was_resumed, &seen), ("CN=new", true, &seen_new), "and the new one its own");
    }
}

#[tokio::test]
async fn tickets_that_arrive_after_a_rotation_stay_with_the_old_identity() {
    let (pki, server, old, new) = mutual().await;
    let (publish, identities) = watch::channel::<CurrentIdentity>(Ok(Arc::new(old)));
    let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
    let connector = builder.identity(identities).build().unwrap();
    let mut before = connector.connect().await.unwrap();
    let seen_old = server.next_connection().await.unwrap().client_chain;
    publish.send(Ok(Arc::new(new))).unwrap();
    // Made under the new identity and never read from: it earns no ticket.
    let _unread = connector.connect().await.unwrap();
    let seen_new = server.next_connection().await.unwrap().client_chain;
    assert_ne!(seen_new, seen_old);
    // Only now do the tickets of the old connection come in.
    echo(&mut before).await;
    let after = connector.connect().await.unwrap();
    assert_eq!((resumed(&after), server.next_connection().await.unwrap().client_chain), (false, seen_new));
}

#[tokio::test]
async fn the_report_tells_whether_the_peer_asked_for_our_identity() {
    let (pki, server) = start(&ServerOptions::default()).await;
    let client = identity(&pki.leaf().common_name("client").usage(Usage::Client).issue().unwrap());
    let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
    let connector = builder.identity(StaticIdentity::new(client)).build().unwrap();
    let stream = connector.connect().await.unwrap();
    assert_eq!(stream.report().identity, None, "this server did not ask");
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_expired_certificate_is_not_kept_alive_by_resumption() {
    let now = SystemTime::now();
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns(NAME).validity(Validity::between(now - HOUR, now + HOUR)).issue().unwrap();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let server = EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap();
        let clock = TestClock::at(now);
        let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki))
            .clock(SharedClock(clock.clone()))
            .maximum_version(version)
            .build()
            .unwrap();
        echo(&mut connector.connect().await.unwrap()).await;
        assert!(resumed(&connector.connect().await.unwrap()));
        clock.advance(2 * HOUR);
        let error = connector.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Untrusted { reason: Untrusted::Expired { .. }, .. }), "{error:?}");
        assert!(error.explain().contains("clock"), "{}", error.explain());
    }
}

#[tokio::test]
async fn an_expired_anchor_ends_resumption_too() {
    let now = SystemTime::now();
    let short = CaOptions::default().validity(Validity::between(now - HOUR, now + HOUR));
    let pki = TestPki::root(short).unwrap();
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let server = EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap();
    let clock = TestClock::at(now);
    let connector = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki))
        .clock(SharedClock(clock.clone()))
        .build()
        .unwrap();
    echo(&mut connector.connect().await.unwrap()).await;
    assert!(resumed(&connector.connect().await.unwrap()));
    clock.advance(2 * HOUR);
    let error = connector.connect().await.unwrap_err();
    let expected = matches!(error, ConnectError::Untrusted { reason: Untrusted::AnchorExpired { .. }, .. });
    assert!(expected, "{error:?}");
}

#[tokio::test]
async fn a_renewed_server_is_reached_by_a_full_handshake_when_the_stored_chain_has_expired() {
    let now = SystemTime::now();
    let pki = TestPki::new().unwrap();
    let leaf = |until| {
        let certificate = pki.leaf().dns(NAME).validity(Validity::between(now - HOUR, until)).issue().unwrap();
        rustls_config::server_config(&certificate, &ServerOptions::default().resumption(Resumption::Tickets)).unwrap()
    };
    let (short, long) = (leaf(now + HOUR), leaf(now + 100 * HOUR));
    // The same ticket keys before and after the renewal, as with a server that reloads its certificate.
    let mut renewed = rustls::ServerConfig::clone(&long);
    renewed.ticketer = short.ticketer.clone();
    let (reload, config) = watch::channel(short);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(config.borrow().clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let (mut from, mut to) = tokio::io::split(tls);
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    let clock = TestClock::at(now);
    let peer = PeerVerifier::check_host(roots(&pki), [NAME.parse().unwrap()]).unwrap();
    let connector =
        TlsConnector::builder(Dial::addresses([address]), peer).clock(SharedClock(clock.clone())).build().unwrap();
    echo(&mut connector.connect().await.unwrap()).await;
    assert!(resumed(&connector.connect().await.unwrap()));
    reload.send(Arc::new(renewed)).unwrap();
    clock.advance(2 * HOUR);
    let stream = connector.connect().await.unwrap();
    assert!(!resumed(&stream));
    assert!(stream.report().peer_not_after().unwrap() > now + 99 * HOUR);
    server.abort();
}

/// Says yes to every chain until told otherwise.
#[derive(Debug, Default)]
struct Moody {
    asked: AtomicUsize,
    refuses: AtomicBool,
}

impl JudgePeer for Moody {
    fn judge(&self, chain: &[&[u8]], _at: SystemTime) -> Result<VerifiedPeer, ConnectError> {
        assert!(!chain.is_empty());
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            let reason = Untrusted::Invalid { what: "moody".into() };
            return Err(ConnectError::Untrusted { reason, source: None });
        }
        Ok(VerifiedPeer::by_own_rules(Verified::SpiffeId("spiffe://a/b".into()), Revocation::NotChecked))
    }
}

/// The clock stands still, as it seems to between two connections that follow each other closely.
#[tokio::test]
async fn rules_of_somebody_elses_are_asked_before_every_resumption() {
    let (_pki, server) = start(&ServerOptions::default()).await;
    let judge = Arc::new(Moody::default());
    let builder = TlsConnector::builder(Dial::addresses([server.addr()]), PeerVerifier::by_own_rules(judge.clone()));
    let clock = SharedClock(TestClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)));
    let connector = builder.clock(clock).build().unwrap();
    for (asked, was_resumed) in [(1, false), (2, true), (3, true)] {
        let mut stream = connector.connect().await.unwrap();
        echo(&mut stream).await;
        assert_eq!((judge.asked.load(Ordering::SeqCst), resumed(&stream)), (asked, was_resumed));
        assert_eq!(stream.report().verified.to_string(), "verified as spiffe://a/b");
    }
    judge.refuses.store(true, Ordering::SeqCst);
    let error = connector.connect().await.unwrap_err();
    assert!(matches!(&error, ConnectError::Untrusted { reason: Untrusted::Invalid { what }, .. } if what == "moody"));
    assert_eq!(judge.asked.load(Ordering::SeqCst), 5, "the session, then the full handshake");
}
