//! Why a bundle is refused, or a part of it ignored.

use secure_connector::BoxError;

use crate::{
    SpiffeIdError,
    rule::{self, Rule},
};

/// Why a bundle is refused as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It is not JSON, no object, or has a member twice.
    #[error("the bundle document is not a JSON object with every member once {}", rule::B01)]
    Json {
        /// What is wrong with it, and where.
        source: serde_json::Error,
    },
    /// `keys` is missing or no array.
    #[error("the bundle document has no array `keys` {}", rule::B01)]
    Keys,
    /// `spiffe_sequence` is no number from 0 to 2^64 - 1.
    #[error("`spiffe_sequence` is {found}: expected a whole number from 0 to 18446744073709551615 {}", rule::B12)]
    Sequence {
        /// What it is.
        found: String,
    },
    /// `spiffe_refresh_hint` is no whole number of seconds.
    #[error("`spiffe_refresh_hint` is {found}: expected a whole number of seconds {}", rule::B13)]
    RefreshHint {
        /// What it is.
        found: String,
    },
    /// A root cannot be read.
    #[error("root {place} (first = 0) cannot be read: expected an X.509 certificate")]
    Root {
        /// Its place.
        place: usize,
        /// What is wrong with it.
        source: BoxError,
    },
    /// `trust_domains` is missing or no object.
    #[error("the bundle map has no object `trust_domains` {}", rule::B14)]
    Map,
    /// A member of the map is not named by a trust domain.
    #[error("the bundle map has a member {name:?}, which is not the name of a trust domain {}", rule::B14)]
    TrustDomain {
        /// Its name.
        name: String,
        /// The rule that it breaks.
        source: SpiffeIdError,
    },
    /// A bundle of the map is refused, and with it the map.
    #[error("the bundle of {trust_domain} in the bundle map is refused {}", rule::B14)]
    InMap {
        /// Whose bundle.
        trust_domain: String,
        /// Why.
        source: Box<Self>,
    },
}

impl BundleError {
    /// The rule that is broken.
    pub fn rule(&self) -> Rule {
        match self {
            Self::Json { .. } | Self::Keys => rule::B01,
            Self::Sequence { .. } => rule::B12,
            Self::RefreshHint { .. } => rule::B13,
            Self::Root { .. } => rule::X26,
            Self::Map | Self::TrustDomain { .. } | Self::InMap { .. } => rule::B14,
        }
    }
}

/// An entry of a bundle document that is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {place} (first = 0) is ignored: {because}")]
#[non_exhaustive]
pub struct IgnoredKey {
    /// Its place in `keys`.
    pub place: usize,
    /// Why.
    pub because: IgnoredBecause,
}

/// Why an entry of a bundle document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoredBecause {
    /// It is no object.
    #[error("it is not an object {}", rule::B01)]
    NoObject,
    /// `use` is missing or unknown.
    #[error("its use is {found} {}", rule::B08)]
    Use {
        /// What it is.
        found: String,
    },
    /// `kty` is missing or unknown.
    #[error("its kty is {found} {}", rule::B07)]
    KeyType {
        /// What it is.
        found: String,
    },
    /// The key cannot be used.
    #[error("its key cannot be used: {what} {}", rule::B10)]
    Key {
        /// Why.
        what: &'static str,
    },
    /// A jwt-svid entry has no `kid`.
    #[error("it is for JWT-SVIDs and has no kid {}", rule::B02)]
    NoKeyId,
    /// Another jwt-svid entry has this `kid`.
    #[error("another key for JWT-SVIDs has the kid {kid:?} {}", rule::B02)]
    KeyIdTaken {
        /// The name.
        kid: String,
    },
    /// An x509-svid entry has no certificate.
    #[error("it is for X.509-SVIDs and has no certificate in x5c {}", rule::B04)]
    NoCertificate,
    /// The certificate cannot be used.
    #[error("its certificate cannot be used: {what} {}", rule::B09)]
    Certificate {
        /// Why.
        what: String,
    },
}

impl IgnoredBecause {
    /// The rule by which it is ignored.
    pub fn rule(&self) -> Rule {
        match self {
            Self::NoObject => rule::B01,
            Self::Use { .. } => rule::B08,
            Self::KeyType { .. } => rule::B07,
            Self::Key { .. } => rule::B10,
            Self::NoKeyId | Self::KeyIdTaken { .. } => rule::B02,
            Self::NoCertificate => rule::B04,
            Self::Certificate { .. } => rule::B09,
        }
    }
}

/// A bundle that must not take the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rollback {
    /// Its number is lower.
    #[error(
        "the bundle has spiffe_sequence {offered}, and {known} is known: an old document was published again {}",
        rule::B12
    )]
    Older {
        /// The number of the known one.
        known: u64,
        /// The number of the offered one.
        offered: u64,
    },
    /// It has no number, and the known one has.
    #[error("the bundle has no spiffe_sequence, and {known} is known {}", rule::B12)]
    Unnumbered {
        /// The number of the known one.
        known: u64,
    },
}
