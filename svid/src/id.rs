//! SPIFFE IDs and trust domains (SPIFFE-ID.md).

mod error;
mod syntax;

use std::{borrow::Borrow, cmp::Ordering, fmt, hash::Hash, hash::Hasher, str::FromStr, sync::Arc};

pub use self::error::SpiffeIdError;
use self::syntax::{SCHEME, check_domain, check_id, check_path};
use crate::text;

/// A SPIFFE ID, for example `spiffe://example.org/ns/prod/sa/web`.
///
/// A value that exists is well formed. Parsing is strict: nothing is normalised, decoded or folded, as in go-spiffe.
/// Equality compares bytes ("the path is case-sensitive", SPIFFE-ID section 2.4).
///
/// ```
/// use svid_tls::SpiffeId;
/// let id: SpiffeId = "spiffe://example.org/ns/prod/sa/web".parse()?;
/// assert_eq!(id.trust_domain().name(), "example.org");
/// assert_eq!(id.path(), "/ns/prod/sa/web");
/// assert!("spiffe://example.org/".parse::<SpiffeId>().is_err());
/// assert!("spiffe://Example.org/x".parse::<SpiffeId>().is_err());
/// assert_eq!(SpiffeId::parse_lenient("SPIFFE://Example.org/Web")?.as_str(), "spiffe://example.org/Web");
/// # Ok::<(), svid_tls::SpiffeIdError>(())
/// ```
///
/// # Limitations
/// More than 2048 bytes are refused: a reader must support that many (section 2.3) and need not support more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: Arc<str>,
    domain_end: usize,
}

/// A trust domain, for example `example.org`. Case, like everything else, is as given: see [`SpiffeId`].
#[derive(Clone)]
pub struct TrustDomain {
    /// An ID in this trust domain, shared with the ID that it was taken from.
    text: Arc<str>,
    domain_end: usize,
}

impl SpiffeId {
    /// Parses what may hold any bytes, such as a URI from a certificate.
    ///
    /// # Errors
    /// [`SpiffeIdError`], one variant per rule.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SpiffeIdError> {
        let domain_end = check_id(bytes)?;
        // Only ASCII passes the check.
        Ok(Self { text: String::from_utf8_lossy(bytes).into(), domain_end })
    }

    /// Parses with capitals allowed in scheme and trust domain, where ASCII letters, and only those, are folded to lower
    /// case: SPIFFE-ID section 2.4 calls both case-insensitive, while section 2.1 demands lower case.
    ///
    /// # Errors
    /// [`SpiffeIdError`], one variant per rule.
    pub fn parse_lenient(text: &str) -> Result<Self, SpiffeIdError> {
        let authority = text.get(SCHEME.len()..).unwrap_or_default();
        let end = authority.find('/').map_or(text.len(), |slash| SCHEME.len() + slash);
        let mut folded = text.to_owned();
        if let Some(head) = folded.get_mut(..end) {
            head.make_ascii_lowercase();
        }
        folded.parse()
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain { text: self.text.clone(), domain_end: self.domain_end }
    }

    /// The path, with its leading `/`; empty for the ID of a trust domain itself.
    pub fn path(&self) -> &str {
        self.text.get(self.domain_end..).unwrap_or_default()
    }

    /// Whether this is the ID of a trust domain itself, which no workload may have.
    pub fn is_trust_domain(&self) -> bool {
        self.path().is_empty()
    }

    /// Whether the ID is in the trust domain. Cheaper than comparing [`trust_domain`](Self::trust_domain).
    pub fn is_member_of(&self, domain: &TrustDomain) -> bool {
        self.domain_name() == domain.name()
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn domain_name(&self) -> &str {
        self.text.get(SCHEME.len()..self.domain_end).unwrap_or_default()
    }
}

impl TrustDomain {
    /// Parses a bare name, as it is a key in a bundle map.
    ///
    /// # Errors
    /// [`SpiffeIdError`], one variant per rule.
    pub fn from_name(name: &str) -> Result<Self, SpiffeIdError> {
        check_domain(name.as_bytes())?;
        Ok(Self { text: format!("{SCHEME}{name}").into(), domain_end: SCHEME.len() + name.len() })
    }

    /// [`FromStr`] with ASCII capitals folded, like [`SpiffeId::parse_lenient`].
    ///
    /// # Errors
    /// [`SpiffeIdError`], one variant per rule.
    pub fn parse_lenient(text: &str) -> Result<Self, SpiffeIdError> {
        if text.contains(":/") {
            return SpiffeId::parse_lenient(text).map(|id| id.trust_domain());
        }
        Self::from_name(&text.to_ascii_lowercase())
    }

    /// The name, for example `example.org`.
    pub fn name(&self) -> &str {
        self.text.get(SCHEME.len()..self.domain_end).unwrap_or_default()
    }

    /// The ID of the trust domain itself, for example `spiffe://example.org`.
    pub fn id(&self) -> SpiffeId {
        let text = self.text.get(..self.domain_end).unwrap_or_default();
        SpiffeId { text: text.into(), domain_end: self.domain_end }
    }

    /// The ID with this path, which begins with `/`.
    ///
    /// # Errors
    /// [`SpiffeIdError`], one variant per rule of paths, and [`SpiffeIdError::TooLong`].
    pub fn with_path(&self, path: &str) -> Result<SpiffeId, SpiffeIdError> {
        check_path(path.as_bytes())?;
        SpiffeId::from_bytes(format!("{SCHEME}{}{path}", self.name()).as_bytes())
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let domain_end = check_id(text.as_bytes())?;
        Ok(Self { text: text.into(), domain_end })
    }
}

/// A bare name, or a SPIFFE ID whose trust domain is taken, as in go-spiffe.
impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(":/") {
            return text.parse().map(|id: SpiffeId| id.trust_domain());
        }
        Self::from_name(text)
    }
}

impl PartialEq for TrustDomain {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for TrustDomain {}

impl PartialOrd for TrustDomain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TrustDomain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl Hash for TrustDomain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// Maps of trust domains can be asked by name.
impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        self.name()
    }
}

impl AsRef<str> for SpiffeId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

text::serde_as_text!(SpiffeId, "a SPIFFE ID");
text::serde_as_text!(TrustDomain, "a trust domain");

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({self})")
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({self})")
    }
}

#[cfg(test)]
mod tests;
