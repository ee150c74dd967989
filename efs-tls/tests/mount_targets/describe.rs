//! The look-up by the API, against its documented answers.

use aws_credential_types::Credentials;
use aws_sdk_efs::config::{BehaviorVersion, Region, retry::RetryConfig};
use efs_tls::{
    AvailabilityZoneId, AvailabilityZoneName, DescribeMountTargets, FindMountTargets, FindMountTargetsError,
    MountTarget, MountTargetName,
};
use secure_connector::error_chain;
use serde_json::{Value, json};

use crate::{
    http::{Answer, Http},
    region::{FILE_SYSTEM, name},
};

fn describe(http: &Http) -> DescribeMountTargets {
    let config = aws_sdk_efs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&http.url)
        .build();
    DescribeMountTargets::new(aws_sdk_efs::Client::from_conf(config))
}

/// One entry, as API_MountTargetDescription of the Amazon EFS User Guide has it.
fn described(state: &str, with: Value) -> Value {
    let mut entry = json!({
        "FileSystemId": FILE_SYSTEM, "MountTargetId": "fsmt-0123456789abcdef0", "SubnetId": "subnet-01234567",
        "LifeCycleState": state, "OwnerId": "123456789012", "VpcId": "vpc-01234567",
    });
    entry.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    entry
}

fn page(entries: &[Value], next: Option<&str>) -> Answer {
    let mut page = json!({ "MountTargets": entries });
    if let Some(next) = next {
        page["NextMarker"] = next.into();
    }
    (200, "Content-Type: application/json", page.to_string())
}

fn zone(name: &str, id: &str) -> (AvailabilityZoneName, AvailabilityZoneId) {
    (name.parse().unwrap(), id.parse().unwrap())
}

#[tokio::test]
async fn every_page_is_read_and_each_available_target_has_its_addresses_and_its_zone() {
    let http = Http::serve(|head| {
        let v4 = json!({
            "IpAddress": "10.0.1.9", "AvailabilityZoneId": "use1-az1", "AvailabilityZoneName": "us-east-1a"
        });
        let both = json!({
            "IpAddress": "10.0.2.9", "Ipv6Address": "fd00:2::9", "AvailabilityZoneId": "use1-az2",
            "AvailabilityZoneName": "us-east-1b"
        });
        let v6 = json!({ "Ipv6Address": "fd00:3::9", "AvailabilityZoneId": "use1-wl1-bos-wlz-1" });
        let creating = json!({ "IpAddress": "10.0.4.9", "AvailabilityZoneId": "use1-az4" });
        match head.contains("Marker=second%20page") {
            false => page(&[described("available", v4), described("creating", creating)], Some("second page")),
            true => page(&[described("available", both), described("available", v6)], None),
        }
    })
    .await;
    let address = |text: &str| text.parse().unwrap();
    let expected = [
        MountTarget::addresses([address("10.0.1.9:2049")]).in_zone(zone("us-east-1a", "use1-az1")),
        MountTarget::addresses(["10.0.2.9:2049", "[fd00:2::9]:2049"].map(address))
            .in_zone(zone("us-east-1b", "use1-az2")),
        MountTarget::addresses([address("[fd00:3::9]:2049")]),
    ];
    let describe = describe(&http);
    assert_eq!(describe.find(&name()).await.unwrap(), expected);
    assert_eq!(format!("{describe:?}"), "DescribeMountTargets { .. }");
    let path = format!("GET /2015-02-01/mount-targets?FileSystemId={FILE_SYSTEM}");
    let requests = http.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.contains(&format!("FileSystemId={FILE_SYSTEM}"))), "{requests:?}");
    assert_eq!(requests[0], format!("{path} HTTP/1.1"));
}

#[tokio::test]
async fn a_second_page_that_fails_is_an_error_and_not_a_short_list() {
    let http = Http::serve(|head| match head.contains("Marker=") {
        false => page(&[described("available", json!({ "IpAddress": "10.0.1.9" }))], Some("2")),
        true => (500, "x-amzn-errortype: InternalServerError", r#"{"ErrorCode":"InternalServerError"}"#.to_owned()),
    })
    .await;
    let error = describe(&http).find(&name()).await.unwrap_err();
    assert!(matches!(error, FindMountTargetsError::Failed(_)), "{error:?}");
    assert!(error_chain(&error).contains("InternalServerError"), "{}", error_chain(&error));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let find = async |answer: Answer| {
        let http = Http::serve(move |_| answer.clone()).await;
        describe(&http).find(&name()).await.unwrap_err()
    };
    let body = r#"{"Message":"User: arn:aws:iam::123456789012:user/a is not authorized"}"#.to_owned();
    let error = find((403, "x-amzn-ErrorType: AccessDeniedException", body)).await;
    let FindMountTargetsError::AccessDenied { action, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*action, "elasticfilesystem:DescribeMountTargets");
    let text = error_chain(&error);
    assert!(text.starts_with("access denied; allow elasticfilesystem:DescribeMountTargets"), "{text}");
    assert!(text.contains("user/a is not authorized"), "{text}");

    let body = r#"{"ErrorCode":"FileSystemNotFound","Message":"gone"}"#.to_owned();
    let error = find((404, "x-amzn-ErrorType: FileSystemNotFound", body)).await;
    let FindMountTargetsError::NoFileSystem { file_system, .. } = &error else { panic!("{error:?}") };
    assert_eq!(file_system.as_str(), FILE_SYSTEM);

    let entries = [described("creating", json!({ "IpAddress": "10.0.1.9" })), described("available", json!({}))];
    let error = find(page(&entries, None)).await;
    let FindMountTargetsError::NoneAvailable { others } = &error else { panic!("{error:?}") };
    assert_eq!(*others, ["fsmt-0123456789abcdef0: creating", "fsmt-0123456789abcdef0: available"]);
    let expected = "no mount target is available (fsmt-0123456789abcdef0: creating, fsmt-0123456789abcdef0: available); \
                    create one in each zone that has clients";
    assert_eq!(error.to_string(), expected);

    let error = find((400, "x-amzn-ErrorType: ThrottlingException", "{}".to_owned())).await;
    assert!(matches!(error, FindMountTargetsError::Failed(_)), "{error:?}");
    assert!(error_chain(&error).contains("ThrottlingException"), "{}", error_chain(&error));
}

#[tokio::test]
async fn a_file_system_of_s3_files_is_not_asked_for() {
    let http = Http::serve(|_| page(&[], None)).await;
    let s3: MountTargetName = "use1-az1.fs-0123456789abcdef0.s3files.us-east-1.on.aws".parse().unwrap();
    let error = describe(&http).find(&s3).await.unwrap_err();
    assert!(matches!(error, FindMountTargetsError::Failed(_)), "{error:?}");
    assert_eq!(http.requests(), [""; 0]);
}
