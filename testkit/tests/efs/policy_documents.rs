//! Which documents are file-system policies, and what is said of those that are not.

use std::error::Error;

use secure_connector_testkit::efs::{FileSystemPolicy, PolicyError};
use serde_json::{Value, json};

/// EFS User Guide, "Resource-based policy examples for Amazon EFS", and what the console makes of its four check boxes.
#[test]
fn the_policies_of_the_user_guide_and_of_the_console_are_understood() {
    let everybody = json!({ "AWS": "*" });
    let via_mount_target = json!({ "Bool": { "elasticfilesystem:AccessedViaMountTarget": "true" } });
    let allow = |actions: &[&str]| {
        json!({ "Sid": "efs-statement", "Effect": "Allow", "Principal": everybody, "Action": actions,
                "Condition": via_mount_target })
    };
    let tls_only = json!({ "Sid": "efs-tls", "Effect": "Deny", "Principal": everybody, "Action": "*",
                           "Condition": { "Bool": { "aws:SecureTransport": "false" } } });
    for statements in [
        json!([{
            "Effect": "Allow",
            "Principal": { "AWS": "arn:aws:iam::111122223333:role/Testing_Role" },
            "Action": ["elasticfilesystem:ClientWrite", "elasticfilesystem:ClientMount"],
            "Resource": "arn:aws:elasticfilesystem:us-east-2:111122223333:file-system/fs-1234abcd",
            "Condition": via_mount_target,
        }]),
        json!([{
            "Effect": "Allow",
            "Principal": { "AWS": "arn:aws:iam::555555555555:role/EfsAccessPointFullAccess" },
            "Action": "elasticfilesystem:Client*",
            "Resource": "arn:aws:elasticfilesystem:us-east-2:111122223333:file-system/fs-12345678",
            "Condition": { "StringEquals": {
                "elasticfilesystem:AccessPointArn":
                    "arn:aws:elasticfilesystem:us-east-2:555555555555:access-point/fsap-12345678",
            } },
        }]),
        json!([allow(&["elasticfilesystem:ClientWrite", "elasticfilesystem:ClientMount"]), tls_only]),
        json!([allow(&["elasticfilesystem:ClientRootAccess", "elasticfilesystem:ClientMount"])]),
        json!([allow(&["elasticfilesystem:ClientRootAccess", "elasticfilesystem:ClientWrite"])]),
    ] {
        read(&json!({ "Version": "2012-10-17", "Id": "efs-policy-wizard", "Statement": statements })).unwrap();
        read(&json!({ "Version": "2008-10-17", "Statement": statements })).unwrap();
        read(&json!({ "Statement": statements[0] })).unwrap();
    }
}

#[test]
fn what_is_not_understood_is_named_with_what_would_be() {
    for (statement, expected) in [
        (
            with("NotAction", json!("elasticfilesystem:ClientWrite")),
            "Statement[0]: \"NotAction\" is not supported, only Sid, Effect, Principal, Action, Resource, Condition",
        ),
        (
            with("NotPrincipal", json!("*")),
            "Statement[0]: \"NotPrincipal\" is not supported, only Sid, Effect, Principal, Action, Resource, Condition",
        ),
        (
            with("effect", json!("Deny")),
            "Statement[0]: \"effect\" is not supported, only Sid, Effect, Principal, Action, Resource, Condition",
        ),
        (with("Effect", json!("deny")), "Statement[0].Effect: \"deny\" is not supported, only Allow, Deny"),
        (
            with("Principal", json!({ "Service": "backup.amazonaws.com" })),
            "Statement[0].Principal: \"Service\" is not supported, only AWS",
        ),
        (
            with("Action", json!(["elasticfilesystem:ClientMount", "elasticfilesystem:DescribeTags"])),
            "Statement[0].Action: \"elasticfilesystem:DescribeTags\" is not supported, only \
             elasticfilesystem:ClientMount, elasticfilesystem:ClientWrite, elasticfilesystem:ClientRootAccess, \
             wildcards that match one of these",
        ),
        (
            with("Action", json!("s3:*")),
            "Statement[0].Action: \"s3:*\" is not supported, only elasticfilesystem:ClientMount, \
             elasticfilesystem:ClientWrite, elasticfilesystem:ClientRootAccess, wildcards that match one of these",
        ),
        (
            with("Condition", json!({ "IpAddress": { "aws:SourceIp": "192.0.2.0/24" } })),
            "Statement[0].Condition: \"IpAddress\" is not supported, only Bool, StringEquals, StringLike, ArnEquals, \
             ArnLike",
        ),
        (
            with("Condition", json!({ "BoolIfExists": { "aws:SecureTransport": "true" } })),
            "Statement[0].Condition: \"BoolIfExists\" is not supported, only Bool, StringEquals, StringLike, ArnEquals, \
             ArnLike",
        ),
        (
            with("Condition", json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" } })),
            "Statement[0].Condition.Bool: \"aws:MultiFactorAuthPresent\" is not supported, only aws:SecureTransport, \
             elasticfilesystem:AccessedViaMountTarget",
        ),
        (
            with("Condition", json!({ "StringLike": { "aws:SecureTransport": "t*" } })),
            "Statement[0].Condition.StringLike: \"aws:SecureTransport\" is not supported, only \
             elasticfilesystem:AccessPointArn",
        ),
        (
            with("Resource", json!("${aws:PrincipalTag/fs}")),
            "Statement[0].Resource: \"${aws:PrincipalTag/fs}\" is not supported, only text without the policy variables \
             ${…}",
        ),
    ] {
        let error = read(&json!({ "Statement": [statement] })).unwrap_err();
        assert!(matches!(error, PolicyError::Unsupported { .. }), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
    let statement = with("Sid", json!("x"));
    for (policy, expected) in [
        (
            json!({ "Version": "2012-10-17", "statement": [statement] }),
            "the policy: \"statement\" is not supported, only Version, Id, Statement",
        ),
        (
            json!({ "Version": "2020-01-01", "Statement": [statement] }),
            "Version: \"2020-01-01\" is not supported, only 2012-10-17, 2008-10-17",
        ),
    ] {
        assert_eq!(read(&policy).unwrap_err().to_string(), expected);
    }
}

#[test]
fn what_is_missing_or_malformed_is_named_with_its_place() {
    let arn = "*, an account id, or the ARN of a user, a role or a session, without wildcards";
    for (element, value, expected) in [
        ("Effect", json!(true), "Statement[1].Effect: expected a string, found true".to_owned()),
        ("Sid", json!(7), "Statement[1].Sid: expected a string, found a number".to_owned()),
        (
            "Principal",
            json!("arn:aws:iam::123456789012:role/app"),
            "Statement[1].Principal: expected \"*\" or {\"AWS\": …}, found \"arn:aws:iam::123456789012:role/app\""
                .to_owned(),
        ),
        ("Principal", json!({}), "Statement[1].Principal lacks the element AWS".to_owned()),
        (
            "Principal",
            json!({ "AWS": [] }),
            "Statement[1].Principal.AWS: expected one or more strings, found an empty list".to_owned(),
        ),
        (
            "Principal",
            json!({ "AWS": "AIDACKCEVSQ6C2EXAMPLE" }),
            format!("Statement[1].Principal: expected {arn}, found \"AIDACKCEVSQ6C2EXAMPLE\""),
        ),
        (
            "Principal",
            json!({ "AWS": ["*", "arn:aws:iam::123456789012:role/*"] }),
            format!("Statement[1].Principal: expected {arn}, found \"arn:aws:iam::123456789012:role/*\""),
        ),
        (
            "Principal",
            json!({ "AWS": "arn:aws:iam::12345678901:role/app" }),
            format!("Statement[1].Principal: expected {arn}, found \"arn:aws:iam::12345678901:role/app\""),
        ),
        (
            "Principal",
            json!({ "AWS": "arn:aws:iam::123456789012:group/staff" }),
            format!("Statement[1].Principal: expected {arn}, found \"arn:aws:iam::123456789012:group/staff\""),
        ),
        (
            "Principal",
            json!({ "AWS": "arn:aws:sts::123456789012:role/app" }),
            format!("Statement[1].Principal: expected {arn}, found \"arn:aws:sts::123456789012:role/app\""),
        ),
        (
            "Principal",
            json!({ "AWS": "arn:aws:iam::123456789012:role/" }),
            format!("Statement[1].Principal: expected {arn}, found \"arn:aws:iam::123456789012:role/\""),
        ),
        (
            "Principal",
            json!({ "AWS": "urn:aws:iam::123456789012:root" }),
            format!("Statement[1].Principal: expected {arn}, found \"urn:aws:iam::123456789012:root\""),
        ),
        (
            "Action",
            json!({ "elasticfilesystem": "ClientMount" }),
            "Statement[1].Action: expected one or more strings, found an object".to_owned(),
        ),
        (
            "Action",
            json!(["elasticfilesystem:ClientMount", ["elasticfilesystem:ClientWrite"]]),
            "Statement[1].Action: expected a string, found a list".to_owned(),
        ),
        (
            "Resource",
            json!(["*", "fs-0123456789abcdef0"]),
            "Statement[1].Resource: expected * or the ARN of a file system, which has six parts, found \
             \"fs-0123456789abcdef0\""
                .to_owned(),
        ),
        (
            "Condition",
            json!([{ "Bool": { "aws:SecureTransport": "true" } }]),
            "Statement[1].Condition: expected an object, found a list".to_owned(),
        ),
        (
            "Condition",
            json!({ "Bool": { "aws:SecureTransport": "yes" } }),
            "Statement[1].Condition.Bool.aws:SecureTransport: expected true or false, found \"yes\"".to_owned(),
        ),
        (
            "Condition",
            json!({ "Bool": { "aws:SecureTransport": null } }),
            "Statement[1].Condition.Bool.aws:SecureTransport: expected one or more strings, found null".to_owned(),
        ),
        (
            "Condition",
            json!({ "ArnLike": { "elasticfilesystem:AccessPointArn": "fsap-0123456789abcdef0" } }),
            "Statement[1].Condition.ArnLike.elasticfilesystem:AccessPointArn: expected an ARN, which has six parts, found \
             \"fsap-0123456789abcdef0\""
                .to_owned(),
        ),
    ] {
        let good = with("Sid", json!("x"));
        let error = read(&json!({ "Statement": [good, with(element, value)] })).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    for element in ["Effect", "Principal", "Action"] {
        let mut statement = with("Sid", json!("x"));
        statement.as_object_mut().unwrap().remove(element);
        let error = read(&json!({ "Statement": [statement] })).unwrap_err();
        assert_eq!(error.to_string(), format!("Statement[0] lacks the element {element}"));
    }
    for (policy, expected) in [
        (json!({ "Version": "2012-10-17" }), "the policy lacks the element Statement"),
        (json!({ "Statement": [] }), "Statement: expected one or more statements, found an empty list"),
        (json!({ "Statement": "none" }), "Statement: expected one or more statements, found \"none\""),
        (json!([]), "the policy: expected an object, found an empty list"),
    ] {
        assert_eq!(read(&policy).unwrap_err().to_string(), expected);
    }
}

#[test]
fn json_is_read_to_the_letter() {
    let cause = |document: &str| {
        let error = document.parse::<FileSystemPolicy>().unwrap_err();
        assert!(matches!(error, PolicyError::Json(_)), "{error:?}");
        assert_eq!(error.to_string(), "the policy is not well-formed JSON");
        error.source().unwrap().to_string()
    };
    assert_eq!(cause("{"), "EOF while parsing an object at line 1 column 1");
    assert_eq!(cause("{} {}"), "trailing characters at line 1 column 4");
    // Most readers would take the second "Bool", and the first condition would be gone.
    let twice = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Condition": {
        "Bool": {"aws:SecureTransport": "true"},
        "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}}}"#;
    assert_eq!(cause(twice), "\"Bool\" stands twice in one object at line 3 column 69");
}

#[test]
fn the_length_is_limited_as_by_efs() {
    let policy = |length: usize| {
        let policy = json!({ "Id": "", "Statement": with("Sid", json!("é")) }).to_string();
        let padding = "x".repeat(length - policy.chars().count());
        policy.replace("\"Id\":\"\"", &format!("\"Id\":\"{padding}\"")).parse::<FileSystemPolicy>()
    };
    policy(20_000).unwrap();
    assert!(matches!(policy(20_001), Err(PolicyError::TooLong { found: 20_001 })));
}

/// A good statement, with this element.
fn with(element: &str, value: Value) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:ClientMount" });
    statement.as_object_mut().unwrap().insert(element.to_owned(), value);
    statement
}

fn read(policy: &Value) -> Result<FileSystemPolicy, PolicyError> {
    policy.to_string().parse()
}
