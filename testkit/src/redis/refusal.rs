//! Why a client is not authenticated.

use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;

use crate::efs::TokenFault;

/// Why `AUTH` or `HELLO … AUTH` was answered with an error. To the client it all reads `WRONGPASS`, as with the real service.
/// Never holds a password or a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthRefusal {
    /// There is no such user.
    #[error("there is no such user")]
    UnknownUser,
    /// The user is switched off.
    #[error("the user is off")]
    UserOff,
    /// The password is none of the user's.
    #[error("it is none of the user's passwords")]
    WrongPassword,
    /// `AUTH` without a user name, where the default user needs no password.
    #[error("the default user has no password, and AUTH names no other user")]
    NoPasswordSet,
    /// The user authenticates with IAM, and the token is not good.
    #[error("the IAM token is not good")]
    Iam(#[source] IamRefusal),
}

/// The one thing that is wrong with an IAM token. Never holds a secret, a signature or a session token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IamRefusal {
    /// It is not of the form `NAME/?QUERY`.
    #[error("expected a presigned request without its https://, such as name/?Action=connect&…")]
    NotAToken,
    /// It is for another cache. Real caches have names in lower case only.
    #[error("this is {expected}, the token is for {found}")]
    WrongCache {
        /// The cache's name.
        expected: String,
        /// The token's host.
        found: String,
    },
    /// It is for another user than the one who presents it.
    #[error("{expected} authenticates, the token is for {found}")]
    WrongUser {
        /// The user name in `AUTH` or `HELLO`.
        expected: String,
        /// The token's.
        found: String,
    },
    /// The cache is serverless, and the token does not say so.
    #[error("the cache is serverless: expected ResourceType=ServerlessCache")]
    ResourceTypeMissing,
    /// The cache is not serverless, and the token has a resource type.
    #[error("the cache is not serverless: expected no ResourceType")]
    ResourceTypeUnexpected,
    /// A parameter is missing, or has another value than it must have.
    #[error("expected {parameter} to be {expected}, found {}", found.as_deref().unwrap_or("none"))]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: Option<String>,
    },
    /// The access key is not one of the cache's [`IamKey`](super::IamKey)s.
    #[error("the access key {access_key_id} is unknown")]
    UnknownAccessKey {
        /// The token's.
        access_key_id: String,
    },
    /// The session token is not the one that belongs to the access key.
    #[error("the session token of {access_key_id} {fault}")]
    SessionToken {
        /// The access key.
        access_key_id: String,
        /// What is wrong with the session token.
        fault: TokenFault,
    },
    /// The session of the temporary access key has ended, and what it signed with it.
    #[error("the session of {access_key_id} ended at {}, it is {}", seconds(ended), seconds(now))]
    SessionEnded {
        /// The access key.
        access_key_id: String,
        /// When it ended.
        ended: SystemTime,
        /// The cache's clock.
        now: SystemTime,
    },
    /// The signature is for another day, region or service.
    #[error("expected the {part} {expected} in the scope of the signature, found {found}")]
    WrongScope {
        /// `date`, `region` or `service`.
        part: &'static str,
        /// The cache's, or for a date that of `X-Amz-Date`.
        expected: String,
        /// The token's.
        found: String,
    },
    /// The token asks for a longer life than 15 minutes.
    #[error("the token asks for {}s, 900 is the most", lifetime.as_secs())]
    LivesTooLong {
        /// `X-Amz-Expires`.
        lifetime: Duration,
    },
    /// The token is of a time too far ahead.
    #[error("signed at {}, but it is {}: more than {}s ahead", seconds(signed_at), seconds(now), allowed.as_secs())]
    Skew {
        /// The time signed (`X-Amz-Date`).
        signed_at: SystemTime,
        /// The cache's clock.
        now: SystemTime,
        /// How far the clocks may differ.
        allowed: Duration,
    },
    /// The token is too old.
    #[error("signed at {}, too long before {}", seconds(signed_at), seconds(now))]
    Expired {
        /// The time signed (`X-Amz-Date`).
        signed_at: SystemTime,
        /// The cache's clock.
        now: SystemTime,
    },
    /// The signature is another than the known secret makes over what the token says.
    #[error("the signature of {access_key_id} does not match: another secret, or the token was changed")]
    SignatureMismatch {
        /// The access key.
        access_key_id: String,
    },
    /// The policies of the key's principal do not allow `Connect`.
    #[error("the policies of {access_key_id} do not allow it to connect")]
    NotAllowed {
        /// The access key.
        access_key_id: String,
    },
}

fn seconds(time: &SystemTime) -> humantime::Rfc3339Timestamp {
    format_rfc3339_seconds(*time)
}
