//! Redis and Valkey over verified TLS.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth_token;
pub use auth_token::{AuthToken, AuthTokenError, AuthTokenWarning};

#[cfg(all(feature = "bb8", any(feature = "aws-lc-rs", feature = "ring")))]
mod bb8;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod connector;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use connector::{HasCredentials, NeedsCredentials, RedisConfigError, RedisConnector, RedisConnectorBuilder};

mod credentials;
pub use credentials::{
    Candidates, CredentialError, CredentialSource, Credentials, Password, Refresh, RotatingCredentials, RotationStatus,
    SecretStatus, StaticCredentials, Username,
};

#[cfg(all(feature = "deadpool", any(feature = "aws-lc-rs", feature = "ring")))]
mod deadpool;

#[cfg(feature = "aws-config")]
mod default_credentials;
#[cfg(feature = "aws-config")]
pub use default_credentials::default_credentials;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod doctor;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use doctor::{Check, Diagnosis, Finding, Severity};

mod endpoint;
pub use endpoint::{ClusterMode, EndpointError, EndpointRole, InTransitEncryption, RedisEndpoint, Service};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod error;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use error::{HandshakeError, RefusedCredentials, explain};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod handshake;

mod iam;
pub use iam::{Cache, CacheName, IamCredentials, IamToken, IamUser};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod keep_alive;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use keep_alive::KeptAliveConnector;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use keep_alive::{
    AuthFailure, AuthPhase, AuthSchedule, AuthStatus, AuthTotals, Authenticated, KeepAlive, KeptAlive,
};

mod parse;
pub use parse::ParseError;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod plaintext;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use plaintext::PlaintextRedis;

#[cfg(all(feature = "redis", any(feature = "aws-lc-rs", feature = "ring")))]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub mod redis;

mod region;
pub use region::Region;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod resp;

#[cfg(all(feature = "rustis", any(feature = "aws-lc-rs", feature = "ring")))]
#[cfg_attr(docsrs, doc(cfg(feature = "rustis")))]
pub mod rustis;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod server;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use server::{ClientName, Protocol, ProtocolChoice, ServerInfo, ServerMode, ServerRole};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod stream;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use stream::RedisStream;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(feature = "tunnel", any(feature = "aws-lc-rs", feature = "ring")))]
mod tunnel;
#[cfg(all(feature = "tunnel", any(feature = "aws-lc-rs", feature = "ring")))]
pub use tunnel::{RedisTunnel, RedisTunnelBuilder, RedisTunnelStatus};
