//! Connector and tunnel against the fake mount target: who is admitted, as whom, and what nobody ever sees.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_credential_types::Credentials;
use efs_tls::{
    ClientKey, EfsConnector, EfsConnectorBuilder, EfsTunnel, EfsTunnelError, MountTargetName, RenewalStatus,
};
use secure_connector::{ConnectError, IdentitySource, Roots, SecureConnector, SecureStream, TlsVersion, Warning};
use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, Principal, Refusal, Verdict},
    nfs::{HelloOutcome, NfsStatus, nfs_hello},
};
use tokio::net::TcpStream;

const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const ACCESS_POINT: &str = "fsap-0123456789abcdef0";
const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+abc/def+ghi==~._-";
const ARN: &str = "arn:aws:sts::123456789012:assumed-role/batch/i-0123456789abcdef0";
const PEM: &[u8] = include_bytes!("vectors/test-rsa3072-key.pem");

async fn start(admission: Admission) -> (TestPki, FakeMountTarget) {
    let pki = TestPki::new().unwrap();
    let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
        .admission(admission)
        .access_point(ACCESS_POINT)
        .key(KnownKey::new(KEY_ID, SECRET, ARN).session_token(TOKEN));
    let target = FakeMountTarget::builder(rules).start(&pki).await.unwrap();
    (pki, target)
}

fn reach(builder: EfsConnectorBuilder, pki: &TestPki, target: &FakeMountTarget) -> EfsConnectorBuilder {
    let key = Arc::new(ClientKey::from_pkcs8_pem(PEM).unwrap());
    builder.roots(Roots::from_der(pki.root_der()).unwrap()).mount_target_address(target.addr()).key(key)
}

fn name() -> MountTargetName {
    MountTargetName::regional(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap())
}

fn credentials() -> Credentials {
    Credentials::new(KEY_ID, SECRET, Some(TOKEN.into()), None, "test")
}

fn admitted() -> Verdict {
    Verdict::Admitted(Principal::Iam { arn: ARN.into(), access_key_id: KEY_ID.into() })
}

#[tokio::test]
async fn iam_is_admitted_and_anonymous_only_where_the_file_system_admits_anybody() {
    for (admission, anonymous) in [
        (Admission::IamOnly, Verdict::Refused(Refusal::AnonymousNotAllowed)),
        (Admission::AnonymousAllowed, Verdict::Admitted(Principal::Anonymous)),
    ] {
        let (pki, target) = start(admission).await;
        let connector = reach(EfsConnector::iam(name(), credentials()), &pki, &target).build().await.unwrap();
        let mut nfs = connector.connect().await.unwrap();
        assert!(matches!(nfs_hello(&mut nfs).await.unwrap(), HelloOutcome::Admitted { .. }));
        assert_eq!(target.next_event().await.unwrap().verdict, admitted());

        let connector = reach(EfsConnector::anonymous(name()), &pki, &target).build().await.unwrap();
        let mut nfs = connector.connect().await.unwrap();
        let outcome = nfs_hello(&mut nfs).await.unwrap();
        let refused = matches!(outcome, HelloOutcome::Denied { status: NfsStatus::ACCESS, .. });
        assert_eq!(refused, matches!(anonymous, Verdict::Refused(_)), "{outcome:?}");
        assert_eq!(target.next_event().await.unwrap().verdict, anonymous);
    }
}

#[tokio::test]
async fn the_access_point_is_named_and_another_is_unknown() {
    let (pki, target) = start(Admission::IamOnly).await;
    for (id, verdict) in [
        (ACCESS_POINT, admitted()),
        (
            "fsap-fffffffffffffffff",
            Verdict::Refused(Refusal::UnknownAccessPoint { found: "fsap-fffffffffffffffff".into() }),
        ),
    ] {
        let builder = EfsConnector::iam(name(), credentials()).access_point(id.parse().unwrap());
        let connector = reach(builder, &pki, &target).build().await.unwrap();
        let stream = connector.connect().await.unwrap();
        let who = stream.report().authenticated_as.clone().unwrap();
        assert_eq!((who.principal.as_str(), who.details["access_point"].as_str()), (KEY_ID, id));
        assert_eq!(target.next_event().await.unwrap().verdict, verdict);
    }
}

#[tokio::test]
async fn the_zone_is_cut_from_the_name_that_is_verified_and_sent() {
    let (pki, target) = start(Admission::IamOnly).await;
    let zonal = MountTargetName::one_zone(FILE_SYSTEM.parse().unwrap(), "us-east-1a".parse().unwrap());
    let connector = reach(EfsConnector::iam(zonal, credentials()), &pki, &target).build().await.unwrap();
    connector.connect().await.unwrap();
    let sni = target.next_event().await.unwrap().connection.sni;
    assert_eq!(sni.as_deref(), Some("fs-0123456789abcdef0.efs.us-east-1.amazonaws.com"));
}

#[tokio::test]
async fn a_certificate_of_another_region_or_ca_is_refused() {
    let (pki, target) = start(Admission::IamOnly).await;
    let elsewhere = MountTargetName::regional(FILE_SYSTEM.parse().unwrap(), "eu-west-1".parse().unwrap());
    let connector = reach(EfsConnector::anonymous(elsewhere), &pki, &target).build().await.unwrap();
    let error = connector.connect().await.unwrap_err();
    let ConnectError::Identity { expected, presented } = &error else { panic!("{error:?}") };
    assert_eq!(expected.as_slice(), ["fs-0123456789abcdef0.efs.eu-west-1.amazonaws.com"]);
    assert_eq!(presented.dns, ["*.efs.us-east-1.amazonaws.com"]);

    let amazon = reach(EfsConnector::anonymous(name()), &pki, &target).roots(Roots::amazon()).build().await.unwrap();
    let error = amazon.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error:?}");
}

#[tokio::test]
async fn a_session_token_that_tls_1_2_sends_in_clear_is_warned_of() {
    let (pki, target) = start(Admission::IamOnly).await;
    for (version, token, warnings) in [
        (TlsVersion::Tls12, Some(TOKEN.to_owned()), &[Warning::IdentitySentInClear][..]),
        (TlsVersion::Tls12, None, &[]),
        (TlsVersion::Tls13, Some(TOKEN.to_owned()), &[]),
    ] {
        let credentials = Credentials::new(KEY_ID, SECRET, token, None, "test");
        let builder = reach(EfsConnector::iam(name(), credentials), &pki, &target).maximum_version(version);
        let stream = builder.build().await.unwrap().connect().await.unwrap();
        assert_eq!(stream.report().warnings, warnings);
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_by_the_next_connection_and_by_no_resumed_one() {
    let (pki, target) = start(Admission::IamOnly).await;
    let connector = reach(EfsConnector::iam(name(), credentials()), &pki, &target).build().await.unwrap();
    let connect = async || {
        let mut nfs = connector.connect().await.unwrap();
        assert!(matches!(nfs_hello(&mut nfs).await.unwrap(), HelloOutcome::Admitted { .. }));
        let event = target.next_event().await.unwrap();
        (event.connection.resumed, event.connection.client_chain)
    };
    let (resumed, first) = connect().await;
    assert!(!resumed);
    assert_eq!(connect().await, (true, first.clone()));
    let mut renewal = connector.renewal();
    connector.identity().renew_now();
    renewal.wait_for(|status| status.issued == 2).await.unwrap();
    connector
        .identity()
        .subscribe()
        .wait_for(|id| id.as_ref().is_ok_and(|id| id.certificate().serial == "01"))
        .await
        .unwrap();
    let (resumed, second) = connect().await;
    assert!(!resumed && second != first);
    assert_eq!(connect().await, (true, second));
}

#[tokio::test]
async fn many_clients_share_a_tunnel() {
    let (pki, target) = start(Admission::IamOnly).await;
    let connector = reach(EfsConnector::iam(name(), credentials()), &pki, &target).build().await.unwrap();
    let tunnel = EfsTunnel::builder(connector).mount_option("ro".parse().unwrap()).start().await.unwrap();
    assert!(EfsTunnel::PORTS.contains(&tunnel.port()));
    let command = tunnel.mount_command("/mnt/efs");
    assert!(command.contains(&format!("port={}", tunnel.port())) && command.contains("ro,"), "{command}");
    let mut clients = Vec::new();
    for _ in 0..8 {
        let port = tunnel.port();
        clients.push(tokio::spawn(async move {
            let mut local = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            nfs_hello(&mut local).await.unwrap()
        }));
    }
    for client in clients {
        assert!(matches!(client.await.unwrap(), HelloOutcome::Admitted { .. }));
    }
    assert_eq!(tunnel.drain(Duration::from_secs(5)).await, 0);
    let status = tunnel.status();
    assert_eq!((status.tunnel.accepted, status.tunnel.connects_ok, status.tunnel.connects_failed), (8, 8, 0));
    let RenewalStatus { issued, access_key_id, last_error, .. } = status.renewal;
    assert_eq!((issued, access_key_id.as_deref(), last_error), (1, Some(KEY_ID), None));
}

#[tokio::test]
async fn a_mount_goes_on_through_the_listener_of_a_tunnel_that_ended() {
    let (pki, target) = start(Admission::IamOnly).await;
    let connector = Arc::new(reach(EfsConnector::iam(name(), credentials()), &pki, &target).build().await.unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let old = EfsTunnel::builder(Arc::clone(&connector)).listener(listener.try_clone().unwrap()).start().await.unwrap();
    assert_eq!(old.port(), port);
    old.drain(Duration::ZERO).await;
    let mut local = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _new = EfsTunnel::builder(connector).listener(listener).start().await.unwrap();
    assert!(matches!(nfs_hello(&mut local).await.unwrap(), HelloOutcome::Admitted { .. }));
}

#[tokio::test]
async fn a_range_without_a_free_port_is_an_error() {
    let (pki, target) = start(Admission::IamOnly).await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let connector = reach(EfsConnector::anonymous(name()), &pki, &target).build().await.unwrap();
    let error = EfsTunnel::builder(connector).ports(port..=port).start().await.unwrap_err();
    assert!(matches!(&error, EfsTunnelError::NoFreePort { range, .. } if *range == (port..=port)), "{error:?}");
    assert!(error.to_string().contains(&port.to_string()));
}

/// Everything that the crates log, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_in_logs_reports_status_or_errors_of_a_working_and_of_a_failing_connection() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // The current-thread runtime of the test runs every task on this thread.
    let _guard = tracing::subscriber::set_default(subscriber);

    let (pki, target) = start(Admission::IamOnly).await;
    let connector = reach(EfsConnector::iam(name(), credentials()), &pki, &target).build().await.unwrap();
    let mut nfs = connector.connect().await.unwrap();
    nfs_hello(&mut nfs).await.unwrap();
    let mut shown = format!("{nfs:?} {} {connector:?} {:?}", nfs.report(), connector.renewal());
    let tunnel = EfsTunnel::builder(connector).start().await.unwrap();
    let mut local = TcpStream::connect(("127.0.0.1", tunnel.port())).await.unwrap();
    nfs_hello(&mut local).await.unwrap();
    shown += &format!("{tunnel:?} {:?} {:?}", tunnel.status(), tunnel.tunnel().connections());

    let broken = Credentials::new(KEY_ID, format!("{SECRET} "), Some(TOKEN.into()), None, "test");
    let failing = reach(EfsConnector::iam(name(), broken), &pki, &target).build().await.unwrap();
    let error = failing.connect().await.unwrap_err();
    shown += &format!("{error:?} {error} {} {}", error.explain(), secure_connector::error_chain(&error));
    let wrong = Credentials::new(KEY_ID, SECRET.replace('w', "W"), Some(TOKEN.into()), None, "test");
    let refused = reach(EfsConnector::iam(name(), wrong), &pki, &target).build().await.unwrap();
    nfs_hello(&mut refused.connect().await.unwrap()).await.unwrap();
    shown += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();

    assert!(shown.contains(KEY_ID) && shown.contains("issued"), "the search looks at the right text");
    for secret in [SECRET, TOKEN] {
        // Any run of 12 characters, plain or in hexadecimal.
        for part in secret.as_bytes().windows(12) {
            let text = String::from_utf8(part.to_vec()).unwrap();
            assert!(!shown.contains(&text), "{text}");
            assert!(!shown.contains(&hex::encode(part)), "{text} in hexadecimal");
        }
    }
    let key = String::from_utf8(PEM.to_vec()).unwrap();
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!shown.contains(line));
    }
}
