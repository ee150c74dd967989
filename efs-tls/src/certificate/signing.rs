//! The IAM signature: SigV4 in all but one line.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use der::DateTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{CertificateError, CertificateRequest};
use crate::PublicKeyHash;

/// A connection to a file system, signed with AWS credentials.
///
/// What is signed is a presigned SigV4 request `GET /?Action=Connect&…` to the host `fs-…`, with two departures from
/// the standard ([canonical request]): there is no blank line between the header and the list of signed headers, so a
/// stock SigV4 signer gives a signature that EFS refuses; and `X-Amz-Expires` is always 86400, though the certificate
/// lives for 3 hours. The access point is not signed.
///
/// [canonical request]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
pub struct SignedConnect {
    pub(super) session_token: Option<Zeroizing<String>>,
    pub(super) signed_at: DateTime,
    access_key_id: String,
    canonical_request: Zeroizing<String>,
    shown_request: String,
    string_to_sign: String,
    signature: String,
}

impl SignedConnect {
    pub(super) fn new(
        request: &CertificateRequest,
        public_key: &PublicKeyHash,
        credentials: &Credentials,
        at: DateTime,
    ) -> Self {
        let CertificateRequest { service, region, file_system, .. } = request;
        let date = format!("{:04}{:02}{:02}", at.year(), at.month(), at.day());
        let date_time = format!("{date}T{:02}{:02}{:02}Z", at.hour(), at.minutes(), at.seconds());
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let access_key_id = credentials.access_key_id().to_owned();
        let credential = percent_encode(&format!("{access_key_id}/{scope}"));

        let request_with = |token: Option<&str>| {
            let token = token.map(|token| format!("X-Amz-Security-Token={token}&")).unwrap_or_default();
            format!(
                "GET\n/\nAction=Connect&PublicKeyHash={public_key}&X-Amz-Algorithm=AWS4-HMAC-SHA256&\
                 X-Amz-Credential={credential}&X-Amz-Date={date_time}&X-Amz-Expires=86400&{token}\
                 X-Amz-SignedHeaders=host\nhost:{file_system}\nhost\n{SHA256_OF_NOTHING}"
            )
        };
        let session_token = session_token(credentials);
        let canonical_request = Zeroizing::new(request_with(session_token.map(percent_encode).as_deref()));
        let request_hash = hex::encode(Sha256::digest(canonical_request.as_bytes()));
        let string_to_sign = format!("AWS4-HMAC-SHA256\n{date_time}\n{scope}\n{request_hash}");
        let signing_key = generate_signing_key(
            credentials.secret_access_key(),
            at.to_system_time(),
            region.as_str(),
            service.signing_name(),
        );
        Self {
            session_token: session_token.map(|token| Zeroizing::new(token.to_owned())),
            signed_at: at,
            access_key_id,
            shown_request: request_with(session_token.map(|_| "[hidden]")),
            canonical_request,
            signature: calculate_signature(signing_key, string_to_sign.as_bytes()),
            string_to_sign,
        }
    }

    /// The six lines that are hashed. They hold the session token: not for logs, see [`explain`](Self::explain).
    pub fn canonical_request(&self) -> &str {
        &self.canonical_request
    }

    /// Algorithm, time, scope and the hash of the canonical request.
    pub fn string_to_sign(&self) -> &str {
        &self.string_to_sign
    }

    /// HMAC-SHA256 of the string to sign: 64 lower-case hexadecimal digits.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// The id of the access key that signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// All of it as text, with the session token hidden. The hash in the string to sign is that of the true request.
    pub fn explain(&self) -> String {
        let Self { shown_request, string_to_sign, signature, .. } = self;
        format!("canonical request:\n{shown_request}\n\nstring to sign:\n{string_to_sign}\n\nsignature:\n{signature}\n")
    }
}

impl fmt::Debug for SignedConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedConnect")
            .field("canonical_request", &self.shown_request)
            .field("string_to_sign", &self.string_to_sign)
            .field("signature", &self.signature)
            .finish()
    }
}

/// Refuses credentials that EFS would refuse too, but without saying why.
pub(super) fn check(credentials: &Credentials, now: SystemTime) -> Result<(), CertificateError> {
    for (part, text) in [
        ("access key id", Some(credentials.access_key_id())),
        ("secret access key", Some(credentials.secret_access_key())),
        ("session token", session_token(credentials)),
    ] {
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !text.is_none_or(is_plain) {
            return Err(CertificateError::MalformedCredentials { part });
        }
    }
    match credentials.expiry() {
        Some(expired_at) if expired_at <= now => Err(CertificateError::CredentialsExpired { expired_at }),
        _ => Ok(()),
    }
}

/// Some providers give an empty token for long-term keys, which have none.
fn session_token(credentials: &Credentials) -> Option<&str> {
    credentials.session_token().filter(|token| !token.is_empty())
}

/// All but the unreserved characters of RFC 3986 section 2.3, as SigV4 has it.
fn percent_encode(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The payload is empty.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
