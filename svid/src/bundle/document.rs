//! The JWK set that a trust domain publishes.

use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use serde_json::{Map, Value};

use super::{Bundle, BundleError, IgnoredBecause, IgnoredKey, PublicKey};
use crate::{TrustDomain, certificate::Certificate, json};

pub(super) fn read(trust_domain: TrustDomain, document: &[u8]) -> Result<Bundle, BundleError> {
    let document = json::object(document).map_err(|source| BundleError::Json { source })?;
    read_object(trust_domain, &document)
}

pub(super) fn read_object(trust_domain: TrustDomain, document: &Map<String, Value>) -> Result<Bundle, BundleError> {
    let Some(Value::Array(keys)) = document.get("keys") else {
        return Err(BundleError::Keys);
    };
    let mut bundle = Bundle::empty(trust_domain);
    bundle.sequence = number(document, "spiffe_sequence", |found| BundleError::Sequence { found })?;
    let hint = number(document, "spiffe_refresh_hint", |found| BundleError::RefreshHint { found })?;
    bundle.refresh_hint = hint.map(Duration::from_secs);
    for (place, key) in keys.iter().enumerate() {
        if let Err(because) = bundle.take(key) {
            bundle.ignored.push(IgnoredKey { place, because });
        }
    }
    Ok(bundle)
}

fn number(
    document: &Map<String, Value>,
    name: &str,
    error: fn(String) -> BundleError,
) -> Result<Option<u64>, BundleError> {
    match document.get(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| error(shown(Some(value)))),
    }
}

impl Bundle {
    fn take(&mut self, key: &Value) -> Result<(), IgnoredBecause> {
        let key = key.as_object().ok_or(IgnoredBecause::NoObject)?;
        match key.get("use").and_then(Value::as_str) {
            Some("x509-svid") => self.take_x509(key),
            Some("jwt-svid") => self.take_jwt(key),
            _ => Err(IgnoredBecause::Use { found: shown(key.get("use")) }),
        }
    }

    fn take_x509(&mut self, key: &Map<String, Value>) -> Result<(), IgnoredBecause> {
        let public = PublicKey::from_jwk(key)?;
        let refuse = |what: &str| IgnoredBecause::Certificate { what: what.to_owned() };
        // "all but the first MUST be ignored".
        let Some(first) = key.get("x5c").and_then(Value::as_array).and_then(|x5c| x5c.first()) else {
            return Err(IgnoredBecause::NoCertificate);
        };
        let der = first.as_str().and_then(|text| Base64::decode_vec(text).ok());
        let der = der.ok_or_else(|| refuse("it is not base64"))?;
        let certificate = Certificate::read(&der, 0).map_err(|e| refuse(&e.to_string()))?;
        if !certificate.is_ca() {
            return Err(refuse("it is no certificate authority"));
        }
        if !public.is_that_of(&certificate) {
            return Err(refuse("its key is another one than that of the entry"));
        }
        self.anchors.add(&der).map_err(|e| refuse(&e.to_string()))
    }

    fn take_jwt(&mut self, key: &Map<String, Value>) -> Result<(), IgnoredBecause> {
        let public = PublicKey::from_jwk(key)?;
        if !public.signs_jwts() {
            return Err(IgnoredBecause::Key { what: "no algorithm of JWT-SVIDs uses it" });
        }
        let kid = key.get("kid").and_then(Value::as_str).filter(|kid| !kid.is_empty());
        let kid = kid.ok_or(IgnoredBecause::NoKeyId)?.to_owned();
        if self.jwt_keys.contains_key(&kid) {
            return Err(IgnoredBecause::KeyIdTaken { kid });
        }
        self.jwt_keys.insert(kid, public);
        Ok(())
    }
}

/// A partner's text, for a message: short, whatever it is.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 40;
    let Some(value) = value else { return "missing".into() };
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
