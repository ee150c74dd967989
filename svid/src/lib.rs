//! SPIFFE identities inside a Rust process.
//!
//! | for | there is |
//! |---|---|
//! | names | [`SpiffeId`], [`TrustDomain`], [`WorkloadApiAddress`] |
//! | who may be the peer | [`ExpectedPeer`] |
//! | the keys of trust domains | [`Bundle`], [`BundleSet`] |
//! | X.509-SVIDs: ours, a peer's, and why one is refused | [`X509Svid`], [`X509Verifier`], [`Report`] |
//! | who we are and whom we trust, at one moment | [`Snapshot`], from an [`SvidSource`] |
//! | the same from an agent, feature `workload-api` | `WorkloadApi`, `X509Source` |
//! | connections | [`MtlsConnector`], [`MtlsAcceptor`] |
//! | JWT-SVIDs: ours, a peer's | [`JwtSvid`] and [`JwtSvidCache`], [`JwtVerifier`] |
//!
//! Errors name the rule that is broken, with its section: [`Rule`]. What judges reads no clock: the time is a parameter.
//! Nothing but the sources of the Workload API starts a task. Private keys and tokens appear in no log, error or `Debug`.
//!
//! # Example
//! A peer's chain, judged by the bundles that we hold:
//! ```
//! use svid_tls::{Bundle, BundleSet, ExpectedPeer, X509Verifier};
//!
//! # fn example(chain: &[Vec<u8>], document: &[u8], now: std::time::SystemTime) -> Result<(), Box<dyn std::error::Error>> {
//! let bundles: BundleSet = [Bundle::from_jwks("example.org".parse()?, document)?].into_iter().collect();
//! let expected = ExpectedPeer::pattern("spiffe://example.org/ns/*/sa/web")?;
//!
//! let verifier = X509Verifier::new();
//! match verifier.verify(chain, &bundles, now) {
//!     Ok(peer) => expected.admits(peer.id())?,
//!     Err(error) => println!("{error}\n{}", verifier.explain(chain, &bundles, now)),
//! }
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("svid-tls needs one of the features `aws-lc-rs` (default) and `ring`");

mod bundle;
pub use bundle::{Bundle, BundleError, BundleSet, IgnoredBecause, IgnoredKey, Rollback, Update};

mod certificate;

mod expected_peer;
pub use expected_peer::{ExpectedPeer, PatternError, UnexpectedPeer};

#[cfg(feature = "workload-api")]
mod grpc;
#[cfg(feature = "workload-api")]
pub use grpc::GrpcError;

mod id;
pub use id::{SpiffeId, SpiffeIdError, TrustDomain};

mod json;

mod jwt;
pub use jwt::{CachedJwt, JwtRequest, JwtSvid, JwtSvidCache, JwtSvidError, JwtVerifier, PeerJwt, renew_at};

mod mtls;
pub use mtls::{AcceptorCounts, Mode, MtlsAcceptor, MtlsConnector, MtlsConnectorBuilder, MtlsPeer, MtlsStream, Peer};

mod provider;

mod rule;
pub use rule::Rule;

mod snapshot;
pub use snapshot::{CurrentSnapshot, Snapshot, SvidPublisher, SvidSource};

mod text;

#[cfg(feature = "workload-api")]
mod workload_api;
#[cfg(feature = "workload-api")]
pub use workload_api::{
    BundleSource, OnWithdrawal, StartError, ValidatedJwt, WorkloadApi, WorkloadApiBuilder, WorkloadApiError,
    WorkloadApiStatus, X509Context, X509Source, X509SourceBuilder, patience, retry_delay,
};

mod workload_address;
pub use workload_address::{WorkloadApiAddress, WorkloadApiAddressError};

mod x509;
pub use x509::{CrlError, Finding, Outcome, PeerSvid, Report, Signer, X509Svid, X509SvidError, X509Verifier};
