//! What a probe can find.

use std::{fmt, io, ops::RangeInclusive, time::Duration};

use secure_connector::{ConnectError, Stage, TlsFailure, Untrusted};

use super::{Admission, Operation, Refusal, Status};
use crate::AccessPointId;

/// What a [`Probe`](super::Probe) found. `Display` says it in a line, [`explain`](Self::explain) says what to change.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProbeOutcome {
    /// We are let in.
    Admitted(Admission),
    /// An NFS reply denies access.
    Denied(Denial),
    /// An NFS reply denies access through the access point, and without it we are let in: the access point is missing, was
    /// deleted, belongs to another file system, has no root directory, or the policy denies this one.
    AccessPoint {
        /// The access point.
        access_point: AccessPointId,
        /// The answer with it.
        refusal: Refusal,
        /// The answer without it.
        without: Admission,
    },
    /// NFS, but not 4.1.
    OtherVersion {
        /// The versions that the server states; `None` for NFSv4 of another minor version.
        offered: Option<RangeInclusive<u32>>,
    },
    /// The peer does not speak NFS.
    NotNfs {
        /// What was found instead.
        found: Found,
    },
    /// The server asks to come back later. NFS4ERR_DELAY was answered by trying again until the time was over.
    Busy(Refusal),
    /// The server answers with an error that is neither a denial nor a request for patience.
    Rejected(Refusal),
    /// The time was over.
    TimedOut {
        /// What was being asked; `None` while connecting.
        during: Option<Operation>,
        /// The limit of the whole probe.
        limit: Duration,
    },
    /// The stream failed or ended before the answer. With TLS 1.3, a refused client certificate is seen here.
    Disconnected {
        /// What was being asked.
        during: Operation,
        /// The stream's error.
        source: io::Error,
    },
    /// No connection came about.
    NotConnected(ConnectError),
}

/// An NFS reply that denies access, and what more is known.
#[derive(Debug)]
#[non_exhaustive]
pub struct Denial {
    /// The answer.
    pub refusal: Refusal,
    /// What a second connection showed, whose certificate leaves the access point out.
    pub without_access_point: WithoutAccessPoint,
}

/// What a connection without the access point shows about a denial with it.
///
/// Being let in without it would have been [`ProbeOutcome::AccessPoint`].
#[derive(Debug)]
#[non_exhaustive]
pub enum WithoutAccessPoint {
    /// There is no access point to leave out, or the peer did not ask for our certificate.
    NotTried,
    /// Denied too, so the access point is not the only reason. It may still be one, where the policy admits clients through
    /// access points only.
    DeniedToo(Refusal),
    /// We are let in, but the provider has given other credentials meanwhile: these, or leaving the access point out, made
    /// the difference.
    OtherCredentials {
        /// The access key of the second connection.
        access_key_id: String,
    },
    /// The second connection did not tell.
    Unknown(Box<ProbeOutcome>),
}

impl fmt::Display for WithoutAccessPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTried => f.write_str("not tried"),
            Self::DeniedToo(refusal) => write!(f, "denied too: {refusal}"),
            Self::OtherCredentials { access_key_id } => write!(f, "admitted with other credentials: {access_key_id}"),
            Self::Unknown(outcome) => write!(f, "unknown: {outcome}"),
        }
    }
}

/// What answered in the place of NFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// A protocol, known by its first bytes.
    Protocol(&'static str),
    /// Bytes that no protocol known here begins with.
    UnknownBytes([u8; 4]),
    /// An RPC server without NFS.
    RpcWithoutNfs,
    /// Almost NFS: what is wrong with it.
    Malformed(&'static str),
}

/// The kinds of outcome, for metrics, exit codes and alerts. Displays in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ProbeKind {
    /// We are let in.
    Admitted,
    /// Denied: by policy, or because of the credentials or the clock, which EFS does not tell apart.
    Denied,
    /// Denied because of the access point.
    AccessPoint,
    /// Our configuration is impossible; nothing was dialled.
    Configuration,
    /// There are no credentials, or none that could be signed with.
    Credentials,
    /// The name of the mount target does not resolve.
    Name,
    /// The mount target cannot be reached, or the connection broke.
    Network,
    /// The TLS handshake failed, apart from certificates.
    Tls,
    /// The peer's certificate is not trusted or not for this name.
    Certificate,
    /// The dates of a certificate do not fit our clock; mount targets renew in time, so suspect the clock.
    Clock,
    /// The peer is no NFS server, or not inside TLS.
    NotNfs,
    /// The server has no NFSv4.1.
    OtherVersion,
    /// The server asks to come back later.
    Busy,
    /// The server answered with another error.
    Rejected,
    /// The time was over.
    TimedOut,
}

impl ProbeOutcome {
    /// Whether we are let in.
    pub fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted(_))
    }

    /// The kind of outcome.
    pub fn kind(&self) -> ProbeKind {
        match self {
            Self::Admitted(_) => ProbeKind::Admitted,
            Self::Denied(_) => ProbeKind::Denied,
            Self::AccessPoint { .. } => ProbeKind::AccessPoint,
            Self::OtherVersion { .. } => ProbeKind::OtherVersion,
            Self::NotNfs { .. } => ProbeKind::NotNfs,
            Self::Busy(_) => ProbeKind::Busy,
            Self::Rejected(_) => ProbeKind::Rejected,
            Self::TimedOut { .. } => ProbeKind::TimedOut,
            Self::Disconnected { source, .. } => connect_error_in(source).map_or(ProbeKind::Network, kind_of),
            Self::NotConnected(error) => kind_of(error),
        }
    }

    /// Whether the same probe may turn out otherwise later with nothing changed on our side.
    ///
    /// A denial does not pass by itself. One that is due to the access point may: a new access point is not known
    /// everywhere at once, for which reason the EFS mount helper tries again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::AccessPoint { .. } | Self::Busy(_) | Self::TimedOut { .. } => true,
            Self::Disconnected { source, .. } => connect_error_in(source).is_none_or(ConnectError::is_retryable),
            Self::NotConnected(error) => error.is_retryable(),
            Self::Admitted(_)
            | Self::Denied(_)
            | Self::OtherVersion { .. }
            | Self::NotNfs { .. }
            | Self::Rejected(_) => false,
        }
    }

    /// What an answer other than success means.
    pub(super) fn of_refusal(refusal: Refusal) -> Self {
        let Status::Nfs(status) = refusal.status else { return Self::Rejected(refusal) };
        match (refusal.operation, status) {
            (_, Status::ACCESS | Status::PERM) => {
                Self::Denied(Denial { refusal, without_access_point: WithoutAccessPoint::NotTried })
            }
            (_, Status::DELAY | Status::GRACE) => Self::Busy(refusal),
            // A server of NFSv4.0 that does not look at the minor version does not know the operation.
            (_, Status::MINOR_VERS_MISMATCH) | (Operation::ExchangeId, Status::OP_ILLEGAL | Status::NOTSUPP) => {
                Self::OtherVersion { offered: None }
            }
            _ => Self::Rejected(refusal),
        }
    }
}

/// What the TLS stream made of a peer's alert.
pub(super) fn connect_error_in(error: &io::Error) -> Option<&ConnectError> {
    error.get_ref()?.downcast_ref()
}

fn kind_of(error: &ConnectError) -> ProbeKind {
    match error {
        ConnectError::Config { .. } => ProbeKind::Configuration,
        ConnectError::Dns { .. } | ConnectError::Timeout { stage: Stage::Dns, .. } => ProbeKind::Name,
        ConnectError::NoIdentity(_)
        | ConnectError::Auth { .. }
        | ConnectError::Timeout { stage: Stage::Identity | Stage::Auth, .. } => ProbeKind::Credentials,
        ConnectError::Tls { reason: TlsFailure::NotTls { .. }, .. } => ProbeKind::NotNfs,
        ConnectError::Tls { reason: TlsFailure::Closed | TlsFailure::Reset | TlsFailure::Transport, .. } => {
            ProbeKind::Network
        }
        ConnectError::Tls { reason: TlsFailure::Alert { description }, .. } if description == "certificate_expired" => {
            ProbeKind::Clock
        }
        ConnectError::Tls { .. } => ProbeKind::Tls,
        ConnectError::Untrusted { reason: Untrusted::Expired { .. } | Untrusted::NotYetValid { .. }, .. } => {
            ProbeKind::Clock
        }
        ConnectError::Identity { .. }
        | ConnectError::Untrusted { .. }
        | ConnectError::Revoked { .. }
        | ConnectError::RevocationUnknown { .. } => ProbeKind::Certificate,
        ConnectError::NoTarget { attempts } => {
            let mut kinds = attempts.iter().map(|attempt| kind_of(&attempt.error));
            let first = kinds.next().unwrap_or(ProbeKind::Network);
            if kinds.all(|kind| kind == first) { first } else { ProbeKind::Network }
        }
        // `Connect`, `ConnectUnix` and the time-outs of the other stages.
        _ => ProbeKind::Network,
    }
}

impl Found {
    pub(super) fn by_first_bytes(bytes: [u8; 4]) -> Self {
        match &bytes {
            b"HTTP" => Self::Protocol("HTTP"),
            b"SSH-" => Self::Protocol("SSH"),
            b"220 " | b"220-" => Self::Protocol("SMTP or FTP"),
            b"* OK" => Self::Protocol("IMAP"),
            b"-ERR" => Self::Protocol("Redis or POP3"),
            b"-NOA" | b"+PON" => Self::Protocol("Redis"),
            // ContentType alert(21) or handshake(22), then a version 3.x (RFC 8446 section 5.1).
            [21 | 22, 3, ..] => Self::Protocol("TLS"),
            _ => Self::UnknownBytes(bytes),
        }
    }
}

impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted(admission) => admission.fmt(f),
            Self::Denied(Denial { refusal, .. }) => write!(f, "denied: {refusal}"),
            Self::AccessPoint { access_point, refusal, .. } => {
                write!(f, "denied through the access point {access_point}: {refusal}; without it we are let in")
            }
            Self::OtherVersion { offered: Some(versions) } => {
                write!(f, "the server has NFS {} to {}, not 4.1", versions.start(), versions.end())
            }
            Self::OtherVersion { offered: None } => f.write_str("the server has NFSv4, but not 4.1"),
            Self::NotNfs { found } => write!(f, "not NFS: {found}"),
            Self::Busy(refusal) => write!(f, "the server is busy: {refusal}"),
            Self::Rejected(refusal) => write!(f, "the server answered {refusal}"),
            Self::TimedOut { during: Some(operation), limit } => write!(f, "no answer to {operation} within {limit:?}"),
            Self::TimedOut { during: None, limit } => write!(f, "not connected within {limit:?}"),
            Self::Disconnected { during, source } => write!(f, "the connection broke during {during}: {source}"),
            Self::NotConnected(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(name) => f.write_str(name),
            Self::UnknownBytes(bytes) => write!(f, "bytes that begin with {:02x?}", bytes),
            Self::RpcWithoutNfs => f.write_str("an RPC server without NFS"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admitted => "admitted",
            Self::Denied => "denied",
            Self::AccessPoint => "access_point",
            Self::Configuration => "configuration",
            Self::Credentials => "credentials",
            Self::Name => "name",
            Self::Network => "network",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::NotNfs => "not_nfs",
            Self::OtherVersion => "other_version",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::TimedOut => "timed_out",
        })
    }
}

#[cfg(test)]
mod tests {
    use secure_connector::{IdentityUnavailable, TargetAttempt};

    use super::*;

    fn alert(description: &str) -> ConnectError {
        ConnectError::Tls { reason: TlsFailure::Alert { description: description.into() }, source: "alert".into() }
    }

    fn timeout(stage: Stage) -> ConnectError {
        ConnectError::Timeout { stage, limit: Duration::from_secs(1) }
    }

    fn no_target(errors: impl IntoIterator<Item = ConnectError>) -> ConnectError {
        let attempts = errors.into_iter().map(|error| TargetAttempt::new("10.0.0.9:2049", "the only one", error));
        ConnectError::NoTarget { attempts: attempts.collect() }
    }

    #[test]
    fn what_did_not_connect_is_sorted_by_whose_matter_it_is() {
        let unavailable = IdentityUnavailable::failed("no AWS credentials");
        for (error, kind) in [
            (ConnectError::Config { option: "dial", source: "empty".into() }, ProbeKind::Configuration),
            (ConnectError::NoIdentity(unavailable), ProbeKind::Credentials),
            (timeout(Stage::Identity), ProbeKind::Credentials),
            (timeout(Stage::Dns), ProbeKind::Name),
            (timeout(Stage::Tcp), ProbeKind::Network),
            (alert("certificate_expired"), ProbeKind::Clock),
            (alert("handshake_failure"), ProbeKind::Tls),
            (no_target([]), ProbeKind::Network),
            (no_target([alert("certificate_expired"), alert("certificate_expired")]), ProbeKind::Clock),
            (no_target([alert("certificate_expired"), timeout(Stage::Tcp)]), ProbeKind::Network),
        ] {
            assert_eq!(kind_of(&error), kind, "{error}");
        }
    }
}
