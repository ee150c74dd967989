//! Name constraints of roots (RFC 5280 section 4.2.1.10). URIs are judged here and taken out of what webpki gets, which
//! would refuse every URI under them; everything else stays with webpki.

use der::{Decode as _, Encode as _, Sequence, Tag, TagNumber, Tagged as _, asn1::AnyRef};

use super::X509SvidError;
use crate::SpiffeId;

/// Hosts and domains, in lower case. A domain begins with `.`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UriConstraints {
    /// `None`: everything is permitted.
    permitted: Option<Vec<String>>,
    excluded: Vec<String>,
}

#[derive(Sequence)]
struct Subtree<'a> {
    /// "the minimum MUST be zero, and maximum MUST be absent", so that neither is encoded.
    base: AnyRef<'a>,
}

const URI: u32 = 6;

impl UriConstraints {
    /// From the value of the extension, with the content of the SEQUENCE without URIs, if anything is left.
    pub(crate) fn split(extension: &[u8]) -> der::Result<(Self, Option<Vec<u8>>)> {
        let mut uris = Self::default();
        let mut rest = Vec::new();
        for subtrees in Vec::<AnyRef<'_>>::from_der(extension)? {
            let Tag::ContextSpecific { constructed: true, number } = subtrees.tag() else {
                return Err(subtrees.tag().unexpected_error(None).into());
            };
            let (hosts, others) = split_subtrees(subtrees.value())?;
            match number.value() {
                0 if !hosts.is_empty() => uris.permitted.get_or_insert_default().extend(hosts),
                0 => {}
                1 => uris.excluded.extend(hosts),
                _ => return Err(subtrees.tag().unexpected_error(None).into()),
            }
            if !others.is_empty() {
                let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(number.value()) };
                AnyRef::new(tag, &others)?.encode_to_vec(&mut rest)?;
            }
        }
        Ok((uris, Some(rest).filter(|rest| !rest.is_empty())))
    }

    /// Whether the URIs of a certificate are allowed.
    pub(crate) fn judge(&self, uris: &[&[u8]]) -> Result<(), X509SvidError> {
        if *self == Self::default() {
            return Ok(());
        }
        let refuse = |what| Err(X509SvidError::NameConstraint { what, source: None });
        for uri in uris {
            // "If a constraint is applied to the uniformResourceIdentifier name form and a subsequent certificate includes
            // a [...] uniformResourceIdentifier that does not include an authority component with a host name [...], then
            // the application MUST reject the certificate."
            let Ok(id) = SpiffeId::from_bytes(uri) else {
                return refuse("the root constrains URIs, and a certificate has one that is no SPIFFE ID".into());
            };
            let host = id.domain_name();
            if let Some(constraint) = self.excluded.iter().find(|constraint| covers(constraint, host)) {
                return refuse(format!("the root may not vouch for {host}: it excludes `{constraint}`"));
            }
            if let Some(permitted) = &self.permitted
                && !permitted.iter().any(|constraint| covers(constraint, host))
            {
                return refuse(format!("the root may not vouch for {host}: it permits `{}`", permitted.join("`, `")));
            }
        }
        Ok(())
    }
}

/// "When the constraint begins with a period, it MAY be expanded with one or more labels. [...] When the constraint does
/// not begin with a period, it specifies a host."
fn covers(constraint: &str, host: &str) -> bool {
    if constraint.starts_with('.') {
        host.len() > constraint.len() && host.ends_with(constraint)
    } else {
        host == constraint
    }
}

/// The hosts of URI subtrees, and the encoding of the others.
fn split_subtrees(mut encoded: &[u8]) -> der::Result<(Vec<String>, Vec<u8>)> {
    let (mut hosts, mut others) = (Vec::new(), Vec::new());
    while !encoded.is_empty() {
        let (subtree, rest) = AnyRef::from_der_partial(encoded)?;
        let base = subtree.decode_as::<Subtree<'_>>()?.base;
        match base.tag() {
            Tag::ContextSpecific { constructed: false, number } if number.value() == URI => {
                hosts.push(String::from_utf8_lossy(base.value()).to_ascii_lowercase());
            }
            _ => {
                let length = encoded.len() - rest.len();
                others.extend_from_slice(encoded.get(..length).unwrap_or_default());
            }
        }
        encoded = rest;
    }
    Ok((hosts, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NameConstraints` of subtrees, each with its list (0 permitted, 1 excluded), kind of name and value.
    fn constraints(subtrees: &[(u8, u8, &str)]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let list = |wanted: u8| {
            let subtrees = subtrees.iter().filter(|(list, ..)| *list == wanted);
            let encoded: Vec<u8> =
                subtrees.flat_map(|(_, kind, base)| wrap(0x30, &wrap(0x80 | kind, base.as_bytes()))).collect();
            if encoded.is_empty() { encoded } else { wrap(0xa0 | wanted, &encoded) }
        };
        wrap(0x30, &[list(0), list(1)].concat())
    }

    #[track_caller]
    fn judged(subtrees: &[(u8, u8, &str)], id: &str) -> Result<(), String> {
        let (uris, _) = UriConstraints::split(&constraints(subtrees)).unwrap();
        uris.judge(&[id.as_bytes()]).map_err(|e| e.to_string())
    }

    #[test]
    fn a_host_is_itself_and_a_domain_what_is_below_it() {
        let ok = Ok(());
        let host = [(0, 6, "example.org")];
        assert_eq!(judged(&host, "spiffe://example.org/x"), ok);
        let refused = "the root may not vouch for a.example.org: it permits `example.org` [X-30, X509-SVID 4.2]";
        assert_eq!(judged(&host, "spiffe://a.example.org/x"), Err(refused.into()));
        let domain = [(0, 6, ".Example.org")];
        assert_eq!(judged(&domain, "spiffe://a.example.org/x"), ok);
        let refused = "the root may not vouch for example.org: it permits `.example.org` [X-30, X509-SVID 4.2]";
        assert_eq!(judged(&domain, "spiffe://example.org/x"), Err(refused.into()));
    }

    #[test]
    fn what_is_excluded_is_excluded_though_permitted() {
        let both = [(0, 6, ".org"), (1, 6, "example.org")];
        assert_eq!(judged(&both, "spiffe://other.org/x"), Ok(()));
        let refused = "the root may not vouch for example.org: it excludes `example.org` [X-30, X509-SVID 4.2]";
        assert_eq!(judged(&both, "spiffe://example.org/x"), Err(refused.into()));
    }

    #[test]
    fn a_uri_without_a_host_is_refused_under_constraints_only() {
        let refused = "the root constrains URIs, and a certificate has one that is no SPIFFE ID [X-30, X509-SVID 4.2]";
        assert_eq!(judged(&[(0, 6, "example.org")], "urn:x"), Err(refused.into()));
        assert_eq!(judged(&[(0, 2, "example.org")], "urn:x"), Ok(()));
    }

    #[test]
    fn other_kinds_of_names_stay_as_they_were() {
        let mixed = constraints(&[(0, 2, "a.b"), (0, 6, "c"), (1, 6, "d"), (1, 2, "e")]);
        let (_, rest) = UriConstraints::split(&mixed).unwrap();
        assert_eq!(rest, Some(constraints(&[(0, 2, "a.b"), (1, 2, "e")])[2..].to_vec()));
        assert_eq!(UriConstraints::split(&constraints(&[(0, 6, "c")])).unwrap().1, None);
    }
}
