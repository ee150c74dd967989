//! AWS Signature Version 4 of a presigned request, from its definition (IAM User Guide, "Create a signed AWS API request"). It
//! shares no code with the SDK, whose signatures it is to check.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// A request `GET / HTTP/1.1` without a body, of which only the host header is signed.
#[derive(Clone, Copy)]
pub(crate) struct PresignedRequest<'a> {
    pub(crate) host: &'a str,
    /// Names and values, decoded, in any order, without `X-Amz-Signature`.
    pub(crate) query: &'a [(String, String)],
    /// `YYYYMMDDTHHMMSSZ`
    pub(crate) date_time: &'a str,
    pub(crate) scope: Scope<'a>,
}

/// Where and when a signature holds.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// `YYYYMMDD`
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl PresignedRequest<'_> {
    /// The signature in lower-case hexadecimal.
    pub(crate) fn signature(&self, secret: &str) -> String {
        hex::encode(hmac(&self.scope.signing_key(secret), &self.string_to_sign()))
    }

    fn string_to_sign(&self) -> String {
        let Scope { date, region, service } = self.scope;
        let hash = hex::encode(Sha256::digest(self.canonical_request()));
        format!("AWS4-HMAC-SHA256\n{}\n{date}/{region}/{service}/aws4_request\n{hash}", self.date_time)
    }

    fn canonical_request(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let mut query: Vec<_> = self.query.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
        query.sort_unstable();
        let query: Vec<_> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("GET\n/\n{}\nhost:{}\n\nhost\n{SHA256_OF_NOTHING}", query.join("&"), self.host)
    }
}

impl Scope<'_> {
    fn signing_key(self, secret: &str) -> [u8; 32] {
        let key = hmac(format!("AWS4{secret}").as_bytes(), self.date);
        [self.region, self.service, "aws4_request"].iter().fold(key, |key, part| hmac(&key, part))
    }
}

fn hmac(key: &[u8], message: &str) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(message.as_bytes());
    hmac.finalize().into_bytes().into()
}

/// What URI-encoding keeps: `A-Z a-z 0-9 - . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
