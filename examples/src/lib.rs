//! What the examples share; and the examples of the README and the book, compiled as tests.

pub mod efs_options;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/efs-tls.md")]
mod efs_tls {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/redis-tls.md")]
mod redis_tls {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/svid-tls.md")]
mod svid_tls {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/luks-keys.md")]
mod luks_keys {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/secure-connector.md")]
mod secure_connector {}

#[cfg(doctest)]
#[doc = include_str!("../../secure-connector/README.md")]
mod secure_connector_readme {}

#[cfg(doctest)]
#[doc = include_str!("../../efs-tls/README.md")]
mod efs_tls_readme {}
