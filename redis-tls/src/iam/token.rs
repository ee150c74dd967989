//! The token: a presigned SigV4 request.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secure_connector::Rfc3339;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Cache;
use crate::CredentialError;

/// A token that ElastiCache or MemoryDB takes as the password of an IAM-enabled user.
///
/// It is the URL of the presigned SigV4 request `GET /?Action=connect&User=…` to the host that is the cache's name,
/// without `http://` ([ElastiCache], [MemoryDB]). Whoever has it can connect while it is valid: it is hidden in `Debug`, and
/// so are the signature and the session token in it.
///
/// [ElastiCache]: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
/// [MemoryDB]: https://docs.aws.amazon.com/memorydb/latest/devguide/auth-iam.html
pub struct IamToken {
    token: Zeroizing<String>,
    canonical_request: Zeroizing<String>,
    shown_request: String,
    string_to_sign: String,
    access_key_id: String,
    label: String,
    signed_at: SystemTime,
    expires: SystemTime,
}

impl IamToken {
    /// How long a token is valid, unless the credentials that signed it end before: 15 minutes.
    pub const LIFE: Duration = Duration::from_secs(900);

    /// How long before the end of the AWS credentials a token is given up. The AWS SDK's own cache replaces credentials
    /// that have as much left.
    pub const MARGIN: Duration = Duration::from_secs(10);

    /// Signs a token at `now`. `user` is signed as it is given: see [`IamUser`](crate::IamUser) for what AWS allows.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use aws_credential_types::Credentials;
    /// use redis_tls::{Cache, IamToken};
    /// let cache = Cache::serverless("cache-01".parse()?, "us-west-2".parse()?);
    /// let aws = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", None, None, "example");
    /// let token = IamToken::sign(&cache, "default.iam-user", &aws, UNIX_EPOCH + Duration::from_secs(1_795_000_000))?;
    /// assert!(token.expose_secret().starts_with("cache-01/?Action=connect&User=default.iam-user&ResourceType=ServerlessCache&"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CredentialError::Malformed`] and [`CredentialError::Expired`] for credentials that AWS would refuse without saying
    /// why, [`CredentialError::Clock`] for a time before 1970 or after 9999.
    pub fn sign(
        cache: &Cache,
        user: &str,
        credentials: &aws_credential_types::Credentials,
        now: SystemTime,
    ) -> Result<Self, CredentialError> {
        // The server counts from the second that stands in the token.
        let (signed_at, date_time) = whole_seconds(now).ok_or(CredentialError::Clock { now })?;
        let session_token = credentials.session_token().filter(|token| !token.is_empty());
        check_text(credentials, session_token)?;
        let expires = end_of_life(signed_at, now, credentials.expiry())?;

        let date = date_time.get(..8).unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", cache.region(), cache.signing_name());
        let access_key_id = credentials.access_key_id();
        let credential = percent_encode(&format!("{access_key_id}/{scope}"));
        let (name, user) = (cache.name(), percent_encode(user));
        let resource_type = cache.resource_type().map(|is| format!("ResourceType={is}&")).unwrap_or_default();
        let signing = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date_time}&X-Amz-Expires=900"
        );
        let encoded_token = session_token.map(|token| Zeroizing::new(percent_encode(token)));
        let token_part = |text: &str| format!("&X-Amz-Security-Token={text}");

        // Parameters are signed in the order of their names.
        let request_with = |session_token: &str| {
            format!(
                "GET\n/\nAction=connect&{resource_type}User={user}&{signing}{session_token}&X-Amz-SignedHeaders=host\n\
                 host:{name}\n\nhost\n{SHA256_OF_NOTHING}"
            )
        };
        let session_part = Zeroizing::new(encoded_token.as_deref().map(|token| token_part(token)).unwrap_or_default());
        let canonical_request = Zeroizing::new(request_with(&session_part));
        let request_hash = hex::encode(Sha256::digest(canonical_request.as_bytes()));
        let string_to_sign = format!("AWS4-HMAC-SHA256\n{date_time}\n{scope}\n{request_hash}");
        let signing_key = generate_signing_key(
            credentials.secret_access_key(),
            signed_at,
            cache.region().as_str(),
            cache.signing_name(),
        );
        let signature = Zeroizing::new(calculate_signature(signing_key, string_to_sign.as_bytes()));
        // They are sent in the order in which the AWS SDKs write them, which the server does not mind.
        let token = Zeroizing::new(format!(
            "{name}/?Action=connect&User={user}{}&{signing}&X-Amz-SignedHeaders=host{}&X-Amz-Signature={}",
            cache.resource_type().map(|is| format!("&ResourceType={is}")).unwrap_or_default(),
            *session_part,
            *signature
        ));
        Ok(Self {
            token,
            shown_request: request_with(&session_token.map(|_| token_part("[hidden]")).unwrap_or_default()),
            canonical_request,
            string_to_sign,
            label: format!("IAM token for {name}, access key {access_key_id}, signed {}", Rfc3339(signed_at)),
            access_key_id: access_key_id.to_owned(),
            signed_at,
            expires,
        })
    }

    /// The token, to be sent as password. Not for logs. A kilobyte and more with the session tokens of AWS STS.
    pub fn expose_secret(&self) -> &str {
        &self.token
    }

    /// The text whose hash is signed. It holds the session token: not for logs, see [`explain`](Self::explain).
    pub fn canonical_request(&self) -> &str {
        &self.canonical_request
    }

    /// Algorithm, time, scope and the hash of the canonical request.
    pub fn string_to_sign(&self) -> &str {
        &self.string_to_sign
    }

    /// The id of the access key that signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The second in which it was signed.
    pub fn signed_at(&self) -> SystemTime {
        self.signed_at
    }

    /// When it is to be given up: after [`LIFE`](Self::LIFE), or [`MARGIN`](Self::MARGIN) before its credentials expire.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// What was signed, as text to compare with another signer's: without session token and signature. The hash in the
    /// string to sign is that of the true request.
    pub fn explain(&self) -> String {
        format!("canonical request:\n{}\n\nstring to sign:\n{}\n", self.shown_request, self.string_to_sign)
    }

    pub(crate) fn into_parts(self) -> (Zeroizing<String>, String, SystemTime) {
        (self.token, self.label, self.expires)
    }
}

impl fmt::Debug for IamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamToken")
            .field("canonical_request", &self.shown_request)
            .field("string_to_sign", &self.string_to_sign)
            .field("expires", &Rfc3339(self.expires).to_string())
            .finish_non_exhaustive()
    }
}

/// `now` cut to the second, and its text as SigV4 has it: `20261122T023045Z`.
fn whole_seconds(now: SystemTime) -> Option<(SystemTime, String)> {
    const AFTER_9999: u64 = 253_402_300_800;
    let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(since);
    (since < AFTER_9999).then(|| (second, Rfc3339(second).to_string().replace(['-', ':'], "")))
}

fn end_of_life(
    signed_at: SystemTime,
    now: SystemTime,
    credentials_end: Option<SystemTime>,
) -> Result<SystemTime, CredentialError> {
    let own = signed_at + IamToken::LIFE;
    let Some(at) = credentials_end else { return Ok(own) };
    match at.checked_sub(IamToken::MARGIN) {
        Some(end) if end > now => Ok(end.min(own)),
        _ => Err(CredentialError::Expired { at }),
    }
}

fn check_text(
    credentials: &aws_credential_types::Credentials,
    session_token: Option<&str>,
) -> Result<(), CredentialError> {
    let is_plain = |text: &str| {
        !text.is_empty() && text.trim() == text && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    for (part, text) in [
        ("access key id", Some(credentials.access_key_id())),
        ("secret access key", Some(credentials.secret_access_key())),
        ("session token", session_token),
    ] {
        if !text.is_none_or(is_plain) {
            return Err(CredentialError::Malformed { part });
        }
    }
    Ok(())
}

/// All but the unreserved characters of RFC 3986 section 2.3, as SigV4 has it.
fn percent_encode(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The payload is empty.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
