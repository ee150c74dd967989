//! What protects less than it seems to is refused, or permitted and reported.

use efs_tls::{StunnelConfig, StunnelError, StunnelImport, StunnelWarning, StunnelWeakness};

use super::{SERVICE, read, refusal, refusal_by, warnings};

/// Refused without the permission, whatever else is permitted; with it taken over and reported.
#[track_caller]
fn permitted_only(text: &str, permission: fn(StunnelImport) -> StunnelImport, line: usize, weakness: StunnelWeakness) {
    let all: [fn(StunnelImport) -> StunnelImport; 5] = [
        StunnelImport::danger_accept_any_certificate,
        StunnelImport::danger_accept_any_name,
        StunnelImport::danger_skip_revocation,
        StunnelImport::danger_without_fips,
        StunnelImport::danger_accept_remote_clients,
    ];
    let others = all.into_iter().filter(|other| !std::ptr::fn_addr_eq(*other, permission));
    let others = others.fold(StunnelImport::new(), |import, permit| permit(import));
    for import in [StunnelImport::new(), others] {
        match import.parse(text) {
            Err(StunnelError::Refused { line: found, weakness: kind }) => assert_eq!((found, kind), (line, weakness)),
            other => panic!("{other:?}"),
        }
    }
    let config = permission(StunnelImport::new()).parse(text).unwrap();
    assert_eq!(config.warnings(), [StunnelWarning::Permitted { line, weakness }]);
}

#[test]
fn a_peer_that_is_not_verified() {
    let permission = StunnelImport::danger_accept_any_certificate;
    for (verify, line) in [("verify = 0", 6), ("verifyChain = no", 6), ("; none, stunnel's default", 2)] {
        let text = SERVICE.replace("verifyChain = yes", verify);
        permitted_only(&text, permission, line, StunnelWeakness::PeerNotVerified);
        let config = permission(StunnelImport::new()).parse(&text).unwrap();
        assert_eq!((config.services()[0].ca_file(), config.services()[0].verified_names()), (None, &[][..]));
    }
    let error = refusal(&SERVICE.replace("verifyChain = yes", "verify = 0"));
    assert_eq!(
        error,
        "line 6: the peer is not verified: anyone on the path can read and change the data: add `verifyChain = yes`, \
         `CAfile` and `checkHost`, or allow it by `danger_accept_any_certificate`"
    );
}

#[test]
fn a_chain_without_a_name() {
    let permission = StunnelImport::danger_accept_any_name;
    let text = SERVICE.replace("checkHost = fs.example", "");
    permitted_only(&text, permission, 7, StunnelWeakness::NameNotChecked);
    for level in ["verify = 1", "verify = 2"] {
        let text = text.replace("verifyChain = yes", level);
        permitted_only(&text, permission, 7, StunnelWeakness::NameNotChecked);
    }
    // A pinned key is an identity.
    for level in ["verify = 3", "verify = 4", "verifyPeer = yes"] {
        read(&text.replace("verifyChain = yes", level));
    }
    read(&SERVICE.replace("checkHost = fs.example", "checkIP = 10.0.0.9"));
}

#[test]
fn a_revocation_check_that_would_not_happen() {
    let text = format!("{SERVICE}\nOCSPaia = yes");
    permitted_only(&text, StunnelImport::danger_skip_revocation, 9, StunnelWeakness::RevocationNotChecked);
    read(&format!("{SERVICE}\nOCSPaia = no"));
    for option in ["OCSP = http://ocsp.example", "CRLfile = crl.pem"] {
        let error = refusal_by(&StunnelImport::new().danger_skip_revocation(), &format!("{SERVICE}\n{option}"));
        assert!(error.contains("is not supported: revocation is not checked by this import"), "{error}");
    }
}

#[test]
#[cfg(not(feature = "fips"))]
fn fips_without_the_module() {
    let text = format!("fips = yes{SERVICE}");
    permitted_only(&text, StunnelImport::danger_without_fips, 1, StunnelWeakness::NotFips);
    read(&format!("fips = no{SERVICE}"));
}

#[test]
#[cfg(feature = "fips")]
fn fips_with_the_module() {
    assert_eq!(warnings(&read(&format!("fips = yes{SERVICE}"))), [""; 0]);
}

#[test]
fn clients_of_other_hosts() {
    let permission = StunnelImport::danger_accept_remote_clients;
    for accept in ["2049", "0.0.0.0:2049", ":::2049", "10.0.0.9:2049"] {
        let text = SERVICE.replace("127.0.0.1:0", accept);
        permitted_only(&text, permission, 4, StunnelWeakness::RemoteClients);
    }
    for accept in ["127.0.0.2:2049", "::1:2049", "::ffff:127.0.0.1:2049", "/run/efs.sock"] {
        read(&SERVICE.replace("127.0.0.1:0", accept));
    }
}

#[test]
fn a_server_is_refused_whatever_is_permitted() {
    let import = StunnelImport::new()
        .danger_accept_any_certificate()
        .danger_accept_any_name()
        .danger_skip_revocation()
        .danger_without_fips()
        .danger_accept_remote_clients();
    let error = refusal_by(&import, &SERVICE.replace("client = yes", "client = no"));
    assert!(error.starts_with("line 3: [efs] is a TLS server"), "{error}");
}

#[test]
fn what_has_another_effect_than_in_stunnel_is_a_warning() {
    for (line, expected) in [
        (
            "TIMEOUTclose = 0",
            "line 9: `TIMEOUTclose = 0` loses what the peer says after the local side has finished; NFS says nothing then",
        ),
        ("sslVersion = TLSv1.2", "line 9: TLS 1.3 is ruled out; TLS 1.2 sends the client certificate unencrypted"),
        ("sslVersionMax = TLSv1.2", "line 9: TLS 1.3 is ruled out; TLS 1.2 sends the client certificate unencrypted"),
        (
            "libwrap = yes",
            "line 9: `libwrap` has no effect: hosts.allow and hosts.deny are not read; a Unix socket admits one user",
        ),
        (
            "renegotiation = yes",
            "line 9: `renegotiation` has no effect: TLS 1.3 has no renegotiation, and in TLS 1.2 it is refused",
        ),
        ("delay = no", "line 9: `delay` has no effect: names are resolved anew for every connection"),
        ("cloud_watch_logs = True", "line 9: `cloud_watch_logs` has no effect: nothing is sent to CloudWatch"),
        (
            "profile = default",
            "line 9: `profile` has no effect: the certificate in `cert` says who we are; S3 and CloudWatch are not spoken to",
        ),
        (
            "proxy_logging_level = INFO",
            "line 9: `proxy_logging_level` has no effect: `debug` sets the level of the log, and it is not rotated",
        ),
        (
            "readahead_cache_enabled = yes",
            "line 9: `readahead_cache_enabled` has no effect: all data is read through the file system, none from S3",
        ),
    ] {
        assert_eq!(warnings(&read(&format!("{SERVICE}\n{line}"))), [expected]);
    }
    for line in
        ["sslVersion = TLSv1.3", "libwrap = no", "renegotiation = no", "delay = yes", "cloud_watch_logs = False"]
    {
        assert_eq!(warnings(&read(&format!("{SERVICE}\n{line}"))), [""; 0], "{line}");
    }
    let config: StunnelConfig = read(&format!("syslog = yes{SERVICE}"));
    assert_eq!(config.warnings()[0].line(), 1);
}

#[test]
fn a_name_that_is_not_compared_is_a_warning() {
    let config = read(&SERVICE.replace("verifyChain = yes", "verify = 4"));
    let expected =
        "line 8: `checkHost` has no effect: the peer is known by its key, which is that of a certificate in `CAfile`";
    assert_eq!(warnings(&config), [expected]);
    // Level 3 compares both.
    let config = read(&SERVICE.replace("verifyChain = yes", "verify = 3"));
    assert_eq!((warnings(&config).len(), config.services()[0].verified_names().len()), (0, 1));
}
