//! What was agreed and proven when a connection was made.

mod display;

use std::{collections::BTreeMap, net::IpAddr, time::Duration, time::SystemTime};

use crate::Stage;
#[cfg(feature = "serde")]
use crate::serialize;

/// The facts of one secured connection: who is at the other end, how that was proven, and what protects the bytes.
///
/// Every [`SecureStream`](crate::SecureStream) carries one. It holds no secret and no type of a TLS library, so it can be
/// kept, compared, logged ([`Display`](std::fmt::Display), several lines for people) or written to an audit log (feature
/// `serde`; times are RFC 3339 strings, durations are seconds as decimal numbers).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SecurityReport {
    /// The address that answered, for example `10.0.0.9:2049` or a Unix socket's path; `None` for a given transport.
    pub peer: Option<String>,
    /// Why this peer, where there was a choice ([`Dial::because`](crate::Dial::because)).
    pub chosen_because: Option<String>,
    /// What was proven about the peer.
    pub verified: Verified,
    /// The TLS session; `None` when the connection is not protected by TLS.
    pub tls: Option<TlsSession>,
    /// What is known about revocation of the peer's certificates.
    pub revocation: Revocation,
    /// The certificate that we presented.
    pub identity: Option<CertificateSummary>,
    /// What we authenticated as.
    pub authenticated_as: Option<AuthenticatedAs>,
    /// How long each stage took.
    pub timings: Timings,
    /// What an operator should know: checks that are off, anchors that were left out, dates that draw near.
    pub warnings: Vec<Warning>,
}

/// What was proven about the peer, strongest statement first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Verified {
    /// A trusted chain to a certificate for this DNS name.
    DnsName(String),
    /// A trusted chain to a certificate for this IP address.
    IpAddress(IpAddr),
    /// A trusted chain to a certificate for this SPIFFE ID, judged by the rules of SPIFFE.
    SpiffeId(String),
    /// The peer holds the private key of a pinned public key (lower-case hexadecimal SHA-256 of its SubjectPublicKeyInfo).
    PublicKey(String),
    /// A trusted chain, whatever name the certificate is for. Always comes with a warning.
    ChainOnly,
    /// Nothing. Always comes with a warning.
    Nothing,
}

/// The agreed parameters of a TLS connection.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TlsSession {
    /// Protocol version.
    pub version: TlsVersion,
    /// IANA name of the cipher suite, for example `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// Name of the key-exchange group, for example `X25519MLKEM768`; `None` for a resumed TLS 1.2 session.
    pub key_exchange: Option<String>,
    /// Whether the key exchange withstands a quantum computer.
    pub post_quantum: bool,
    /// Whether every algorithm in use is inside a FIPS 140-3 validated module.
    pub fips: bool,
    /// Whether an earlier session was resumed. Its chain was checked again by us: TLS does not.
    pub resumed: bool,
    /// The agreed application protocol.
    pub alpn: Option<String>,
    /// The server name that was sent; `None` when none was.
    pub sni: Option<String>,
    /// The peer's chain as presented, leaf first.
    pub peer_chain: Vec<CertificateSummary>,
}

/// A TLS protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[cfg_attr(feature = "serde", serde(rename = "TLSv1.2"))]
    Tls12,
    /// TLS 1.3, RFC 8446.
    #[cfg_attr(feature = "serde", serde(rename = "TLSv1.3"))]
    Tls13,
}

/// What identifies a certificate to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CertificateSummary {
    /// Subject distinguished name, RFC 4514 string form.
    pub subject: String,
    /// Issuer distinguished name, RFC 4514 string form.
    pub issuer: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 of the DER encoding, lower-case hexadecimal.
    pub sha256: String,
    /// First second of validity.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
    pub not_before: SystemTime,
    /// Last second of validity.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
    pub not_after: SystemTime,
}

/// What is known about revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case", tag = "status"))]
#[non_exhaustive]
pub enum Revocation {
    /// Nobody was asked.
    NotChecked,
    /// Not revoked, according to `via`.
    Good {
        /// The source: a responder's URL, `staple`, or a CRL's issuer.
        via: String,
        /// When the statement was made.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        this_update: SystemTime,
        /// Until when it may be relied on.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::optional_time"))]
        next_update: Option<SystemTime>,
    },
    /// No answer could be had, and the policy allows going on.
    Unknown {
        /// The policy and the cause.
        allowed_because: String,
    },
}

/// What we authenticated as, beyond the certificate itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AuthenticatedAs {
    /// The scheme: `aws-iam`, `spiffe`, `redis-acl`, `luks-keyslot`.
    pub scheme: String,
    /// The principal in that scheme's terms: an access key id, a SPIFFE ID, a user name. Never a secret.
    pub principal: String,
    /// Further public facts, such as `access_point`.
    pub details: BTreeMap<String, String>,
}

/// How long each stage took; zero for a stage that did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Timings {
    /// Waiting for an identity to present.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub identity: Duration,
    /// Name resolution.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub dns: Duration,
    /// Opening the transport, all attempts together.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub tcp: Duration,
    /// The TLS handshake with its verification.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub tls: Duration,
    /// Asking about revocation.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub revocation: Duration,
    /// Authentication after the handshake.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::seconds"))]
    pub auth: Duration,
}

/// Something that an operator should know about a connection that works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Warning {
    /// Verification of the peer was switched off by `danger_accept_any_certificate`.
    VerificationDisabled,
    /// The check of the peer's name was switched off by `danger_accept_any_name`.
    NameNotChecked,
    /// Configured trust anchors were left out; each entry says which and why.
    AnchorsDropped(Vec<String>),
    /// The chain ends at an anchor that is not self-signed (an intermediate listed as root): this subject.
    AnchorNotSelfSigned(String),
    /// The pinned key is the right one, but its certificate is outside its validity period.
    PinnedCertificateNotCurrent {
        /// First second of validity.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        not_before: SystemTime,
        /// Last second of validity.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        not_after: SystemTime,
    },
    /// TLS 1.2 sent our certificate unencrypted, and it holds something that others should not see.
    IdentitySentInClear,
    /// The peer serves clients that do not authenticate.
    AuthenticationOptional,
    /// Anything else, in words.
    Other(String),
}

impl SecurityReport {
    /// A report of a connection of which nothing else is known yet; an implementer fills in what it proved.
    pub fn new(verified: Verified) -> Self {
        Self {
            peer: None,
            chosen_because: None,
            verified,
            tls: None,
            revocation: Revocation::NotChecked,
            identity: None,
            authenticated_as: None,
            timings: Timings::default(),
            warnings: Vec::new(),
        }
    }

    /// The earliest end of validity in the peer's presented chain.
    pub fn peer_not_after(&self) -> Option<SystemTime> {
        self.tls.as_ref()?.peer_chain.iter().map(|c| c.not_after).min()
    }
}

impl AuthenticatedAs {
    /// `principal` in the terms of `scheme`.
    pub fn new(scheme: impl Into<String>, principal: impl Into<String>) -> Self {
        Self { scheme: scheme.into(), principal: principal.into(), details: BTreeMap::new() }
    }

    /// Adds a public fact.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}

impl Timings {
    /// Sets the time of `stage`. [`Stage::Total`] is the sum of the others and is not stored.
    pub fn set(&mut self, stage: Stage, took: Duration) {
        match stage {
            Stage::Identity => self.identity = took,
            Stage::Dns => self.dns = took,
            Stage::Tcp => self.tcp = took,
            Stage::Tls => self.tls = took,
            Stage::Revocation => self.revocation = took,
            Stage::Auth => self.auth = took,
            Stage::Total => {}
        }
    }

    /// All stages together.
    pub fn total(&self) -> Duration {
        self.identity + self.dns + self.tcp + self.tls + self.revocation + self.auth
    }
}
