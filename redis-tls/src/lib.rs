//! Redis and Valkey over verified TLS.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth_token;
pub use auth_token::{AuthToken, AuthTokenError, AuthTokenWarning};

mod credentials;
pub use credentials::{
    Candidates, CredentialError, CredentialSource, Credentials, Password, Refresh, RotatingCredentials, RotationStatus,
    SecretStatus, StaticCredentials, Username,
};

mod parse;
pub use parse::ParseError;
