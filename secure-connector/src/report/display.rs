//! Reports for people.

use std::fmt;

use super::{
    AuthenticatedAs, CertificateSummary, Revocation, SecurityReport, Timings, TlsSession, TlsVersion, Verified, Warning,
};

impl fmt::Display for SecurityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.peer.as_deref().unwrap_or("a given transport");
        writeln!(f, "peer        {peer}, {}", self.verified)?;
        if let Some(reason) = &self.chosen_because {
            writeln!(f, "chosen      {reason}")?;
        }
        match &self.tls {
            Some(tls) => writeln!(f, "protection  {tls}")?,
            None => writeln!(f, "protection  none by TLS")?,
        }
        if let Some(not_after) = self.peer_not_after() {
            writeln!(f, "valid until {}", crate::Rfc3339(not_after))?;
        }
        writeln!(f, "revocation  {}", self.revocation)?;
        if let Some(identity) = &self.identity {
            writeln!(f, "presented   {identity}")?;
        }
        if let Some(authenticated_as) = &self.authenticated_as {
            writeln!(f, "acting as   {authenticated_as}")?;
        }
        write!(f, "timings     {}", self.timings)?;
        for warning in &self.warnings {
            write!(f, "\nWARNING     {warning}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DnsName(name) => write!(f, "verified as {name}"),
            Self::IpAddress(ip) => write!(f, "verified as {ip}"),
            Self::SpiffeId(id) => write!(f, "verified as {id}"),
            Self::PublicKey(sha256) => write!(f, "verified by its pinned key sha256:{sha256}"),
            Self::ChainOnly => f.write_str("chain verified, name NOT checked"),
            Self::Nothing => f.write_str("NOT verified"),
        }
    }
}

impl fmt::Display for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.cipher_suite)?;
        if let Some(group) = &self.key_exchange {
            write!(f, " {group}")?;
        }
        for (set, word) in [(self.post_quantum, "post-quantum"), (self.fips, "FIPS"), (self.resumed, "resumed")] {
            if set {
                write!(f, ", {word}")?;
            }
        }
        if let Some(alpn) = &self.alpn {
            write!(f, ", ALPN {alpn}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

impl fmt::Display for CertificateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = crate::Rfc3339(self.not_after);
        write!(f, "{} (serial {}, valid until {until})", self.subject, self.serial)
    }
}

impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotChecked => f.write_str("not checked"),
            Self::Good { via, this_update, .. } => {
                write!(f, "good, via {via} as of {}", crate::Rfc3339(*this_update))
            }
            Self::Unknown { allowed_because } => write!(f, "unknown, allowed because {allowed_because}"),
        }
    }
}

impl fmt::Display for AuthenticatedAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scheme, self.principal)?;
        self.details.iter().try_for_each(|(name, value)| write!(f, ", {name} {value}"))
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages = [
            ("identity", self.identity),
            ("dns", self.dns),
            ("tcp", self.tcp),
            ("tls", self.tls),
            ("revocation", self.revocation),
            ("auth", self.auth),
        ];
        for (name, took) in stages.into_iter().filter(|(_, took)| !took.is_zero()) {
            write!(f, "{name} {:.1} ms, ", took.as_secs_f64() * 1e3)?;
        }
        write!(f, "total {:.1} ms", self.total().as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VerificationDisabled => f.write_str(
                "the peer was not verified (danger_accept_any_certificate): anyone on the path can read and change the data",
            ),
            Self::NameNotChecked => f.write_str(
                "the peer's name was not checked (danger_accept_any_name): any holder of a certificate of the same CAs passes",
            ),
            Self::AnchorsDropped(which) => write!(f, "trust anchors left out: {}", which.join("; ")),
            Self::AnchorNotSelfSigned(subject) => {
                write!(f, "the trust anchor {subject} is not self-signed; OpenSSL-based peers would want its root")
            }
            Self::PinnedCertificateNotCurrent { not_before, not_after } => write!(
                f,
                "the pinned peer's certificate is valid only from {} to {}",
                crate::Rfc3339(*not_before),
                crate::Rfc3339(*not_after)
            ),
            Self::IdentitySentInClear => f.write_str(
                "TLS 1.2 sent our certificate unencrypted, and it holds a session token: set the minimum version to TLS 1.3",
            ),
            Self::AuthenticationOptional => f.write_str(
                "the peer serves clients that do not authenticate: whoever reaches its port is let in without credentials",
            ),
            Self::Other(what) => f.write_str(what),
        }
    }
}
