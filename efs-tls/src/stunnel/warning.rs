//! What is not as it seems in a configuration that was taken over.

use std::fmt;

/// Less protection than a reader of the configuration would expect. Each is refused unless the caller permits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StunnelWeakness {
    /// No verification: `verify = 0`, or none of `verify`, `verifyChain` and `verifyPeer`, which is stunnel's default.
    PeerNotVerified,
    /// A chain without `checkHost` or `checkIP`: any certificate of the same CAs passes.
    NameNotChecked,
    /// `OCSPaia = yes`: the OCSP responders would not be asked.
    RevocationNotChecked,
    /// `fips = yes` in a build without the feature `fips`.
    NotFips,
    /// `accept` on an address that is not loopback: other hosts could use the tunnel, unencrypted.
    RemoteClients,
}

/// What a caller should know about a configuration that was taken over. Each has the line (first = 1) that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StunnelWarning {
    /// A weakness that the caller permitted.
    Permitted {
        /// Where; for an option that is missing, where the section begins.
        line: usize,
        /// Which.
        weakness: StunnelWeakness,
    },
    /// TLS 1.3 is ruled out.
    NoTls13 {
        /// Where.
        line: usize,
    },
    /// `TIMEOUTclose = 0`: what the peer says after the local side has finished is lost, as in stunnel.
    AnswersCutOff {
        /// Where.
        line: usize,
    },
    /// An option has no effect here.
    NotApplied {
        /// Where.
        line: usize,
        /// The option.
        option: &'static str,
        /// What happens instead.
        instead: &'static str,
    },
}

impl StunnelWeakness {
    /// What to write in the configuration.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::PeerNotVerified => "add `verifyChain = yes`, `CAfile` and `checkHost`",
            Self::NameNotChecked => "add `checkHost` with the name in the server's certificate",
            Self::RevocationNotChecked => "remove the line",
            Self::NotFips => "build with the feature `fips`, or write `fips = no`",
            Self::RemoteClients => "write `accept = 127.0.0.1:PORT`",
        }
    }

    /// The method of [`StunnelImport`](super::StunnelImport) that permits it.
    pub fn permission(self) -> &'static str {
        match self {
            Self::PeerNotVerified => "danger_accept_any_certificate",
            Self::NameNotChecked => "danger_accept_any_name",
            Self::RevocationNotChecked => "danger_skip_revocation",
            Self::NotFips => "danger_without_fips",
            Self::RemoteClients => "danger_accept_remote_clients",
        }
    }
}

impl StunnelWarning {
    /// The line that it is about.
    pub fn line(&self) -> usize {
        match self {
            Self::Permitted { line, .. }
            | Self::NoTls13 { line }
            | Self::AnswersCutOff { line }
            | Self::NotApplied { line, .. } => *line,
        }
    }
}

impl fmt::Display for StunnelWeakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerNotVerified => "the peer is not verified: anyone on the path can read and change the data",
            Self::NameNotChecked => {
                "the peer's name is not checked: any holder of a certificate of the same CAs can take its place"
            }
            Self::RevocationNotChecked => "revocation is not checked: no OCSP responder is asked",
            Self::NotFips => "the cryptography of this build is outside the FIPS 140-3 module",
            Self::RemoteClients => "other hosts can use the tunnel, and their data reaches it unencrypted",
        })
    }
}

impl fmt::Display for StunnelWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permitted { line, weakness } => write!(f, "line {line}: {weakness} ({})", weakness.permission()),
            Self::NoTls13 { line } => {
                write!(f, "line {line}: TLS 1.3 is ruled out; TLS 1.2 sends the client certificate unencrypted")
            }
            Self::AnswersCutOff { line } => write!(
                f,
                "line {line}: `TIMEOUTclose = 0` loses what the peer says after the local side has finished; NFS says nothing then"
            ),
            Self::NotApplied { line, option, instead } => write!(f, "line {line}: `{option}` has no effect: {instead}"),
        }
    }
}
