//! Which cryptography is compiled in. Never a process-wide provider.

use rustls::crypto::WebPkiSupportedAlgorithms;

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as backend;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as backend;

pub(crate) fn algorithms() -> WebPkiSupportedAlgorithms {
    #[cfg(feature = "fips")]
    return rustls::crypto::default_fips_provider().signature_verification_algorithms;
    #[cfg(not(feature = "fips"))]
    backend::default_provider().signature_verification_algorithms
}
