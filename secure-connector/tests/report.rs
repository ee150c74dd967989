//! What people and audit logs get to read.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    error::Error,
    io,
    time::{Duration, SystemTime},
};

use secure_connector::{
    Attempt, AuthenticatedAs, ConnectError, IdentityUnavailable, PresentedNames, SecurityReport, Stage, TargetAttempt,
    TlsFailure, Untrusted, Verified, Warning, error_chain,
};

fn report() -> SecurityReport {
    let mut report = SecurityReport::new(Verified::DnsName("fs-1.example".into()));
    report.peer = Some("10.0.0.9:2049".into());
    report.chosen_because = Some("same availability zone use1-az1".into());
    report.authenticated_as = Some(AuthenticatedAs::new("aws-iam", "AKIAEXAMPLE").with("access_point", "fsap-0"));
    report.timings.set(Stage::Dns, Duration::from_micros(1500));
    report.timings.set(Stage::Tls, Duration::from_millis(12));
    report.warnings.push(Warning::NameNotChecked);
    report
}

#[test]
fn a_report_reads_line_by_line() {
    let expected = "\
peer        10.0.0.9:2049, verified as fs-1.example
chosen      same availability zone use1-az1
protection  none by TLS
revocation  not checked
acting as   aws-iam AKIAEXAMPLE, access_point fsap-0
timings     dns 1.5 ms, tls 12.0 ms, total 13.5 ms
WARNING     the peer's name was not checked (danger_accept_any_name): any holder of a certificate of the same CAs passes";
    assert_eq!(report().to_string(), expected);
}

#[cfg(feature = "serde")]
#[test]
fn a_report_is_json_with_rfc_3339_times_and_seconds() {
    let mut report = report();
    let not_before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    report.warnings.push(Warning::PinnedCertificateNotCurrent { not_before, not_after: not_before });
    let json = serde_json::to_value(&report).unwrap();
    let expected = serde_json::json!({
        "peer": "10.0.0.9:2049",
        "chosen_because": "same availability zone use1-az1",
        "verified": { "dns_name": "fs-1.example" },
        "tls": null,
        "revocation": { "status": "not_checked" },
        "identity": null,
        "authenticated_as": {
            "scheme": "aws-iam", "principal": "AKIAEXAMPLE", "details": { "access_point": "fsap-0" }
        },
        "timings": {
            "identity": 0.0, "dns": 0.0015, "tcp": 0.0, "tls": 0.012, "revocation": 0.0, "auth": 0.0
        },
        "warnings": [
            "name_not_checked",
            { "pinned_certificate_not_current": {
                "not_before": "2023-11-14T22:13:20Z", "not_after": "2023-11-14T22:13:20Z"
            } },
        ],
    });
    assert_eq!(json, expected);
}

fn tls(reason: TlsFailure) -> ConnectError {
    ConnectError::Tls { reason, source: "cause".into() }
}

fn untrusted(reason: Untrusted) -> ConnectError {
    ConnectError::Untrusted { reason, source: None }
}

fn presented() -> PresentedNames {
    let mut names = PresentedNames::default();
    names.dns.push("other.example".into());
    names
}

/// Several targets, of which some stay silent and the others do not speak TLS.
fn no_target(silent: &[bool]) -> ConnectError {
    let attempts = silent.iter().zip(1..).map(|(silent, n)| {
        let error = match silent {
            true => ConnectError::Timeout { stage: Stage::Tls, limit: Duration::from_secs(5) },
            false => tls(TlsFailure::NotTls { looks_like: None }),
        };
        TargetAttempt::new(format!("10.0.0.{n}:2049"), "its turn", error)
    });
    ConnectError::NoTarget { attempts: attempts.collect() }
}

#[test]
fn targets_that_failed_are_listed_with_their_reasons_and_causes() {
    assert_eq!(
        no_target(&[true, false]).to_string(),
        "none of the targets could be connected to: 10.0.0.1:2049 (its turn): the TLS handshake took longer than 5s; \
         10.0.0.2:2049 (its turn): TLS handshake failed: the peer does not speak TLS: cause"
    );
}

/// Each error, whether trying again may help, the kind it becomes, and a word that its advice has to have.
fn errors() -> Vec<(ConnectError, bool, io::ErrorKind, &'static str)> {
    use io::ErrorKind as Kind;
    let refused = || io::Error::from(Kind::ConnectionRefused);
    let attempt = Attempt::new("10.0.0.9:2049".parse().unwrap(), refused());
    let alert = |name: &str| tls(TlsFailure::Alert { description: name.into() });
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let auth = |retryable| ConnectError::Auth { message: "refused".into(), retryable, source: None };
    vec![
        (
            ConnectError::Config { option: "names", source: "empty".into() },
            false,
            Kind::InvalidInput,
            "nothing was sent",
        ),
        (
            ConnectError::Dns { host: "fs-1.example".into(), source: io::Error::from(Kind::NotFound) },
            true,
            Kind::NotFound,
            "fs-1.example",
        ),
        (ConnectError::Connect { attempts: vec![attempt] }, true, Kind::ConnectionRefused, "nothing listens"),
        (no_target(&[false, true]), true, Kind::TimedOut, "10.0.0.1:2049: The peer's first bytes"),
        (no_target(&[false, false]), false, Kind::InvalidData, "10.0.0.1:2049, 10.0.0.2:2049: The peer's first bytes"),
        (
            ConnectError::ConnectUnix { path: "/run/x".into(), source: refused() },
            true,
            Kind::ConnectionRefused,
            "/run/x",
        ),
        (
            ConnectError::Timeout { stage: Stage::Tcp, limit: Duration::from_secs(3) },
            true,
            Kind::TimedOut,
            "security group",
        ),
        (tls(TlsFailure::NotTls { looks_like: Some("SSH") }), false, Kind::InvalidData, "SSH"),
        (tls(TlsFailure::Closed), true, Kind::UnexpectedEof, "load balancer"),
        (tls(TlsFailure::Reset), true, Kind::ConnectionReset, "load balancer"),
        (alert("certificate_required"), false, Kind::InvalidData, "wants a client certificate"),
        (alert("internal_error"), true, Kind::InvalidData, "trying again"),
        (
            ConnectError::Identity { expected: vec!["fs-1.example".into()], presented: Box::new(presented()) },
            false,
            Kind::InvalidData,
            "other.example",
        ),
        (untrusted(Untrusted::UnknownCa { issuer: "CN=ca".into(), anchors: 4 }), false, Kind::InvalidData, "CN=ca"),
        (untrusted(Untrusted::PinMismatch { presented: "ab".into() }), false, Kind::InvalidData, "pin the new one"),
        (
            ConnectError::Revoked { serial: "0a".into(), at: Some(now), via: "a CRL".into() },
            false,
            Kind::PermissionDenied,
            "0a",
        ),
        (
            ConnectError::RevocationUnknown { why: "no answer".into(), retryable: true },
            true,
            Kind::PermissionDenied,
            "no answer",
        ),
        (
            ConnectError::RevocationUnknown { why: "old list".into(), retryable: false },
            false,
            Kind::PermissionDenied,
            "current revocation list",
        ),
        (ConnectError::NoIdentity(IdentityUnavailable::pending("soon")), true, Kind::PermissionDenied, "soon"),
        (ConnectError::NoIdentity(IdentityUnavailable::failed("gone")), false, Kind::PermissionDenied, "gone"),
        (auth(true), true, Kind::PermissionDenied, "Trying again may help"),
        (auth(false), false, Kind::PermissionDenied, "will not help"),
    ]
}

#[test]
fn each_error_says_whether_to_try_again_and_what_to_change() {
    for (error, retryable, kind, word) in errors() {
        assert_eq!(error.is_retryable(), retryable, "{error:?}");
        assert!(error.explain().contains(word), "{}", error.explain());
        let text = error.to_string();
        let io = io::Error::from(error);
        assert_eq!(io.kind(), kind, "{text}");
        assert_eq!(io.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap().to_string(), text);
    }
}

#[test]
fn a_cause_is_the_source_and_is_not_repeated_in_the_text() {
    let error = ConnectError::Config { option: "names to verify", source: "none given".into() };
    assert_eq!(error.to_string(), "configuration: names to verify");
    assert_eq!(error.source().unwrap().to_string(), "none given");
    assert_eq!(error_chain(&error), "configuration: names to verify: none given");
}
