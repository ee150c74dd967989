//! Whole connections to the mount target: handshake, judgement, NFS.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, SignatureScheme};
use secure_connector_testkit::efs::{
    Admission, AdmissionRules, FakeMountTarget, MountTargetBuilder, Principal, Refusal, Verdict,
};
use secure_connector_testkit::nfs::{Denial, HelloOutcome, InMemoryNfs, NfsStatus, Operation, nfs_hello};
use secure_connector_testkit::rustls_config::client_config;
use secure_connector_testkit::{
    CaOptions, Clock, KeyKind, Resumption, ServerOptions, TestCertificate, TestPki, TlsVersion, Validity,
};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::vectors::{ROLE, Vector};

const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
pub(crate) const BOTH: &[TlsVersion] = &[TlsVersion::Tls12, TlsVersion::Tls13];
const ADMITTED: HelloOutcome = HelloOutcome::Admitted { access: 7 };
pub(crate) const DENIED: HelloOutcome =
    HelloOutcome::Denied { operation: Operation::EXCHANGE_ID, status: NfsStatus::ACCESS };

#[tokio::test]
async fn the_mount_helpers_certificate_is_admitted_as_its_principal() {
    for version in BOTH {
        let case = Vector::case("03");
        let mount = Mount::start(case.rules(), |target| target).await;
        let client = mount.client(&[*version], Some(&case.certificate()));
        assert_eq!(mount.hello(&client).await, ADMITTED);
        let event = mount.target.next_event().await.unwrap();
        assert_eq!(event.verdict, Verdict::Admitted(principal()));
        assert_eq!(event.claims.unwrap().access_point.as_deref(), Some("fsap-0123456789abcdef0"));
        assert_eq!(event.connection.sni.as_deref(), Some(NAME));
        assert_eq!(event.connection.version, Some(*version));
        assert_eq!(event.connection.client_chain, case.certificate().chain_der());
        assert!(!event.connection.resumed);
    }
}

#[tokio::test]
async fn a_refused_client_completes_the_handshake_and_is_denied_by_nfs() {
    let case = Vector::case("03");
    let not_after = case.now() + Duration::from_secs(3 * 60 * 60);
    let now = case.now() + Duration::from_secs(4 * 60 * 60);
    let id = "ASIAIOSFODNN7EXAMPLE".to_owned();
    for (rules, refusal) in [
        (case.rules().clock(Clock::fixed(now)), Refusal::Expired { not_after, now }),
        (
            AdmissionRules::new("fs-0123456789abcdef0", "us-east-1")
                .clock(Clock::fixed(case.now()))
                .key(case.key(&id, "another secret")),
            Refusal::SignatureMismatch { access_key_id: id },
        ),
    ] {
        let mount = Mount::start(rules, |target| target).await;
        let client = mount.client(BOTH, Some(&case.certificate()));
        let mut tls = mount.connect(&client).await.unwrap();
        for _every_time in 0..2 {
            assert_eq!(nfs_hello(&mut tls).await.unwrap(), DENIED);
        }
        let event = mount.target.next_event().await.unwrap();
        assert_eq!(event.verdict, Verdict::Refused(refusal));
        assert_eq!(event.claims.unwrap().file_system, "fs-0123456789abcdef0");
        let counters = mount.target.counters();
        assert_eq!((counters.connections, counters.refused, counters.admitted), (1, 1, 0));
    }
}

#[tokio::test]
async fn a_refusal_may_come_as_late_as_the_root_file_handle() {
    let mount = Mount::start(iam_only(), |target| target.denial(Denial::RootFileHandle)).await;
    let denied = HelloOutcome::Denied { operation: Operation::PUTROOTFH, status: NfsStatus::ACCESS };
    assert_eq!(mount.hello(&mount.client(BOTH, None)).await, denied);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_anonymous() {
    let mount = Mount::start(Vector::case("03").rules(), |target| target).await;
    assert_eq!(mount.hello(&mount.client(BOTH, None)).await, ADMITTED);
    let event = mount.target.next_event().await.unwrap();
    assert_eq!((event.verdict, event.claims), (Verdict::Admitted(Principal::Anonymous), None));

    let mount = Mount::start(iam_only(), |target| target).await;
    assert_eq!(mount.hello(&mount.client(BOTH, None)).await, DENIED);
    let event = mount.target.next_event().await.unwrap();
    assert_eq!(event.verdict, Verdict::Refused(Refusal::AnonymousNotAllowed));
}

#[tokio::test]
async fn a_resumed_session_is_judged_again_by_its_first_certificate() {
    for version in BOTH {
        for resumption in [Resumption::SessionCache, Resumption::Tickets] {
            let case = Vector::case("03");
            let (clock, hours) = adjustable_clock(case.now());
            let rules = case.rules().clock(clock);
            let options = ServerOptions::default().resumption(resumption);
            let mount = Mount::start(rules, |target| target.tls(options)).await;
            let client = mount.client(&[*version], Some(&case.certificate()));
            for (hour, resumed, outcome) in [(0, false, ADMITTED), (1, true, ADMITTED), (4, true, DENIED)] {
                hours.store(hour, Ordering::Relaxed);
                assert_eq!(mount.hello(&client).await, outcome);
                let event = mount.target.next_event().await.unwrap();
                assert_eq!(event.connection.resumed, resumed, "{version:?} {resumption:?}");
                assert_eq!(event.connection.client_chain, case.certificate().chain_der());
                assert_eq!(event.verdict == Verdict::Admitted(principal()), hour < 3);
            }
            let counters = mount.target.counters();
            assert_eq!((counters.connections, counters.full_handshakes, counters.resumed_handshakes), (3, 1, 2));
            assert_eq!((counters.admitted, counters.refused, counters.failed_handshakes), (2, 1, 0));
        }
    }
}

#[tokio::test]
async fn resumption_can_be_off() {
    let options = ServerOptions::default().resumption(Resumption::Off);
    let mount = Mount::start(Vector::case("08").rules(), |target| target.tls(options)).await;
    let client = mount.client(BOTH, Some(&Vector::case("08").certificate()));
    for _connection in 0..2 {
        assert_eq!(mount.hello(&client).await, ADMITTED);
        assert!(!mount.target.next_event().await.unwrap().connection.resumed);
    }
}

#[tokio::test]
async fn the_server_certificate_is_that_of_the_region_or_as_given() {
    let case = Vector::case("08");
    let china = "fs-0123456789abcdef0.efs.cn-north-1.amazonaws.com.cn";
    let mount = Mount::start(case.rules(), |target| target.certificate_name("*.efs.cn-north-1.amazonaws.com.cn")).await;
    let client = mount.client(BOTH, Some(&case.certificate()));
    connect(&client, mount.target.addr(), china).await.unwrap();
    assert!(mount.target.next_event().await.is_ok());
    let error = rustls_error(connect(&client, mount.target.addr(), NAME).await.unwrap_err());
    assert!(
        matches!(&error, rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })),
        "{error:?}"
    );
    let event = mount.target.next_event().await.unwrap_err();
    assert_eq!(rustls_error(event), rustls::Error::AlertReceived(AlertDescription::BadCertificate));
    assert_eq!(mount.target.counters().failed_handshakes, 1);
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_shown_as_it_is() {
    let pki = TestPki::root(CaOptions::default().key(KeyKind::Rsa2048)).unwrap();
    let expired = pki.leaf().dns(NAME).validity(Validity::expired(SystemTime::now())).issue().unwrap();
    let target = FakeMountTarget::builder(Vector::case("08").rules()).start_with(&expired).await.unwrap();
    let client = client_config(&[pki.root_der()], BOTH, None).unwrap();
    let error = rustls_error(connect(&client, target.addr(), NAME).await.unwrap_err());
    assert!(matches!(&error, rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error:?}");
}

#[tokio::test]
async fn a_certificate_without_its_key_fails_the_handshake() {
    for version in BOTH {
        let mount = Mount::start(Vector::case("03").rules(), |target| target).await;
        let stolen = Vector::case("03").certificate();
        let own = TestPki::root(CaOptions::default().key(KeyKind::Rsa3072)).unwrap();
        let own = own.leaf().key(KeyKind::Rsa3072).issue().unwrap();
        let mut client = mount.client(&[*version], None);
        Arc::get_mut(&mut client).unwrap().client_auth_cert_resolver = Arc::new(Mismatched::new(&stolen, &own));
        // A TLS 1.3 client has completed its handshake before the server has seen the certificate.
        let _ = mount.connect(&client).await.map(drop);
        let error = rustls_error(mount.target.next_event().await.unwrap_err());
        assert_eq!(error, rustls::Error::InvalidCertificate(CertificateError::BadSignature));
        assert_eq!(mount.target.counters().failed_handshakes, 1);
    }
}

#[tokio::test]
async fn those_admitted_reach_the_backend_and_the_others_do_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = listener.local_addr().unwrap();
    let reached = Arc::new(Mutex::new(0));
    let count = Arc::clone(&reached);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            *count.lock().unwrap() += 1;
            tokio::spawn(async move { InMemoryNfs::empty().serve(stream).await });
        }
    });
    let case = Vector::case("03");
    let rules = || case.rules().admission(Admission::IamOnly);
    let mount = Mount::start(rules(), |target| target.backend(backend)).await;
    assert_eq!(mount.hello(&mount.client(BOTH, None)).await, DENIED);
    assert_eq!(*reached.lock().unwrap(), 0);
    assert_eq!(mount.hello(&mount.client(BOTH, Some(&case.certificate()))).await, ADMITTED);
    assert_eq!(*reached.lock().unwrap(), 1);
}

#[tokio::test]
async fn connections_are_served_side_by_side_and_end_with_the_handle() {
    let mount = Mount::start(Vector::case("08").rules(), |target| target).await;
    let client = mount.client(BOTH, None);
    let mut first = mount.connect(&client).await.unwrap();
    let mut second = mount.connect(&client).await.unwrap();
    assert_eq!(nfs_hello(&mut second).await.unwrap(), ADMITTED);
    assert_eq!(nfs_hello(&mut first).await.unwrap(), ADMITTED);
    drop(mount);
    assert_eq!(first.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// A mount target, and the authority that its clients trust.
pub(crate) struct Mount {
    pub(crate) target: FakeMountTarget,
    pki: TestPki,
}

impl Mount {
    pub(crate) async fn start(
        rules: AdmissionRules,
        options: impl FnOnce(MountTargetBuilder) -> MountTargetBuilder,
    ) -> Self {
        let pki = TestPki::new().unwrap();
        let target = options(FakeMountTarget::builder(rules)).start(&pki).await.unwrap();
        Self { target, pki }
    }

    pub(crate) fn client(&self, versions: &[TlsVersion], identity: Option<&TestCertificate>) -> Arc<ClientConfig> {
        client_config(&[self.pki.root_der()], versions, identity).unwrap()
    }

    async fn connect(&self, client: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        connect(client, self.target.addr(), NAME).await
    }

    pub(crate) async fn hello(&self, client: &Arc<ClientConfig>) -> HelloOutcome {
        let mut tls = self.connect(client).await.unwrap();
        nfs_hello(&mut tls).await.unwrap()
    }
}

/// Shows a certificate and signs with another's key.
#[derive(Debug)]
struct Mismatched(Arc<CertifiedKey>);

impl Mismatched {
    fn new(shown: &TestCertificate, own: &TestCertificate) -> Self {
        let chain = vec![CertificateDer::from(shown.leaf_der().to_vec())];
        let key = PrivatePkcs8KeyDer::from(own.key_der().to_vec());
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.into()).unwrap();
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }
}

impl ResolvesClientCert for Mismatched {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

async fn connect(client: &Arc<ClientConfig>, addr: SocketAddr, name: &str) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(client)).connect(name, tcp).await
}

/// A clock that is some hours ahead of `start`.
fn adjustable_clock(start: SystemTime) -> (Clock, Arc<AtomicU64>) {
    let hours = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&hours);
    (Clock::new(move || start + Duration::from_secs(3600 * shown.load(Ordering::Relaxed))), hours)
}

fn iam_only() -> AdmissionRules {
    Vector::case("03").rules().admission(Admission::IamOnly)
}

fn principal() -> Principal {
    Principal::Iam { arn: ROLE.to_owned(), access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned() }
}

#[track_caller]
fn rustls_error(error: io::Error) -> rustls::Error {
    *error.into_inner().unwrap().downcast().unwrap()
}
