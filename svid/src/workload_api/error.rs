//! Why an answer of the agent is not used.

use std::{sync::Arc, time::Duration};

use secure_connector::BoxError;

use crate::{BundleError, GrpcError, JwtSvidError, SpiffeId, SpiffeIdError, X509SvidError};

/// Why a call failed, or why its answer is not used. Nothing secret is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say what the messages show")]
pub enum WorkloadApiError {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] GrpcError),
    /// The agent ended a stream that has no end.
    #[error("the agent ended the stream")]
    Ended,
    /// The agent does not answer.
    #[error("the agent sent nothing for {limit:?}")]
    Silent { limit: Duration },
    /// It is another message.
    #[error("the answer is not the message that belongs to the call")]
    Message { source: BoxError },
    /// There is no SVID in it.
    #[error("the answer has no SVID")]
    NoSvid,
    /// A mandatory field is empty (Workload API section 4.2).
    #[error("the field {field} of SVID {index} (first = 0) is empty")]
    EmptyField { index: usize, field: &'static str },
    /// Something is named by what is no SPIFFE ID.
    #[error("{given:?} is not a SPIFFE ID")]
    SpiffeId { given: String, source: SpiffeIdError },
    /// The SVID is named otherwise than it names itself.
    #[error("the agent names the SVID {named}, and the SVID itself {itself}")]
    OtherId { named: String, itself: SpiffeId },
    /// The hint is longer than 1024 bytes.
    #[error("the hint of SVID {index} (first = 0) has {length} bytes; at most 1024 are allowed")]
    LongHint { index: usize, length: usize },
    /// The X.509-SVID breaks a rule.
    #[error("SVID {index} (first = 0) cannot be used")]
    X509Svid { index: usize, source: X509SvidError },
    /// The bundle breaks a rule.
    #[error("the bundle of {trust_domain} cannot be used")]
    Bundle { trust_domain: String, source: BundleError },
    /// No SVID has the hint that was chosen.
    #[error("no SVID has the hint {wanted:?}; there is {offered:?}")]
    NoSuchHint { wanted: String, offered: Vec<String> },
    /// The JWT-SVID breaks a rule.
    #[error("the JWT-SVID cannot be used")]
    JwtSvid { source: JwtSvidError },
    /// The JWT-SVID is for somebody else.
    #[error("a JWT-SVID for {wanted:?} was asked for, and the agent sent one for {found:?}")]
    Audience { wanted: Vec<String>, found: Vec<String> },
    /// The JWT-SVID is somebody else's.
    #[error("a JWT-SVID of {wanted} was asked for, and the agent sent one of {found}")]
    Subject { wanted: SpiffeId, found: SpiffeId },
}

impl WorkloadApiError {
    /// Whether asking again may help.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Call(error) if !error.is_retryable())
    }

    /// Whether it says that we are not entitled to the identity any more. "If [...] the client receives a PermissionDenied
    /// [...] the client SHOULD cease using" (Workload API section 4.4). What is missing from a whole state is taken back, too.
    pub(super) fn withdraws(&self) -> bool {
        matches!(self, Self::Call(GrpcError::PermissionDenied { .. }) | Self::NoSuchHint { .. })
    }
}

/// Why there was no identity at the start.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no identity from the Workload API{}", match within { Some(limit) => format!(" within {limit:?}"), None => String::new() })]
#[non_exhaustive]
pub struct StartError {
    /// The deadline that passed; `None` if it ended by an error.
    pub within: Option<Duration>,
    /// The last error; `None` if the agent had not answered yet.
    pub source: Option<Arc<WorkloadApiError>>,
}
