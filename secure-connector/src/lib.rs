//! Connections that prove who is at the other end.
//!
//! This crate holds the traits that a family of connectors share, the report that each of their streams carries, and the
//! TLS connector underneath all of them.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
pub use backoff::Backoff;

mod clock;
pub use clock::{Clock, SystemClock};

mod connector;
pub use connector::{BoxedConnector, SecureAcceptor, SecureConnector, SecureStream, SecureTransport};

#[cfg(feature = "__tls")]
mod dial;
#[cfg(feature = "__tls")]
pub use dial::{Dial, Keepalive, Resolve, Socket, SystemResolver, TcpOptions};

mod error;
pub use error::{
    Attempt, BoxError, ConnectError, IdentityUnavailable, PresentedNames, Stage, TargetAttempt, TlsFailure, Untrusted,
    error_chain,
};

#[cfg(feature = "__tls")]
mod identity;
#[cfg(feature = "__tls")]
pub use identity::{
    CurrentIdentity, Identity, IdentityError, IdentitySource, PemFiles, PemFilesError, PemFilesStatus, StaticIdentity,
};

mod metric;
pub use metric::{Metric, unix_seconds};

mod report;
pub use report::{
    AuthenticatedAs, CertificateSummary, Revocation, SecurityReport, Timings, TlsSession, TlsVersion, Verified, Warning,
};

mod rfc3339;
pub use rfc3339::Rfc3339;

#[cfg(feature = "serde")]
mod serialize;

mod stream;
pub use stream::BoxedStream;

mod timeouts;
pub use timeouts::Timeouts;

#[cfg(feature = "__tls")]
mod tls;
#[cfg(feature = "__tls")]
pub use tls::{
    ConfigError, JudgePeer, NameError, PeerVerifier, PinError, PostQuantum, Roots, RootsError, Sni, SniName, SpkiPin,
    TlsAcceptor, TlsConnector, TlsConnectorBuilder, TlsStream, VerifiedName, VerifiedPeer,
};

#[cfg(feature = "tunnel")]
mod tunnel;
#[cfg(all(feature = "tunnel", target_os = "linux"))]
pub use tunnel::SocketActivationError;
#[cfg(feature = "tunnel")]
pub use tunnel::{
    CloseReason, ConnectionInfo, IdleTimeout, LastError, Listen, LocalAddr, LocalPeer, Tunnel, TunnelBuilder,
    TunnelError, TunnelEvent, TunnelStatus,
};
