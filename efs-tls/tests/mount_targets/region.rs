//! A region with a fake mount target in each of its zones, and time that is moved on instead of waited for.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use efs_tls::{
    AvailabilityZoneId, ClientKey, EfsConnector, EfsConnectorBuilder, MountTarget, MountTargetName, MountTargets,
};
use secure_connector::{Resolve, Roots, SecureConnector, SecureStream, error_chain};
use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget},
};
use tokio::net::TcpStream;

pub(crate) const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
pub(crate) const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";

/// Zone `use1-azN` has its mount target at 127.0.0.(N+1).
pub(crate) struct Region {
    pub(crate) pki: TestPki,
    addresses: Vec<SocketAddr>,
    running: HashMap<u8, FakeMountTarget>,
}

impl Region {
    pub(crate) async fn start(zones: u8) -> Self {
        let mut region = Self { pki: TestPki::new().unwrap(), addresses: Vec::new(), running: HashMap::new() };
        for zone in 1..=zones {
            let target = region.mount_target(SocketAddr::from(([127, 0, 0, zone + 1], 0))).await;
            region.addresses.push(target.addr());
            region.running.insert(zone, target);
        }
        region
    }

    async fn mount_target(&self, at: SocketAddr) -> FakeMountTarget {
        let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1").admission(Admission::AnonymousAllowed);
        FakeMountTarget::builder(rules).listen(at).start(&self.pki).await.unwrap()
    }

    pub(crate) fn address(&self, zone: u8) -> SocketAddr {
        self.addresses[usize::from(zone) - 1]
    }

    /// The target of each zone by its address.
    pub(crate) fn targets(&self) -> Vec<MountTarget> {
        let zones = self.addresses.iter().zip(1..);
        zones.map(|(address, n)| MountTarget::addresses([*address]).in_zone(zone(n))).collect()
    }

    /// Returns when connections to the zone's target are refused.
    pub(crate) async fn stop(&mut self, zone: u8) {
        self.running.remove(&zone).unwrap();
        while TcpStream::connect(self.address(zone)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn restart(&mut self, zone: u8) {
        let target = self.mount_target(self.address(zone)).await;
        self.running.insert(zone, target);
    }

    /// How many connections the zone's target has seen since it was started.
    pub(crate) fn connections(&self, zone: u8) -> u64 {
        self.running[&zone].counters().connections
    }

    pub(crate) fn reach(&self, builder: EfsConnectorBuilder) -> EfsConnectorBuilder {
        let key = ClientKey::from_pkcs8_pem(include_bytes!("../vectors/test-rsa3072-key.pem")).unwrap();
        builder.roots(Roots::from_der(self.pki.root_der()).unwrap()).key(Arc::new(key))
    }

    pub(crate) fn builder(&self, targets: MountTargets) -> EfsConnectorBuilder {
        self.reach(EfsConnector::anonymous(name())).mount_targets(targets)
    }

    pub(crate) async fn connector(&self, targets: MountTargets) -> EfsConnector {
        self.builder(targets).build().await.unwrap()
    }

    /// Connects and says which zone's target answered, and why it was chosen.
    pub(crate) async fn connect(&self, connector: &EfsConnector) -> (u8, String) {
        let stream = connector.connect().await.unwrap_or_else(|error| panic!("{}", error_chain(&error)));
        let report = stream.report();
        let peer: SocketAddr = report.peer.as_deref().unwrap().parse().unwrap();
        let zone = self.addresses.iter().zip(1..).find(|(address, _)| **address == peer).unwrap().1;
        (zone, report.chosen_because.clone().unwrap())
    }
}

pub(crate) fn name() -> MountTargetName {
    NAME.parse().unwrap()
}

pub(crate) fn zone(n: u8) -> AvailabilityZoneId {
    format!("use1-az{n}").parse().unwrap()
}

/// Moves the time on for everything that waits or counts time.
pub(crate) async fn later(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

/// Names that lead somewhere; all others are not found.
#[derive(Debug, Default)]
pub(crate) struct Names(pub(crate) Mutex<HashMap<String, SocketAddr>>);

impl Names {
    pub(crate) fn of<const N: usize>(names: [(&str, SocketAddr); N]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(names.map(|(name, address)| (name.to_owned(), address)).into())))
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(port, 2049);
        let found = self.0.lock().unwrap().get(host).copied();
        found.map(|address| vec![address]).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }
}
