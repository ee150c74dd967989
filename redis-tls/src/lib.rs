//! Redis and Valkey over verified TLS.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth_token;
pub use auth_token::{AuthToken, AuthTokenError, AuthTokenWarning};

mod credentials;
pub use credentials::{
    Candidates, CredentialError, CredentialSource, Credentials, Password, Refresh, RotatingCredentials, RotationStatus,
    SecretStatus, StaticCredentials, Username,
};

#[cfg(feature = "aws-config")]
mod default_credentials;
#[cfg(feature = "aws-config")]
pub use default_credentials::default_credentials;

mod endpoint;
pub use endpoint::{ClusterMode, EndpointError, EndpointRole, InTransitEncryption, RedisEndpoint, Service};

mod iam;
pub use iam::{Cache, CacheName, IamCredentials, IamToken, IamUser};

mod parse;
pub use parse::ParseError;

mod region;
pub use region::Region;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
