//! JWT-SVIDs (JWT-SVID.md).

mod cache;
mod error;
pub(crate) mod signature;
mod token;

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub use self::cache::{CachedJwt, JwtRequest, JwtSvidCache, renew_at};
pub use self::error::JwtSvidError;
use self::token::Token;
use crate::{BundleSet, SpiffeId};

/// Judges the JWT-SVIDs that peers send.
///
/// The algorithm is decided before anything else is looked at, and the key is one of the ID's own trust domain; what a token
/// says about keys has no influence beyond the choice by `kid`.
///
/// ```
/// # use svid_tls::{BundleSet, JwtVerifier, JwtSvidError};
/// # fn example(bearer: &str, bundles: &BundleSet, now: std::time::SystemTime) -> Result<(), JwtSvidError> {
/// let peer = JwtVerifier::new(["spiffe://example.org/api"]).verify(bearer, bundles, now)?;
/// println!("called by {}", peer.id());
/// # Ok(())
/// # }
/// ```
///
/// # Where the standard leaves a choice
/// | case | here |
/// |---|---|
/// | no `kid` | refused, as by every other library |
/// | other members in the header, a member twice, space around the token | refused |
/// | `sub` is a trust domain's own ID, without a path | refused: no workload has it |
/// | `exp` with a fraction | accepted (RFC 7519 section 2) |
/// | clocks that differ | ten seconds are forgiven; see [`leeway`](Self::leeway) |
///
/// # Limitations
/// ES512 needs the feature `aws-lc-rs`: ring has no P-521.
#[derive(Clone, Debug)]
pub struct JwtVerifier {
    audience: BTreeSet<String>,
    leeway: Duration,
}

/// A peer that has proven to be an ID by a token. Only a verification makes one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerJwt {
    id: SpiffeId,
    audience: Vec<String>,
    expires: SystemTime,
    claims: Map<String, Value>,
}

/// A JWT-SVID of our own, as the Workload API gives it. Whoever has the token is who it says: it is in no log, error or
/// `Debug`, and overwritten when dropped.
pub struct JwtSvid {
    token: Zeroizing<String>,
    id: SpiffeId,
    audience: Vec<String>,
    issued: Option<SystemTime>,
    expires: SystemTime,
}

impl JwtVerifier {
    /// Accepts tokens for one of these audiences: who we are to those that call us, as they are told to write it. Of none,
    /// nothing is accepted.
    pub fn new(audience: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let audience = audience.into_iter().map(Into::into).filter(|name: &String| !name.is_empty());
        Self { audience: audience.collect(), leeway: Duration::from_secs(10) }
    }

    /// How far the issuer's clock and ours may differ. Default: ten seconds.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Judges a token at the time `at`. Depends on nothing else.
    ///
    /// # Errors
    /// [`JwtSvidError`], one variant per rule.
    pub fn verify(&self, token: &str, bundles: &BundleSet, at: SystemTime) -> Result<PeerJwt, JwtSvidError> {
        let token = Token::read(token)?;
        let trust_domain = token.id.trust_domain();
        let bundle = bundles
            .get(trust_domain.name())
            .ok_or_else(|| JwtSvidError::NoBundle { trust_domain: trust_domain.clone() })?;
        let key =
            bundle.jwt_key(&token.kid).ok_or_else(|| JwtSvidError::NoKey { trust_domain, kid: token.kid.clone() })?;
        token.verify_signature(key)?;
        token.judge_time(at, self.leeway)?;
        if !token.audience.iter().any(|name| self.audience.contains(name)) {
            let expected = self.audience.iter().cloned().collect();
            return Err(JwtSvidError::OtherAudience { found: token.audience, expected });
        }
        Ok(PeerJwt { id: token.id, audience: token.audience, expires: token.expires, claims: token.claims })
    }
}

impl PeerJwt {
    /// Who the peer is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Whom the token is for, us among them.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When the token ends.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// Every claim, the registered ones included.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

impl JwtSvid {
    /// From a token that our own agent has sent: its signature is not verified, which would need a bundle and prove nothing
    /// about an agent that we trust with our keys. Everything else is.
    ///
    /// # Errors
    /// [`JwtSvidError`], one variant per rule.
    pub fn from_agent(token: String) -> Result<Self, JwtSvidError> {
        let token = Zeroizing::new(token);
        let Token { id, audience, issued, expires, .. } = Token::read(&token)?;
        Ok(Self { token, id, audience, issued, expires })
    }

    /// The token, to be sent as `Authorization: Bearer …` to its audience and to nobody else.
    pub fn expose_token(&self) -> &str {
        &self.token
    }

    /// Who we are.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Whom it is for.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When it was made, if it says so.
    pub fn issued(&self) -> Option<SystemTime> {
        self.issued
    }

    /// When it ends.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }
}

impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("id", &self.id)
            .field("audience", &self.audience)
            .field("expires", &self.expires)
            .field("token", &"[redacted]")
            .finish()
    }
}

#[cfg(test)]
mod tests;
