//! Why a client is not let in.

use std::fmt;
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;

use crate::nfs::Rights;

/// The one thing that is wrong with a client's certificate, or with what it proves. Never holds a secret or a session token.
///
/// The checks are made in the order of the variants; the first that fails is reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An EFS client sends its self-signed certificate alone.
    #[error("expected one certificate, found a chain of {found}")]
    Chain {
        /// The number of certificates sent.
        found: usize,
    },
    /// A part of the certificate is not the DER that its definition asks for.
    #[error("the {part} is malformed: {why}")]
    Malformed {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The certificate is signed otherwise than sha256WithRSAEncryption with NULL parameters.
    #[error("expected the signature algorithm sha256WithRSAEncryption (1.2.840.113549.1.1.11), found {found}")]
    SignatureAlgorithm {
        /// The object identifier found.
        found: String,
    },
    /// The issuer is another than the subject: the certificate is not self-signed.
    #[error("the issuer is another name than the subject: the certificate must be self-signed")]
    IssuerIsNotSubject,
    /// The certificate's own signature is wrong.
    #[error("the certificate is not signed with its own key")]
    SelfSignature,
    /// The extensions are not the ones of EFS, in their order.
    #[error("expected the extensions {expected:?} in this order, found {found:?}")]
    Extensions {
        /// The object identifiers expected, given the optional ones found.
        expected: Vec<String>,
        /// The object identifiers found.
        found: Vec<String>,
    },
    /// An extension is marked critical; none of EFS's is.
    #[error("the extension {oid} is critical")]
    CriticalExtension {
        /// Its object identifier.
        oid: String,
    },
    /// The subject key identifier is not the SHA-1 of the public key.
    #[error("expected the subject key identifier {expected}, the SHA-1 of the public key, found {found}")]
    SubjectKeyIdentifier {
        /// Lower-case hexadecimal.
        expected: String,
        /// Lower-case hexadecimal.
        found: String,
    },
    /// The certificate is not valid yet.
    #[error("the certificate is valid from {}, it is {}", seconds(not_before), seconds(now))]
    NotYetValid {
        /// The certificate's first second.
        not_before: SystemTime,
        /// The mount target's clock.
        now: SystemTime,
    },
    /// The certificate is no longer valid.
    #[error("the certificate was valid until {}, it is {}", seconds(not_after), seconds(now))]
    Expired {
        /// The certificate's last second.
        not_after: SystemTime,
        /// The mount target's clock.
        now: SystemTime,
    },
    /// The certificate is for another file system.
    #[error("this is a mount target of {expected}, the certificate is for {found}")]
    WrongFileSystem {
        /// The mount target's.
        expected: String,
        /// The certificate's.
        found: String,
    },
    /// The file system has no such access point.
    #[error("{found} is no access point of this file system")]
    UnknownAccessPoint {
        /// The certificate's.
        found: String,
    },
    /// The access key is not one of the mount target's [`KnownKey`](super::KnownKey)s.
    #[error("the access key {access_key_id} is unknown")]
    UnknownAccessKey {
        /// The certificate's.
        access_key_id: String,
    },
    /// The session token is not the one that belongs to the access key.
    #[error("the session token of {access_key_id} {fault}")]
    SessionToken {
        /// The access key.
        access_key_id: String,
        /// What is wrong with the token.
        fault: TokenFault,
    },
    /// The signature is of a time too far ahead.
    #[error("signed at {}, but it is {}: more than {}s ahead", seconds(signed_at), seconds(now), allowed.as_secs())]
    Skew {
        /// The time signed (sigv4DateTime).
        signed_at: SystemTime,
        /// The mount target's clock.
        now: SystemTime,
        /// How far the clocks may differ.
        allowed: Duration,
    },
    /// The signature is older than the 24 hours that `X-Amz-Expires=86400` gives it.
    #[error("signed at {}, a day or more before {}", seconds(signed_at), seconds(now))]
    SignatureExpired {
        /// The time signed (sigv4DateTime).
        signed_at: SystemTime,
        /// The mount target's clock.
        now: SystemTime,
    },
    /// The signature's time lies outside the certificate's dates.
    #[error(
        "signed at {}, outside the certificate's dates {} to {}",
        seconds(signed_at),
        seconds(not_before),
        seconds(not_after)
    )]
    SignedOutsideValidity {
        /// The time signed (sigv4DateTime).
        signed_at: SystemTime,
        /// The certificate's first second.
        not_before: SystemTime,
        /// The certificate's last second.
        not_after: SystemTime,
    },
    /// The signature is what a stock SigV4 library makes. It ends the canonical headers with an empty line, EFS does not.
    #[error("signed as standard SigV4: EFS has no empty line between the headers and the signed-header list")]
    StandardSigV4 {
        /// The access key.
        access_key_id: String,
    },
    /// The signature is another than the known secret makes over what the certificate and the mount target say: the file
    /// system, the public key, the time, the region and the service.
    #[error("the signature of {access_key_id} does not match: wrong secret, region, service, file system or key")]
    SignatureMismatch {
        /// The access key.
        access_key_id: String,
    },
    /// A statement of the file-system policy denies the client `elasticfilesystem:ClientMount`.
    #[error("the statement {statement} of the file-system policy denies elasticfilesystem:ClientMount")]
    PolicyDenies {
        /// Its `Sid`, or its place in the document, such as `Statement[0]`.
        statement: String,
    },
    /// The client shows no IAM identity, and the file-system policy does not let it mount without.
    #[error("the client is anonymous: mount with IAM authorization")]
    AnonymousNotAllowed,
    /// No policy allows `elasticfilesystem:ClientMount` to the principal.
    #[error("neither the file-system policy nor its own allows elasticfilesystem:ClientMount to {arn}")]
    NotAllowed {
        /// The principal's ARN.
        arn: String,
    },
    /// The client would be let in, but to an NFS server that the mount target does not have. A fault of the test's set-up,
    /// which EFS has not.
    #[error("no backend is given for clients with {rights:?}: add one with MountTargetBuilder::backend_for")]
    NoBackend {
        /// What the client may do.
        rights: Rights,
    },
}

/// A part of a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The certificate around its extensions.
    Certificate,
    /// The subject, which must be one common name, a UTF8String.
    Subject,
    /// 2.5.29.14.
    SubjectKeyIdentifier,
    /// 1.3.6.1.4.1.4843.7.1.
    AccessPointId,
    /// 1.3.6.1.4.1.4843.7.2.
    EfsClientAuth,
    /// 1.3.6.1.4.1.4843.7.3.
    FileSystemId,
    /// 1.3.6.1.4.1.4843.7.4.
    EfsClientInfo,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Subject => "subject",
            Self::SubjectKeyIdentifier => "SubjectKeyIdentifier extension",
            Self::AccessPointId => "AccessPointId extension",
            Self::EfsClientAuth => "EfsClientAuth extension",
            Self::FileSystemId => "FileSystemId extension",
            Self::EfsClientInfo => "EfsClientInfo extension",
        })
    }
}

/// What is wrong with a session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFault {
    /// The access key is a temporary one, and the certificate has no token.
    Missing,
    /// The access key is a permanent one, and the certificate has a token.
    Unexpected,
    /// It is another token.
    Different,
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Unexpected => "is unexpected: the key is not a temporary one",
            Self::Different => "is another",
        })
    }
}

fn seconds(time: &SystemTime) -> humantime::Rfc3339Timestamp {
    format_rfc3339_seconds(*time)
}
