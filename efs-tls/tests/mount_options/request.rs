//! From source, options, configuration and host to the tunnel that is needed.

use efs_tls::{MountHelperConfig, MountHost, MountRequest, MountRequestError, MountSource};

const CROSS_ACCOUNT: &str = "use1-az4.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";

fn judged(source: &str, options: &str, config: &str, host: &MountHost) -> Result<MountRequest, MountRequestError> {
    let config: MountHelperConfig = config.parse().unwrap();
    MountRequest::new(&source.parse().unwrap(), options.parse().unwrap(), &config, host)
}

fn host(environment: Option<&str>, instance: Option<&str>) -> MountHost {
    let mut host = MountHost::default();
    host.environment_region = environment.map(|region| region.parse().unwrap());
    host.instance_region = instance.map(|region| region.parse().unwrap());
    host
}

#[test]
fn a_source_is_a_file_system_and_a_path() {
    for (text, path) in [
        ("fs-01234567", "/"),
        ("fs-01234567:", "/"),
        ("fs-01234567:/", "/"),
        ("fs-01234567:/a b:c", "/a b:c"),
        ("fs-01234567.efs.us-east-1.amazonaws.com:/data", "/data"),
        ("us-east-1a.fs-01234567.efs.us-east-1.amazonaws.com:/", "/"),
    ] {
        let source: MountSource = text.parse().unwrap();
        assert_eq!((source.file_system().as_str(), source.path()), ("fs-01234567", path));
    }
    for bad in ["", ":/", "fs-1:/", "files.example:/", "fs-01234567.efs.us-east-1.amazonaws.com.evil.example:/"] {
        let error = bad.parse::<MountSource>().unwrap_err();
        assert_eq!(error.found, bad);
        assert!(error.expected.starts_with("a file system by its id"), "{error}");
    }
    for bad in ["fs-01234567:data", "fs-01234567:/a\n"] {
        let error = bad.parse::<MountSource>().unwrap_err();
        assert_eq!(error.found, bad);
        assert!(error.expected.starts_with("a file system and the absolute path"), "{error}");
    }
}

#[test]
fn the_region_is_the_options_the_environments_the_configurations_or_the_instances() {
    let (configured, instance) = ("[mount]\nregion = eu-west-3", Some("eu-west-4"));
    for (options, config, environment, region) in [
        ("tls,region=eu-west-1", configured, Some("eu-west-2"), "eu-west-1"),
        ("tls", configured, Some("eu-west-2"), "eu-west-2"),
        ("tls", configured, None, "eu-west-3"),
        ("tls", "", None, "eu-west-4"),
    ] {
        let request = judged("fs-0123456789abcdef0:/", options, config, &host(environment, instance)).unwrap();
        assert_eq!(request.tunnel.target.region().as_str(), region);
    }
    let unknown = judged("fs-0123456789abcdef0:/", "tls", "", &MountHost::default());
    assert_eq!(unknown, Err(MountRequestError::RegionUnknown));
}

#[test]
fn a_dns_name_says_its_region_itself() {
    let name = "fs-0123456789abcdef0.efs.cn-north-1.amazonaws.com.cn";
    let request = judged(name, "tls", "", &host(Some("us-east-1"), None)).unwrap();
    assert_eq!(request.tunnel.target.dns_name(), name);
    assert_eq!(
        judged(name, "tls,region=us-east-1", "", &MountHost::default()),
        Err(MountRequestError::OtherRegion {
            region: "us-east-1".parse().unwrap(),
            name: Box::new(name.parse().unwrap())
        })
    );
}

#[test]
fn a_zone_is_dialled_and_has_to_be_of_the_region() {
    let zoned = "us-east-1a.fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
    let regional = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
    for source in ["fs-0123456789abcdef0:/", regional] {
        let request = judged(source, "tls,az=us-east-1a", "", &MountHost::default()).unwrap();
        assert_eq!(request.tunnel.target.dns_name(), zoned);
    }
    let other = MountRequestError::ZoneOfOtherRegion {
        zone: "us-west-2a".parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
    };
    assert_eq!(
        judged("fs-0123456789abcdef0:/", "tls,az=us-west-2a,region=us-east-1", "", &host(None, None)),
        Err(other.clone())
    );
    assert_eq!(judged(regional, "tls,az=us-west-2a", "", &host(None, None)), Err(other));
    assert_eq!(
        judged(zoned, "tls,az=us-east-1b", "", &MountHost::default()),
        Err(MountRequestError::ZoneTwice { name: Box::new(zoned.parse().unwrap()) })
    );
}

#[test]
fn another_accounts_file_system_is_named_with_the_id_of_our_zone() {
    let here = host(Some("us-east-1"), None);
    let unknown = judged("fs-0123456789abcdef0:/", "tls,crossaccount", "", &here);
    assert_eq!(unknown, Err(MountRequestError::ZoneUnknown));
    let mut placed = here.clone();
    placed.zone_id = Some("use1-az4".parse().unwrap());
    let configured = "[mount]\naz_id = use1-az4";
    for (config, host) in [("", &placed), (configured, &here)] {
        let request = judged("fs-0123456789abcdef0:/", "tls,crossaccount", config, host).unwrap();
        assert_eq!(request.tunnel.target.dns_name(), CROSS_ACCOUNT);
    }
}

#[test]
fn a_file_system_of_s3_files_is_refused() {
    let name = "use1-az1.fs-0123456789abcdef0.s3files.us-east-1.on.aws";
    let refused = judged(name, "tls", "", &MountHost::default());
    assert_eq!(refused, Err(MountRequestError::S3Files { name: Box::new(name.parse().unwrap()) }));
}

#[test]
fn equal_tunnels_are_those_that_mounts_can_share() {
    let of = |source: &str, options: &str| judged(source, options, "", &host(Some("us-east-1"), None)).unwrap();
    let one = of("fs-0123456789abcdef0:/", "tls,iam");
    let same = of("fs-0123456789abcdef0:/data", "ro,tls,iam,tlsport=20049,nosharetls");
    assert_eq!(one.tunnel, same.tunnel);
    assert_eq!((one.shared, same.shared), (true, false));
    for other in ["tls", "tls,iam,awsprofile=a", "tls,iam,accesspoint=fsap-0123456789abcdef0", "tls,iam,cafile=/x"] {
        assert_ne!(one.tunnel, of("fs-0123456789abcdef0:/", other).tunnel, "{other}");
    }
}
