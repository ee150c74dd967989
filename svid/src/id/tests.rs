use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::rule;

#[track_caller]
fn refused(text: &str, error: SpiffeIdError) {
    assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text:?}");
}

#[test]
fn each_rule_has_its_error() {
    use SpiffeIdError as E;
    let cases = [
        ("", E::Scheme, rule::I01),
        ("spiffe:/example.org/x", E::Scheme, rule::I01),
        ("spiffe://example.org?x", E::QueryOrFragment { mark: b'?' }, rule::I02),
        ("spiffe://example.org/x#", E::QueryOrFragment { mark: b'#' }, rule::I02),
        ("spiffe:///x", E::NoTrustDomain, rule::I03),
        ("spiffe://example.org:/x", E::UserOrPort { mark: b':' }, rule::I04),
        ("spiffe://@example.org/x", E::UserOrPort { mark: b'@' }, rule::I04),
        ("spiffe://[::1]/x", E::Brackets, rule::I06),
        ("spiffe://exa mple.org/x", E::TrustDomainByte { byte: b' ' }, rule::I08),
        ("spiffe://Example.org/x", E::Capitals, rule::I09),
        ("Spiffe://example.org/x", E::Capitals, rule::I09),
        ("spiffe://example.org/%61", E::PercentEncoding, rule::I11),
        ("spiffe://example.org//x", E::EmptySegment, rule::I12),
        ("spiffe://example.org/../x", E::DotSegment, rule::I13),
        ("spiffe://example.org/", E::TrailingSlash, rule::I14),
        ("spiffe://example.org/x/", E::TrailingSlash, rule::I14),
        ("spiffe://example.org/a~b", E::PathByte { byte: b'~' }, rule::I16),
    ];
    for (text, error, rule) in cases {
        refused(text, error);
        assert_eq!(error.rule(), rule);
        assert!(error.to_string().ends_with(&rule.to_string()), "{error}");
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let id = |length: usize| format!("spiffe://example.org/{}", "a".repeat(length - 21));
    assert_eq!(id(2048).parse::<SpiffeId>().unwrap().as_str().len(), 2048);
    refused(&id(2049), SpiffeIdError::TooLong { length: 2049 });
    let domain = |length| format!("spiffe://{}/x", "a".repeat(length));
    assert_eq!(domain(255).parse::<SpiffeId>().unwrap().trust_domain().name().len(), 255);
    refused(&domain(256), SpiffeIdError::TrustDomainTooLong { length: 256 });
}

#[test]
fn a_byte_outside_utf8_is_refused() {
    let given = SpiffeId::from_bytes(b"spiffe://example.org/\xff");
    assert_eq!(given, Err(SpiffeIdError::PathByte { byte: 0xff }));
}

#[test]
fn the_lenient_reader_folds_ascii_in_scheme_and_domain_only() {
    let lenient = |text| SpiffeId::parse_lenient(text).map(|id| id.to_string());
    assert_eq!(lenient("SPIFFE://EXAMPLE.org/Web"), Ok("spiffe://example.org/Web".into()));
    assert_eq!(lenient("spiffe://example\u{212a}.org/x"), Err(SpiffeIdError::TrustDomainByte { byte: 0xe2 }));
    assert_eq!(lenient("spiffe://example.org/x?"), Err(SpiffeIdError::QueryOrFragment { mark: b'?' }));
    assert_eq!(TrustDomain::parse_lenient("Example.ORG").unwrap().name(), "example.org");
    assert_eq!(TrustDomain::parse_lenient("Spiffe://Example.ORG/X").unwrap().name(), "example.org");
}

#[test]
fn a_trust_domain_is_the_same_wherever_it_comes_from() {
    let from_id = "spiffe://example.org/x".parse::<SpiffeId>().unwrap().trust_domain();
    let from_name: TrustDomain = "example.org".parse().unwrap();
    assert_eq!(from_id, from_name);
    assert_eq!(from_id.id().as_str(), "spiffe://example.org");
    assert!(from_id.id().is_trust_domain());
    let map = HashMap::from([(from_id.clone(), ())]);
    assert!(map.contains_key("example.org") && map.contains_key(&from_name));
    assert_eq!(BTreeSet::from([from_id, from_name]).len(), 1);
}

#[test]
fn a_path_is_added_to_a_trust_domain() {
    let domain: TrustDomain = "example.org".parse().unwrap();
    assert_eq!(domain.with_path("/a/b").unwrap().as_str(), "spiffe://example.org/a/b");
    assert_eq!(domain.with_path("a"), Err(SpiffeIdError::RelativePath));
    assert_eq!(domain.with_path("/"), Err(SpiffeIdError::TrailingSlash));
}

#[test]
fn serde_takes_and_gives_text() {
    let id: SpiffeId = serde_json::from_str(r#""spiffe://example.org/x""#).unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), r#""spiffe://example.org/x""#);
    let refused = serde_json::from_str::<TrustDomain>(r#""a b""#).unwrap_err().to_string();
    assert!(refused.starts_with(r#""a b" is not a trust domain: its trust domain has the byte 0x20"#), "{refused}");
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_given(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let text = [b"spiffe://", &bytes[..]].concat();
        if let Ok(id) = SpiffeId::from_bytes(&text) {
            prop_assert_eq!(id.as_str().as_bytes(), &text[..]);
            prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), id.as_str());
        }
    }
}
