//! Real NFS through our tunnel: libnfs → `EfsTunnel` → TLS with the IAM client certificate → fake mount target → nfs-ganesha.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use aws_credential_types::Credentials;
use efs_tls::{
    Access, Denial, EfsCertificate, EfsConnector, EfsConnectorBuilder, EfsTunnel, MountTargetName, Operation,
    ProbeOptions, ProbeOutcome, Status, WithoutAccessPoint, probe_stream,
};
use interop::{Ganesha, Libnfs};
use secure_connector::Roots;
use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, Principal, Refusal, Verdict},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const ACCESS_POINT: &str = "fsap-0123456789abcdef0";
const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+abc/def+ghi==~._-";
const ARN: &str = "arn:aws:sts::123456789012:assumed-role/batch/i-0123456789abcdef0";

/// A file system for IAM clients only, on a real NFS server.
struct FileSystem {
    pki: TestPki,
    ganesha: Ganesha,
    target: FakeMountTarget,
}

impl FileSystem {
    async fn start() -> Self {
        let (pki, ganesha) = (TestPki::new().unwrap(), Ganesha::start().unwrap());
        let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
            .admission(Admission::IamOnly)
            .access_point(ACCESS_POINT)
            .key(KnownKey::new(KEY_ID, SECRET, ARN).session_token(TOKEN));
        let target = FakeMountTarget::builder(rules).backend(ganesha.addr()).start(&pki).await.unwrap();
        Self { pki, ganesha, target }
    }

    fn iam(&self, secret: &str) -> EfsConnectorBuilder {
        let credentials = Credentials::new(KEY_ID, secret, Some(TOKEN.into()), None, "test");
        self.reach(EfsConnector::iam(name(), credentials))
    }

    fn anonymous(&self) -> EfsConnectorBuilder {
        self.reach(EfsConnector::anonymous(name()))
    }

    fn reach(&self, builder: EfsConnectorBuilder) -> EfsConnectorBuilder {
        let roots = Roots::from_der(self.pki.root_der()).unwrap();
        let address = self.target.addr();
        builder.roots(roots).mount_target_address(address).access_point(ACCESS_POINT.parse().unwrap())
    }
}

fn name() -> MountTargetName {
    MountTargetName::regional(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap())
}

async fn tunnel(connector: EfsConnectorBuilder) -> EfsTunnel {
    EfsTunnel::builder(connector.build().await.unwrap()).start().await.unwrap()
}

fn client(tunnel: &EfsTunnel) -> Libnfs {
    Libnfs::new(SocketAddr::from((Ipv4Addr::LOCALHOST, tunnel.port()))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iam_client_writes_and_reads_64_mib_through_the_tunnel() {
    let file_system = FileSystem::start().await;
    let tunnel = tunnel(file_system.iam(SECRET)).await;
    let client = client(&tunnel);
    let dir = TempDir::new().unwrap();
    let original = dir.path().join("original");
    fs::write(&original, noise(64 * MIB)).unwrap();
    let copy = dir.path().join("copy");
    let (from, to) = (original.clone(), copy.clone());
    tokio::task::spawn_blocking(move || {
        client.put(&from, "file").unwrap();
        client.get("file", &to).unwrap();
    })
    .await
    .unwrap();
    assert_eq!(sha256(&file_system.ganesha.export().join("file")), sha256(&original));
    assert_eq!(sha256(&copy), sha256(&original));

    let event = file_system.target.next_event().await.unwrap();
    let expected = Principal::Iam { arn: ARN.into(), access_key_id: KEY_ID.into() };
    assert_eq!(event.verdict, Verdict::Admitted(expected));
    assert_eq!(event.connection.sni.as_deref(), Some("fs-0123456789abcdef0.efs.us-east-1.amazonaws.com"));
    let status = tunnel.status().tunnel;
    assert!(status.bytes_up > 64 << 20 && status.bytes_down > 64 << 20, "{status:?}");
    assert_eq!((status.truncated, status.connects_failed), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_iam_or_with_a_wrong_secret_nfs_is_refused() {
    let file_system = FileSystem::start().await;
    let wrong = Refusal::SignatureMismatch { access_key_id: KEY_ID.into() };
    for (connector, refusal) in
        [(file_system.anonymous(), Refusal::AnonymousNotAllowed), (file_system.iam("anotherSecretKey"), wrong)]
    {
        let tunnel = tunnel(connector).await;
        let client = client(&tunnel);
        let error = tokio::task::spawn_blocking(move || client.list().unwrap_err()).await.unwrap();
        assert!(error.to_string().contains("NFS4ERR_ACCESS"), "{error}");
        assert_eq!(file_system.target.next_event().await.unwrap().verdict, Verdict::Refused(refusal));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_answered_by_a_real_server_and_leaves_it_able_to_serve() {
    let file_system = FileSystem::start().await;
    let root = ProbeOptions::default().user(0, 0);
    let connector = file_system.iam(SECRET).build().await.unwrap();
    for _ in 0..3 {
        let probe = connector.probe_with(&root).await;
        let ProbeOutcome::Admitted(admission) = &probe.outcome else { panic!("{probe}") };
        assert!(admission.granted.contains(Access::READ.union(Access::LOOKUP)), "{admission}");
        assert!(admission.root.as_ref().is_some_and(|root| root.mode & 0o555 == 0o555), "{:?}", admission.root);
    }
    let tunnel = tunnel(file_system.iam(SECRET)).await;
    let local = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, tunnel.port())).await.unwrap();
    let probe = probe_stream(local, &root).await;
    assert!(probe.outcome.is_admitted(), "{probe}");
    let client = client(&tunnel);
    tokio::task::spawn_blocking(move || client.list().unwrap()).await.unwrap();

    let denied = file_system.iam("anotherSecretKey").build().await.unwrap().probe().await;
    let ProbeOutcome::Denied(Denial { refusal, without_access_point: WithoutAccessPoint::DeniedToo(_), .. }) =
        &denied.outcome
    else {
        panic!("{denied}")
    };
    assert_eq!((refusal.operation, refusal.status), (Operation::ExchangeId, Status::Nfs(13)));

    let elsewhere = file_system.iam(SECRET).access_point("fsap-fffffffffffffffff".parse().unwrap());
    let probe = elsewhere.build().await.unwrap().probe().await;
    assert!(matches!(probe.outcome, ProbeOutcome::AccessPoint { .. }), "{probe}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_stays_whole_while_the_identity_rotates_every_second() {
    const ROUNDS: usize = 6;
    let file_system = FileSystem::start().await;
    let tunnel = tunnel(file_system.iam(SECRET).renew_every(Duration::from_secs(1))).await;
    let client = client(&tunnel);
    let dir = TempDir::new().unwrap();
    let original = dir.path().join("original");
    fs::write(&original, noise(64 * MIB)).unwrap();
    let expected = sha256(&original);
    let mut status = tunnel.status().renewal.issued;
    let client = std::sync::Arc::new(client);
    for round in 0..ROUNDS {
        // Each round is under its own certificate, and makes connections of its own.
        let before = status;
        while status == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
            status = tunnel.status().renewal.issued;
        }
        let (client, from, to) = (client.clone(), original.clone(), dir.path().join(format!("copy-{round}")));
        let copied = tokio::task::spawn_blocking(move || {
            client.put(&from, &format!("file-{round}")).unwrap();
            client.get(&format!("file-{round}"), &to).unwrap();
            sha256(&to)
        });
        assert_eq!(copied.await.unwrap(), expected);
    }
    let mut certificates = BTreeSet::new();
    for _ in 0..2 * ROUNDS {
        let event = file_system.target.next_event().await.unwrap();
        assert!(matches!(event.verdict, Verdict::Admitted(_)), "{event:?}");
        let leaf = event.connection.client_chain.first().unwrap().clone();
        assert_eq!(EfsCertificate::from_der(&leaf).unwrap().access_point.unwrap().as_str(), ACCESS_POINT);
        certificates.insert(leaf);
    }
    assert!(certificates.len() >= ROUNDS, "{} certificates in {ROUNDS} rounds", certificates.len());
    assert_eq!(tunnel.status().tunnel.truncated, 0);
}

/// Bytes that no compression or block repetition makes equal by chance; the same on every run.
fn noise(len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|n| Sha256::digest(n.to_be_bytes()));
    blocks.take(len).collect()
}

fn sha256(file: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(file).unwrap()))
}
