//! Identities: checked when made, taken as they are when a connection starts, never shown.

use std::{path::Path, sync::Arc, time::Duration, time::SystemTime};

use crate::support::{identity, localhost_peer, start};
use proptest::prelude::*;
use secure_connector::{
    AuthenticatedAs, ConnectError, CurrentIdentity, Dial, Identity, IdentityError, IdentitySource, IdentityUnavailable,
    PemFiles, PemFilesError, SecureConnector, SecureStream, Stage, StaticIdentity, Timeouts, TlsConnector,
};
use secure_connector_testkit::{
    ClientAuth, EchoServer, KeyKind, ServerOptions, TestCertificate, TestPki, Usage, Validity,
};
use tokio::sync::watch;

fn client(pki: &TestPki, name: &str) -> TestCertificate {
    pki.leaf().common_name(name).usage(Usage::Client).issue().unwrap()
}

async fn mutual() -> (TestPki, EchoServer) {
    start(&ServerOptions::default().client_auth(ClientAuth::RequireAny)).await
}

#[test]
fn a_key_of_another_certificate_does_not_make_an_identity() {
    let pki = TestPki::new().unwrap();
    let (one, two) = (client(&pki, "one"), client(&pki, "two"));
    let pem = |chain: &TestCertificate, key: &TestCertificate| {
        Identity::from_pem(chain.chain_pem().as_bytes(), key.key_pem().as_bytes())
    };
    assert_eq!(pem(&one, &one).unwrap().certificate().subject, "CN=one");
    let error = pem(&one, &two).unwrap_err();
    assert!(matches!(&error, IdentityError::KeyMismatch { subject } if subject == "CN=one"), "{error:?}");
}

#[test]
fn what_is_missing_or_unreadable_is_said() {
    let pki = TestPki::new().unwrap();
    let good = client(&pki, "good");
    let (chain, key) = (good.chain_pem(), good.key_pem());
    let error = Identity::from_pem(b"", key.as_bytes()).unwrap_err();
    assert!(matches!(error, IdentityError::NoCertificate), "{error:?}");
    let error = Identity::from_pem(chain.as_bytes(), chain.as_bytes()).unwrap_err();
    assert!(matches!(error, IdentityError::NoPrivateKey), "{error:?}");
    let error = Identity::from_der(vec![b"junk".to_vec()], good.key_der()).unwrap_err();
    assert!(matches!(error, IdentityError::Certificate { index: 0, .. }), "{error:?}");
    let error = Identity::from_der(good.chain_der().to_vec(), b"junk").unwrap_err();
    assert!(matches!(error, IdentityError::PrivateKey { .. }), "{error:?}");
}

#[tokio::test]
async fn the_identity_and_what_it_stands_for_are_in_the_report() {
    for key in [KeyKind::default(), KeyKind::Rsa2048] {
        let (pki, server) = mutual().await;
        let certificate = pki.leaf().common_name("me").usage(Usage::Client).key(key).issue().unwrap();
        let who = AuthenticatedAs::new("aws-iam", "AKIAIOSFODNN7EXAMPLE").with("access_point", "fsap-0");
        let source = StaticIdentity::new(identity(&certificate).authenticating_as(who.clone()));
        let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
        let stream = builder.identity(source).build().unwrap().connect().await.unwrap();
        assert_eq!(stream.report().identity.as_ref().unwrap().subject, "CN=me");
        assert_eq!(stream.report().authenticated_as, Some(who));
        assert_eq!(server.next_connection().await.unwrap().client_chain, certificate.chain_der());
    }
}

#[tokio::test]
async fn a_first_identity_is_waited_for_and_a_failed_one_is_not() {
    let (pki, server) = mutual().await;
    let (publish, source) = watch::channel::<CurrentIdentity>(Err(IdentityUnavailable::pending("not asked yet")));
    let builder =
        || TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki)).identity(source.clone());
    let short = Timeouts::default().with(Stage::Identity, Duration::from_millis(20));
    let error = builder().timeouts(short).build().unwrap().connect().await.unwrap_err();
    assert!(matches!(&error, ConnectError::NoIdentity(why) if why.reason == "not asked yet"), "{error:?}");
    assert!(error.is_retryable());

    let connector = builder().build().unwrap();
    let mut connecting = Box::pin(connector.connect());
    assert!(futures_poll(&mut connecting).await.is_none());
    publish.send(Ok(Arc::new(identity(&client(&pki, "late"))))).unwrap();
    assert_eq!(connecting.await.unwrap().report().identity.as_ref().unwrap().subject, "CN=late");

    publish.send(Err(IdentityUnavailable::failed("withdrawn"))).unwrap();
    let error = connector.connect().await.unwrap_err();
    assert!(matches!(&error, ConnectError::NoIdentity(why) if why.reason == "withdrawn"), "{error:?}");
    assert!(!error.is_retryable());
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn an_expired_identity_is_not_presented() {
    let (pki, server) = mutual().await;
    let expired = Validity::expired(SystemTime::now());
    let certificate = pki.leaf().common_name("old").usage(Usage::Client).validity(expired).issue().unwrap();
    let builder = TlsConnector::builder(Dial::addresses([server.addr()]), localhost_peer(&pki));
    let connector = builder.identity(StaticIdentity::new(identity(&certificate))).build().unwrap();
    let error = connector.connect().await.unwrap_err();
    assert!(matches!(&error, ConnectError::NoIdentity(why) if why.reason.contains("CN=old")), "{error:?}");
    assert_eq!(server.connections(), 0);
}

async fn write(folder: &Path, chain: &TestCertificate, key: &TestCertificate) {
    std::fs::write(folder.join("chain.pem"), chain.chain_pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.key_pem().as_bytes()).unwrap();
}

async fn open(folder: &Path) -> Result<PemFiles, PemFilesError> {
    let never = Duration::from_secs(3600);
    PemFiles::open(folder.join("chain.pem"), folder.join("key.pem"), never).await
}

#[tokio::test]
async fn replaced_files_are_one_value_and_half_of_a_change_is_not_taken() {
    let pki = TestPki::new().unwrap();
    let (one, two) = (client(&pki, "one"), client(&pki, "two"));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &one, &one).await;
    let files = open(folder.path()).await.unwrap();
    let mut current = files.subscribe();
    let mut status = files.status();
    let subject =
        |current: &watch::Receiver<CurrentIdentity>| current.borrow().as_ref().unwrap().certificate().subject.clone();
    assert_eq!(subject(&current), "CN=one");

    write(folder.path(), &two, &one).await;
    files.reload();
    status.changed().await.unwrap();
    assert!(
        status.borrow_and_update().last_error.as_ref().unwrap().contains("does not belong"),
        "{:?}",
        *status.borrow()
    );
    assert_eq!(subject(&current), "CN=one");
    assert!(!current.has_changed().unwrap());

    write(folder.path(), &two, &two).await;
    files.reload();
    current.changed().await.unwrap();
    assert_eq!(subject(&current), "CN=two");
    status.wait_for(|s| s.published == 2 && s.last_error.is_none()).await.unwrap();

    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    files.reload();
    status.wait_for(|s| s.last_error.as_ref().is_some_and(|e| e.contains("key.pem"))).await.unwrap();
    assert_eq!(subject(&current), "CN=two", "the last good identity stays");

    drop(files);
    assert!(current.changed().await.is_err(), "the task ends with its handle");
    assert_eq!(subject(&current), "CN=two");
}

#[tokio::test]
async fn files_that_make_no_identity_at_the_start_are_an_error() {
    let pki = TestPki::new().unwrap();
    let (one, two) = (client(&pki, "one"), client(&pki, "two"));
    let folder = tempfile::tempdir().unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(&error, PemFilesError::Read { path, .. } if path.ends_with("chain.pem")), "{error:?}");
    write(folder.path(), &one, &two).await;
    let error = open(folder.path()).await.unwrap_err();
    let is_mismatch = matches!(&error, PemFilesError::Identity { source: IdentityError::KeyMismatch { subject }, .. } if subject == "CN=one");
    assert!(is_mismatch, "{error:?}");
}

#[tokio::test]
async fn unchanged_files_are_not_published_again() {
    let pki = TestPki::new().unwrap();
    let one = client(&pki, "one");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &one, &one).await;
    let files =
        PemFiles::open(folder.path().join("chain.pem"), folder.path().join("key.pem"), Duration::from_millis(100));
    let files = files.await.unwrap();
    let current = files.subscribe();
    // A broken file shows that the task has read at least once more.
    let mut status = files.status();
    std::fs::write(folder.path().join("chain.pem"), "").unwrap();
    status.wait_for(|s| s.last_error.is_some()).await.unwrap();
    write(folder.path(), &one, &one).await;
    status.wait_for(|s| s.last_error.is_none()).await.unwrap();
    assert_eq!(status.borrow().published, 1);
    assert!(!current.has_changed().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Any run of 8 bytes of the private key, in hexadecimal, base64, decimal or raw form.
    #[test]
    fn no_part_of_a_private_key_is_ever_shown(kind in prop::sample::select(vec![KeyKind::default(), KeyKind::Rsa2048])) {
        let pki = TestPki::new().unwrap();
        let certificate = pki.leaf().common_name("me").usage(Usage::Client).key(kind).issue().unwrap();
        let other = client(&pki, "other");
        let made = identity(&certificate);
        let mismatch = Identity::from_pem(other.chain_pem().as_bytes(), certificate.key_pem().as_bytes()).unwrap_err();
        let mut broken_key = certificate.key_der().to_vec();
        broken_key[10] ^= 0xff;
        let broken = Identity::from_der(certificate.chain_der().to_vec(), &broken_key);
        let source = StaticIdentity::new(made);
        let peer = localhost_peer(&pki);
        let connector = TlsConnector::builder(Dial::name("a.example", 1), peer).identity(source.clone()).build().unwrap();
        let shown = format!("{source:?} {mismatch:?} {mismatch} {broken:?} {connector:?}");
        // The first bytes of a PKCS#8 encoding are the same for all keys of a kind.
        let secret = &certificate.key_der()[60..];
        for window in secret.windows(8) {
            let hex: String = window.iter().map(|b| format!("{b:02x}")).collect();
            let decimal = window.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
            prop_assert!(!shown.contains(&hex) && !shown.contains(&decimal));
        }
        let body: Vec<String> = certificate.key_pem().lines().map(str::to_owned).collect();
        for line in body.iter().skip(2).filter(|line| !line.starts_with("---")) {
            prop_assert!(!shown.contains(line.as_str()));
        }
    }
}
