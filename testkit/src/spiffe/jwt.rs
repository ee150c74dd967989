//! JWT-SVIDs, and the key that signs them.

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::json;

use crate::PkiError;

#[derive(Debug)]
pub(super) struct JwtKey {
    kid: String,
    key: EcdsaKeyPair,
}

/// A token with what it says.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) id: String,
    pub(super) audience: Vec<String>,
    pub(super) issued: u64,
    pub(super) expires: u64,
}

impl JwtKey {
    pub(super) fn generate(kid: String) -> Result<Self, PkiError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|error| PkiError::Generate { source: error.into() })?;
        Ok(Self { kid, key })
    }

    pub(super) fn jwk(&self) -> serde_json::Value {
        // Uncompressed, 4 ‖ x ‖ y (SEC 1 section 2.3.3).
        let (x, y) =
            self.key.public_key().as_ref().get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        let base64 = Base64UrlUnpadded::encode_string;
        json!({"kty": "EC", "crv": "P-256", "use": "jwt-svid", "kid": self.kid, "x": base64(x), "y": base64(y)})
    }

    pub(super) fn sign(&self, token: &Issued) -> Result<String, PkiError> {
        let header = json!({"alg": "ES256", "kid": self.kid, "typ": "JWT"});
        let claims = json!({"sub": token.id, "aud": token.audience, "iat": token.issued, "exp": token.expires});
        let part = |json: serde_json::Value| Base64UrlUnpadded::encode_string(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|error| PkiError::Generate { source: error.into() })?;
        Ok(format!("{signed}.{}", Base64UrlUnpadded::encode_string(signature.as_ref())))
    }
}

impl Issued {
    pub(super) fn new(id: String, audience: Vec<String>, now: SystemTime, lifetime: Duration) -> Self {
        let issued = seconds(now);
        Self { id, audience, issued, expires: issued + lifetime.as_secs() }
    }
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
