//! The mount helper's configuration file.

use std::{path::PathBuf, time::Duration};

use efs_tls::{MountHelperConfig, MountHelperConfigError, MountHost, MountRequest, MountRequestError};

/// The part that matters of the file that amazon-efs-utils 3.2 installs.
const INSTALLED: &str = "
[DEFAULT]
logging_level = INFO
state_file_dir_mode = 750

[mount]
dns_name_format = {az}.{fs_id}.efs.{region}.{dns_name_suffix}
dns_name_suffix = amazonaws.com
#region = us-east-1
stunnel_debug_enabled = false
stunnel_cafile = /etc/amazon/efs/efs-utils.crt
stunnel_check_cert_hostname = true
stunnel_check_cert_validity = false
fips_mode_enabled = false
port_range_lower_bound = 20049
port_range_upper_bound = 21049

[mount.cn-north-1]
dns_name_suffix = amazonaws.com.cn

[mount.us-iso-east-1]
dns_name_suffix = c2s.ic.gov
stunnel_cafile = /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem

[mount-watchdog]
enabled = true
unmount_grace_period_sec = 30
tls_cert_renewal_interval_min = 60

[client-info]
source = k8s.io/aws-efs-csi-driver
";

fn with(options: &str, region: &str, config: &str) -> Result<MountRequest, MountRequestError> {
    let options = format!("{options},region={region}").parse().unwrap();
    let source = "fs-0123456789abcdef0:/".parse().unwrap();
    MountRequest::new(&source, options, &config.parse().unwrap(), &MountHost::default())
}

#[test]
fn the_file_that_is_installed_is_followed_in_every_partition() {
    for (region, ca_file) in [
        ("us-east-1", "/etc/amazon/efs/efs-utils.crt"),
        ("cn-north-1", "/etc/amazon/efs/efs-utils.crt"),
        ("us-iso-east-1", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    ] {
        assert_eq!(with("tls", region, INSTALLED).unwrap().tunnel.ca_file, Some(PathBuf::from(ca_file)));
        let given = with("tls,cafile=/mine.pem", region, INSTALLED).unwrap();
        assert_eq!(given.tunnel.ca_file, Some(PathBuf::from("/mine.pem")));
    }
    assert_eq!(with("tls", "us-east-1", "").unwrap().tunnel.ca_file, None);

    let config: MountHelperConfig = INSTALLED.parse().unwrap();
    assert_eq!(config.ports(), Ok(20049..=21048));
    assert_eq!(config.unmount_grace(), Ok(Duration::from_secs(30)));
    assert_eq!(config.renewal_interval(), Ok(Duration::from_secs(3600)));
    assert_eq!(config.client_source(), Some("k8s.io/aws-efs-csi-driver"));
    assert_eq!(
        config.ignored().collect::<Vec<_>>(),
        [
            "[DEFAULT] logging_level",
            "[DEFAULT] state_file_dir_mode",
            "[mount] stunnel_debug_enabled",
            "[mount-watchdog] enabled"
        ]
    );
    let empty = MountHelperConfig::default();
    assert_eq!((empty.ports(), empty.unmount_grace()), (config.ports(), config.unmount_grace()));
    assert_eq!(empty.renewal_interval(), config.renewal_interval());
}

#[test]
fn a_configuration_that_would_weaken_or_rename_what_is_verified_is_refused() {
    for (line, key, found) in [
        ("stunnel_check_cert_hostname = false", "stunnel_check_cert_hostname", "false"),
        ("stunnel_check_cert_hostname = maybe", "stunnel_check_cert_hostname", "maybe"),
        ("stunnel_check_cert_validity = true", "stunnel_check_cert_validity", "true"),
        ("fips_mode_enabled = on", "fips_mode_enabled", "on"),
        ("dns_name_suffix = evil.example", "dns_name_suffix", "evil.example"),
        ("dns_name_format = {fs_id}.example", "dns_name_format", "{fs_id}.example"),
    ] {
        for section in ["mount", "mount.us-east-1", "DEFAULT"] {
            let refused = with("tls", "us-east-1", &format!("[{section}]\n{line}")).unwrap_err();
            let MountRequestError::Config(MountHelperConfigError::Unsupported { key: of, found: value, .. }) = refused
            else {
                panic!("{line}: {refused:?}")
            };
            assert_eq!((of, value.as_str()), (key, found));
        }
        with("tls", "us-east-1", &format!("[mount.eu-west-1]\n{line}")).unwrap();
    }
    with("tls,noocsp", "us-east-1", "[mount]\nstunnel_check_cert_validity = true").unwrap();
    with("tls", "us-east-1", "[mount]\nfips_mode_enabled = No\nSTUNNEL_CHECK_CERT_HOSTNAME: YES").unwrap();
}

#[test]
fn values_are_of_their_keys_kind() {
    let value = |key, expected, found: &str| MountHelperConfigError::Value { key, expected, found: found.into() };
    let read = |line: &str| format!("[mount]\n{line}\n").parse::<MountHelperConfig>().unwrap();
    let region = "the name of a region, like us-east-1";
    assert_eq!(read("region = us-east-1a").region(), Err(value("region", region, "us-east-1a")));
    let port = "a port from 1 to 65535";
    assert_eq!(read("port_range_lower_bound = 70000").ports(), Err(value("port_range_lower_bound", port, "70000")));
    let above = "a port above port_range_lower_bound, which is above 0";
    assert_eq!(read("port_range_upper_bound = 20049").ports(), Err(value("port_range_upper_bound", above, "20049")));
    let flag = "true or false";
    assert_eq!(read("optimize_readahead = 2").optimize_readahead(), Err(value("optimize_readahead", flag, "2")));
    assert_eq!(read("optimize_readahead = off").optimize_readahead(), Ok(false));
    assert_eq!(read("region = x").optimize_readahead(), Ok(true));
    let watchdog = |lines: &str| format!("[mount-watchdog]\n{lines}").parse::<MountHelperConfig>().unwrap();
    for (lines, expected) in [
        ("", Some(300)),
        ("stunnel_health_check_interval_min = 7", Some(420)),
        ("stunnel_health_check_interval_min = 0", Some(60)),
        ("stunnel_health_check_enabled = no", None),
    ] {
        assert_eq!(watchdog(lines).health_check_interval(), Ok(expected.map(Duration::from_secs)));
    }
    assert_eq!(
        watchdog("stunnel_health_check_enabled = 2").health_check_interval(),
        Err(value("stunnel_health_check_enabled", flag, "2"))
    );
    assert_eq!(read("port_range_upper_bound = 20050").ports(), Ok(20049..=20049));
    let path = "an absolute path";
    assert_eq!(
        read("stunnel_cafile = ca.pem").ca_file(&"us-east-1".parse().unwrap()),
        Err(value("stunnel_cafile", path, "ca.pem"))
    );
    let grace = "[mount-watchdog]\nunmount_grace_period_sec = soon".parse::<MountHelperConfig>().unwrap();
    assert_eq!(grace.unmount_grace(), Err(value("unmount_grace_period_sec", "a number of seconds", "soon")));
}

#[test]
fn a_line_that_is_none_is_refused_with_its_number() {
    for (text, number, found) in [
        ("region = us-east-1", 1, "region = us-east-1"),
        ("[mount]\n\nregion", 3, "region"),
        ("[mount]\nregion = us-east-1\n  continued = yes", 3, "  continued = yes"),
        ("[mount\nregion = us-east-1", 1, "[mount"),
    ] {
        let refused = text.parse::<MountHelperConfig>().unwrap_err();
        assert_eq!(refused, MountHelperConfigError::Line { number, found: found.into() });
    }
    let refused = "[mount]\nregion = a\n; c\nRegion = b".parse::<MountHelperConfig>().unwrap_err();
    assert_eq!(refused, MountHelperConfigError::Twice { number: 4, key: "region".into() });
}
