//! What to look at or change when a connection could not be made.

use std::{io, time::Duration, time::SystemTime};

use super::{Attempt, Attempts, ConnectError, PresentedNames, Stage, TargetAttempt, TlsFailure, Untrusted};

impl ConnectError {
    /// What to look at or change, in plain words.
    pub fn explain(&self) -> String {
        match self {
            Self::Config { source, .. } => format!("{self}: {source}. Correct the configuration; nothing was sent."),
            Self::Dns { host, source } => format!(
                "The resolver has no address for {host} ({source}). Check the spelling, the DNS settings of the network \
                 (for an Amazon VPC: enableDnsSupport and enableDnsHostnames), or give the address itself."
            ),
            Self::Connect { attempts } => explain_attempts(attempts),
            Self::NoTarget { attempts } => explain_targets(attempts),
            Self::ConnectUnix { path, source } => format!(
                "Nothing serves {} ({source}). Check that the server runs and that we may write to the socket.",
                path.display()
            ),
            Self::Timeout { stage, limit } => explain_timeout(*stage, *limit),
            Self::Tls { reason, .. } => reason.explain(),
            Self::Identity { expected, presented } => presented.explain(expected),
            Self::Untrusted { reason, .. } => reason.explain(),
            Self::Revoked { serial, via, .. } => format!(
                "{via} says that certificate {serial} is revoked. Do not go on: the key may be in other hands. The \
                 peer's operator has to install a new certificate."
            ),
            Self::RevocationUnknown { why, retryable: false } => format!(
                "The certificate's status cannot be told ({why}). Give a current revocation list of every CA below the \
                 trust anchor."
            ),
            Self::RevocationUnknown { why, retryable: true } => {
                format!("The certificate's status could not be had ({why}). Trying again may help.")
            }
            Self::NoIdentity(unavailable) => {
                format!("There is nothing to authenticate with: {unavailable}. Look at the source of the identity.")
            }
            Self::Auth { message, retryable, .. } => {
                let advice = if *retryable { "Trying again may help." } else { "Trying again will not help." };
                format!("{message}. {advice}")
            }
        }
    }
}

impl TlsFailure {
    fn explain(&self) -> String {
        match self {
            Self::NotTls { looks_like: Some(protocol) } => format!(
                "The peer answered in {protocol}, not in TLS. Check the port, and whether TLS is switched on at the peer."
            ),
            Self::NotTls { looks_like: None } => {
                "The peer's first bytes are not TLS. Check the port, and whether TLS is switched on at the peer.".into()
            }
            Self::Closed | Self::Reset => "The peer ended the connection during the handshake without a reason. Common \
                 causes: a load balancer without a healthy target, a server that insists on a client certificate or on \
                 another TLS version, a middlebox that drops large hello messages (try without post-quantum key exchange)."
                .into(),
            Self::Alert { description } => explain_alert(description),
            Self::NothingInCommon { what, minimum } => format!(
                "The two sides have nothing in common: {what}. We offered {minimum} and newer; lower the minimum version \
                 only as far as TLSv1.2, or upgrade the peer."
            ),
            Self::Transport => "The connection broke during the handshake; the source has the system's error.".into(),
            Self::Other => "The peer broke the TLS protocol; the source has the details.".into(),
        }
    }
}

impl Untrusted {
    fn explain(&self) -> String {
        match self {
            Self::UnknownCa { issuer, anchors } => format!(
                "The chain ends at {issuer}, which is none of the {anchors} configured trust anchors. Add that CA's \
                 certificate to the roots if you trust it, or have the server send its intermediate certificates."
            ),
            Self::Expired { subject, not_after, now } => format!(
                "The certificate of {subject} ended at {}; our clock says {} ({} later).{} Renew it at the peer.",
                crate::Rfc3339(*not_after),
                crate::Rfc3339(*now),
                roughly(gap(*not_after, *now)),
                clock_hint(gap(*not_after, *now)),
            ),
            Self::AnchorExpired { subject, not_after, now } => format!(
                "The trust anchor {subject} ended at {}; our clock says {} ({} later).{} Update our trust anchors, or have \
                 the peer's certificate issued under a current CA.",
                crate::Rfc3339(*not_after),
                crate::Rfc3339(*now),
                roughly(gap(*not_after, *now)),
                clock_hint(gap(*not_after, *now)),
            ),
            Self::NotYetValid { subject, not_before, now } => format!(
                "The certificate of {subject} begins at {}; our clock says {} ({} earlier).{}",
                crate::Rfc3339(*not_before),
                crate::Rfc3339(*now),
                roughly(gap(*now, *not_before)),
                clock_hint(gap(*now, *not_before)),
            ),
            Self::CaUsedAsServer { subject } => format!(
                "{subject} is a CA certificate (basicConstraints CA:TRUE), as `openssl req -x509` makes by default, and is \
                 used as the server's own. Issue a server certificate under it, or make it with \
                 `-addext basicConstraints=CA:FALSE`, or pin its public key."
            ),
            Self::WrongPurpose { presented } => format!(
                "The certificate is meant for {presented}, not for a TLS server. Issue one with the extended key usage \
                 serverAuth."
            ),
            Self::WeakKey { key, subject } => format!(
                "{subject} has the key {key}, which can be broken. Issue it anew with RSA of 2048 bits or more, or with \
                 ECDSA."
            ),
            Self::PinMismatch { presented } => format!(
                "The peer proved a key with SPKI SHA-256 {presented}, which is none of the pinned ones. If the peer \
                 changed its key on purpose, pin the new one beside the old before the change."
            ),
            Self::NoCertificate => "The peer presented no certificate, so there is nothing to verify.".into(),
            Self::Invalid { what } => format!("The certificate chain breaks a rule: {what}. It has to be issued anew."),
        }
    }
}

impl PresentedNames {
    fn explain(&self, expected: &[String]) -> String {
        let wanted = expected.join(" or ");
        if self.dns.is_empty() && !self.common_name.is_empty() {
            return format!(
                "The certificate names its host only in the common name ({}). Common names have not counted since \
                 RFC 2818 was replaced (RFC 9525 section 2). Issue it with the subjectAltName DNS:{wanted}.",
                self.common_name.join(", ")
            );
        }
        let one_label = expected.iter().any(|name| {
            name.split_once('.').is_some_and(|(_, parent)| {
                self.dns.iter().any(|presented| {
                    presented.strip_prefix("*.").is_some_and(|covered| parent.ends_with(&format!(".{covered}")))
                })
            })
        });
        let hint = if one_label { " A wildcard covers exactly one label (RFC 9525 section 6.3)." } else { "" };
        format!(
            "We asked for {wanted}; the certificate is for {self}.{hint} Either the wrong peer was dialled, or the name to \
             verify has to be set to one that the certificate carries."
        )
    }
}

fn explain_attempts(attempts: &[Attempt]) -> String {
    let hint = match attempts.last().map(|a| a.error.kind()) {
        Some(io::ErrorKind::ConnectionRefused) => "The host answers, but nothing listens on that port.",
        Some(io::ErrorKind::TimedOut) => {
            "Nothing answered: on AWS most often a security group or network ACL, or a subnet without a route."
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => "There is no route to it.",
        _ => "See each attempt.",
    };
    format!("No address accepted a connection ({}). {hint}", Attempts(attempts))
}

/// What holds for all targets is said once: most often one cause stands behind every failure.
fn explain_targets(attempts: &[TargetAttempt]) -> String {
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for TargetAttempt { target, error, .. } in attempts {
        let explained = error.explain();
        match said.iter_mut().find(|(text, _)| *text == explained) {
            Some((_, targets)) => targets.push(target),
            None => said.push((explained, vec![target])),
        }
    }
    let lines: Vec<String> = said.iter().map(|(text, targets)| format!("{}: {text}", targets.join(", "))).collect();
    lines.join(" ")
}

fn explain_timeout(stage: Stage, limit: Duration) -> String {
    let hint = match stage {
        Stage::Identity => "The source of the identity has not delivered one yet.",
        Stage::Dns => "The resolver does not answer.",
        Stage::Tcp => "Packets are dropped on the way: on AWS most often a security group or network ACL.",
        Stage::Tls => {
            "The peer accepted the connection and then fell silent: it may be overloaded, or not speak TLS and wait for us."
        }
        Stage::Revocation => "The responder does not answer; a proxy may be needed.",
        Stage::Auth => "The peer does not answer the authentication.",
        Stage::Total => "The stages together took too long.",
    };
    format!("{stage} took longer than {limit:?}. {hint}")
}

fn explain_alert(description: &str) -> String {
    let cause = match description {
        "handshake_failure" => "it found no acceptable set of parameters, or wants a client certificate",
        "certificate_required" => "it wants a client certificate and got none",
        "bad_certificate" | "unsupported_certificate" | "certificate_unknown" | "decrypt_error" | "access_denied" => {
            "it does not accept our client certificate"
        }
        "unknown_ca" => "it does not know the CA of our client certificate",
        "certificate_expired" => "our client certificate is outside its validity by the peer's clock",
        "certificate_revoked" => "our client certificate has been revoked",
        "protocol_version" => "it supports none of the TLS versions that we offer",
        "insufficient_security" => "it wants stronger parameters than ours",
        "unrecognized_name" => "it does not know the server name that we sent: set the SNI",
        "no_application_protocol" => "it supports none of the application protocols (ALPN) that we offer",
        "internal_error" => "it has trouble of its own; trying again may help",
        _ => "its log may say more",
    };
    format!("The peer refused with the alert {description}: {cause}.")
}

fn gap(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

/// A clock that is wrong and a certificate that is wrong look the same from here; a small gap points to the clock.
fn clock_hint(gap: Duration) -> &'static str {
    const SMALL: Duration = Duration::from_secs(24 * 3600);
    if gap < SMALL {
        " The gap is small: compare our clock with a time server before anything else."
    } else {
        " If our clock is wrong (compare it with a time server), set it first."
    }
}

fn roughly(duration: Duration) -> humantime::FormattedDuration {
    let seconds = duration.as_secs();
    let rounded = match seconds {
        0..=7_199 => seconds,
        7_200..=172_799 => seconds - seconds % 3_600,
        _ => seconds - seconds % 86_400,
    };
    humantime::format_duration(Duration::from_secs(rounded))
}
