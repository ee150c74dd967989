//! Which rule a JWT-SVID breaks.

use std::time::SystemTime;

use secure_connector::Rfc3339;

use crate::{
    SpiffeIdError, TrustDomain,
    rule::{self, Rule},
};

/// Why a JWT-SVID is refused. One variant per rule. Nothing of the token is in it but what is named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say what the messages show")]
pub enum JwtSvidError {
    /// The header has another member than alg, kid and typ.
    #[error("the header has the member {member:?}; a JWT-SVID has alg, kid and typ only {}", rule::J01)]
    HeaderMember { member: String },
    /// The algorithm is none that a JWT-SVID may have.
    #[error("alg is {found}; expected RS, ES or PS with 256, 384 or 512 {}", rule::J02)]
    Algorithm { found: String },
    /// There is no key name.
    #[error("kid is missing, empty or not text {}", rule::J03)]
    NoKeyId,
    /// It is another kind of token.
    #[error("typ is {found}; expected JWT, JOSE or nothing {}", rule::J04)]
    Type { found: String },
    /// The subject is no SPIFFE ID.
    #[error("sub is not a SPIFFE ID {}", rule::J05)]
    Subject { source: Option<SpiffeIdError> },
    /// The subject is a trust domain.
    #[error("sub is the ID of the trust domain {trust_domain} and not of a workload {}", rule::J05)]
    SubjectIsTrustDomain { trust_domain: TrustDomain },
    /// There is no audience.
    #[error("aud is missing, empty or not text {}", rule::J06)]
    NoAudience,
    /// It is for somebody else.
    #[error("the token is for {}; expected {} {}", found.join(", "), list(expected), rule::J06)]
    OtherAudience { found: Vec<String>, expected: Vec<String> },
    /// There is no end.
    #[error("exp is missing or not a number {}", rule::J07)]
    NoExpiry,
    /// It has ended.
    #[error("the token ended at {}, and it is {} {}", Rfc3339(*expired), Rfc3339(*at), rule::J08)]
    Expired { expired: SystemTime, at: SystemTime },
    /// It has not begun.
    #[error("the token begins at {}, and it is {} {}", Rfc3339(*begins), Rfc3339(*at), rule::J09)]
    NotYetValid { begins: SystemTime, at: SystemTime },
    /// nbf is there and no number.
    #[error("nbf is not a number {}", rule::J09)]
    NotBefore,
    /// It is no token.
    #[error("{what} {}", rule::J10)]
    Malformed { what: &'static str },
    /// Header or claims are not JSON, or have a member twice.
    #[error("the {part} are not a JSON object with every member once {}", rule::J13)]
    Json { part: &'static str, source: serde_json::Error },
    /// The key is not one for the algorithm.
    #[error("the key {kid:?} is not one for {algorithm} {}", rule::J11)]
    KeyOfOtherKind { kid: String, algorithm: &'static str },
    /// The signature is not that of the key.
    #[error("the signature is not that of the key {kid:?} {}", rule::J11)]
    Signature { kid: String },
    /// There is no bundle of the ID's trust domain.
    #[error("there is no bundle of the trust domain {trust_domain} {}", rule::J12)]
    NoBundle { trust_domain: TrustDomain },
    /// The bundle of the ID's trust domain has no such key.
    #[error("the bundle of the trust domain {trust_domain} has no key {kid:?} for JWT-SVIDs {}", rule::J12)]
    NoKey { trust_domain: TrustDomain, kid: String },
}

impl JwtSvidError {
    /// The rule that is broken.
    pub fn rule(&self) -> Rule {
        match self {
            Self::HeaderMember { .. } => rule::J01,
            Self::Algorithm { .. } => rule::J02,
            Self::NoKeyId => rule::J03,
            Self::Type { .. } => rule::J04,
            Self::Subject { .. } | Self::SubjectIsTrustDomain { .. } => rule::J05,
            Self::NoAudience | Self::OtherAudience { .. } => rule::J06,
            Self::NoExpiry => rule::J07,
            Self::Expired { .. } => rule::J08,
            Self::NotYetValid { .. } | Self::NotBefore => rule::J09,
            Self::Malformed { .. } => rule::J10,
            Self::KeyOfOtherKind { .. } | Self::Signature { .. } => rule::J11,
            Self::NoBundle { .. } | Self::NoKey { .. } => rule::J12,
            Self::Json { .. } => rule::J13,
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nobody".into() } else { names.join(" or ") }
}
