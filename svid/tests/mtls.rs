//! Connections between workloads: who is let in, on which terms, and that rotation fails nobody.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "x509/authority.rs"]
#[expect(dead_code, reason = "the tests of certificates use the rest")]
mod authority;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use secure_connector::{
    Clock, ConnectError, Dial, PresentedNames, Revocation, SecureAcceptor, SecureStream, SecureTransport, TlsFailure,
    Untrusted, Verified,
};
use svid_tls::{
    Bundle, BundleSet, ExpectedPeer, Mode, MtlsAcceptor, MtlsConnector, MtlsStream, Peer, SpiffeId, SvidPublisher,
    SvidSource, X509Svid, X509SvidError, X509Verifier,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::MissedTickBehavior;

use self::authority::{Authority, chain_of, now, revocation_list};

const FRONT: &str = "spiffe://example.org/front";
const BACK: &str = "spiffe://example.org/back";

#[derive(Debug)]
struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> SystemTime {
        now()
    }
}

fn svid(authority: &Authority, id: &str) -> X509Svid {
    let leaf = authority.leaf(id, |_| {});
    X509Svid::from_der(chain_of(&leaf, &[]), &leaf.key_der()).unwrap()
}

fn bundles(roots: &[&Authority]) -> BundleSet {
    let ders = roots.iter().map(|root| root.der());
    [Bundle::from_x509_der("example.org".parse().unwrap(), ders).unwrap()].into_iter().collect()
}

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

fn source(root: &Authority, of: &str) -> SvidSource {
    SvidSource::fixed(svid(root, of), bundles(&[root]))
}

fn connector(source: SvidSource, expected: ExpectedPeer) -> MtlsConnector {
    let nowhere = Dial::addresses(["127.0.0.1:1".parse().unwrap()]);
    MtlsConnector::builder(nowhere, source, expected).clock(Frozen).build().unwrap()
}

fn acceptor(source: SvidSource, expected: ExpectedPeer) -> MtlsAcceptor {
    MtlsAcceptor::new(source, expected).clock(Frozen)
}

type Connected = (Result<MtlsStream, ConnectError>, Result<MtlsStream, ConnectError>);

async fn connect(client: &MtlsConnector, server: &MtlsAcceptor) -> Connected {
    let (near, far) = duplex(16_384);
    tokio::join!(client.secure(near), server.accept(far))
}

/// Both ends, after a byte went to the server and back.
async fn talk(client: &MtlsConnector, server: &MtlsAcceptor) -> Result<(MtlsStream, MtlsStream), String> {
    let (near, far) = connect(client, server).await;
    let mut near = near.map_err(|e| secure_connector::error_chain(&e))?;
    let mut far = far.map_err(|e| secure_connector::error_chain(&e))?;
    near.write_all(b"x").await.unwrap();
    near.flush().await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), b'x');
    far.write_all(b"y").await.unwrap();
    far.flush().await.unwrap();
    assert_eq!(near.read_u8().await.map_err(|e| e.to_string())?, b'y');
    Ok((near, far))
}

#[tokio::test]
async fn both_ends_know_each_other() {
    let root = Authority::root(|_| {});
    let client = connector(source(&root, FRONT), ExpectedPeer::exactly(id(BACK)));
    let server = acceptor(source(&root, BACK), ExpectedPeer::exactly(id(FRONT)));
    let (near, far) = talk(&client, &server).await.unwrap();
    assert_eq!((near.peer().id(), far.peer().id()), (Some(&id(BACK)), Some(&id(FRONT))));
    for stream in [&near, &far] {
        let Peer::Mtls(peer) = stream.peer() else { panic!("{stream:?}") };
        assert_eq!((peer.not_after, peer.generation), (now() + Duration::from_secs(30 * 86_400), 1));
    }
    let report = far.report();
    assert_eq!(report.verified, Verified::SpiffeId(FRONT.into()));
    assert_eq!(report.authenticated_as.as_ref().unwrap().principal, BACK);
    let tls = report.tls.as_ref().unwrap();
    assert!(!tls.resumed && tls.peer_chain.len() == 1 && tls.version.to_string() == "TLSv1.3", "{report}");
    assert_eq!(server.counts().mtls, 1);
}

#[tokio::test]
async fn a_report_tells_of_revocation_lists() {
    let root = Authority::root(|_| {});
    let until = now() + Duration::from_secs(86_400);
    let verifier = X509Verifier::new().with_crls([revocation_list(&root, &[7], until)]).unwrap();
    let expected = ExpectedPeer::exactly(id(FRONT));
    let server = MtlsAcceptor::with_verifier(source(&root, BACK), expected, verifier).clock(Frozen);
    let client = connector(source(&root, FRONT), ExpectedPeer::exactly(id(BACK)));
    let (near, far) = talk(&client, &server).await.unwrap();
    assert_eq!(near.report().revocation, Revocation::NotChecked);
    let made = now() - Duration::from_secs(7200);
    match &far.report().revocation {
        Revocation::Good { this_update, next_update, .. } => {
            assert_eq!((*this_update, *next_update), (made, Some(until)))
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_unexpected(error: ConnectError, wanted: &str, shown: &str) {
    let mut names = PresentedNames::default();
    names.uri.push(shown.into());
    match error {
        ConnectError::Identity { expected, presented } => {
            assert_eq!((expected, *presented), (vec![wanted.into()], names))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_peer_with_another_id_is_refused_by_either_end() {
    let root = Authority::root(|_| {});
    let client = connector(source(&root, FRONT), ExpectedPeer::exactly(id(BACK)));
    let server = acceptor(source(&root, "spiffe://example.org/other"), ExpectedPeer::exactly(id(FRONT)));
    is_unexpected(connect(&client, &server).await.0.unwrap_err(), BACK, "spiffe://example.org/other");

    let server = acceptor(source(&root, BACK), ExpectedPeer::exactly(id("spiffe://example.org/other")));
    let (near, far) = connect(&client, &server).await;
    is_unexpected(far.unwrap_err(), "spiffe://example.org/other", FRONT);
    // With TLS 1.3 the client learns of it at its first read (RFC 8446 section 4.4.2.4).
    let refused = near.unwrap().read_u8().await.unwrap_err();
    let inner = refused.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap();
    let alert = TlsFailure::Alert { description: "bad_certificate".into() };
    assert!(matches!(inner, ConnectError::Tls { reason, .. } if *reason == alert), "{inner:?}");
    assert_eq!((server.counts().refused, server.counts().mtls), (1, 0));
}

#[tokio::test]
async fn a_peer_of_a_domain_without_a_bundle_is_refused_with_the_rule() {
    let (root, other) = (Authority::root(|_| {}), Authority::root(|_| {}));
    let client = connector(source(&root, FRONT), ExpectedPeer::danger_anybody());
    let stranger = SvidSource::fixed(svid(&other, "spiffe://other.org/back"), bundles(&[&root]));
    let error = connect(&client, &acceptor(stranger, ExpectedPeer::danger_anybody())).await.0.unwrap_err();
    match error {
        ConnectError::Untrusted { reason: Untrusted::UnknownCa { issuer, anchors: 0 }, source: Some(source) } => {
            assert_eq!(issuer, "other.org");
            assert!(matches!(source.downcast_ref(), Some(X509SvidError::NoBundle { .. })), "{source:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// A client that says `bytes` and then waits for an answer.
async fn says(server: &MtlsAcceptor, bytes: &[u8]) -> (DuplexStream, Result<MtlsStream, ConnectError>) {
    let (mut near, far) = duplex(16_384);
    near.write_all(bytes).await.unwrap();
    (near, server.accept(far).await)
}

#[tokio::test]
async fn plaintext_is_refused_when_strict_and_counted_when_permissive() {
    let root = Authority::root(|_| {});
    let make = |mode| acceptor(source(&root, BACK), ExpectedPeer::exactly(id(FRONT))).mode(mode);
    for text in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x02", b"\x00", b"\x16x"] {
        let strict = make(Mode::Strict);
        let error = says(&strict, text).await.1.unwrap_err();
        let reason = TlsFailure::NotTls { looks_like: None };
        assert!(matches!(&error, ConnectError::Tls { reason: found, .. } if *found == reason), "{error:?}");
        assert_eq!((strict.counts().plain, strict.counts().refused), (0, 1));

        let permissive = make(Mode::Permissive);
        let (mut near, accepted) = says(&permissive, text).await;
        let mut stream = accepted.unwrap();
        assert_eq!((stream.peer(), permissive.counts().plain), (&Peer::Plain, 1));
        assert_eq!((&stream.report().verified, stream.report().warnings.len()), (&Verified::Nothing, 1));
        let mut read = vec![0; text.len()];
        for byte in &mut read {
            *byte = stream.read_u8().await.unwrap();
        }
        assert_eq!(read, text, "nothing of what was looked at is lost");
        stream.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}

#[tokio::test]
async fn who_speaks_tls_shows_an_svid_in_either_mode() {
    let root = Authority::root(|_| {});
    for mode in [Mode::Strict, Mode::Permissive] {
        let server = acceptor(source(&root, BACK), ExpectedPeer::exactly(id(FRONT))).mode(mode);
        talk(&connector(source(&root, FRONT), ExpectedPeer::exactly(id(BACK))), &server).await.unwrap();
        let peer = secure_connector::PeerVerifier::danger_accept_any_certificate();
        let nobody = secure_connector::TlsConnector::builder(Dial::addresses(["127.0.0.1:1".parse().unwrap()]), peer);
        let nobody = nobody.clock(Frozen).build();
        let nobody = nobody.unwrap();
        let (near, far) = duplex(16_384);
        let (_, accepted) = tokio::join!(nobody.secure(near), server.accept(far));
        let error = accepted.unwrap_err();
        assert!(matches!(&error, ConnectError::Untrusted { reason: Untrusted::NoCertificate, .. }), "{error:?}");
        assert_eq!((server.counts().mtls, server.counts().refused), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_dropped_in_time() {
    let root = Authority::root(|_| {});
    let server = acceptor(source(&root, BACK), ExpectedPeer::exactly(id(FRONT))).mode(Mode::Permissive);
    let server = server.handshake_limit(Duration::from_secs(3));
    let (silent, far) = duplex(64);
    let error = server.accept(far).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { limit, .. } if limit == Duration::from_secs(3)), "{error:?}");
    drop(silent);
    let (gone, far) = duplex(64);
    drop(gone);
    let error = server.accept(far).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Tls { reason: TlsFailure::Closed, .. }), "{error:?}");
}

#[tokio::test]
async fn a_withdrawn_bundle_ends_trust_at_the_next_connection_though_sessions_could_resume() {
    let root = Authority::root(|_| {});
    let (publisher, front) = SvidPublisher::new();
    let own = svid(&root, FRONT);
    publisher.publish(own.clone(), bundles(&[&root]));
    let client = connector(front, ExpectedPeer::exactly(id(BACK)));
    let server = acceptor(source(&root, BACK), ExpectedPeer::exactly(id(FRONT)));
    talk(&client, &server).await.unwrap();
    publisher.publish(own, BundleSet::default());
    let error = connect(&client, &server).await.0.unwrap_err();
    assert!(matches!(error, ConnectError::Untrusted { reason: Untrusted::UnknownCa { .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn who_has_no_svid_neither_connects_nor_accepts() {
    let root = Authority::root(|_| {});
    let (publisher, back) = SvidPublisher::new();
    publisher.publish(svid(&root, BACK), bundles(&[&root]));
    publisher.withdraw("the agent said PermissionDenied");
    let client = connector(back.clone(), ExpectedPeer::danger_anybody());
    let (near, _far) = duplex(64);
    let error = client.secure(near).await.unwrap_err();
    assert!(matches!(&error, ConnectError::NoIdentity(why) if why.reason == "the agent said PermissionDenied"));
    let error = says(&acceptor(back, ExpectedPeer::danger_anybody()), b"x").await.1.unwrap_err();
    assert!(matches!(&error, ConnectError::NoIdentity(why) if !why.pending), "{error:?}");
}

/// Rotation of both ends, every tenth time under a new root, while connections are made as fast as they go. A root stays
/// in the bundles for a while after its last SVID was replaced: handshakes that began under it are under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_busy_handshakes_none_fails_in_300_rotations() {
    const ROTATIONS: u32 = 300;
    const KEPT: usize = 10;
    let mut roots = vec![Authority::root(|_| {})];
    let (front_publisher, front) = SvidPublisher::new();
    let (back_publisher, back) = SvidPublisher::new();
    let publish = |signer: &Authority, trusted: &[Authority]| {
        let trusted = bundles(&trusted.iter().rev().take(KEPT).collect::<Vec<_>>());
        front_publisher.publish(svid(signer, FRONT), trusted.clone());
        back_publisher.publish(svid(signer, BACK), trusted);
    };
    publish(&roots[0], &roots);
    let client = Arc::new(connector(front.clone(), ExpectedPeer::exactly(id(BACK))));
    let server = Arc::new(acceptor(back, ExpectedPeer::exactly(id(FRONT))));
    let (done, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (client, server) = (client.clone(), server.clone());
            let (done, connections) = (done.clone(), connections.clone());
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    failures.extend(talk(&client, &server).await.err());
                    connections.fetch_add(1, Ordering::Relaxed);
                }
                failures
            })
        })
        .collect();
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for rotation in 1..=ROTATIONS {
        pace.tick().await;
        if rotation % 10 == 0 {
            // Both ends learn of the new root before either uses it.
            roots.push(Authority::root(|_| {}));
            publish(&roots[roots.len() - 2], &roots);
        }
        publish(&roots[roots.len() - 1], &roots);
    }
    done.store(true, Ordering::Relaxed);
    let mut failures = Vec::new();
    for task in busy {
        failures.extend(task.await.unwrap());
    }
    assert_eq!(failures, Vec::<String>::new());
    assert!(front.snapshot().unwrap().generation() > u64::from(ROTATIONS));
    let connections = connections.load(Ordering::Relaxed);
    assert!(connections > u64::from(ROTATIONS), "busy: {connections} connections");
}
