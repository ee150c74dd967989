//! A token, taken apart.

use std::time::{Duration, SystemTime};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value};

use super::{
    JwtSvidError,
    signature::{Algorithm, Refusal},
};
use crate::{SpiffeId, bundle::PublicKey, json};

/// Far more than a header field can hold.
const LONGEST: usize = 64 * 1024;

/// A token in which everything but time, audience and signature is judged.
pub(super) struct Token<'a> {
    algorithm: Algorithm,
    signed: &'a str,
    signature: Vec<u8>,
    pub(super) kid: String,
    pub(super) id: SpiffeId,
    pub(super) audience: Vec<String>,
    pub(super) issued: Option<SystemTime>,
    not_before: Option<SystemTime>,
    pub(super) expires: SystemTime,
    pub(super) claims: Map<String, Value>,
}

impl<'a> Token<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, JwtSvidError> {
        let malformed = |what| JwtSvidError::Malformed { what };
        if token.len() > LONGEST {
            return Err(malformed("the token is longer than 64 KiB"));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(malformed("the token has not three parts: expected a JWS in compact serialisation"));
        };
        let decode = |part: &str| {
            let bytes = Base64UrlUnpadded::decode_vec(part).ok().filter(|bytes| !bytes.is_empty());
            bytes.ok_or_else(|| malformed("a part of the token is empty or not base64url without padding"))
        };
        let object = |part, bytes: &[u8]| json::object(bytes).map_err(|source| JwtSvidError::Json { part, source });

        let header = object("header", &decode(header)?)?;
        let algorithm = algorithm(&header)?;
        let kid = judge_header(&header)?;
        let signed = token.get(..token.len() - signature.len() - 1).unwrap_or_default();
        let signature = decode(signature)?;
        let claims = object("claims", &decode(claims)?)?;
        Ok(Self {
            algorithm,
            signed,
            signature,
            kid,
            id: subject(&claims)?,
            audience: audience(&claims)?,
            issued: claims.get("iat").and_then(numeric_date),
            not_before: match claims.get("nbf") {
                Some(nbf) => Some(numeric_date(nbf).ok_or(JwtSvidError::NotBefore)?),
                None => None,
            },
            expires: claims.get("exp").and_then(numeric_date).ok_or(JwtSvidError::NoExpiry)?,
            claims,
        })
    }

    pub(super) fn verify_signature(&self, key: &PublicKey) -> Result<(), JwtSvidError> {
        let kid = || self.kid.clone();
        self.algorithm.verify(key, self.signed.as_bytes(), &self.signature).map_err(|refusal| match refusal {
            Refusal::KeyOfOtherKind => JwtSvidError::KeyOfOtherKind { kid: kid(), algorithm: self.algorithm.name() },
            Refusal::Signature => JwtSvidError::Signature { kid: kid() },
        })
    }

    /// "on or after which the JWT MUST NOT be accepted", "before which the JWT MUST NOT be accepted [...]. Implementers MAY
    /// provide for some small leeway" (RFC 7519 sections 4.1.4 and 4.1.5).
    pub(super) fn judge_time(&self, at: SystemTime, leeway: Duration) -> Result<(), JwtSvidError> {
        if self.expires.checked_add(leeway).is_some_and(|end| at >= end) {
            return Err(JwtSvidError::Expired { expired: self.expires, at });
        }
        match self.not_before {
            Some(begins) if at.checked_add(leeway).is_some_and(|late| late < begins) => {
                Err(JwtSvidError::NotYetValid { begins, at })
            }
            _ => Ok(()),
        }
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, JwtSvidError> {
    let alg = header.get("alg");
    let known = alg.and_then(Value::as_str).and_then(Algorithm::named);
    known.ok_or_else(|| JwtSvidError::Algorithm { found: shown(alg) })
}

/// Returns the kid.
fn judge_header(header: &Map<String, Value>) -> Result<String, JwtSvidError> {
    if let Some(member) = header.keys().find(|member| !matches!(member.as_str(), "alg" | "kid" | "typ")) {
        return Err(JwtSvidError::HeaderMember { member: member.chars().take(40).collect() });
    }
    if !matches!(header.get("typ").map(Value::as_str), None | Some(Some("JWT" | "JOSE"))) {
        return Err(JwtSvidError::Type { found: shown(header.get("typ")) });
    }
    let kid = header.get("kid").and_then(Value::as_str).filter(|kid| !kid.is_empty());
    kid.map(str::to_owned).ok_or(JwtSvidError::NoKeyId)
}

fn subject(claims: &Map<String, Value>) -> Result<SpiffeId, JwtSvidError> {
    let sub = claims.get("sub").and_then(Value::as_str).ok_or(JwtSvidError::Subject { source: None })?;
    let id: SpiffeId = sub.parse().map_err(|source| JwtSvidError::Subject { source: Some(source) })?;
    if id.is_trust_domain() {
        return Err(JwtSvidError::SubjectIsTrustDomain { trust_domain: id.trust_domain() });
    }
    Ok(id)
}

/// "an array of case-sensitive strings [...]. In the special case when the JWT has one audience, the "aud" value MAY be a
/// single case-sensitive string" (RFC 7519 section 4.1.3).
fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, JwtSvidError> {
    let name = |value: &Value| value.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let names = match claims.get("aud") {
        Some(Value::Array(names)) => names.iter().map(name).collect(),
        Some(one) => name(one).map(|name| vec![name]),
        None => None,
    };
    names.filter(|names: &Vec<_>| !names.is_empty()).ok_or(JwtSvidError::NoAudience)
}

/// `NumericDate` of RFC 7519 section 2: seconds, with a fraction if it must be. What is before 1970 becomes 1970.
fn numeric_date(value: &Value) -> Option<SystemTime> {
    let since_epoch = match (value.as_u64(), value.as_f64()?) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).ok()?,
    };
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

/// A stranger's text, for a message: short, whatever it is.
fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "missing".into(), |value| value.to_string().chars().take(40).collect())
}
