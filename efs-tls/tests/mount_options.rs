//! The options of `mount -t efs`: what they mean, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "mount_options/config.rs"]
mod config;
#[path = "mount_options/request.rs"]
mod request;

use std::{ffi::OsString, fs, path::Path};

use efs_tls::{
    CredentialSource, MountHelperConfig, MountHost, MountOptionError, MountOptions, MountRequest, MountSource,
    NfsOptionError,
};
use serde_json::Value;

#[track_caller]
fn refused(options: &str) -> MountOptionError {
    options.parse::<MountOptions>().unwrap_err()
}

#[test]
fn the_mount_helpers_options_are_read_and_the_others_are_for_mount_nfs4() {
    let options: MountOptions = "rw,tls,iam,accesspoint=fsap-0123456789abcdef0,region=eu-west-1,_netdev,,\
                                 mounttargetip=fd00::9,cafile=/etc/ca.pem,tlsport=20049,noocsp,verify=2,stunnel,rsize=65536"
        .parse()
        .unwrap();
    assert_eq!(options.credentials, Some(CredentialSource::Default));
    assert_eq!(options.access_point.unwrap().as_str(), "fsap-0123456789abcdef0");
    assert_eq!(options.region.unwrap().as_str(), "eu-west-1");
    assert_eq!(options.mount_target_ip, Some("fd00::9".parse().unwrap()));
    assert_eq!(options.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(options.tls_port, Some(20049));
    assert!(options.no_ocsp && !options.no_share && !options.cross_account);
    let nfs: Vec<_> = options.nfs.iter().map(ToString::to_string).collect();
    assert_eq!(nfs, ["rw", "_netdev", "rsize=65536"]);
}

#[test]
fn the_options_say_where_the_credentials_come_from() {
    let role = "arn:aws-cn:iam::123456789012:role/team/app";
    let web_identity = CredentialSource::web_identity(role, "/var/run/token");
    for (options, expected) in [
        ("tls", None),
        ("tls,iam", Some(CredentialSource::Default)),
        ("tls,iam,awsprofile=app", Some(CredentialSource::Profile("app".into()))),
        ("tls,iam,awscredsuri=/v2/credentials/1", Some(CredentialSource::ContainerUri("/v2/credentials/1".into()))),
        (&format!("tls,iam,rolearn={role},jwtpath=/var/run/token"), Some(web_identity)),
    ] {
        assert_eq!(options.parse::<MountOptions>().unwrap().credentials, expected, "{options}");
    }
}

#[test]
fn an_option_without_the_one_it_belongs_to_is_refused() {
    for (options, option, needed) in [
        ("iam", "iam", "tls"),
        ("accesspoint=fsap-0123456789abcdef0", "accesspoint", "tls"),
        ("tls,awsprofile=app", "awsprofile", "iam"),
        ("tls,awscredsuri=/x", "awscredsuri", "iam"),
        ("tls,rolearn=arn:aws:iam::123456789012:role/a,jwtpath=/t", "rolearn", "iam"),
        ("tls,iam,rolearn=arn:aws:iam::123456789012:role/a", "rolearn", "jwtpath"),
        ("tls,iam,jwtpath=/t", "jwtpath", "rolearn"),
    ] {
        assert_eq!(refused(options), MountOptionError::Needs { option, needed });
    }
    assert_eq!(refused("ro"), MountOptionError::NotEncrypted);
    assert_eq!(refused(""), MountOptionError::NotEncrypted);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for (options, one, other) in [
        ("tls,notls", "tls", "notls"),
        ("tls,noocsp,ocsp", "ocsp", "noocsp"),
        ("tls,iam,awsprofile=a,awscredsuri=/x", "awsprofile", "awscredsuri"),
        ("tls,iam,awsprofile=a,rolearn=r,jwtpath=/t", "awsprofile", "rolearn"),
        ("tls,iam,awscredsuri=/a,rolearn=r,jwtpath=/t", "awscredsuri", "rolearn"),
        ("tls,crossaccount,mounttargetip=10.0.0.9", "crossaccount", "mounttargetip"),
        ("tls,crossaccount,az=us-east-1a", "crossaccount", "az"),
    ] {
        assert_eq!(refused(options), MountOptionError::Exclusive { one, other });
    }
    let (first, second) = ("20049".to_owned(), "20050".to_owned());
    assert_eq!(
        refused("tls,tlsport=20049,tlsport=20050"),
        MountOptionError::GivenTwice { option: "tlsport", first, second }
    );
    "tls,tls,tlsport=20049,tlsport=20049".parse::<MountOptions>().unwrap();
}

#[test]
fn what_would_protect_less_or_otherwise_than_asked_is_refused_and_never_ignored() {
    for (options, option) in [
        ("tls,ocsp", "ocsp"),
        ("tls,netns=/var/run/netns/blue", "netns"),
        ("tls,capath=/etc/ssl/certs", "capath"),
        ("tls,verify=0", "verify=0"),
        ("tls,verify=3", "verify=3"),
        ("tls,verify=4", "verify=4"),
        ("tls,verify=yes", "verify=yes"),
        ("tls,azid=use1-az1", "azid"),
        ("tls,nodirects3read", "nodirects3read"),
        ("tls,nos3readcache", "nos3readcache"),
    ] {
        let MountOptionError::Unsupported { option: found, remedy } = refused(options) else { panic!("{options}") };
        assert_eq!(found, option);
        assert!(!remedy.is_empty());
    }
    assert_eq!(
        refused("tls,ocsp").to_string(),
        "the mount option ocsp is not supported: no OCSP responder is asked; leave it out, or write noocsp"
    );
    for accepted in ["tls,noocsp", "tls,verify=1", "tls,verify=2", "tls,stunnel"] {
        accepted.parse::<MountOptions>().unwrap();
    }
}

#[test]
fn values_are_of_their_options_kind() {
    for (options, option, found) in [
        ("tls,accesspoint=fsap-1", "accesspoint", "fsap-1"),
        ("tls,az=use1-az1", "az", "use1-az1"),
        ("tls,region=us-east-1a", "region", "us-east-1a"),
        ("tls,mounttargetip=fs.example", "mounttargetip", "fs.example"),
        ("tls,tlsport=0", "tlsport", "0"),
        ("tls,tlsport=65536", "tlsport", "65536"),
        ("tls,cafile=ca.pem", "cafile", "ca.pem"),
        ("tls,iam,awscredsuri=v2/x", "awscredsuri", "v2/x"),
        ("tls,iam,awscredsuri=//host/x", "awscredsuri", "//host/x"),
        ("tls,iam,awscredsuri=/x HTTP/1.1", "awscredsuri", "/x HTTP/1.1"),
        ("tls,iam,rolearn=r,jwtpath=/t", "rolearn", "r"),
        ("tls,iam,rolearn=arn:aws:iam::12:role/a,jwtpath=/t", "rolearn", "arn:aws:iam::12:role/a"),
        ("tls,iam,rolearn=arn:aws:iam::123456789012:user/a,jwtpath=/t", "rolearn", "arn:aws:iam::123456789012:user/a"),
        ("tls,iam,rolearn=arn:aws:iam::123456789012:role/a,jwtpath=t", "jwtpath", "t"),
    ] {
        let MountOptionError::Value { option: of, source } = refused(options) else { panic!("{options}") };
        assert_eq!((of, source.found.as_str()), (option, found));
    }
    assert_eq!(refused("tls,region"), MountOptionError::NeedsValue { option: "region" });
    assert_eq!(refused("tls,region="), MountOptionError::NeedsValue { option: "region" });
    assert_eq!(refused("tls=1"), MountOptionError::TakesNoValue { option: "tls", found: "1".into() });
    assert_eq!(refused("tls,port=2049"), MountOptionError::Nfs(NfsOptionError::TunnelPort));
    let malformed = NfsOptionError::Malformed { found: "context=\"a".into() };
    assert_eq!(refused("tls,context=\"a,b\""), MountOptionError::Nfs(malformed));
}

#[test]
fn the_nfs_options_are_those_of_the_mount_helper() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/nfs-options.json");
    let vectors: Value = serde_json::from_slice(&fs::read(vectors).unwrap()).unwrap();
    let mut encrypted = 0;
    for vector in vectors.as_array().unwrap() {
        let given = vector["options"].as_object().unwrap();
        let option = |(name, value): (&String, &Value)| match value {
            Value::Null => name.clone(),
            Value::String(value) => format!("{name}={value}"),
            value => format!("{name}={value}"),
        };
        let text: Vec<_> = given.iter().map(option).collect();
        if !given.contains_key("tls") {
            assert_eq!(refused(&text.join(",")), MountOptionError::NotEncrypted);
            continue;
        }
        let request = request(&text.join(","));
        let arguments = request.mount_nfs4_arguments(request.port.unwrap(), "/mnt/efs", []);
        // serde_json sorts the keys, so that the order of what is given is lost here.
        let sorted = |options: &str| {
            let mut options: Vec<_> = options.split(',').map(str::to_owned).collect();
            options.sort();
            options
        };
        let found = arguments.last().unwrap().to_str().unwrap();
        assert_eq!(sorted(found), sorted(vector["nfs_o"].as_str().unwrap()));
        encrypted += 1;
    }
    assert_eq!(encrypted, 3);
}

#[test]
fn the_arguments_of_mount_nfs4_are_source_directory_flags_and_options() {
    let source: MountSource = "fs-0123456789abcdef0:/my data".parse().unwrap();
    let host = MountHost::default();
    let options = "ro,tls,region=us-east-1,nconnect=4".parse().unwrap();
    let request = MountRequest::new(&source, options, &MountHelperConfig::default(), &host).unwrap();
    let expected = [
        "127.0.0.1:/my data",
        "./-o suid",
        "-v",
        "-o",
        "ro,nconnect=4,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport,port=20049",
    ];
    assert_eq!(request.mount_nfs4_arguments(20049, "-o suid", ["-v"]), expected.map(OsString::from));
    assert_eq!(request.mount_nfs4_arguments(20049, "/mnt/efs", [])[1], "/mnt/efs");
}

fn request(options: &str) -> MountRequest {
    let (config, mut host) = (MountHelperConfig::default(), MountHost::default());
    host.environment_region = Some("us-east-1".parse().unwrap());
    MountRequest::new(&"fs-0123456789abcdef0".parse().unwrap(), options.parse().unwrap(), &config, &host).unwrap()
}
