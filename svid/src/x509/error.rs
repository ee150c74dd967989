//! Which rule an X.509-SVID breaks.

use std::time::SystemTime;

use secure_connector::{BoxError, Rfc3339};

use crate::{
    SpiffeId, SpiffeIdError, TrustDomain,
    rule::{self, Rule},
};

/// Why an X.509-SVID is refused. One variant per rule; where a variant has a `certificate`, it is the place in what was
/// presented, leaf = 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say what the messages show")]
pub enum X509SvidError {
    /// Nothing was presented.
    #[error("no certificate was presented {}", rule::X00)]
    NoCertificate,
    /// TLS cannot use the leaf's key safely.
    #[error("the leaf's key cannot be used: {what} {}", rule::X00)]
    Key { what: String },
    /// There is no URI among the subject alternative names.
    #[error(
        "certificate {certificate} has no URI in its subject alternative name, so it has no SPIFFE ID {}",
        rule::X01
    )]
    NoUri { certificate: usize },
    /// There is more than one URI.
    #[error("certificate {certificate} has {} URIs in its subject alternative name; an SVID has one: {} {}", uris.len(), uris.join(", "), rule::X02)]
    SeveralUris { certificate: usize, uris: Vec<String> },
    /// The leaf has the ID of a trust domain.
    #[error("the leaf's ID {id} has no path: it is that of the trust domain and not of a workload {}", rule::X04)]
    NoPath { id: SpiffeId },
    /// Neither subject nor a critical subject alternative name.
    #[error("the leaf has no subject, and its subject alternative name is not critical {}", rule::X05)]
    NameNotCritical,
    /// The URI is no SPIFFE ID.
    #[error("the URI {uri:?} of certificate {certificate} is not a SPIFFE ID {}", rule::X06)]
    NotSpiffeId { certificate: usize, uri: String, source: SpiffeIdError },
    /// A signing certificate has the ID of a workload.
    #[error("signing certificate {certificate} has the ID {id}, with a path: it is that of a workload {}", rule::X08)]
    SigningIdHasPath { certificate: usize, id: SpiffeId },
    /// The leaf is a CA.
    #[error("the leaf is a certificate authority (cA is true) {}", rule::X10)]
    LeafIsCa,
    /// A signing certificate is no CA.
    #[error("{signer} is no certificate authority (cA is not true) {}", rule::X11)]
    SignerIsNoCa { signer: Signer },
    /// There are more intermediates than one of the path allows below itself.
    #[error("there are more certificates between leaf and root than one of them allows below itself {}", rule::X12)]
    PathLength { source: Option<BoxError> },
    /// There is no key usage.
    #[error("certificate {certificate} has no key usage {}", rule::X13)]
    NoKeyUsage { certificate: usize },
    /// The key usage is not critical.
    #[error("the key usage of certificate {certificate} is not critical {}", rule::X13)]
    KeyUsageNotCritical { certificate: usize },
    /// The leaf's key may not sign.
    #[error("the key usage of the leaf lacks digitalSignature {}", rule::X14)]
    NoDigitalSignature,
    /// The leaf's key may sign certificates.
    #[error("the key usage of the leaf has keyCertSign, which is for authorities {}", rule::X15)]
    LeafSignsCertificates,
    /// The leaf's key may sign revocation lists.
    #[error("the key usage of the leaf has cRLSign, which is for authorities {}", rule::X16)]
    LeafSignsCrls,
    /// A signing certificate's key may not sign certificates.
    #[error("the key usage of {signer} lacks keyCertSign {}", rule::X18)]
    SignerMayNotSign { signer: Signer },
    /// A signing certificate is for other purposes.
    #[error(
        "signing certificate {certificate} is for certain purposes, and serverAuth and clientAuth are not both among them {}",
        rule::X19
    )]
    SignerPurposes { certificate: usize },
    /// The leaf is for other purposes.
    #[error("the leaf is for certain purposes, and serverAuth and clientAuth are not both among them {}", rule::X20)]
    Purposes,
    /// No path of signatures leads to a root.
    #[error("no path of signatures leads from the leaf to one of the {roots} roots of {trust_domain} {}", rule::X21)]
    NoTrustedPath { trust_domain: TrustDomain, roots: usize, source: BoxError },
    /// A certificate of the path is not valid at this time.
    #[error("{signer} is valid from {} to {}, and it is {} {}", Rfc3339(*not_before), Rfc3339(*not_after), Rfc3339(*at), rule::X22)]
    NotCurrent { signer: Signer, not_before: SystemTime, not_after: SystemTime, at: SystemTime },
    /// There is no bundle of the ID's trust domain.
    #[error("there is no bundle of the trust domain {trust_domain}; there is one of {} {}", list(known), rule::X23)]
    NoBundle { trust_domain: TrustDomain, known: Vec<TrustDomain> },
    /// The bundle of the ID's trust domain has no X.509 roots.
    #[error("the bundle of the trust domain {trust_domain} has no X.509 roots {}", rule::X23)]
    NoRoots { trust_domain: TrustDomain },
    /// There is a critical extension that is not understood.
    #[error("certificate {certificate} has the critical extension {oid}, which is unknown {}", rule::X24)]
    UnknownCritical { certificate: usize, oid: String },
    /// An extension is malformed (then there is a source) or there twice.
    #[error("the extension {extension} of certificate {certificate} {} {}", if source.is_some() { "is malformed" } else { "is there twice" }, rule::X25)]
    Extension { certificate: usize, extension: String, source: Option<BoxError> },
    /// The encoding is not that of a certificate.
    #[error("certificate {certificate} is not DER, or has something behind it {}", rule::X26)]
    NotDer { certificate: usize, source: BoxError },
    /// The key is not the leaf's.
    #[error("the private key does not go with the leaf {}", rule::X27)]
    PrivateKey { source: secure_connector::IdentityError },
    /// There are too many certificates.
    #[error("{certificates} certificates were presented; at most {limit} are looked at {}", rule::X28)]
    ChainTooLong { certificates: usize, limit: usize },
    /// A certificate of the path is revoked, or nobody knows.
    #[error("a certificate of the path is revoked, or there is no current revocation list of its issuer {}", rule::X29)]
    Revoked { source: BoxError },
    /// A name constraint does not hold.
    #[error("{what} {}", rule::X30)]
    NameConstraint { what: String, source: Option<BoxError> },
}

/// Which certificate of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signer {
    /// The one that was presented at this place; leaf = 0.
    Presented(usize),
    /// The one at this place in the bundle.
    Root(usize),
}

impl X509SvidError {
    /// The rule that is broken.
    pub fn rule(&self) -> Rule {
        match self {
            Self::NoCertificate | Self::Key { .. } => rule::X00,
            Self::NoUri { .. } => rule::X01,
            Self::SeveralUris { .. } => rule::X02,
            Self::NoPath { .. } => rule::X04,
            Self::NameNotCritical => rule::X05,
            Self::NotSpiffeId { .. } => rule::X06,
            Self::SigningIdHasPath { .. } => rule::X08,
            Self::LeafIsCa => rule::X10,
            Self::SignerIsNoCa { .. } => rule::X11,
            Self::PathLength { .. } => rule::X12,
            Self::NoKeyUsage { .. } | Self::KeyUsageNotCritical { .. } => rule::X13,
            Self::NoDigitalSignature => rule::X14,
            Self::LeafSignsCertificates => rule::X15,
            Self::LeafSignsCrls => rule::X16,
            Self::SignerMayNotSign { .. } => rule::X18,
            Self::SignerPurposes { .. } => rule::X19,
            Self::Purposes => rule::X20,
            Self::NoTrustedPath { .. } => rule::X21,
            Self::NotCurrent { .. } => rule::X22,
            Self::NoBundle { .. } | Self::NoRoots { .. } => rule::X23,
            Self::UnknownCritical { .. } => rule::X24,
            Self::Extension { .. } => rule::X25,
            Self::NotDer { .. } => rule::X26,
            Self::PrivateKey { .. } => rule::X27,
            Self::ChainTooLong { .. } => rule::X28,
            Self::Revoked { .. } => rule::X29,
            Self::NameConstraint { .. } => rule::X30,
        }
    }
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Presented(0) => f.write_str("the leaf"),
            Self::Presented(place) => write!(f, "signing certificate {place}"),
            Self::Root(place) => write!(f, "root {place} of the bundle"),
        }
    }
}

fn list(domains: &[TrustDomain]) -> String {
    let names: Vec<_> = domains.iter().map(TrustDomain::name).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
