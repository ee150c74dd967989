//! Public keys as JWKs (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use base64ct::{Base64UrlUnpadded, Encoding as _};
use rustls::pki_types::alg_id;
use serde_json::{Map, Value};

use super::IgnoredBecause;
use crate::{certificate::Certificate, jwt::signature};

/// A key that is well formed and strong enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// Uncompressed point (SEC 1 section 2.3.3).
    Ec { curve: Curve, point: Vec<u8> },
    /// Big-endian, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// For roots only: no algorithm of JWT-SVIDs uses it.
    Ed25519(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl PublicKey {
    pub(super) fn from_jwk(key: &Map<String, Value>) -> Result<Self, IgnoredBecause> {
        let refuse = |what| IgnoredBecause::Key { what };
        let bytes = |name: &str| {
            let text = key.get(name).and_then(Value::as_str);
            text.and_then(|text| Base64UrlUnpadded::decode_vec(text).ok()).filter(|bytes| !bytes.is_empty())
        };
        let curve = key.get("crv").and_then(Value::as_str);
        match key.get("kty").and_then(Value::as_str) {
            Some("EC") => {
                let curve = curve.and_then(Curve::named).ok_or_else(|| refuse("its curve is unknown"))?;
                let (Some(x), Some(y)) = (bytes("x"), bytes("y")) else {
                    return Err(refuse("a coordinate is missing or not base64url"));
                };
                // "The length of this octet string MUST be the full size of a coordinate."
                if [x.len(), y.len()] != [curve.coordinate(); 2] {
                    return Err(refuse("a coordinate is too short or too long"));
                }
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                if !signature::is_on_curve(curve, &point) {
                    return Err(refuse("the point is not on its curve"));
                }
                Ok(Self::Ec { curve, point })
            }
            Some("RSA") => {
                let (Some(modulus), Some(exponent)) = (bytes("n"), bytes("e")) else {
                    return Err(refuse("modulus or exponent is missing or not base64url"));
                };
                let (modulus, exponent) = (significant(&modulus).to_vec(), significant(&exponent).to_vec());
                if !(256..=1024).contains(&modulus.len()) || modulus.len() == 256 && modulus.first() < Some(&0x80) {
                    return Err(refuse("the modulus is below 2048 bits or above 8192"));
                }
                if exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1] {
                    return Err(refuse("the exponent is even or 1"));
                }
                Ok(Self::Rsa { modulus, exponent })
            }
            Some("OKP") if curve == Some("Ed25519") => match bytes("x") {
                Some(x) if x.len() == 32 => Ok(Self::Ed25519(x)),
                _ => Err(refuse("x is missing, not base64url or not 32 bytes long")),
            },
            Some("OKP") => Err(refuse("its curve is unknown")),
            Some(other) => Err(IgnoredBecause::KeyType { found: other.chars().take(40).collect() }),
            None => Err(IgnoredBecause::KeyType { found: "missing".into() }),
        }
    }

    pub(super) fn signs_jwts(&self) -> bool {
        !matches!(self, Self::Ed25519(_))
    }

    /// "The key in the first certificate MUST match the public key represented by other members of the JWK" (RFC 7517
    /// section 4.7).
    pub(super) fn is_that_of(&self, certificate: &Certificate<'_>) -> bool {
        let algorithm = certificate.key.algorithm.value();
        let Some(key) = certificate.key.key.as_bytes() else { return false };
        match self {
            Self::Ec { curve, point } => algorithm == curve.algorithm().as_ref() && key == point,
            Self::Ed25519(x) => algorithm == alg_id::ED25519.as_ref() && key == x,
            Self::Rsa { modulus, exponent } => certificate
                .rsa_key()
                .is_some_and(|(n, e)| significant(n) == modulus.as_slice() && significant(e) == exponent.as_slice()),
        }
    }
}

impl Curve {
    fn named(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            "P-521" => Some(Self::P521),
            _ => None,
        }
    }

    /// Bytes of a coordinate.
    fn coordinate(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn algorithm(self) -> rustls::pki_types::AlgorithmIdentifier {
        match self {
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
            Self::P521 => alg_id::ECDSA_P521,
        }
    }
}

fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
