//! The look-up of mount targets against moto, which stands in for the APIs of AWS, compared with what boto3 makes of it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{net::SocketAddr, path::Path, process::Command};

use aws_credential_types::Credentials;
use aws_sdk_efs::config::{BehaviorVersion, Region};
use efs_tls::{
    AvailabilityZoneId, AvailabilityZoneName, DescribeMountTargets, FileSystemId, FindMountTargets,
    FindMountTargetsError, MountTarget, MountTargetName, NFS_PORT,
};
use interop::Daemon;

const MOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/moto/bin");

/// Makes a file system without mount targets and one with a mount target in each subnet of the default VPC, and prints the
/// first one's id, the second one's id, and the second one's mount targets.
const SET_UP: &str = "
import boto3, sys
aws = dict(endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='x', aws_secret_access_key='x')
ec2, efs = boto3.client('ec2', **aws), boto3.client('efs', **aws)
bare, full = [efs.create_file_system(CreationToken=token)['FileSystemId'] for token in ('bare', 'full')]
for subnet in ec2.describe_subnets()['Subnets']:
    efs.create_mount_target(FileSystemId=full, SubnetId=subnet['SubnetId'])
print(bare)
print(full)
for target in efs.describe_mount_targets(FileSystemId=full)['MountTargets']:
    print(target['IpAddress'], target['AvailabilityZoneName'], target['AvailabilityZoneId'])
";

#[tokio::test]
async fn mount_targets_and_refusals_are_what_boto3_makes_of_them() {
    let moto = Daemon::start(|_, address| {
        let mut moto = Command::new(Path::new(MOTO).join("moto_server"));
        moto.args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
        Ok(moto)
    })
    .unwrap();
    let url = format!("http://{}", moto.addr());
    let output = Command::new(Path::new(MOTO).join("python")).args(["-c", SET_UP, &url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut lines = printed.lines();
    let (bare, full) = (name(lines.next().unwrap()), name(lines.next().unwrap()));
    let expected: Vec<_> = lines.map(target).collect();

    let config = aws_sdk_efs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "test"))
        .endpoint_url(url)
        .build();
    let look_up = DescribeMountTargets::new(aws_sdk_efs::Client::from_conf(config));
    assert_eq!(look_up.find(&full).await.unwrap(), expected);
    assert!(expected.len() > 3, "{printed}");

    let error = look_up.find(&bare).await.unwrap_err();
    assert!(matches!(&error, FindMountTargetsError::NoneAvailable { others } if others.is_empty()), "{error:?}");
    let unknown: FileSystemId = "fs-00000000".parse().unwrap();
    let error = look_up.find(&name(unknown.as_str())).await.unwrap_err();
    let FindMountTargetsError::NoFileSystem { file_system, .. } = error else { panic!("{error:?}") };
    assert_eq!(file_system, unknown);
}

fn name(file_system: &str) -> MountTargetName {
    MountTargetName::regional(file_system.parse().unwrap(), "us-east-1".parse().unwrap())
}

/// `172.31.0.4 us-east-1a use1-az6`
fn target(line: &str) -> MountTarget {
    let [address, name, id] = *line.split(' ').collect::<Vec<_>>().as_slice() else { panic!("{line}") };
    let (name, id): (AvailabilityZoneName, AvailabilityZoneId) = (name.parse().unwrap(), id.parse().unwrap());
    MountTarget::addresses([SocketAddr::new(address.parse().unwrap(), NFS_PORT)]).in_zone((name, id))
}
