//! Which target is used, and what happens when it stops and starts to work.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use efs_tls::{AvailabilityZone, AvailabilityZoneName, EfsConnector, EfsTunnel, FindZone, MountTarget, MountTargets};
use secure_connector::{BoxError, ConnectError, Dial, SecureConnector, SecureStream, Stage, Timeouts};
use secure_connector_testkit::{
    TestPki,
    efs::{AdmissionRules, FakeMountTarget},
    misbehaving,
    nfs::{HelloOutcome, nfs_hello},
};
use tokio::{net::TcpStream, sync::Notify, time::Instant};

use crate::region::{FILE_SYSTEM, NAME, Names, Region, later, name, zone};

const SECOND: Duration = Duration::from_secs(1);

fn zone_name(letter: char) -> AvailabilityZoneName {
    format!("us-east-1{letter}").parse().unwrap()
}

#[tokio::test]
async fn the_target_in_our_zone_is_used_and_the_report_says_so() {
    let region = Region::start(3).await;
    for n in 1..=3 {
        let connector = region.connector(MountTargets::new(region.targets()).our_zone(zone(n))).await;
        for _ in 0..3 {
            assert_eq!(region.connect(&connector).await, (n, format!("same availability zone use1-az{n}")));
        }
    }
    // By name, where the targets have names.
    let letters = ['a', 'b', 'c'].map(|letter| (zone_name(letter), letter));
    let targets = region.targets().into_iter().zip(&letters).zip(1..);
    let targets: Vec<_> = targets.map(|((target, (name, _)), n)| target.in_zone((name.clone(), zone(n)))).collect();
    let connector = region.connector(MountTargets::new(targets).our_zone(zone_name('b'))).await;
    assert_eq!(region.connect(&connector).await, (2, "same availability zone use1-az2 (us-east-1b)".to_owned()));
}

#[tokio::test]
async fn without_a_target_in_our_zone_one_of_the_others_is_kept_to_and_the_report_says_so() {
    let region = Region::start(3).await;
    let connector = region.connector(MountTargets::new(region.targets()).our_zone(zone(9))).await;
    let (n, reason) = region.connect(&connector).await;
    let expected = "no target known to be in our availability zone use1-az9: use1-az";
    assert_eq!(reason, format!("{expected}{n}, one of 3 by lot"));
    for _ in 0..3 {
        assert_eq!(region.connect(&connector).await.0, n);
    }
}

#[derive(Debug)]
struct NoMetadata(bool);

#[async_trait]
impl FindZone for NoMetadata {
    async fn find_zone(&self) -> Result<AvailabilityZone, BoxError> {
        if self.0 { Err("no instance metadata".into()) } else { std::future::pending().await }
    }
}

#[tokio::test]
async fn a_zone_that_is_unknown_is_no_error_and_the_report_says_why() {
    let region = Region::start(2).await;
    let targets = || MountTargets::new(region.targets());
    for (targets, why) in [
        (targets(), "not given"),
        (targets().our_zone(NoMetadata(true)), "no instance metadata"),
        (targets().our_zone(NoMetadata(false)), "no answer within 20ms"),
    ] {
        let timeouts = Timeouts::default().with(Stage::Dns, Duration::from_millis(20));
        let connector = region.builder(targets).timeouts(timeouts).build().await.unwrap();
        let (n, reason) = region.connect(&connector).await;
        assert_eq!(reason, format!("our availability zone is unknown ({why}): use1-az{n}, one of 2 by lot"));
    }
}

#[tokio::test]
async fn a_target_that_dies_gives_way_to_another_until_it_is_back() {
    let mut region = Region::start(2).await;
    let connector = region.connector(MountTargets::new(region.targets()).our_zone(zone(1))).await;
    assert_eq!(region.connect(&connector).await.0, 1);

    region.stop(1).await;
    let first = region.address(1);
    let refused = format!("no address accepted a connection: {first}: Connection refused (os error 111)");
    let other = "outside our availability zone use1-az1: use1-az2, the only one";
    let expected = format!("{other}; {first} has just failed: {refused}");
    assert_eq!(region.connect(&connector).await, (2, expected));

    // It works again, but nobody looks before its time.
    region.restart(1).await;
    later(4 * SECOND).await;
    let expected = format!("{other}; the one in use1-az1 is set aside: {refused}");
    assert_eq!(region.connect(&connector).await, (2, expected));
    assert_eq!(region.connections(1), 0);

    later(6 * SECOND).await;
    for _ in 0..2 {
        assert_eq!(region.connect(&connector).await, (1, "same availability zone use1-az1".to_owned()));
    }
}

#[tokio::test]
async fn a_target_that_stays_dead_is_tried_more_and_more_rarely_and_by_one_connection_at_a_time() {
    let mut region = Region::start(2).await;
    region.stop(1).await;
    let connector = region.connector(MountTargets::new(region.targets()).our_zone(zone(1))).await;
    let tries = async || {
        let (n, reason) = region.connect(&connector).await;
        assert_eq!(n, 2);
        reason.contains("has just failed")
    };
    assert!(tries().await);
    later(10 * SECOND).await;
    // Of those that come together, the first finds out.
    let together = tokio::join!(tries(), tries(), tries());
    assert_eq!(together, (true, false, false));
    later(9 * SECOND).await;
    assert!(!tries().await, "after the second failure it is 10 s at least");
    later(11 * SECOND).await;
    assert!(tries().await, "and 20 s at most");
}

#[tokio::test]
async fn when_no_target_works_the_error_has_each_attempt_and_the_next_call_tries_all_the_same() {
    let mut region = Region::start(3).await;
    for n in 1..=3 {
        region.stop(n).await;
    }
    let connector = region.connector(MountTargets::new(region.targets()).our_zone(zone(2))).await;
    for _ in 0..2 {
        let error = connector.connect().await.unwrap_err();
        assert!(error.is_retryable());
        let ConnectError::NoTarget { attempts } = &error else { panic!("{error:?}") };
        let tried: Vec<_> = attempts.iter().map(|attempt| attempt.target.as_str()).collect();
        let (first, text) = (region.address(2).to_string(), error.to_string());
        assert_eq!((tried.len(), tried[0]), (3, first.as_str()));
        for n in 1..=3 {
            assert!(text.contains(&format!("{}: Connection refused", region.address(n))), "{text}");
        }
        assert_eq!(attempts[0].because, "same availability zone use1-az2");
        for attempt in attempts {
            let ConnectError::Connect { attempts } = &attempt.error else { panic!("{attempt:?}") };
            assert_eq!(attempts[0].address.to_string(), attempt.target);
        }
    }
    region.restart(3).await;
    assert_eq!(region.connect(&connector).await.0, 3, "one that is set aside is better than none");
}

#[tokio::test]
async fn a_target_that_is_silent_has_5_s_and_the_last_one_all_that_is_left() {
    let region = Region::start(1).await;
    let silent = misbehaving::silent().await.unwrap();
    let silence = async |connections, lasts| {
        while silent.connections() < connections {
            tokio::task::yield_now().await;
        }
        later(lasts).await;
    };
    let timeouts = Timeouts::default().with(Stage::Tls, 60 * SECOND);
    let mute = MountTarget::addresses([silent.addr()]).in_zone(zone(9));
    let working = MountTarget::addresses([region.address(1)]);
    let targets = MountTargets::new(vec![working, mute.clone()]).our_zone(zone(9));
    let connector = region.builder(targets).timeouts(timeouts).build().await.unwrap();
    let ((n, reason), ()) = tokio::join!(region.connect(&connector), silence(1, 6 * SECOND));
    assert_eq!(n, 1);
    let failed = format!("; {} has just failed: connecting took longer than 5s", silent.addr());
    assert!(reason.ends_with(&failed), "{reason}");

    let only = region.builder(MountTargets::new(vec![mute])).timeouts(timeouts).build().await.unwrap();
    let (failed, ()) = tokio::join!(only.connect(), silence(2, 30 * SECOND));
    let error = failed.unwrap_err();
    let ConnectError::NoTarget { attempts } = &error else { panic!("{error:?}") };
    let ConnectError::Timeout { stage: Stage::Total, limit } = attempts[0].error else { panic!("{attempts:?}") };
    assert!(limit > 20 * SECOND && limit <= 30 * SECOND, "{limit:?}");
}

#[tokio::test]
async fn limits_may_be_endless() {
    let mut region = Region::start(2).await;
    region.stop(1).await;
    let targets = MountTargets::new(region.targets()).our_zone(zone(1)).refresh_every(Duration::MAX);
    let timeouts = Timeouts::default().with(Stage::Total, Duration::MAX).with(Stage::Dns, Duration::MAX);
    let connector = region.builder(targets).timeouts(timeouts).build().await.unwrap();
    for _ in 0..2 {
        assert_eq!(region.connect(&connector).await.0, 2);
    }
}

#[tokio::test]
async fn an_address_that_now_belongs_to_somebody_else_is_passed_over_and_never_used() {
    let region = Region::start(1).await;
    let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1");
    let strangers = TestPki::new().unwrap();
    let stranger = FakeMountTarget::builder(rules).start(&strangers).await.unwrap();
    let somebody = MountTarget::addresses([stranger.addr()]).in_zone(zone(9));
    let targets = vec![somebody.clone(), MountTarget::addresses([region.address(1)])];
    let connector = region.connector(MountTargets::new(targets).our_zone(zone(9))).await;
    let (n, reason) = region.connect(&connector).await;
    assert_eq!(n, 1);
    let failed = format!("{} has just failed: the peer's certificate is not trusted: unknown CA", stranger.addr());
    assert!(reason.contains(&failed), "{reason}");

    let connector = region.connector(MountTargets::new(vec![somebody])).await;
    let error = connector.connect().await.unwrap_err();
    assert!(!error.is_retryable());
    let ConnectError::NoTarget { attempts } = &error else { panic!("{error:?}") };
    assert!(matches!(attempts[0].error, ConnectError::Untrusted { .. }), "{error}");
}

#[tokio::test]
async fn both_addresses_of_a_target_race() {
    let mut region = Region::start(2).await;
    region.stop(1).await;
    let both = MountTarget::addresses([region.address(1), region.address(2)]).in_zone(zone(1));
    let connector = region.connector(MountTargets::new(vec![both]).our_zone(zone(1))).await;
    assert_eq!(region.connect(&connector).await, (2, "same availability zone use1-az1".to_owned()));
}

#[tokio::test]
async fn names_with_a_zone_are_dialled_and_the_name_without_it_is_sent_and_verified() {
    let region = Region::start(3).await;
    let names = Names::of([
        ("use1-az1.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com", region.address(1)),
        ("us-east-1b.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com", region.address(2)),
        (NAME, region.address(3)),
    ]);
    let targets =
        vec![MountTarget::cross_account(zone(1)), MountTarget::in_zone_named(zone_name('b')), MountTarget::own_name()];
    let connect = async |targets: &[MountTarget], ours: AvailabilityZone| {
        let targets = MountTargets::new(targets.to_vec()).our_zone(ours).resolver(names.clone());
        let connector = region.connector(targets).await;
        let used = region.connect(&connector).await;
        let sni = connector.connect().await.unwrap().report().tls.as_ref().unwrap().sni.clone();
        assert_eq!(sni.as_deref(), Some(NAME));
        used
    };
    assert_eq!(connect(&targets, zone(1).into()).await, (1, "same availability zone use1-az1".to_owned()));
    let same = "same availability zone us-east-1b".to_owned();
    assert_eq!(connect(&targets, zone_name('b').into()).await, (2, same));
    assert_eq!(connect(&targets[2..], zone(1).into()).await, (3, "the file system's DNS name".to_owned()));
    let absent = MountTarget::cross_account(zone(5));
    let reason = "the file system's DNS name; use1-az5.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com:2049 has just failed: \
                  cannot resolve use1-az5.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com: no such name";
    assert_eq!(connect(&[MountTarget::own_name(), absent], zone(5).into()).await, (3, reason.to_owned()));
}

/// Credentials that come when they are released, or never.
#[derive(Debug)]
struct Slow {
    asked: Arc<Notify>,
    release: Arc<Notify>,
    refuse: bool,
}

impl ProvideCredentials for Slow {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.asked.notify_one();
            self.release.notified().await;
            if self.refuse {
                return Err(CredentialsError::not_loaded("no source of credentials is configured"));
            }
            Ok(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        })
    }
}

#[tokio::test]
async fn what_is_wrong_with_us_is_not_blamed_on_a_target() {
    let region = Region::start(2).await;
    for refuse in [false, true] {
        let (asked, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = Slow { asked: asked.clone(), release: release.clone(), refuse };
        let targets = MountTargets::new(region.targets()).our_zone(zone(1));
        let builder = region.reach(EfsConnector::iam(name(), slow)).mount_targets(targets);
        let connector = builder.build().await.unwrap();
        let credentials = async {
            asked.notified().await;
            // More than a target would get.
            later(8 * SECOND).await;
            release.notify_one();
        };
        let (connected, ()) = tokio::join!(connector.connect(), credentials);
        match connected {
            Ok(stream) => {
                assert!(!refuse);
                assert_eq!(stream.report().chosen_because.as_deref(), Some("same availability zone use1-az1"));
                assert_eq!((region.connections(1), region.connections(2)), (1, 0));
            }
            Err(ConnectError::NoIdentity(unavailable)) => {
                assert!(refuse && unavailable.reason.contains("no source of credentials"), "{unavailable}");
                assert_eq!((region.connections(1), region.connections(2)), (1, 0), "nobody was dialled");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn an_identity_that_does_not_come_is_waited_for_once_and_not_longer_than_the_whole_may_take() {
    let region = Region::start(2).await;
    let seconds = |identity, total| {
        let timeouts = Timeouts::default().with(Stage::Identity, identity * SECOND);
        timeouts.with(Stage::Total, total * SECOND)
    };
    for (timeouts, expected) in [(seconds(10, 30), 10), (seconds(10, 7), 7)] {
        let never = || Arc::new(Notify::new());
        let targets = MountTargets::new(region.targets()).our_zone(zone(1));
        let slow = Slow { asked: never(), release: never(), refuse: false };
        let builder = region.reach(EfsConnector::iam(name(), slow)).mount_targets(targets).timeouts(timeouts);
        let connector = builder.build().await.unwrap();
        tokio::time::pause();
        let started = Instant::now();
        let error = connector.connect().await.unwrap_err();
        match &error {
            ConnectError::NoIdentity(unavailable) if expected == 10 => assert!(unavailable.pending),
            ConnectError::Timeout { stage: Stage::Total, .. } if expected == 7 => {}
            _ => panic!("{error:?}"),
        }
        assert_eq!(started.elapsed().as_secs(), expected);
        tokio::time::resume();
    }
    assert_eq!((region.connections(1), region.connections(2)), (0, 0));
}

#[tokio::test]
async fn the_later_of_dial_and_mount_targets_counts() {
    let region = Region::start(2).await;
    let dial = Dial::addresses([region.address(2)]);
    let targets = || MountTargets::new(region.targets()).our_zone(zone(1));
    let connector = region.builder(targets()).dial(dial.clone()).build().await.unwrap();
    let stream = connector.connect().await.unwrap();
    let report = stream.report();
    assert_eq!((report.peer.clone(), &report.chosen_because), (Some(region.address(2).to_string()), &None));
    let builder = region.reach(EfsConnector::anonymous(name()).dial(dial)).mount_targets(targets());
    assert_eq!(region.connect(&builder.build().await.unwrap()).await.0, 1);
}

#[tokio::test]
async fn a_mount_through_a_tunnel_survives_the_loss_of_its_zone() {
    let mut region = Region::start(2).await;
    let connector = region.connector(MountTargets::new(region.targets()).our_zone(zone(1))).await;
    let tunnel = EfsTunnel::builder(connector).start().await.unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], tunnel.port()));
    for n in 1..=2 {
        let mut nfs = TcpStream::connect(local).await.unwrap();
        assert!(matches!(nfs_hello(&mut nfs).await.unwrap(), HelloOutcome::Admitted { .. }));
        let used =
            tunnel.tunnel().connections().iter().filter_map(|c| c.report.as_ref()?.peer.clone()).collect::<Vec<_>>();
        assert!(used.contains(&region.address(n).to_string()), "{used:?}");
        if n == 1 {
            region.stop(1).await;
        }
    }
}
