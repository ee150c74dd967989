//! Real NFS through our tunnel while the network beneath it breaks.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use aws_credential_types::Credentials;
use efs_tls::{EfsConnector, EfsTunnel, MountTargetName};
use interop::{Ganesha, Libnfs};
use secure_connector::Roots;
use secure_connector_testkit::{
    Fault, FaultProxy, Plan, Script, TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const BREAKS: u64 = 200;

/// libnfs → tunnel → a network that breaks every connection after some MiB → mount target → nfs-ganesha. What arrives is
/// whole, and what does not is reported.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_broken_connections_leave_the_data_whole_and_nothing_behind() {
    let (pki, ganesha) = (TestPki::new().unwrap(), Ganesha::start().unwrap());
    let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1").admission(Admission::IamOnly).key(KnownKey::new(
        KEY_ID,
        SECRET,
        "arn:aws:iam::123456789012:user/test",
    ));
    let target = FakeMountTarget::builder(rules).backend(ganesha.addr()).start(&pki).await.unwrap();
    // About every second connection breaks before its 8 MiB are through.
    let scripts = (0..10 * BREAKS).map(|number| {
        let after = (1 << 20) + (number * 977_537) % (15 << 20);
        let fault = if number % 2 == 0 { Fault::Cut } else { Fault::Reset };
        Script::default().up(after, fault).down(after, fault)
    });
    let plan = Plan::sequence(scripts);
    let network = FaultProxy::start(target.addr(), plan).await.unwrap();
    let name = MountTargetName::regional(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap());
    let credentials = Credentials::new(KEY_ID, SECRET, None, None, "test");
    let connector = EfsConnector::iam(name, credentials)
        .roots(Roots::from_der(pki.root_der()).unwrap())
        .mount_target_address(network.addr())
        .build()
        .await
        .unwrap();
    let tunnel = EfsTunnel::builder(connector).start().await.unwrap();
    let client = Libnfs::new(SocketAddr::from((Ipv4Addr::LOCALHOST, tunnel.port()))).unwrap();
    let client = std::sync::Arc::new(client);
    let dir = TempDir::new().unwrap();
    let original = dir.path().join("original");
    fs::write(&original, noise(8 * MIB)).unwrap();
    let expected = sha256(&original);
    let descriptors = open_descriptors();
    let broken = || network.counters().cuts + network.counters().resets;

    let started = Instant::now();
    let (mut round, mut gave_up) = (0, 0);
    while broken() < BREAKS {
        assert!(started.elapsed() < Duration::from_secs(300), "{} breaks, {:?}", broken(), tunnel.status());
        let (client, from, to) = (client.clone(), original.clone(), dir.path().join(format!("copy-{round}")));
        let name = format!("file-{round}");
        let copied = {
            let name = name.clone();
            tokio::task::spawn_blocking(move || {
                client.put(&from, &name).and_then(|_| client.get(&name, &to)).map(|_| to)
            })
        };
        // What libnfs reports as done is whole. Unlike the kernel's client it gives up sooner or later.
        match copied.await.unwrap() {
            Ok(copy) => {
                assert_eq!(sha256(&copy), expected, "round {round}");
                assert_eq!(sha256(&ganesha.export().join(&name)), expected, "round {round}");
                fs::remove_file(copy).unwrap();
            }
            Err(_) => gave_up += 1,
        }
        let _ = fs::remove_file(ganesha.export().join(name));
        round += 1;
    }
    assert!(round - gave_up > 20, "libnfs gave up {gave_up} of {round} times");

    let status = tunnel.status().tunnel;
    assert!(status.truncated + status.local_resets > 0 && status.connects_ok > BREAKS, "{status:?}");
    while tunnel.status().tunnel.active > 0 || network.live() > 0 {
        assert!(started.elapsed() < Duration::from_secs(330), "{:?}", tunnel.status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The blocking pool and the runtime may hold a few of their own.
    assert!(open_descriptors() <= descriptors + 4, "{} descriptors, {descriptors} before", open_descriptors());
    println!(
        "{round} rounds, {gave_up} given up by libnfs, {} breaks, {} s, {status:?}",
        broken(),
        started.elapsed().as_secs()
    );
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Bytes that no compression or block repetition makes equal by chance; the same on every run.
fn noise(len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|n| Sha256::digest(n.to_be_bytes()));
    blocks.take(len).collect()
}

fn sha256(file: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(file).unwrap()))
}
