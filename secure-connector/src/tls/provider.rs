//! Which cryptography is compiled in. Never a process-wide provider.

use std::sync::Arc;

use rustls::{Error, crypto::CryptoProvider, pki_types::PrivateKeyDer, sign::SigningKey};

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as backend;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as backend;

/// Whether to offer key exchanges that withstand a quantum computer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostQuantum {
    /// Offer X25519MLKEM768 first (draft-ietf-tls-ecdhe-mlkem). Costs about 1.1 KiB more in each hello message.
    #[default]
    Offer,
    /// Classical groups only, for middleboxes that drop large hello messages.
    Off,
}

pub(crate) fn provider(post_quantum: PostQuantum) -> Arc<CryptoProvider> {
    #[cfg(feature = "fips")]
    let mut provider = rustls::crypto::default_fips_provider();
    #[cfg(not(feature = "fips"))]
    let mut provider = backend::default_provider();
    if post_quantum == PostQuantum::Off {
        provider.kx_groups.retain(|group| !is_post_quantum(group.name()));
    }
    Arc::new(provider)
}

pub(crate) fn is_post_quantum(group: rustls::NamedGroup) -> bool {
    use rustls::NamedGroup as G;
    matches!(group, G::X25519MLKEM768 | G::secp256r1MLKEM768 | G::MLKEM512 | G::MLKEM768 | G::MLKEM1024)
}

pub(crate) fn signing_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, Error> {
    backend::sign::any_supported_type(key)
}
