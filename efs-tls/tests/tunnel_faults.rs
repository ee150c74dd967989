//! What a tunnel to a mount target makes of bad clients, bad networks, bad credentials and bad clocks.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use efs_tls::{ClientKey, EfsConnector, EfsConnectorBuilder, EfsTunnel, EfsTunnelBuilder, EfsTunnelStatus, ProbeKind};
use secure_connector::{Backoff, Clock, CloseReason, IdleTimeout, Roots, Stage, Timeouts, TunnelEvent};
use secure_connector_testkit::{
    Fault, FaultProxy, Plan, Script, TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey},
    nfs::{HelloOutcome, nfs_hello},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::broadcast,
    time::timeout,
};

const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(200);

/// A mount target for IAM clients only, and a network before it.
struct Place {
    pki: TestPki,
    _target: FakeMountTarget,
    network: FaultProxy,
    clock: MovedClock,
}

impl Place {
    async fn start() -> Self {
        let (pki, clock) = (TestPki::new().unwrap(), MovedClock::default());
        let told = clock.clone();
        let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
            .admission(Admission::IamOnly)
            .key(KnownKey::new(KEY_ID, SECRET, "arn:aws:iam::123456789012:role/batch").session_token("token"))
            .clock(secure_connector_testkit::Clock::new(move || told.now()));
        let target = FakeMountTarget::builder(rules).start(&pki).await.unwrap();
        let network = FaultProxy::start(target.addr(), Plan::transparent()).await.unwrap();
        Self { pki, _target: target, network, clock }
    }

    fn connector(&self, provider: impl ProvideCredentials + 'static) -> EfsConnectorBuilder {
        let name = efs_tls::MountTargetName::regional(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap());
        let key = ClientKey::from_pkcs8_pem(include_bytes!("vectors/test-rsa3072-key.pem")).unwrap();
        EfsConnector::iam(name, provider)
            .roots(Roots::from_der(self.pki.root_der()).unwrap())
            .mount_target_address(self.network.addr())
            .key(Arc::new(key))
            .clock(self.clock.clone())
    }

    async fn tunnel(&self) -> EfsTunnelBuilder {
        brisk(EfsTunnel::builder(self.connector(Provider::default()).build().await.unwrap()))
    }
}

/// Further attempts come at once, and end after a while that a test can wait for.
fn brisk(builder: EfsTunnelBuilder) -> EfsTunnelBuilder {
    const AT_ONCE: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(4));
    builder.configure(|tunnel| tunnel.backoff(AT_ONCE).hold(MOMENT))
}

/// The system's clock, moved.
#[derive(Clone, Debug, Default)]
struct MovedClock(Arc<Mutex<Duration>>);

impl MovedClock {
    fn jump(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for MovedClock {
    fn now(&self) -> SystemTime {
        SystemTime::now() + *self.0.lock().unwrap()
    }
}

/// Gives the same credentials with this expiry, until it hangs or fails.
#[derive(Clone, Debug, Default)]
struct Provider {
    expiry: Arc<Mutex<Option<SystemTime>>>,
    hangs: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            if self.hangs.load(SeqCst) {
                return pending().await;
            }
            if self.fails.load(SeqCst) {
                return Err(CredentialsError::provider_error("the metadata service is away"));
            }
            let expiry = *self.expiry.lock().unwrap();
            Ok(Credentials::new(KEY_ID, SECRET, Some("token".into()), expiry, "test"))
        })
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(30), future).await.expect("took longer than 30 s")
}

async fn dial(tunnel: &EfsTunnel) -> TcpStream {
    TcpStream::connect(("127.0.0.1", tunnel.port())).await.unwrap()
}

async fn assert_admitted(tunnel: &EfsTunnel) {
    let hello = within(async { nfs_hello(&mut dial(tunnel).await).await.unwrap() }).await;
    assert!(matches!(hello, HelloOutcome::Admitted { .. }), "{hello:?}");
}

async fn next_close(events: &mut broadcast::Receiver<TunnelEvent>) -> CloseReason {
    loop {
        if let TunnelEvent::Closed { reason, .. } = within(events.recv()).await.unwrap() {
            return reason;
        }
    }
}

#[tokio::test]
async fn health_is_what_the_file_system_says_and_since_when() {
    let place = Place::start().await;
    let tunnel = place.tunnel().await.probe_every(Duration::from_secs(1)).start().await.unwrap();
    let mut health = tunnel.health();
    let mut next = async |kind: ProbeKind| {
        within(health.wait_for(|now| now.as_ref().is_some_and(|now| now.kind == kind))).await.unwrap().clone().unwrap()
    };
    let first = next(ProbeKind::Admitted).await;
    assert!(first.is_healthy() && first.since == first.at && first.at <= place.clock.now());
    place.network.refuse_connections().await.unwrap();
    let away = next(ProbeKind::Network).await;
    assert!(!away.is_healthy() && away.since >= first.at);
    assert!(away.outcome.contains("no address accepted a connection"), "{}", away.outcome);
    // The tunnel's own books know nothing of it: a probe is a connection of its own.
    assert_eq!((tunnel.status().tunnel.accepted, tunnel.status().tunnel.connects_failed), (0, 0));
    let still = within(async {
        let mut health = tunnel.health();
        health.wait_for(|now| now.as_ref().is_some_and(|now| now.at > away.at)).await.unwrap().clone().unwrap()
    })
    .await;
    assert_eq!((still.kind, still.since), (ProbeKind::Network, away.since));
    place.network.accept_connections().await.unwrap();
    assert!(next(ProbeKind::Admitted).await.since > away.since);
}

#[tokio::test]
async fn without_probe_every_nobody_asks_and_nothing_is_claimed() {
    let place = Place::start().await;
    let tunnel = place.tunnel().await.start().await.unwrap();
    assert_admitted(&tunnel).await;
    assert_eq!((tunnel.status().health, place.network.counters().connections), (None, 1));
    let text = EfsTunnelStatus::prometheus([(&tunnel.status(), [("fs", "a")].as_slice())]);
    assert!(!text.contains("efs_tunnel_healthy"), "{text}");
}

#[tokio::test]
async fn certificate_and_health_are_exported_with_the_counters() {
    let place = Place::start().await;
    let tunnel = place.tunnel().await.probe_every(HOUR).start().await.unwrap();
    within(tunnel.health().wait_for(Option::is_some)).await.unwrap();
    assert_admitted(&tunnel).await;
    let status = tunnel.status();
    let text = EfsTunnelStatus::prometheus([(&status, [("fs", "a")].as_slice()), (&status, [("fs", "b")].as_slice())]);
    for line in [
        "secure_connector_tunnel_upstream_connects_total{fs=\"a\"} 1\n",
        "# TYPE efs_tunnel_certificates_issued_total counter\nefs_tunnel_certificates_issued_total{fs=\"a\"} 1\nefs_tunnel_certificates_issued_total{fs=\"b\"} 1\n",
        "efs_tunnel_renewal_failures{fs=\"a\"} 0\n",
        "# TYPE efs_tunnel_healthy gauge\nefs_tunnel_healthy{fs=\"a\"} 1\n",
        "efs_tunnel_certificate_expiry_time_seconds{fs=\"a\"} ",
        "efs_tunnel_probe_duration_seconds{fs=\"b\"} ",
    ] {
        assert!(text.contains(line), "{line} is missing from:\n{text}");
    }
    // Long-lived credentials do not end.
    assert!(!text.contains("efs_tunnel_credentials_expiry"), "{text}");
}

/// A byte now and then, and never a whole request: it costs its own connection, until it falls quiet.
#[tokio::test]
async fn a_slow_client_costs_nobody_else_and_ends_when_it_falls_quiet() {
    let place = Place::start().await;
    let quiet = |tunnel: secure_connector::TunnelBuilder<_>| tunnel.idle_timeout(IdleTimeout::After(2 * MOMENT));
    let tunnel = place.tunnel().await.configure(quiet).start().await.unwrap();
    let mut events = tunnel.tunnel().events();
    let mut slow = dial(&tunnel).await;
    for byte in [0x80, 0, 0] {
        slow.write_all(&[byte]).await.unwrap();
        assert_admitted(&tunnel).await;
        // The fake target owes its end of stream.
        assert_ne!(next_close(&mut events).await, CloseReason::Idle);
    }
    assert_eq!(next_close(&mut events).await, CloseReason::Idle);
    let end = within(slow.read(&mut [0])).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn garbage_on_the_local_port_costs_its_own_connection() {
    let place = Place::start().await;
    let tunnel = place.tunnel().await.start().await.unwrap();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], &[0; 65536]] {
        let mut local = dial(&tunnel).await;
        let _ = local.write_all(garbage).await;
        let _ = local.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(local.read_to_end(&mut answer)).await;
        assert_admitted(&tunnel).await;
    }
    assert!(tunnel.status().tunnel.accepting);
}

/// Nobody is told that the connection is gone: the idle timeout of the tunnel finds out, and the client connects anew.
#[tokio::test]
async fn a_half_open_upstream_is_given_up_by_the_idle_timeout() {
    let place = Place::start().await;
    let quiet = |tunnel: secure_connector::TunnelBuilder<_>| tunnel.idle_timeout(IdleTimeout::After(MOMENT));
    let tunnel = place.tunnel().await.configure(quiet).start().await.unwrap();
    let mut events = tunnel.tunnel().events();
    let mut local = dial(&tunnel).await;
    assert!(matches!(nfs_hello(&mut local).await.unwrap(), HelloOutcome::Admitted { .. }));
    assert_eq!(place.network.strike(Fault::BlackHole), 1);
    let _ = local.write_all(&[0; 64]).await;
    let end = within(local.read(&mut [0])).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(next_close(&mut events).await, CloseReason::Idle);
    assert_admitted(&tunnel).await;
}

/// Accepts, and then nothing: the stage's deadline ends each attempt, and the hold ends the local side.
#[tokio::test]
async fn an_upstream_that_never_shakes_hands_is_given_up_by_the_stages_deadline() {
    let place = Place::start().await;
    place.network.set_plan(Plan::always(Script::default().up(0, Fault::BlackHole)));
    let timeouts = Timeouts::default().with(Stage::Tls, MOMENT);
    let connector = place.connector(Provider::default()).timeouts(timeouts).build().await.unwrap();
    let tunnel = brisk(EfsTunnel::builder(connector)).start().await.unwrap();
    let mut events = tunnel.tunnel().events();
    let mut local = dial(&tunnel).await;
    assert_eq!(within(local.read(&mut [0])).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let CloseReason::ConnectFailed { error } = next_close(&mut events).await else { panic!("no such end") };
    assert_eq!(error, "the TLS handshake took longer than 200ms");
    place.network.set_plan(Plan::transparent());
    assert_admitted(&tunnel).await;
}

/// The first certificate never comes: a connection waits for the stage's deadline, is told so, and the next one finds the
/// provider well.
#[tokio::test]
async fn a_provider_that_hangs_at_the_start_is_named_and_waited_for() {
    let place = Place::start().await;
    let provider = Provider::default();
    provider.hangs.store(true, SeqCst);
    let timeouts = Timeouts::default().with(Stage::Identity, MOMENT);
    let connector = place.connector(provider.clone()).timeouts(timeouts).build().await.unwrap();
    let tunnel = brisk(EfsTunnel::builder(connector)).start().await.unwrap();
    let mut events = tunnel.tunnel().events();
    let mut local = dial(&tunnel).await;
    assert_eq!(within(local.read(&mut [0])).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let CloseReason::ConnectFailed { error } = next_close(&mut events).await else { panic!("no such end") };
    assert_eq!(error, "no identity to present: the first certificate is being made");
    assert_eq!(place.network.counters().connections, 0);
}

/// A renewal that hangs or fails leaves the last certificate in use for as long as it is valid.
#[tokio::test]
async fn a_provider_that_fails_later_is_seen_and_does_not_matter_yet() {
    let place = Place::start().await;
    let provider = Provider::default();
    let connector = Arc::new(place.connector(provider.clone()).build().await.unwrap());
    let tunnel = brisk(EfsTunnel::builder(connector.clone())).start().await.unwrap();
    assert_admitted(&tunnel).await;
    provider.fails.store(true, SeqCst);
    connector.identity().renew_now();
    within(tunnel.renewal().wait_for(|now| now.failures > 0)).await.unwrap();
    assert!(tunnel.status().renewal.last_error.unwrap().contains("the metadata service is away"));
    assert_admitted(&tunnel).await;
}

/// The credentials have expired and no new ones come: new connections are refused with the cause; open ones go on.
#[tokio::test]
async fn expired_credentials_end_no_open_connection_and_begin_no_new_one() {
    let place = Place::start().await;
    let provider = Provider::default();
    *provider.expiry.lock().unwrap() = Some(place.clock.now() + HOUR);
    let tunnel = brisk(EfsTunnel::builder(place.connector(provider.clone()).build().await.unwrap()));
    let tunnel = tunnel.start().await.unwrap();
    let mut open = dial(&tunnel).await;
    assert!(matches!(nfs_hello(&mut open).await.unwrap(), HelloOutcome::Admitted { .. }));
    provider.fails.store(true, SeqCst);
    place.clock.jump(2 * HOUR);
    let mut events = tunnel.tunnel().events();
    let mut local = dial(&tunnel).await;
    assert_eq!(within(local.read(&mut [0])).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let CloseReason::ConnectFailed { error } = next_close(&mut events).await else { panic!("no such end") };
    assert!(error.contains("no identity to present"), "{error}");
    assert!(matches!(nfs_hello(&mut open).await.unwrap(), HelloOutcome::Admitted { .. }));
}

/// A machine that was suspended: the clock jumps past the credentials' end, and fresh ones are used for the next connection.
#[tokio::test]
async fn a_clock_that_jumps_is_answered_with_a_fresh_certificate() {
    let place = Place::start().await;
    let provider = Provider::default();
    *provider.expiry.lock().unwrap() = Some(place.clock.now() + HOUR);
    let tunnel = brisk(EfsTunnel::builder(place.connector(provider.clone()).build().await.unwrap()));
    let tunnel = tunnel.configure(|tunnel| tunnel.hold(HOUR)).start().await.unwrap();
    assert_admitted(&tunnel).await;
    *provider.expiry.lock().unwrap() = Some(place.clock.now() + 10 * HOUR);
    place.clock.jump(5 * HOUR);
    let before = Instant::now();
    assert_admitted(&tunnel).await;
    // Not by the renewal's own look at the clock every 30 s.
    assert!(before.elapsed() < Duration::from_secs(15));
    // An attempt that came while it was being renewed may have asked once more.
    let issued = tunnel.status().renewal.issued;
    assert!((2..=3).contains(&issued), "{issued}");
}
