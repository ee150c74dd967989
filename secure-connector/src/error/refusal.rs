//! What a peer did or showed in a handshake that failed.

use std::{fmt, time::SystemTime};

use crate::{Rfc3339, TlsVersion};

/// What went wrong in a TLS handshake, apart from the peer's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The peer's first bytes are not TLS.
    NotTls {
        /// The protocol that they look like.
        looks_like: Option<&'static str>,
    },
    /// The peer closed the connection in the middle of the handshake.
    Closed,
    /// The connection was reset in the middle of the handshake.
    Reset,
    /// The peer sent a fatal alert.
    Alert {
        /// Its name in RFC 8446 section 6, for example `handshake_failure`.
        description: String,
    },
    /// There is no protocol version, cipher suite, group or application protocol that both sides support.
    NothingInCommon {
        /// What differs.
        what: String,
        /// The lowest version that we offered.
        minimum: TlsVersion,
    },
    /// The transport failed in another way; the source has the system's error.
    Transport,
    /// The peer broke the protocol.
    Other,
}

/// Why a certificate cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untrusted {
    /// No configured anchor signed the chain.
    UnknownCa {
        /// Issuer of the last presented certificate.
        issuer: String,
        /// How many anchors were tried.
        anchors: usize,
    },
    /// A certificate that the peer presented has expired.
    Expired {
        /// Its subject.
        subject: String,
        /// When it ended.
        not_after: SystemTime,
        /// Our clock.
        now: SystemTime,
    },
    /// The trust anchor that the chain leads to has expired: a matter of our configuration, not of the peer's.
    AnchorExpired {
        /// Its subject.
        subject: String,
        /// When it ended.
        not_after: SystemTime,
        /// Our clock.
        now: SystemTime,
    },
    /// A certificate of the chain, or its trust anchor, is not valid yet.
    NotYetValid {
        /// Its subject.
        subject: String,
        /// When it begins.
        not_before: SystemTime,
        /// Our clock.
        now: SystemTime,
    },
    /// A CA certificate is used as the server's own certificate.
    CaUsedAsServer {
        /// Its subject.
        subject: String,
    },
    /// The certificate is not meant for this side of TLS.
    WrongPurpose {
        /// The extended key usages that it has.
        presented: String,
    },
    /// A public key is too short.
    WeakKey {
        /// What it is, for example `RSA-1024`.
        key: String,
        /// What the certificate is, by its subject.
        subject: String,
    },
    /// The peer's key is none of the pinned ones.
    PinMismatch {
        /// SHA-256 of the presented SubjectPublicKeyInfo, lower-case hexadecimal.
        presented: String,
    },
    /// No certificate was presented.
    NoCertificate,
    /// The certificate or a signature in the chain is malformed, unsupported or wrong.
    Invalid {
        /// What, in the TLS library's words.
        what: String,
    },
}

/// The names of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedNames {
    /// `dNSName` entries of the subjectAltName.
    pub dns: Vec<String>,
    /// `iPAddress` entries of the subjectAltName.
    pub ip: Vec<String>,
    /// `uniformResourceIdentifier` entries of the subjectAltName.
    pub uri: Vec<String>,
    /// Common names of the subject: shown, never matched (RFC 9525 section 2).
    pub common_name: Vec<String>,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls { looks_like: Some(protocol) } => write!(f, "the peer speaks {protocol}, not TLS"),
            Self::NotTls { looks_like: None } => f.write_str("the peer does not speak TLS"),
            Self::Closed => f.write_str("the peer closed the connection in the handshake"),
            Self::Reset => f.write_str("the connection was reset in the handshake"),
            Self::Alert { description } => write!(f, "the peer sent the alert {description}"),
            Self::NothingInCommon { what, .. } => write!(f, "nothing in common with the peer: {what}"),
            Self::Transport => f.write_str("the transport failed"),
            Self::Other => f.write_str("the peer broke the protocol"),
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCa { issuer, .. } => write!(f, "unknown CA {issuer}"),
            Self::Expired { subject, not_after, .. } => {
                write!(f, "{subject} expired at {}", Rfc3339(*not_after))
            }
            Self::AnchorExpired { subject, not_after, .. } => {
                write!(f, "the trust anchor {subject} expired at {}", Rfc3339(*not_after))
            }
            Self::NotYetValid { subject, not_before, .. } => {
                write!(f, "{subject} is not valid before {}", Rfc3339(*not_before))
            }
            Self::CaUsedAsServer { subject } => {
                write!(f, "the CA certificate {subject} is used as a server certificate")
            }
            Self::WrongPurpose { presented } => write!(f, "meant for {presented}, not for a TLS server"),
            Self::WeakKey { key, subject } => write!(f, "{subject} has the weak key {key}"),
            Self::PinMismatch { presented } => write!(f, "its key sha256:{presented} is not pinned"),
            Self::NoCertificate => f.write_str("none was presented"),
            Self::Invalid { what } => f.write_str(what),
        }
    }
}

impl fmt::Display for PresentedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let names: Vec<String> = (self.dns.iter().map(|n| format!("DNS:{}", n.escape_debug())))
            .chain(self.ip.iter().map(|n| format!("IP:{}", n.escape_debug())))
            .chain(self.uri.iter().map(|n| format!("URI:{}", n.escape_debug())))
            .chain(self.common_name.iter().map(|n| format!("CN={} (not a host name)", n.escape_debug())))
            .collect();
        if names.is_empty() {
            return f.write_str("nobody");
        }
        f.write_str(&names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))?;
        match names.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}
