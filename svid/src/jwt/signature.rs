//! Algorithms and signatures (RFC 7518 section 3). ring and AWS-LC have the same interface here.

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs::signature as backend;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use ring::signature as backend;

use crate::bundle::{Curve, PublicKey};

/// The algorithms that a JWT-SVID may have. There is no other value, so that nothing else can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    #[cfg(feature = "aws-lc-rs")]
    Es512,
    Ps256,
    Ps384,
    Ps512,
}

const ALL: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    #[cfg(feature = "aws-lc-rs")]
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    KeyOfOtherKind,
    Signature,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            #[cfg(feature = "aws-lc-rs")]
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    pub(super) fn verify(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let rsa = |parameters| match key {
            PublicKey::Rsa { modulus, exponent } => {
                let key = backend::RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(parameters, message, signature).map_err(|_| Refusal::Signature)
            }
            _ => Err(Refusal::KeyOfOtherKind),
        };
        match self {
            Self::Rs256 => rsa(&backend::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => rsa(&backend::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => rsa(&backend::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => rsa(&backend::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => rsa(&backend::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => rsa(&backend::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => ec(key, Curve::P256, message, signature),
            Self::Es384 => ec(key, Curve::P384, message, signature),
            #[cfg(feature = "aws-lc-rs")]
            Self::Es512 => ec(key, Curve::P521, message, signature),
        }
    }
}

/// "The signature is the concatenation of R and S, each of full length" (RFC 7518 section 3.4): FIXED.
fn ec(key: &PublicKey, wanted: Curve, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
    let point = match key {
        PublicKey::Ec { curve, point } if *curve == wanted => point,
        _ => return Err(Refusal::KeyOfOtherKind),
    };
    let algorithm = fixed(wanted).ok_or(Refusal::KeyOfOtherKind)?;
    backend::UnparsedPublicKey::new(algorithm, point).verify(message, signature).map_err(|_| Refusal::Signature)
}

fn fixed(curve: Curve) -> Option<&'static backend::EcdsaVerificationAlgorithm> {
    match curve {
        Curve::P256 => Some(&backend::ECDSA_P256_SHA256_FIXED),
        Curve::P384 => Some(&backend::ECDSA_P384_SHA384_FIXED),
        #[cfg(feature = "aws-lc-rs")]
        Curve::P521 => Some(&backend::ECDSA_P521_SHA512_FIXED),
        #[cfg(not(feature = "aws-lc-rs"))]
        Curve::P521 => None,
    }
}

/// Whether the uncompressed point is one of the curve. ring tells only when it verifies, which then fails.
pub(crate) fn is_on_curve(curve: Curve, point: &[u8]) -> bool {
    #[cfg(feature = "aws-lc-rs")]
    return fixed(curve).is_some_and(|algorithm| backend::ParsedPublicKey::new(algorithm, point).is_ok());
    #[cfg(not(feature = "aws-lc-rs"))]
    {
        let _ = (curve, point);
        true
    }
}
