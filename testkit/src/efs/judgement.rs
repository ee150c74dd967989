//! What is found about a client.

use std::time::SystemTime;

use super::client_certificate::ClientCertificate;
use super::{Permissions, Refusal};

/// What [`AdmissionRules::judge`](super::AdmissionRules::judge) finds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// What the certificate says, once it is one that an EFS client may have made.
    pub claims: Option<Claims>,
    /// Who the client is, once that is beyond doubt, whether it is let in or not.
    pub principal: Option<Principal>,
    /// What it may do; nothing as long as it is in doubt who it is.
    pub permissions: Permissions,
    /// Whether the client is let in.
    pub verdict: Verdict,
}

impl Judgement {
    pub(crate) fn refused(claims: Option<Claims>, refusal: Refusal) -> Self {
        Self { claims, principal: None, permissions: Permissions::default(), verdict: Verdict::Refused(refusal) }
    }
}

/// Whether a client is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Yes, as this principal.
    Admitted(Principal),
    /// No.
    Refused(Refusal),
}

/// As whom a client is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// As nobody in particular: without an IAM identity.
    Anonymous,
    /// As an IAM user or role.
    Iam {
        /// The ARN of the [`KnownKey`](super::KnownKey).
        arn: String,
        /// The key that signed.
        access_key_id: String,
    },
}

/// What a client's certificate says. The session token is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// The subject's common name: the client's host name.
    pub common_name: String,
    /// The file system asked for.
    pub file_system: String,
    /// The access point asked for.
    pub access_point: Option<String>,
    /// The access key that signed; `None` for a client without an IAM identity.
    pub access_key_id: Option<String>,
    /// The time signed.
    pub signed_at: Option<SystemTime>,
    /// The `source` of EfsClientInfo.
    pub source: String,
    /// The `efsUtilsVersion` of EfsClientInfo.
    pub client_version: String,
    /// The certificate's last second.
    pub not_after: SystemTime,
}

impl Claims {
    pub(crate) fn of(certificate: &ClientCertificate) -> Self {
        let auth = certificate.client_auth.as_ref();
        Self {
            common_name: certificate.common_name.clone(),
            file_system: certificate.file_system.clone(),
            access_point: certificate.access_point.clone(),
            access_key_id: auth.map(|auth| auth.access_key_id.clone()),
            signed_at: auth.map(|auth| auth.signed_at),
            source: certificate.source.clone(),
            client_version: certificate.client_version.clone(),
            not_after: certificate.not_after,
        }
    }
}
