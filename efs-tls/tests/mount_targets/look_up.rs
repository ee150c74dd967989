//! When targets are looked up, and what is used when they cannot be.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use efs_tls::{
    AvailabilityZone, FindMountTargets, FindMountTargetsError, FindZone, MountTarget, MountTargetName, MountTargets,
};
use secure_connector::{BoxError, ConnectError, SecureConnector, Stage, Timeouts};
use tokio::{sync::Notify, time::Instant};

use crate::region::{NAME, Names, Region, later, name, zone};

const SECOND: Duration = Duration::from_secs(1);

/// What a look-up finds is set by the test.
#[derive(Clone, Debug, Default)]
struct Api(Arc<Answers>);

#[derive(Debug, Default)]
struct Answers {
    now: Mutex<Answer>,
    asked: AtomicU32,
    release: Notify,
}

#[derive(Clone, Debug, Default)]
enum Answer {
    #[default]
    Never,
    Denied,
    Targets(Vec<MountTarget>),
    /// These, once released.
    Later(Vec<MountTarget>),
}

impl Api {
    fn answering(answer: Answer) -> Self {
        let api = Self::default();
        api.answer(answer);
        api
    }

    fn answer(&self, answer: Answer) {
        *self.0.now.lock().unwrap() = answer;
    }

    fn asked(&self) -> u32 {
        self.0.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl FindMountTargets for Api {
    async fn find(&self, file_system: &MountTargetName) -> Result<Vec<MountTarget>, FindMountTargetsError> {
        assert_eq!(*file_system, name());
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.0.now.lock().unwrap().clone();
        match answer {
            Answer::Never => std::future::pending().await,
            Answer::Denied => {
                let action = "elasticfilesystem:DescribeMountTargets";
                Err(FindMountTargetsError::AccessDenied { action, source: "AccessDeniedException".into() })
            }
            Answer::Targets(targets) => Ok(targets),
            Answer::Later(targets) => {
                self.0.release.notified().await;
                Ok(targets)
            }
        }
    }
}

const DENIED: &str = "access denied; allow elasticfilesystem:DescribeMountTargets on the file system in the IAM policy: \
                      AccessDeniedException";

#[tokio::test]
async fn what_was_looked_up_is_used_until_it_is_due() {
    let region = Region::start(2).await;
    let api = Api::answering(Answer::Targets(region.targets()));
    let targets = MountTargets::new(api.clone()).our_zone(zone(1)).refresh_every(60 * SECOND);
    let connector = region.connector(targets).await;
    for _ in 0..3 {
        assert_eq!(region.connect(&connector).await.0, 1);
        later(19 * SECOND).await;
    }
    assert_eq!(api.asked(), 1);
    api.answer(Answer::Targets(region.targets()[1..].to_vec()));
    later(3 * SECOND).await;
    let (n, reason) = region.connect(&connector).await;
    let expected = "no target known to be in our availability zone use1-az1: use1-az2, the only one";
    assert_eq!((n, reason.as_str(), api.asked()), (2, expected, 2));
}

#[tokio::test]
async fn connections_that_come_together_share_one_look_up() {
    let region = Region::start(1).await;
    let api = Api::answering(Answer::Later(region.targets()));
    let connector = region.connector(MountTargets::new(api.clone()).our_zone(zone(1))).await;
    let connect = || region.connect(&connector);
    let release = async {
        while api.asked() == 0 {
            tokio::task::yield_now().await;
        }
        // The others have been polled by now, and have asked if they ever do.
        tokio::task::yield_now().await;
        for _ in 0..8 {
            api.0.release.notify_one();
            tokio::task::yield_now().await;
        }
    };
    let (a, b, c, d, ()) = tokio::join!(connect(), connect(), connect(), connect(), release);
    assert_eq!([a.0, b.0, c.0, d.0], [1; 4]);
    assert_eq!(api.asked(), 1);
}

#[tokio::test]
async fn a_look_up_that_is_abandoned_does_not_stop_the_next() {
    let region = Region::start(1).await;
    let api = Api::default();
    let connector = region.connector(MountTargets::new(api.clone()).our_zone(zone(1))).await;
    let abandoned = tokio::time::timeout(Duration::from_millis(20), connector.connect()).await;
    assert!(abandoned.is_err());
    api.answer(Answer::Targets(region.targets()));
    assert_eq!((region.connect(&connector).await.0, api.asked()), (1, 2));
}

#[tokio::test]
async fn without_a_look_up_the_dns_name_is_used_and_the_report_says_so() {
    let region = Region::start(2).await;
    for (answer, why) in [
        (Answer::Denied, DENIED),
        (Answer::Never, "no answer within 50ms"),
        (Answer::Targets(Vec::new()), "no mount target is available; create one in each zone that has clients"),
    ] {
        let names = Names::of([(NAME, region.address(2))]);
        let targets = MountTargets::new(Api::answering(answer)).our_zone(zone(1)).resolver(names);
        let timeouts = Timeouts::default().with(Stage::Dns, Duration::from_millis(50));
        let connector = region.builder(targets).timeouts(timeouts).build().await.unwrap();
        let expected = format!("the file system's DNS name; the mount targets cannot be looked up: {why}");
        assert_eq!(region.connect(&connector).await, (2, expected));
    }
}

#[tokio::test]
async fn when_the_dns_name_fails_too_the_error_has_both_reasons() {
    let region = Region::start(1).await;
    let targets = MountTargets::new(Api::answering(Answer::Denied)).resolver(Names::of([]));
    let error = region.connector(targets).await.connect().await.unwrap_err();
    let expected = format!(
        "none of the targets could be connected to: {NAME}:2049 (the file system's DNS name; the mount targets cannot be \
         looked up: {DENIED}): cannot resolve {NAME}: no such name"
    );
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, ConnectError::NoTarget { .. }) && error.is_retryable());
}

#[tokio::test]
async fn a_look_up_may_take_as_long_as_name_resolution() {
    let region = Region::start(1).await;
    let connector = region.connector(MountTargets::new(Api::default()).resolver(Names::of([]))).await;
    tokio::time::pause();
    let started = Instant::now();
    let error = connector.connect().await.unwrap_err().to_string();
    assert!(error.contains("cannot be looked up: no answer within 5s"), "{error}");
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn when_a_refresh_fails_the_last_list_is_used_and_then_the_dns_name_and_the_look_up_backs_off() {
    let mut region = Region::start(2).await;
    let api = Api::answering(Answer::Targets(region.targets()[..1].to_vec()));
    let names = Names::of([(NAME, region.address(2))]);
    let targets = MountTargets::new(api.clone()).our_zone(zone(1)).refresh_every(60 * SECOND).resolver(names);
    let connector = region.connector(targets).await;
    assert_eq!(region.connect(&connector).await, (1, "same availability zone use1-az1".to_owned()));

    api.answer(Answer::Denied);
    later(61 * SECOND).await;
    let flaw = format!("; the targets are those of 61 s ago, as the look-up fails: {DENIED}");
    for _ in 0..3 {
        assert_eq!(region.connect(&connector).await, (1, format!("same availability zone use1-az1{flaw}")));
    }
    assert_eq!(api.asked(), 2);

    region.stop(1).await;
    let (n, reason) = region.connect(&connector).await;
    assert!(n == 2 && reason.starts_with("the file system's DNS name; 127.0.0.2:"), "{reason}");

    for asked in 3..=6 {
        later(60 * SECOND).await;
        region.connect(&connector).await;
        assert_eq!(api.asked(), asked);
    }
    later(15 * SECOND).await;
    region.connect(&connector).await;
    assert_eq!(api.asked(), 6, "after the fifth failure it is 16 s at least");

    api.answer(Answer::Targets(region.targets()[1..].to_vec()));
    later(17 * SECOND).await;
    let expected = "no target known to be in our availability zone use1-az1: use1-az2, the only one";
    assert_eq!(region.connect(&connector).await, (2, expected.to_owned()));
}

#[tokio::test]
async fn a_list_of_which_nothing_works_is_looked_up_again_soon_but_not_at_once() {
    let mut region = Region::start(2).await;
    let api = Api::answering(Answer::Targets(region.targets()[..1].to_vec()));
    let connector = region.connector(MountTargets::new(api.clone())).await;
    region.stop(1).await;
    for _ in 0..3 {
        connector.connect().await.unwrap_err();
    }
    assert_eq!(api.asked(), 1);
    api.answer(Answer::Targets(region.targets()));
    later(11 * SECOND).await;
    assert_eq!((region.connect(&connector).await.0, api.asked()), (2, 2));
}

/// Fails the first time.
#[derive(Debug, Default)]
struct LateMetadata(AtomicU32);

#[async_trait]
impl FindZone for LateMetadata {
    async fn find_zone(&self) -> Result<AvailabilityZone, BoxError> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err("not yet".into()),
            1 => Ok(zone(2).into()),
            _ => Err("asked although it is known".into()),
        }
    }
}

#[tokio::test]
async fn our_zone_is_asked_for_with_each_look_up_until_it_is_known() {
    let region = Region::start(2).await;
    let targets = MountTargets::new(region.targets()).our_zone(LateMetadata::default());
    let connector = region.connector(targets).await;
    assert!(region.connect(&connector).await.1.starts_with("our availability zone is unknown (not yet)"));
    for _ in 0..3 {
        later(MountTargets::DEFAULT_REFRESH).await;
        assert_eq!(region.connect(&connector).await, (2, "same availability zone use1-az2".to_owned()));
    }
}
