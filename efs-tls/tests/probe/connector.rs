//! What `EfsConnector::probe` makes of mount targets, and of what is none.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use efs_tls::{
    Access, Denial, EfsConnector, EfsConnectorBuilder, EfsTunnel, Found, Hint, Operation, Probe, ProbeKind,
    ProbeOptions, ProbeOutcome, WithoutAccessPoint, probe_stream,
};
use secure_connector::{Clock, ConnectError, Dial, Resolve, Roots, Stage, TlsFailure};
use secure_connector_testkit::{
    ClientAuth, EchoServer, ServerOptions, TestPki, Validity,
    efs::{Admission, Refusal, Verdict},
    misbehaving::{self, alert},
    nfs::{Denial as Where, InMemoryNfs},
};
use tokio::net::{TcpListener, TcpStream};

use crate::mount_target::{
    ACCESS_POINT, FILE_SYSTEM, InTurn, KEY_ID, MINUTE, MountTarget, SECOND_KEY_ID, SECRET, TestClock,
    UNKNOWN_ACCESS_POINT, credentials, denied_at, name, parts, probe, reach,
};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn who_is_admitted_learns_what_is_granted() {
    let target = MountTarget::start().await;
    let connector = target.iam().access_point(ACCESS_POINT.parse().unwrap()).build().await.unwrap();
    let probe = connector.probe_with(&ProbeOptions::default().user(1000, 100)).await;
    let ProbeOutcome::Admitted(admission) = &probe.outcome else { panic!("{probe}") };
    assert_eq!((admission.uid, admission.gid), (1000, 100));
    assert!(admission.granted.contains(Access::READ.union(Access::LOOKUP)), "{admission}");
    assert!(admission.root.is_some());
    assert_eq!((probe.outcome.kind(), probe.outcome.is_retryable()), (ProbeKind::Admitted, false));
    assert_eq!(probe.hints, []);
    assert_eq!(probe.report.unwrap().authenticated_as.unwrap().principal, KEY_ID);
    assert_eq!(target.seen().await, (1, Some(ACCESS_POINT.into())));
}

#[tokio::test]
async fn the_anonymous_are_denied_wherever_the_server_says_so() {
    for (place, operation) in
        [(Where::EveryCompound, Operation::ExchangeId), (Where::RootFileHandle, Operation::PutRootFh)]
    {
        let target = MountTarget::start_with(|rules| rules, |target| target.denial(place)).await;
        let probe = probe(target.anonymous()).await;
        let ProbeOutcome::Denied(Denial { refusal, without_access_point, .. }) = &probe.outcome else {
            panic!("{probe}")
        };
        assert_eq!(parts(*refusal), denied_at(operation));
        assert!(matches!(without_access_point, WithoutAccessPoint::NotTried), "{without_access_point:?}");
        assert!(matches!(probe.hints.as_slice(), [Hint::Anonymous, Hint::OurClock { .. }]), "{:?}", probe.hints);
        assert!(probe.report.is_some());
        let explained = probe.explain();
        for advice in ["elasticfilesystem:ClientMount", "We came without credentials", "Our clock says 20"] {
            assert!(explained.contains(advice), "{explained}");
        }
        assert_eq!(target.seen().await, (1, None));
    }
    let open = MountTarget::start_with(|rules| rules.admission(Admission::AnonymousAllowed), |target| target).await;
    assert!(probe(open.anonymous()).await.outcome.is_admitted());
}

#[tokio::test]
async fn an_access_point_that_does_not_exist_is_told_from_a_policy() {
    for place in [Where::EveryCompound, Where::RootFileHandle] {
        let target = MountTarget::start_with(|rules| rules, |target| target.denial(place)).await;
        let unknown = target.iam().access_point(UNKNOWN_ACCESS_POINT.parse().unwrap());
        let probe = probe(unknown).await;
        let ProbeOutcome::AccessPoint { access_point, without, .. } = &probe.outcome else { panic!("{probe}") };
        assert_eq!(access_point.as_str(), UNKNOWN_ACCESS_POINT);
        assert!(without.granted.contains(Access::READ));
        assert_eq!((probe.outcome.kind(), probe.outcome.is_retryable()), (ProbeKind::AccessPoint, true));
        assert_eq!(probe.hints, []);
        // The report is that of the connection which was denied.
        let who = probe.report.as_ref().unwrap().authenticated_as.as_ref().unwrap();
        assert_eq!(who.details.get("access_point").map(String::as_str), Some(UNKNOWN_ACCESS_POINT));
        let advice = format!("aws efs describe-access-points --access-point-id {UNKNOWN_ACCESS_POINT}");
        assert!(probe.explain().contains(&advice), "{}", probe.explain());
        // The second connection came without it.
        assert_eq!(target.seen().await, (2, None));
    }
}

#[tokio::test]
async fn what_is_denied_with_and_without_the_access_point_stays_a_denial() {
    let target = MountTarget::start().await;
    let wrong_secret = || target.provided_by(credentials(KEY_ID, "anotherSecretKey", None));
    let with = probe(wrong_secret().access_point(ACCESS_POINT.parse().unwrap())).await;
    let ProbeOutcome::Denied(Denial { without_access_point: WithoutAccessPoint::DeniedToo(second), .. }) =
        &with.outcome
    else {
        panic!("{with}")
    };
    assert_eq!(parts(*second), denied_at(Operation::ExchangeId));
    assert_eq!((with.outcome.kind(), with.outcome.is_retryable()), (ProbeKind::Denied, false));
    assert!(with.explain().contains("through access points only"), "{}", with.explain());
    assert_eq!(target.seen().await, (2, None));

    let without = probe(wrong_secret()).await;
    let ProbeOutcome::Denied(Denial { without_access_point: WithoutAccessPoint::NotTried, .. }) = &without.outcome
    else {
        panic!("{without}")
    };
}

#[tokio::test]
async fn the_wrong_file_system_is_a_denial() {
    let target = MountTarget::start_with(|rules| rules.service("elasticfilesystem"), |target| target).await;
    let other =
        efs_tls::MountTargetName::regional("fs-fffffffffffffffff".parse().unwrap(), "us-east-1".parse().unwrap());
    let connector = EfsConnector::iam(other, credentials(KEY_ID, SECRET, None));
    let probe = probe(reach(connector, &target.pki, target.fake.addr())).await;
    assert!(matches!(probe.outcome, ProbeOutcome::Denied(_)), "{probe}");
    let wrong = Refusal::WrongFileSystem { expected: FILE_SYSTEM.into(), found: "fs-fffffffffffffffff".into() };
    assert_eq!(target.fake.next_event().await.unwrap().verdict, Verdict::Refused(wrong));
}

#[tokio::test]
async fn clocks_that_differ_are_a_denial_that_shows_ours() {
    let ours = TestClock::new();
    let theirs = secure_connector_testkit::Clock::fixed(ours.now() + 4 * HOUR);
    let target = MountTarget::start_with(|rules| rules.clock(theirs), |target| target).await;
    let probe = probe(target.iam().clock(Arc::new(ours.clone()))).await;
    assert!(matches!(probe.outcome, ProbeOutcome::Denied(_)), "{probe}");
    assert_eq!(probe.hints, [Hint::OurClock { now: ours.now() }]);
    assert!(probe.explain().contains("Our clock says 2027-01-15T08:00:00Z"), "{}", probe.explain());
    let verdict = target.fake.next_event().await.unwrap().verdict;
    assert!(matches!(verdict, Verdict::Refused(Refusal::Expired { .. })), "{verdict:?}");
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_noticed() {
    let ours = TestClock::new();
    let signed_at = ours.now();
    let theirs = ours.clone();
    let theirs = secure_connector_testkit::Clock::new(move || theirs.now());
    let target = MountTarget::start_with(|rules| rules.clock(theirs), |target| target).await;
    let connector = target.iam().clock(Arc::new(ours.clone())).build().await.unwrap();
    assert!(connector.probe().await.outcome.is_admitted());

    ours.set(signed_at - 10 * MINUTE);
    let probe = connector.probe().await;
    assert!(matches!(probe.outcome, ProbeOutcome::Denied(_)), "{probe}");
    assert_eq!(probe.hints, [Hint::SignedInTheFuture { signed_at }, Hint::OurClock { now: ours.now() }]);

    // Beyond the validity of our certificate no connection is tried.
    for (now, hint) in [
        (signed_at - 16 * MINUTE, Hint::SignedInTheFuture { signed_at }),
        (signed_at + 4 * HOUR, Hint::CertificateExpired { not_after: signed_at + 3 * HOUR }),
    ] {
        ours.set(now);
        let probe = connector.probe().await;
        assert!(matches!(probe.outcome, ProbeOutcome::NotConnected(ConnectError::NoIdentity(_))), "{probe}");
        assert_eq!(probe.outcome.kind(), ProbeKind::Credentials);
        assert_eq!(probe.hints, [hint, Hint::OurClock { now }]);
    }
}

#[tokio::test]
async fn credentials_that_have_expired_since_are_named() {
    let ours = TestClock::new();
    let at = ours.now() + 20 * MINUTE;
    let target = MountTarget::start().await;
    let connector = target
        .provided_by(credentials(KEY_ID, "anotherSecretKey", Some(at)))
        .clock(Arc::new(ours.clone()))
        .build()
        .await
        .unwrap();
    let before = connector.probe().await;
    assert_eq!(before.hints, [Hint::OurClock { now: ours.now() }]);
    ours.set(at);
    let after = connector.probe().await;
    assert_eq!(after.hints, [Hint::CredentialsExpired { at }, Hint::OurClock { now: at }]);
}

#[tokio::test]
async fn other_credentials_leave_open_what_made_the_difference() {
    let target = MountTarget::start().await;
    let rotated =
        InTurn::new([credentials(KEY_ID, "anotherSecretKey", None), credentials(SECOND_KEY_ID, SECRET, None)]);
    let probe = probe(target.provided_by(rotated).access_point(ACCESS_POINT.parse().unwrap())).await;
    let ProbeOutcome::Denied(Denial {
        without_access_point: WithoutAccessPoint::OtherCredentials { access_key_id },
        ..
    }) = &probe.outcome
    else {
        panic!("{probe}")
    };
    assert_eq!(access_key_id, SECOND_KEY_ID);
    assert!(probe.explain().contains("EfsIdentity::renew_now"), "{}", probe.explain());
}

#[tokio::test]
async fn a_second_connection_that_fails_proves_nothing() {
    let target = MountTarget::start().await;
    let once = InTurn::new([credentials(KEY_ID, SECRET, None)]);
    let probe = probe(target.provided_by(once).access_point(UNKNOWN_ACCESS_POINT.parse().unwrap())).await;
    let ProbeOutcome::Denied(Denial { without_access_point: WithoutAccessPoint::Unknown(why), .. }) = &probe.outcome
    else {
        panic!("{probe}")
    };
    assert_eq!(why.kind(), ProbeKind::Credentials);
    assert!(probe.explain().contains("could not be told: no identity to present"), "{}", probe.explain());
}

#[tokio::test]
async fn without_credentials_nothing_is_dialled() {
    let target = MountTarget::start().await;
    let probe = probe(target.provided_by(InTurn::new([]))).await;
    assert!(matches!(probe.outcome, ProbeOutcome::NotConnected(ConnectError::NoIdentity(_))), "{probe}");
    assert_eq!((probe.outcome.kind(), probe.outcome.is_retryable()), (ProbeKind::Credentials, false));
    assert!(matches!(probe.hints.as_slice(), [Hint::OurClock { .. }]), "{:?}", probe.hints);
    assert_eq!(probe.explain().matches("nothing is configured").count(), 1, "{}", probe.explain());
    assert_eq!(target.fake.counters().connections, 0);
}

/// Knows no name.
#[derive(Debug)]
struct NoSuchName;

#[async_trait::async_trait]
impl Resolve for NoSuchName {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[tokio::test]
async fn name_network_certificate_and_clock_are_told_apart() {
    let target = MountTarget::start().await;
    let unresolved = target.iam().dial(Dial::name_resolved_by(name().dns_name(), 2049, Arc::new(NoSuchName)));
    failed(&probe(unresolved).await, ProbeKind::Name, true, "enableDnsSupport");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    failed(&probe(target.iam().mount_target_address(closed)).await, ProbeKind::Network, true, "nothing listens");

    let distrusted = target.iam().roots(Roots::amazon());
    failed(&probe(distrusted).await, ProbeKind::Certificate, false, "trust anchors");

    for validity in [Validity::expired, Validity::not_yet_valid] {
        let validity = validity(std::time::SystemTime::now());
        let pki = TestPki::new().unwrap();
        let certificate = pki.leaf().dns("*.efs.us-east-1.amazonaws.com").validity(validity).issue().unwrap();
        let server = EchoServer::start(&certificate, &ServerOptions::default()).await.unwrap();
        let probe = probe(anonymous(&pki, server.addr())).await;
        failed(&probe, ProbeKind::Clock, false, "time server");
    }
}

#[tokio::test]
async fn servers_that_are_no_mount_target_are_told_apart_before_tls() {
    let pki = TestPki::new().unwrap();
    let http = misbehaving::plaintext_http().await.unwrap();
    let closes = misbehaving::closes_after_client_hello().await.unwrap();
    let refuses = misbehaving::fatal_alert(alert::HANDSHAKE_FAILURE).await.unwrap();
    for (addr, kind, retryable, advice) in [
        (http.addr(), ProbeKind::NotNfs, false, "answered in HTTP"),
        (closes.addr(), ProbeKind::Network, true, "ended the connection during the handshake"),
        (refuses.addr(), ProbeKind::Tls, false, "handshake_failure"),
    ] {
        failed(&probe(anonymous(&pki, addr)).await, kind, retryable, advice);
    }
}

#[tokio::test]
async fn a_silent_server_is_left_at_the_probes_limit_or_the_stages() {
    let pki = TestPki::new().unwrap();
    let silent = misbehaving::silent().await.unwrap();
    let limit = Duration::from_millis(200);
    let connector = anonymous(&pki, silent.addr()).build().await.unwrap();
    let probe = connector.probe_with(&ProbeOptions::default().limit(limit)).await;
    let ProbeOutcome::TimedOut { during: None, limit: stated } = probe.outcome else { panic!("{probe}") };
    assert_eq!(stated, limit);
    assert!(probe.took >= limit && probe.took < 10 * limit, "{:?}", probe.took);

    let timeouts = secure_connector::Timeouts::default().with(Stage::Tls, limit);
    let probe = self::probe(anonymous(&pki, silent.addr()).timeouts(timeouts)).await;
    let ProbeOutcome::NotConnected(ConnectError::Timeout { stage: Stage::Tls, .. }) = probe.outcome else {
        panic!("{probe}")
    };
    assert!(probe.outcome.is_retryable());
}

#[tokio::test]
async fn servers_that_are_no_mount_target_are_told_apart_inside_tls() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns("*.efs.us-east-1.amazonaws.com").issue().unwrap();
    let options = ServerOptions::default();

    let echo = EchoServer::start(&certificate, &options).await.unwrap();
    let echoed = probe(anonymous(&pki, echo.addr())).await;
    let ProbeOutcome::NotNfs { found } = &echoed.outcome else { panic!("{echoed}") };
    assert_eq!(*found, Found::Malformed("a record that is no reply to our call"));

    let text = misbehaving::truncating(&certificate, &options, 100).await.unwrap();
    let text = probe(anonymous(&pki, text.addr())).await;
    let ProbeOutcome::NotNfs { found } = &text.outcome else { panic!("{text}") };
    assert_eq!(*found, Found::UnknownBytes(*b"xxxx"));

    let truncating = misbehaving::truncating(&certificate, &options, 0).await.unwrap();
    let resetting = misbehaving::resetting(&certificate, &options, 0).await.unwrap();
    for addr in [truncating.addr(), resetting.addr()] {
        let probe = probe(anonymous(&pki, addr)).await;
        let ProbeOutcome::Disconnected { during: Operation::ExchangeId, .. } = &probe.outcome else {
            panic!("{probe}")
        };
        assert_eq!((probe.outcome.kind(), probe.outcome.is_retryable()), (ProbeKind::Network, true));
        assert!(probe.report.is_some());
    }
}

#[tokio::test]
async fn a_refused_certificate_is_seen_at_the_first_answer() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns("*.efs.us-east-1.amazonaws.com").issue().unwrap();
    let options = ServerOptions::default().client_auth(ClientAuth::RequireFrom(pki.root_der().to_vec()));
    let server = EchoServer::start(&certificate, &options).await.unwrap();
    let probe = probe(anonymous(&pki, server.addr())).await;
    let ProbeOutcome::Disconnected { source, .. } = &probe.outcome else { panic!("{probe}") };
    let alert = source.get_ref().and_then(|error| error.downcast_ref::<ConnectError>());
    assert!(matches!(alert, Some(ConnectError::Tls { reason: TlsFailure::Alert { .. }, .. })), "{source:?}");
    assert_eq!((probe.outcome.kind(), probe.outcome.is_retryable()), (ProbeKind::Tls, false));
    assert!(probe.explain().contains("The peer refused with the alert"), "{}", probe.explain());
}

#[tokio::test]
async fn a_server_that_does_not_ask_who_we_are_cannot_judge_the_access_point() {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns("*.efs.us-east-1.amazonaws.com").issue().unwrap();
    let config = secure_connector_testkit::rustls_config::server_config(&certificate, &ServerOptions::default());
    let acceptor = tokio_rustls::TlsAcceptor::from(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        InMemoryNfs::default().deny(acceptor.accept(tcp).await.unwrap(), Where::RootFileHandle).await.unwrap();
    };
    let builder = anonymous(&pki, addr).access_point(ACCESS_POINT.parse().unwrap());
    let (probe, ()) = tokio::join!(probe(builder), serve);
    let ProbeOutcome::Denied(Denial { without_access_point: WithoutAccessPoint::NotTried, .. }) = &probe.outcome else {
        panic!("{probe}")
    };
    assert_eq!(probe.hints, [Hint::CertificateNotAsked]);
}

#[tokio::test]
async fn a_stream_of_ones_own_is_probed_too() {
    let target = MountTarget::start().await;
    let tunnel = EfsTunnel::builder(target.iam().build().await.unwrap()).start().await.unwrap();
    let local = TcpStream::connect(("127.0.0.1", tunnel.port())).await.unwrap();
    let probe = probe_stream(local, &ProbeOptions::default()).await;
    assert!(probe.outcome.is_admitted(), "{probe}");
    assert_eq!((probe.report, probe.hints), (None, vec![]));

    // The mount target itself wants TLS.
    let bare = TcpStream::connect(target.fake.addr()).await.unwrap();
    let probe = probe_stream(bare, &ProbeOptions::default()).await;
    let ProbeOutcome::NotNfs { found } = &probe.outcome else { panic!("{probe}") };
    assert_eq!(*found, Found::Protocol("TLS"));
    assert!(probe.explain().contains("let an EfsConnector make the connection"), "{}", probe.explain());
}

#[tokio::test]
async fn no_secret_is_in_what_a_probe_shows() {
    let target = MountTarget::start().await;
    for (secret, access_point) in
        [(SECRET, ACCESS_POINT), (SECRET, UNKNOWN_ACCESS_POINT), ("another/secret/of/length", ACCESS_POINT)]
    {
        let builder = target.provided_by(credentials(KEY_ID, secret, None));
        let probe = probe(builder.access_point(access_point.parse().unwrap())).await;
        let shown = format!("{probe}\n{probe:?}\n{probe:#?}");
        assert!(shown.contains(KEY_ID));
        for hidden in [secret, crate::mount_target::TOKEN] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}

fn anonymous(pki: &TestPki, addr: SocketAddr) -> EfsConnectorBuilder {
    reach(EfsConnector::anonymous(name()), pki, addr)
}

#[track_caller]
fn failed(probe: &Probe, kind: ProbeKind, retryable: bool, advice: &str) {
    assert!(matches!(probe.outcome, ProbeOutcome::NotConnected(_)), "{probe}");
    assert_eq!((probe.outcome.kind(), probe.outcome.is_retryable()), (kind, retryable), "{probe}");
    assert!(probe.explain().contains(advice), "{}", probe.explain());
    assert_eq!((&probe.report, probe.hints.as_slice()), (&None, [].as_slice()));
}
