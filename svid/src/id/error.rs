//! Why a text is no SPIFFE ID.

use crate::rule::{self, Rule};

/// Why a text is no SPIFFE ID or trust domain. One variant per rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// It does not begin with `spiffe://`.
    #[error("it does not begin with `spiffe://` {}", rule::I01)]
    Scheme,
    /// It has a `?` or `#`.
    #[error("it has a query or fragment (`{}`), which a SPIFFE ID never has {}", *mark as char, rule::I02)]
    QueryOrFragment {
        /// Which of them.
        mark: u8,
    },
    /// There is nothing between `spiffe://` and the path.
    #[error("its trust domain is empty: expected `spiffe://example.org/…` {}", rule::I03)]
    NoTrustDomain,
    /// It has a user or a port.
    #[error("its trust domain has a user or a port (`{}`): remove it {}", *mark as char, rule::I04)]
    UserOrPort {
        /// `@` or `:`.
        mark: u8,
    },
    /// It has an address in brackets.
    #[error("its trust domain is an address in brackets: use a name {}", rule::I06)]
    Brackets,
    /// The trust domain has another character than those allowed.
    #[error("its trust domain has the byte {byte:#04x}: expected only a-z, 0-9, `.`, `-` and `_` {}", rule::I08)]
    TrustDomainByte {
        /// The first one.
        byte: u8,
    },
    /// Scheme or trust domain has a capital. [`SpiffeId::parse_lenient`](crate::SpiffeId::parse_lenient) folds them.
    #[error("its scheme or trust domain has capitals: write them in lower case {}", rule::I09)]
    Capitals,
    /// The path has a `%`.
    #[error("its path has percent-encoding (`%`), which a SPIFFE ID never has {}", rule::I11)]
    PercentEncoding,
    /// The path has `//`.
    #[error("its path has an empty segment (`//`) {}", rule::I12)]
    EmptySegment,
    /// The path has a segment `.` or `..`.
    #[error("its path has a segment `.` or `..` {}", rule::I13)]
    DotSegment,
    /// There is a `/` at the end.
    #[error("it ends with `/`: remove it {}", rule::I14)]
    TrailingSlash,
    /// The path has another character than those allowed.
    #[error("its path has the byte {byte:#04x}: expected only a-z, A-Z, 0-9, `.`, `-` and `_` {}", rule::I16)]
    PathByte {
        /// The first one.
        byte: u8,
    },
    /// A path was given alone and does not begin with `/`.
    #[error("the path does not begin with `/` {}", rule::I16)]
    RelativePath,
    /// It is too long.
    #[error("it has {length} bytes: expected at most 2048 {}", rule::I18)]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The trust domain is too long.
    #[error("its trust domain has {length} bytes: expected at most 255 {}", rule::I19)]
    TrustDomainTooLong {
        /// Its length.
        length: usize,
    },
}

impl SpiffeIdError {
    /// The rule that is broken.
    pub fn rule(&self) -> Rule {
        match self {
            Self::Scheme => rule::I01,
            Self::QueryOrFragment { .. } => rule::I02,
            Self::NoTrustDomain => rule::I03,
            Self::UserOrPort { .. } => rule::I04,
            Self::Brackets => rule::I06,
            Self::TrustDomainByte { .. } => rule::I08,
            Self::Capitals => rule::I09,
            Self::PercentEncoding => rule::I11,
            Self::EmptySegment => rule::I12,
            Self::DotSegment => rule::I13,
            Self::TrailingSlash => rule::I14,
            Self::PathByte { .. } | Self::RelativePath => rule::I16,
            Self::TooLong { .. } => rule::I18,
            Self::TrustDomainTooLong { .. } => rule::I19,
        }
    }
}
