//! The signature of an EFS client, over a request that is never sent.

use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use humantime::format_rfc3339_seconds;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What is signed.
#[derive(Clone, Copy)]
pub(crate) struct ConnectRequest<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) file_system: &'a str,
    pub(crate) public_key_hash: &'a str,
    pub(crate) access_key_id: &'a str,
    pub(crate) session_token: Option<&'a str>,
    pub(crate) signed_at: SystemTime,
}

/// What stands between the canonical headers and the list of signed headers.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    /// Nothing: the EFS way.
    Efs,
    /// An empty line: standard SigV4, which EFS does not accept.
    StandardSigV4,
}

impl ConnectRequest<'_> {
    /// The signature in lower-case hexadecimal.
    pub(crate) fn signature(self, secret: &str, layout: Layout) -> String {
        let string_to_sign = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.date_time(),
            self.scope(),
            hex::encode(Sha256::digest(self.canonical_request(layout)))
        );
        let key = generate_signing_key(secret, self.signed_at, self.region, self.service);
        calculate_signature(key, string_to_sign.as_bytes())
    }

    fn canonical_request(self, layout: Layout) -> String {
        let Self { file_system, public_key_hash, access_key_id, .. } = self;
        let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let credential = encoded(&format!("{access_key_id}/{}", self.scope()));
        let token = self.session_token.map(|token| format!("&X-Amz-Security-Token={}", encoded(token)));
        let query = format!(
            "Action=Connect&PublicKeyHash={public_key_hash}&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential={credential}&X-Amz-Date={}&X-Amz-Expires=86400{}&X-Amz-SignedHeaders=host",
            self.date_time(),
            token.unwrap_or_default(),
        );
        let between = match layout {
            Layout::Efs => "",
            Layout::StandardSigV4 => "\n",
        };
        format!("GET\n/\n{query}\nhost:{file_system}\n{between}host\n{SHA256_OF_NOTHING}")
    }

    fn scope(self) -> String {
        let date_time = self.date_time();
        let date = date_time.split('T').next().unwrap_or_default();
        format!("{date}/{}/{}/aws4_request", self.region, self.service)
    }

    /// `YYYYMMDDTHHMMSSZ`
    fn date_time(self) -> String {
        format_rfc3339_seconds(self.signed_at).to_string().replace(['-', ':'], "")
    }
}

/// What URI-encoding keeps: `A-Z a-z 0-9 - . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
