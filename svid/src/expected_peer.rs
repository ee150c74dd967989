//! Which peers are let in.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use crate::{SpiffeId, SpiffeIdError, TrustDomain};

/// Which SPIFFE IDs a peer may have. A connection without an expectation cannot be made.
///
/// ```
/// use svid_tls::ExpectedPeer;
/// let web = ExpectedPeer::exactly("spiffe://example.org/ns/prod/sa/web".parse()?);
/// let prod = ExpectedPeer::path_prefix("spiffe://example.org/ns/prod".parse()?);
/// let any_web = ExpectedPeer::pattern("spiffe://example.org/ns/*/sa/web")?;
/// let id = "spiffe://example.org/ns/prod/sa/web".parse()?;
/// assert!([web, prod, any_web].iter().all(|expected| expected.admits(&id).is_ok()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ExpectedPeer(Arc<Kind>);

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    OneOf(BTreeSet<SpiffeId>),
    MemberOf(TrustDomain),
    PathPrefix(SpiffeId),
    Pattern(Pattern),
    AnyOf(Vec<ExpectedPeer>),
    Anybody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    domain: TrustDomain,
    /// Without a wildcard segment at the end.
    segments: Vec<Segment>,
    open_end: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Is(String),
    Any,
}

/// A peer with an ID that is not among those expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer is {presented}; expected {expected}")]
#[non_exhaustive]
pub struct UnexpectedPeer {
    /// Who the peer proved to be.
    pub presented: SpiffeId,
    /// Who was expected.
    pub expected: ExpectedPeer,
}

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is not a SPIFFE ID, apart from its wildcards.
    #[error("the pattern {pattern:?} is not a SPIFFE ID, even with a name for each wildcard")]
    NotSpiffeId {
        /// The pattern.
        pattern: String,
        /// The rule that it breaks.
        source: SpiffeIdError,
    },
    /// A wildcard is a part of a segment.
    #[error("the pattern {pattern:?} has `*` beside other characters: a `*` stands for one whole segment of the path")]
    PartOfSegment {
        /// The pattern.
        pattern: String,
    },
    /// `**` is not the last segment.
    #[error("the pattern {pattern:?} has `**` before its end: it stands for the rest of the path")]
    NotAtEnd {
        /// The pattern.
        pattern: String,
    },
}

impl ExpectedPeer {
    /// This ID.
    pub fn exactly(id: SpiffeId) -> Self {
        Self::one_of([id])
    }

    /// One of these IDs. Of none, nobody is let in.
    pub fn one_of(ids: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self::new(Kind::OneOf(ids.into_iter().collect()))
    }

    /// Every workload of this trust domain. Wide: whoever may register a workload there can be this peer.
    pub fn member_of(domain: TrustDomain) -> Self {
        Self::new(Kind::MemberOf(domain))
    }

    /// Every ID below this one: `spiffe://example.org/ns/prod` expects `spiffe://example.org/ns/prod/sa/web`, and neither
    /// `spiffe://example.org/ns/production` nor itself.
    pub fn path_prefix(id: SpiffeId) -> Self {
        Self::new(Kind::PathPrefix(id))
    }

    /// IDs of a shape: a segment `*` of the path stands for any one segment, and `**` at the end for one or more. The trust
    /// domain is always written out.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn pattern(pattern: &str) -> Result<Self, PatternError> {
        pattern.parse().map(|pattern| Self::new(Kind::Pattern(pattern)))
    }

    /// Whoever one of these expects. Of none, nobody is let in.
    pub fn any_of(expected: impl IntoIterator<Item = Self>) -> Self {
        Self::new(Kind::AnyOf(expected.into_iter().collect()))
    }

    /// Every workload of every trust domain whose bundle we hold, federated ones included.
    pub fn danger_anybody() -> Self {
        Self::new(Kind::Anybody)
    }

    /// Whether the ID is among those expected.
    ///
    /// # Errors
    /// [`UnexpectedPeer`].
    pub fn admits(&self, id: &SpiffeId) -> Result<(), UnexpectedPeer> {
        let refused = || UnexpectedPeer { presented: id.clone(), expected: self.clone() };
        self.matches(id).then_some(()).ok_or_else(refused)
    }

    fn matches(&self, id: &SpiffeId) -> bool {
        match &*self.0 {
            Kind::OneOf(ids) => ids.contains(id),
            Kind::MemberOf(domain) => id.is_member_of(domain),
            Kind::PathPrefix(prefix) => {
                id.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            Kind::Pattern(pattern) => pattern.matches(id),
            Kind::AnyOf(expected) => expected.iter().any(|expected| expected.matches(id)),
            Kind::Anybody => true,
        }
    }

    fn new(kind: Kind) -> Self {
        Self(Arc::new(kind))
    }
}

impl Pattern {
    fn matches(&self, id: &SpiffeId) -> bool {
        let mut given = id.path().split('/').skip(1);
        let matches = |segment: &Segment| match (segment, given.next()) {
            (Segment::Is(name), Some(given)) => name == given,
            (Segment::Any, Some(_)) => true,
            (_, None) => false,
        };
        id.is_member_of(&self.domain) && self.segments.iter().all(matches) && given.next().is_some() == self.open_end
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, Self::Err> {
        let refused = || pattern.to_owned();
        let segments: Vec<&str> = pattern.split('/').collect();
        let with_names: Vec<&str> =
            segments.iter().map(|segment| if matches!(*segment, "*" | "**") { "x" } else { segment }).collect();
        if with_names.iter().any(|segment| segment.contains('*')) {
            return Err(PatternError::PartOfSegment { pattern: refused() });
        }
        let id: SpiffeId =
            with_names.join("/").parse().map_err(|source| PatternError::NotSpiffeId { pattern: refused(), source })?;
        // `spiffe:`, an empty segment and the trust domain come before the path.
        let (domain, path) = match segments.as_slice() {
            [_, _, domain, path @ ..] => (*domain, path),
            _ => ("", [].as_slice()),
        };
        if domain != id.domain_name() {
            return Err(PatternError::PartOfSegment { pattern: refused() });
        }
        let (open_end, path) = match path.split_last() {
            Some((&"**", path)) => (true, path),
            _ => (false, path),
        };
        if path.contains(&"**") {
            return Err(PatternError::NotAtEnd { pattern: refused() });
        }
        let segment = |name: &&str| if *name == "*" { Segment::Any } else { Segment::Is((*name).to_owned()) };
        Ok(Self { domain: id.trust_domain(), segments: path.iter().map(segment).collect(), open_end })
    }
}

impl fmt::Display for ExpectedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(f: &mut fmt::Formatter<'_>, of: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
            let names: Vec<_> = of.map(|name| name.to_string()).collect();
            if names.is_empty() { f.write_str("nobody") } else { f.write_str(&names.join(" or ")) }
        }
        match &*self.0 {
            Kind::OneOf(ids) => list(f, ids.iter()),
            Kind::MemberOf(domain) => write!(f, "any workload of {domain}"),
            Kind::PathPrefix(prefix) => write!(f, "{prefix}/…"),
            Kind::Pattern(pattern) => write!(f, "{pattern}"),
            Kind::AnyOf(expected) => list(f, expected.iter()),
            Kind::Anybody => f.write_str("anybody of a known trust domain"),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.domain.id())?;
        for segment in &self.segments {
            match segment {
                Segment::Is(name) => write!(f, "/{name}")?,
                Segment::Any => f.write_str("/*")?,
            }
        }
        f.write_str(if self.open_end { "/**" } else { "" })
    }
}

impl fmt::Debug for ExpectedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExpectedPeer({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SpiffeId {
        text.parse().unwrap()
    }

    #[track_caller]
    fn admits(expected: &ExpectedPeer, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert_eq!(expected.admits(&id(text)), Ok(()), "{text}");
        }
        for text in no {
            let refused = UnexpectedPeer { presented: id(text), expected: expected.clone() };
            assert_eq!(expected.admits(&id(text)), Err(refused), "{text}");
        }
    }

    #[test]
    fn exact_ids_compare_by_case() {
        let expected = ExpectedPeer::one_of([id("spiffe://a/x"), id("spiffe://a/y")]);
        admits(&expected, &["spiffe://a/x", "spiffe://a/y"], &["spiffe://a/X", "spiffe://a/x/y", "spiffe://b/x"]);
        let refused = expected.admits(&id("spiffe://b/x")).unwrap_err().to_string();
        assert_eq!(refused, "the peer is spiffe://b/x; expected spiffe://a/x or spiffe://a/y");
    }

    #[test]
    fn of_none_nobody_is_let_in() {
        admits(&ExpectedPeer::one_of([]), &[], &["spiffe://a/x"]);
        admits(&ExpectedPeer::any_of([]), &[], &["spiffe://a/x"]);
        assert_eq!(ExpectedPeer::one_of([]).to_string(), "nobody");
    }

    #[test]
    fn a_member_is_of_the_same_domain_and_not_of_one_below_it() {
        let expected = ExpectedPeer::member_of("a.b".parse().unwrap());
        admits(&expected, &["spiffe://a.b/x"], &["spiffe://x.a.b/x", "spiffe://a.b.c/x", "spiffe://b/a.b"]);
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let expected = ExpectedPeer::path_prefix(id("spiffe://a/ns/prod"));
        admits(
            &expected,
            &["spiffe://a/ns/prod/x", "spiffe://a/ns/prod/x/y"],
            &["spiffe://a/ns/prod", "spiffe://a/ns/production", "spiffe://b/ns/prod/x"],
        );
        let domain = ExpectedPeer::path_prefix(id("spiffe://a"));
        admits(&domain, &["spiffe://a/x"], &["spiffe://ab/x"]);
    }

    #[test]
    fn a_wildcard_is_one_segment_and_two_are_the_rest() {
        let one = ExpectedPeer::pattern("spiffe://a/ns/*/sa/web").unwrap();
        admits(
            &one,
            &["spiffe://a/ns/x/sa/web"],
            &["spiffe://a/ns/x/y/sa/web", "spiffe://a/ns/sa/web", "spiffe://a/ns/x/sa/web/y", "spiffe://b/ns/x/sa/web"],
        );
        let rest = ExpectedPeer::pattern("spiffe://a/ns/**").unwrap();
        admits(&rest, &["spiffe://a/ns/x", "spiffe://a/ns/x/y"], &["spiffe://a/ns", "spiffe://a/nsx/y"]);
        assert_eq!(rest.to_string(), "spiffe://a/ns/**");
    }

    #[test]
    fn a_pattern_that_could_mean_something_else_is_refused() {
        let refused = |pattern: &str| ExpectedPeer::pattern(pattern).unwrap_err();
        let own = |pattern: &str| pattern.to_owned();
        for pattern in ["spiffe://a/web-*", "spiffe://*.a/x", "spiffe://*/x", "spiffe://a/***"] {
            assert_eq!(refused(pattern), PatternError::PartOfSegment { pattern: own(pattern) });
        }
        let pattern = "spiffe://a/**/x";
        assert_eq!(refused(pattern), PatternError::NotAtEnd { pattern: own(pattern) });
        let (pattern, source) = ("spiffe://a/*/", SpiffeIdError::TrailingSlash);
        assert_eq!(refused(pattern), PatternError::NotSpiffeId { pattern: own(pattern), source });
    }
}
