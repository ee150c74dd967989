//! What is wrong with a configuration, found before anything is sent.

use super::{names::NameError, pin::PinError, roots::RootsError};
use crate::{BoxError, ConnectError, TlsVersion};

/// Why a verifier or a connector cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `check_host` without a name would accept nobody, and is easily taken for "anybody" (stunnel without `checkHost`).
    #[error("no name to verify: give at least one, or say `danger_accept_any_name`")]
    NoNames,
    /// No pin would be matched by nobody.
    #[error("no pinned key: give at least one")]
    NoPins,
    /// `also_pinned` and `with_crls` add to a chain check that this verifier does not make.
    #[error("{option} adds to the check of a chain, and this verifier checks none: begin with `PeerVerifier::check_host`{}",
        if *option == "also_pinned" { ", or use `PeerVerifier::pinned` alone" } else { "" })]
    NoChain {
        /// The method that was called.
        option: &'static str,
    },
    /// A certificate revocation list cannot be used.
    #[error("certificate revocation list {index} (first = 0) cannot be used")]
    Crl {
        /// Its place among those given.
        index: usize,
        /// Why.
        source: BoxError,
    },
    /// No certificate revocation list was given.
    #[error(
        "no certificate revocation list: give at least one, PEM blocks `X509 CRL` or DER, or leave `with_crls` out"
    )]
    NoCrls,
    /// A text is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A text is no pin.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// There are no trust anchors.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// There is nothing to dial.
    #[error("nothing to dial: give a host, an address or a socket path")]
    NothingToDial,
    /// The lowest version is above the highest.
    #[error("no TLS version from {minimum} to {maximum}: set the minimum no higher than the maximum")]
    NoVersion {
        /// The lowest version asked for.
        minimum: TlsVersion,
        /// The highest version asked for.
        maximum: TlsVersion,
    },
    /// An application protocol's name has a length that ALPN cannot carry.
    #[error("an ALPN name has {length} octets: write 1 to 255 (RFC 7301 section 3.1)")]
    Alpn {
        /// Its length.
        length: usize,
    },
    /// The cryptography that is compiled in does not support the configuration.
    #[error("the TLS library does not take this configuration")]
    Provider {
        /// Why.
        source: BoxError,
    },
    /// The configuration leaves the validated module.
    #[error("the feature `fips` is on, and this configuration uses algorithms outside the validated module")]
    NotFips,
}

impl From<ConfigError> for ConnectError {
    fn from(error: ConfigError) -> Self {
        let option = match &error {
            ConfigError::NoNames | ConfigError::Name(_) => "names to verify",
            ConfigError::NoPins | ConfigError::Pin(_) => "pinned keys",
            ConfigError::NoChain { option } => option,
            ConfigError::Crl { .. } | ConfigError::NoCrls => "certificate revocation lists",
            ConfigError::Roots(_) => "trust anchors",
            ConfigError::NothingToDial => "what to dial",
            ConfigError::NoVersion { .. } => "TLS versions",
            ConfigError::Alpn { .. } => "ALPN",
            ConfigError::Provider { .. } | ConfigError::NotFips => "cryptography",
        };
        Self::Config { option, source: error.into() }
    }
}
