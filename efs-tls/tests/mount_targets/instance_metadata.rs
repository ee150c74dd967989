//! Our zone from the instance metadata service, version 2.

use std::{env, process::Command};

use aws_config::imds::Client;
use efs_tls::{AvailabilityZone, AvailabilityZoneName, FindZone, InstanceMetadata, MountTargets};
use secure_connector::error_chain;

use crate::{
    http::{Answer, Http},
    region::{Region, zone},
};

/// What the service says to whoever has fetched a token before.
async fn metadata(name: &'static str, id: Option<&'static str>) -> (Http, InstanceMetadata) {
    let plain = |status, text: &str| -> Answer { (status, "Content-Type: text/plain", text.to_owned()) };
    let http = Http::serve(move |head| {
        let line = head.lines().next().unwrap();
        if line == "PUT /latest/api/token HTTP/1.1" {
            return (200, "x-aws-ec2-metadata-token-ttl-seconds: 21600", "token-1".to_owned());
        }
        let authorized = head.to_ascii_lowercase().contains("x-aws-ec2-metadata-token: token-1");
        match (line, authorized) {
            ("GET /latest/meta-data/placement/availability-zone HTTP/1.1", true) => plain(200, name),
            ("GET /latest/meta-data/placement/availability-zone-id HTTP/1.1", true) => {
                id.map_or_else(|| plain(404, "not found"), |id| plain(200, id))
            }
            _ => plain(401, "unauthorized"),
        }
    })
    .await;
    let client = Client::builder().endpoint(&http.url).unwrap().build();
    (http, InstanceMetadata::with_client(client))
}

#[tokio::test]
async fn the_zone_is_known_by_name_and_id_or_by_name_only() {
    let name: AvailabilityZoneName = "us-east-1a".parse().unwrap();
    let (http, finder) = metadata("us-east-1a", Some("use1-az2")).await;
    assert_eq!(finder.find_zone().await.unwrap(), AvailabilityZone::from((name.clone(), zone(2))));
    assert_eq!(http.requests()[0], "PUT /latest/api/token HTTP/1.1");
    let (_http, finder) = metadata("us-east-1a", None).await;
    assert_eq!(finder.find_zone().await.unwrap(), AvailabilityZone::from(name));
    let (_http, finder) = metadata("nowhere", None).await;
    let error = finder.find_zone().await.unwrap_err();
    assert_eq!(error_chain(&*error), "the instance metadata names no zone that we can read: \"nowhere\"");
}

#[tokio::test]
async fn nobody_is_asked_when_the_environment_forbids_it() {
    if env::var("AWS_EC2_METADATA_DISABLED").as_deref() == Ok("true") {
        let error = InstanceMetadata::new().find_zone().await.unwrap_err();
        assert_eq!(error.to_string(), "AWS_EC2_METADATA_DISABLED is true");
        return;
    }
    // The environment is another process's: ours is shared by all tests.
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", "instance_metadata::nobody_is_asked_when_the_environment_forbids_it"]);
    let output = again.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn it_leads_to_the_target_in_our_zone_and_its_absence_is_in_the_report() {
    let region = Region::start(2).await;
    let (_http, finder) = metadata("us-east-1a", Some("use1-az2")).await;
    let connector = region.connector(MountTargets::new(region.targets()).our_zone(finder)).await;
    let expected = "same availability zone use1-az2".to_owned();
    assert_eq!(region.connect(&connector).await, (2, expected));

    let nobody = Client::builder().endpoint("http://127.0.0.1:1").unwrap().build();
    let finder = InstanceMetadata::with_client(nobody);
    let connector = region.connector(MountTargets::new(region.targets()).our_zone(finder)).await;
    let (_, reason) = region.connect(&connector).await;
    assert!(reason.starts_with("our availability zone is unknown ("), "{reason}");
}
