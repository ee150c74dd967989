//! Reaching an EFS file system that admits IAM clients only.
//!
//! A fake mount target on the loopback checks the client certificate as the real one has to. An anonymous client is
//! refused by an NFS reply; the same client with IAM credentials is admitted, directly and through a tunnel.

use std::{error::Error, net::SocketAddr, time::Duration};

use aws_credential_types::Credentials;
use efs_tls::{EfsConnector, EfsConnectorBuilder, EfsTunnel, MountTargetName};
use secure_connector::{Roots, SecureConnector, SecureStream};
use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey},
    nfs::{HelloOutcome, nfs_hello},
};
use tokio::net::TcpStream;

use crate::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, heading};

const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const REGION: &str = "us-east-1";
const ACCESS_POINT: &str = "fsap-0123456789abcdef0";
const PRINCIPAL: &str = "arn:aws:iam::123456789012:user/tour";

pub(crate) async fn tour(pki: &TestPki) -> Result<(), Box<dyn Error>> {
    let mount_target = start_mount_target(pki).await?;

    heading("EFS 1. Anonymous: TLS works, the file-system policy does not admit us");
    let connector = configure(EfsConnector::anonymous(target()?), pki, mount_target.addr())?.build().await?;
    let mut nfs = connector.connect().await?;
    println!("{}", nfs.report());
    expect_refused(nfs_hello(&mut nfs).await?)?;
    println!("mount target: {:?}", mount_target.next_event().await?.verdict);

    heading("EFS 2. IAM: the client certificate carries a signature by our credentials");
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "tour");
    let connector = configure(EfsConnector::iam(target()?, credentials), pki, mount_target.addr())?.build().await?;
    let mut nfs = connector.connect().await?;
    println!("{}", nfs.report());
    expect_admitted(nfs_hello(&mut nfs).await?)?;
    println!("mount target: {:?}", mount_target.next_event().await?.verdict);

    heading("EFS 3. The same through a tunnel, as a kernel mount would use it");
    let tunnel = EfsTunnel::builder(connector).start().await?;
    println!("{}", tunnel.mount_command("/mnt/efs"));
    let mut local = TcpStream::connect(("127.0.0.1", tunnel.port())).await?;
    expect_admitted(nfs_hello(&mut local).await?)?;
    println!("mount target: {:?}", mount_target.next_event().await?.verdict);
    drop(local);
    tunnel.drain(Duration::from_secs(1)).await;
    println!("{}", serde_json::to_string_pretty(&tunnel.status())?);

    Ok(())
}

async fn start_mount_target(pki: &TestPki) -> Result<FakeMountTarget, Box<dyn Error>> {
    let rules = AdmissionRules::new(FILE_SYSTEM, REGION)
        .admission(Admission::IamOnly)
        .access_point(ACCESS_POINT)
        .key(KnownKey::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, PRINCIPAL));
    Ok(FakeMountTarget::builder(rules).start(pki).await?)
}

fn target() -> Result<MountTargetName, efs_tls::ParseError> {
    Ok(MountTargetName::regional(FILE_SYSTEM.parse()?, REGION.parse()?))
}

/// The stand-in has its own CA and address; nothing else differs from the real service.
fn configure(
    builder: EfsConnectorBuilder,
    pki: &TestPki,
    address: SocketAddr,
) -> Result<EfsConnectorBuilder, Box<dyn Error>> {
    let roots = Roots::from_der(pki.root_der())?;
    Ok(builder.roots(roots).mount_target_address(address).access_point(ACCESS_POINT.parse()?))
}

fn expect_refused(outcome: HelloOutcome) -> Result<(), Box<dyn Error>> {
    println!("NFS: {outcome:?}");
    if matches!(outcome, HelloOutcome::Denied { .. }) { Ok(()) } else { Err("a refusal was expected".into()) }
}

fn expect_admitted(outcome: HelloOutcome) -> Result<(), Box<dyn Error>> {
    println!("NFS: {outcome:?}");
    if matches!(outcome, HelloOutcome::Admitted { .. }) { Ok(()) } else { Err("an admission was expected".into()) }
}
