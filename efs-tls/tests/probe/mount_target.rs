//! A fake mount target, and connectors to it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use efs_tls::{ClientKey, EfsConnector, EfsConnectorBuilder, MountTargetName, Operation, Probe, Refusal, Status};
use secure_connector::{Clock, Roots};
use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, MountTargetBuilder},
};

pub(crate) const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
pub(crate) const ACCESS_POINT: &str = "fsap-0123456789abcdef0";
pub(crate) const UNKNOWN_ACCESS_POINT: &str = "fsap-fffffffffffffffff";
pub(crate) const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
pub(crate) const SECOND_KEY_ID: &str = "ASIAI44QH8DHBEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A mount target that knows two keys and one access point.
pub(crate) struct MountTarget {
    pub(crate) pki: TestPki,
    pub(crate) fake: FakeMountTarget,
}

impl MountTarget {
    /// For IAM clients only.
    pub(crate) async fn start() -> Self {
        Self::start_with(|rules| rules, |target| target).await
    }

    pub(crate) async fn start_with(
        rules: impl FnOnce(AdmissionRules) -> AdmissionRules,
        target: impl FnOnce(MountTargetBuilder) -> MountTargetBuilder,
    ) -> Self {
        let pki = TestPki::new().unwrap();
        let key = |id| KnownKey::new(id, SECRET, "arn:aws:iam::123456789012:role/batch").session_token(TOKEN);
        let known = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
            .admission(Admission::IamOnly)
            .access_point(ACCESS_POINT)
            .key(key(KEY_ID))
            .key(key(SECOND_KEY_ID));
        let fake = target(FakeMountTarget::builder(rules(known))).start(&pki).await.unwrap();
        Self { pki, fake }
    }

    pub(crate) fn iam(&self) -> EfsConnectorBuilder {
        self.provided_by(credentials(KEY_ID, SECRET, None))
    }

    pub(crate) fn provided_by(&self, provider: impl ProvideCredentials + 'static) -> EfsConnectorBuilder {
        self.reach(EfsConnector::iam(name(), provider))
    }

    pub(crate) fn anonymous(&self) -> EfsConnectorBuilder {
        self.reach(EfsConnector::anonymous(name()))
    }

    fn reach(&self, builder: EfsConnectorBuilder) -> EfsConnectorBuilder {
        reach(builder, &self.pki, self.fake.addr())
    }

    /// How many connections there were, and the access point of the last one.
    pub(crate) async fn seen(&self) -> (u64, Option<String>) {
        let connections = self.fake.counters().connections;
        let mut access_point = None;
        for _ in 0..connections {
            access_point = self.fake.next_event().await.unwrap().claims.unwrap().access_point;
        }
        (connections, access_point)
    }
}

pub(crate) fn reach(builder: EfsConnectorBuilder, pki: &TestPki, address: SocketAddr) -> EfsConnectorBuilder {
    let key = ClientKey::from_pkcs8_pem(include_bytes!("../keys/rsa-2048.pem")).unwrap();
    builder.roots(Roots::from_der(pki.root_der()).unwrap()).mount_target_address(address).key(Arc::new(key))
}

pub(crate) fn name() -> MountTargetName {
    MountTargetName::regional(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap())
}

pub(crate) fn credentials(id: &str, secret: &str, expiry: Option<SystemTime>) -> Credentials {
    Credentials::new(id, secret, Some(TOKEN.into()), expiry, "test")
}

pub(crate) fn denied_at(operation: Operation) -> (Operation, Status) {
    (operation, Status::Nfs(13))
}

pub(crate) fn parts(refusal: Refusal) -> (Operation, Status) {
    (refusal.operation, refusal.status)
}

pub(crate) async fn probe(builder: EfsConnectorBuilder) -> Probe {
    builder.build().await.unwrap().probe().await
}

/// Gives the first credentials at the first call, the second ones at the second, and then none.
#[derive(Debug)]
pub(crate) struct InTurn(Vec<Credentials>, AtomicUsize);

impl InTurn {
    pub(crate) fn new(credentials: impl Into<Vec<Credentials>>) -> Self {
        Self(credentials.into(), AtomicUsize::new(0))
    }
}

impl ProvideCredentials for InTurn {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let next = self.0.get(self.1.fetch_add(1, Ordering::Relaxed)).cloned();
        future::ProvideCredentials::ready(next.ok_or_else(|| CredentialsError::not_loaded("nothing is configured")))
    }
}

/// A clock that tests set.
#[derive(Clone, Debug)]
pub(crate) struct TestClock(Arc<Mutex<SystemTime>>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000))))
    }

    pub(crate) fn set(&self, time: SystemTime) {
        *self.0.lock().unwrap() = time;
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}
