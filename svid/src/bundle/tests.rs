use serde_json::{Value, json};

use super::*;
use crate::{Rule, rule};

fn domain() -> TrustDomain {
    "example.org".parse().unwrap()
}

fn vector(id: &str) -> Value {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/bundles.json")).unwrap();
    let case = vectors["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).unwrap();
    serde_json::from_str(case["document"].as_str().unwrap()).unwrap()
}

/// An x509-svid entry and a jwt-svid entry that can be used.
fn keys() -> [Value; 2] {
    let document = vector("ok-both");
    [document["keys"][0].clone(), document["keys"][1].clone()]
}

fn read(document: &Value) -> Result<Bundle, BundleError> {
    Bundle::from_jwks(domain(), document.to_string().as_bytes())
}

fn numbered(sequence: Option<u64>) -> Bundle {
    Bundle { sequence, ..Bundle::empty(domain()) }
}

#[test]
fn an_entry_that_cannot_be_used_is_ignored_and_the_others_are_not() {
    use IgnoredBecause as B;
    let key = |what| B::Key { what };
    let certificate = |what: &str| B::Certificate { what: what.into() };
    let cases: &[(usize, &str, Value, B, Rule)] = &[
        (0, "use", json!("sig"), B::Use { found: "\"sig\"".into() }, rule::B08),
        (0, "use", json!("X509-SVID"), B::Use { found: "\"X509-SVID\"".into() }, rule::B08),
        (0, "use", Value::Null, B::Use { found: "null".into() }, rule::B08),
        (0, "kty", json!("AKP"), B::KeyType { found: "AKP".into() }, rule::B07),
        (1, "kty", json!("oct"), B::KeyType { found: "oct".into() }, rule::B07),
        (0, "x5c", json!([]), B::NoCertificate, rule::B04),
        (0, "x5c", json!("x"), B::NoCertificate, rule::B04),
        (0, "x5c", json!(["*"]), certificate("it is not base64"), rule::B09),
        (0, "x", keys()[1]["x"].clone(), key("the point is not on its curve"), rule::B10),
        (1, "kid", json!(1), B::NoKeyId, rule::B02),
        (1, "kid", json!(""), B::NoKeyId, rule::B02),
        (1, "crv", json!("secp256k1"), key("its curve is unknown"), rule::B10),
        (1, "crv", json!("P-384"), key("a coordinate is too short or too long"), rule::B10),
        (1, "x", json!("AA=="), key("a coordinate is missing or not base64url"), rule::B10),
    ];
    for (which, member, value, because, rule) in cases {
        let mut keys = keys();
        keys[*which][*member] = value.clone();
        let bundle = read(&json!({ "keys": keys })).unwrap();
        let ignored = [IgnoredKey { place: *which, because: because.clone() }];
        if cfg!(not(feature = "aws-lc-rs")) && *because == key("the point is not on its curve") {
            continue;
        }
        assert_eq!(bundle.ignored(), ignored, "{member} {value}");
        assert_eq!(because.rule(), *rule);
        assert_eq!((bundle.x509_roots().len(), bundle.jwt_key_ids().len()), (*which, 1 - which));
    }
}

#[test]
fn a_key_that_is_not_the_certificates_is_ignored() {
    let [mut x509, jwt] = keys();
    let (x, y) = (jwt["x"].clone(), jwt["y"].clone());
    x509["x"] = x;
    x509["y"] = y;
    let bundle = read(&json!({ "keys": [x509] })).unwrap();
    let what = "its key is another one than that of the entry".to_owned();
    assert_eq!(bundle.ignored(), [IgnoredKey { place: 0, because: IgnoredBecause::Certificate { what } }]);
}

#[test]
fn rsa_keys_are_2048_bits_at_least_and_have_an_odd_exponent() {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    let entry = |modulus: &[u8], exponent: &[u8]| {
        let text = |bytes| Base64UrlUnpadded::encode_string(bytes);
        let key = json!({ "kty": "RSA", "use": "jwt-svid", "kid": "a", "n": text(modulus), "e": text(exponent) });
        read(&json!({ "keys": [key] })).unwrap()
    };
    let good = entry(&[0xff; 256], &[1, 0, 1]);
    assert_eq!(good.jwt_key_ids().collect::<Vec<_>>(), ["a"]);
    let zeros = entry(&[&[0][..], &[0xff; 256]].concat(), &[0, 1, 0, 1]);
    assert_eq!(zeros, good, "leading zeros mean nothing");
    let small = [[0x7f].as_slice(), &[0xff; 255]].concat();
    let refused: [(&[u8], &[u8], _); 5] = [
        (&small, &[1, 0, 1], "the modulus is below 2048 bits or above 8192"),
        (&[0xff; 128], &[1, 0, 1], "the modulus is below 2048 bits or above 8192"),
        (&[0xff; 1025], &[1, 0, 1], "the modulus is below 2048 bits or above 8192"),
        (&[0xff; 256], &[2], "the exponent is even or 1"),
        (&[0xff; 256], &[1], "the exponent is even or 1"),
    ];
    for (modulus, exponent, what) in refused {
        assert_eq!(
            entry(modulus, exponent).ignored(),
            [IgnoredKey { place: 0, because: IgnoredBecause::Key { what } }]
        );
    }
}

#[test]
fn an_ed25519_key_signs_no_jwt() {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "use": "jwt-svid", "kid": "a", "x": "A".repeat(43) });
    let what = "no algorithm of JWT-SVIDs uses it";
    let ignored = [IgnoredKey { place: 0, because: IgnoredBecause::Key { what } }];
    assert_eq!(read(&json!({ "keys": [key] })).unwrap().ignored(), ignored);
}

#[test]
fn of_two_keys_with_one_name_the_first_is_kept() {
    let [_, jwt] = keys();
    let mut other = jwt.clone();
    (other["x"], other["y"]) = (keys()[0]["x"].clone(), keys()[0]["y"].clone());
    let bundle = read(&json!({ "keys": [jwt, other] })).unwrap();
    let kid = jwt["kid"].as_str().unwrap().to_owned();
    assert_eq!(bundle, read(&json!({ "keys": [jwt] })).unwrap());
    assert_eq!(bundle.ignored(), [IgnoredKey { place: 1, because: IgnoredBecause::KeyIdTaken { kid } }]);
}

#[track_caller]
fn refused(document: &str, message: &str) {
    let error = Bundle::from_jwks(domain(), document.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), message, "{document}");
}

#[test]
fn a_document_is_refused_as_a_whole_for_its_own_members_only() {
    let json = "the bundle document is not a JSON object with every member once [B-01, Bundle 4.1.3]";
    refused("", json);
    refused(r#"{"keys":[],"keys":[]}"#, json);
    refused(r#"{"keys":[{"a":1,"a":1}]}"#, json);
    refused("{}", "the bundle document has no array `keys` [B-01, Bundle 4.1.3]");
    refused(
        r#"{"keys":[],"spiffe_sequence":18446744073709551616}"#,
        "`spiffe_sequence` is 1.8446744073709552e+19: expected a whole number from 0 to 18446744073709551615 \
         [B-12, Bundle 4.1.1]",
    );
    refused(
        r#"{"keys":[],"spiffe_refresh_hint":-1}"#,
        "`spiffe_refresh_hint` is -1: expected a whole number of seconds [B-13, Bundle 4.1.2]",
    );
    assert_eq!(read(&json!({ "keys": [], "other": [] })).unwrap(), Bundle::empty(domain()));
}

#[test]
fn the_refresh_hint_is_followed_within_limits() {
    let interval = |hint: Value| read(&json!({ "keys": [], "spiffe_refresh_hint": hint })).unwrap().refresh_interval();
    assert_eq!(interval(json!(60)), Duration::from_secs(60));
    assert_eq!(interval(json!(0)), Duration::from_secs(1));
    assert_eq!(interval(json!(u64::MAX)), Duration::from_secs(86_400));
    assert_eq!(Bundle::empty(domain()).refresh_interval(), Duration::from_secs(300));
}

#[test]
fn numbers_of_bundles_never_fall_and_never_vanish() {
    let judged = |old, new| numbered(new).may_replace(&numbered(old));
    for (old, new) in [(None, None), (None, Some(1)), (Some(1), Some(1)), (Some(1), Some(u64::MAX))] {
        assert_eq!(judged(old, new), Ok(()));
    }
    assert_eq!(judged(Some(2), Some(1)), Err(Rollback::Older { known: 2, offered: 1 }));
    assert_eq!(judged(Some(2), None), Err(Rollback::Unnumbered { known: 2 }));
}

#[test]
fn a_set_tells_what_an_update_changed_and_keeps_what_it_has_when_refused() {
    let mut set = BundleSet::default();
    assert_eq!(set.update(numbered(Some(2))), Ok(Update::Added));
    assert_eq!(set.update(numbered(Some(2))), Ok(Update::Unchanged));
    assert_eq!(set.update(numbered(Some(3))), Ok(Update::Changed));
    assert_eq!(set.update(numbered(Some(2))), Err(Rollback::Older { known: 3, offered: 2 }));
    assert_eq!(set.get("example.org").unwrap().sequence(), Some(3));
    set.insert(numbered(Some(1)));
    assert_eq!(set.get("example.org").unwrap().sequence(), Some(1), "our own agent may start anew");
    assert_eq!(set.remove("example.org").unwrap().sequence(), Some(1));
    assert_eq!((set.get("example.org"), set.is_empty()), (None, true));
}

#[test]
fn a_map_is_read_as_a_whole_or_not_at_all() {
    let read = |map: Value| BundleSet::from_bundle_map(map.to_string().as_bytes());
    let good = json!({ "trust_domains": { "a": { "keys": keys() }, "b": { "keys": [] } } });
    let set = read(good.clone()).unwrap();
    assert_eq!((set.iter().len(), set.get("a").unwrap().x509_roots().len()), (2, 1));
    let mut bad = good.clone();
    bad["trust_domains"]["b"] = json!({});
    let error = read(bad).unwrap_err();
    assert_eq!(error.to_string(), "the bundle of b in the bundle map is refused [B-14, Bundle 5.1.1]");
    let mut bad = good;
    bad["trust_domains"]["B"] = json!({ "keys": [] });
    let error = read(bad).unwrap_err();
    assert!(matches!(error, BundleError::TrustDomain { name, source } if name == "B" && source.rule() == rule::I09));
}

#[test]
fn roots_given_directly_are_taken_all_or_not_at_all() {
    let root = include_str!("../../tests/vectors/x509/root-a.pem");
    let twice = Bundle::from_x509_pem(domain(), format!("{root}{root}").as_bytes()).unwrap();
    assert_eq!(twice.x509_roots().len(), 1);
    let der = twice.x509_roots().next().unwrap();
    let again = Bundle::from_x509_der(domain(), [der]).unwrap();
    assert_eq!(again, twice);
    let error = Bundle::from_x509_der(domain(), [der, &der[..40]]).unwrap_err();
    assert_eq!(error.to_string(), "root 1 (first = 0) cannot be read: expected an X.509 certificate");
}

#[test]
fn jwt_keys_come_from_the_other_bundle() {
    let [x509, jwt] = keys();
    let both = read(&json!({ "keys": [x509, jwt] })).unwrap();
    let x509 = read(&json!({ "keys": [x509] })).unwrap();
    assert_eq!(x509.with_jwt_keys_of(&read(&json!({ "keys": [jwt] })).unwrap()), both);
}
