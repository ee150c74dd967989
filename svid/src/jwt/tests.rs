use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::json;

use super::*;
use crate::{Bundle, rule};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/jwt-svids.json")).unwrap()
}

fn token(id: &str) -> String {
    let vectors = vectors();
    let case = vectors["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).unwrap();
    case["token"].as_str().unwrap().to_owned()
}

fn bundles() -> BundleSet {
    let bundle = |(domain, bundle): (&String, &Value)| {
        Bundle::from_jwks(domain.parse().unwrap(), bundle.to_string().as_bytes()).unwrap()
    };
    vectors()["bundles"].as_object().unwrap().iter().map(bundle).collect()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// With a signature of nobody.
fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    format!("{}.{}.AAAA", encode(header), encode(claims))
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "ec256", "typ": "JWT" })
}

fn claims() -> Value {
    json!({ "sub": "spiffe://example.org/x", "aud": ["svc"], "exp": 2000, "iat": 1000 })
}

#[track_caller]
fn refused(token: &str, message: &str, rule: crate::Rule) {
    let error = JwtVerifier::new(["svc"]).verify(token, &bundles(), at(1500)).unwrap_err();
    assert_eq!((error.to_string(), error.rule()), (format!("{message} {rule}"), rule));
}

#[test]
fn each_rule_has_its_error() {
    let of_header = |member: &str, value: Value| {
        let mut header = header();
        header[member] = value;
        unsigned(&header, &claims())
    };
    let of_claims = |member: &str, value: Value| {
        let mut claims = claims();
        claims[member] = value;
        unsigned(&header(), &claims)
    };
    let unknown = "the header has the member \"jku\"; a JWT-SVID has alg, kid and typ only";
    refused(&of_header("jku", json!("https://x")), unknown, rule::J01);
    let hs = "alg is \"HS256\"; expected RS, ES or PS with 256, 384 or 512";
    refused(&of_header("alg", json!("HS256")), hs, rule::J02);
    refused(&of_header("kid", json!("")), "kid is missing, empty or not text", rule::J03);
    refused(&of_header("typ", json!("jwt")), "typ is \"jwt\"; expected JWT, JOSE or nothing", rule::J04);
    refused(&of_claims("sub", json!(1)), "sub is not a SPIFFE ID", rule::J05);
    let domain = "sub is the ID of the trust domain example.org and not of a workload";
    refused(&of_claims("sub", json!("spiffe://example.org")), domain, rule::J05);
    refused(&of_claims("aud", json!(["svc", 1])), "aud is missing, empty or not text", rule::J06);
    refused(&of_claims("exp", json!("2000")), "exp is missing or not a number", rule::J07);
    refused(&of_claims("exp", json!(1e300)), "exp is missing or not a number", rule::J07);
    refused(&of_claims("nbf", json!(null)), "nbf is not a number", rule::J09);
    let three = "the token has not three parts: expected a JWS in compact serialisation";
    refused("a.b", three, rule::J10);
    let part = "a part of the token is empty or not base64url without padding";
    refused("e30=.e30.AA", part, rule::J10);
    refused("e30.e30.", "alg is missing; expected RS, ES or PS with 256, 384 or 512", rule::J02);
    let long = format!("{}.a.a", "a".repeat(65_536));
    refused(&long, "the token is longer than 64 KiB", rule::J10);
    refused(&unsigned(&header(), &claims()), "the signature is not that of the key \"ec256\"", rule::J11);
    let other = "the key \"ec256\" is not one for RS256";
    refused(&of_header("alg", json!("RS256")), other, rule::J11);
    let curve = "the key \"ec384\" is not one for ES256";
    refused(&of_header("kid", json!("ec384")), curve, rule::J11);
    let none = "there is no bundle of the trust domain c.org";
    refused(&of_claims("sub", json!("spiffe://c.org/x")), none, rule::J12);
    let key = "the bundle of the trust domain other.org has no key \"ec256\" for JWT-SVIDs";
    refused(&of_claims("sub", json!("spiffe://other.org/x")), key, rule::J12);
}

/// A header that is wrong in everything is refused for its algorithm.
#[test]
fn the_algorithm_is_decided_first() {
    let header = json!({ "alg": "none", "crit": ["x"], "typ": 1, "jwk": {} });
    let none = "alg is \"none\"; expected RS, ES or PS with 256, 384 or 512";
    refused(&unsigned(&header, &json!({})), none, rule::J02);
}

#[test]
fn time_is_judged_to_the_second_with_the_leeway_given() {
    let (token, bundles) = (token("ok-es256"), bundles());
    let exp = 2_500_000_000;
    let verify = |leeway, now| {
        JwtVerifier::new(["svc"])
            .leeway(Duration::from_secs(leeway))
            .verify(&token, &bundles, at(now))
            .map(|p| p.expires())
    };
    assert_eq!(verify(0, exp - 1).unwrap(), at(exp));
    let error = verify(0, exp).unwrap_err();
    assert!(matches!(error, JwtSvidError::Expired { expired, at: now } if (expired, now) == (at(exp), at(exp))));
    assert_eq!(verify(5, exp + 4).unwrap(), at(exp));
    assert_eq!(verify(5, exp + 5).unwrap_err().rule(), rule::J08);
}

#[test]
fn only_the_own_audience_is_accepted() {
    let (token, bundles) = (token("ok-es256"), bundles());
    let verify = |names: &[&str]| JwtVerifier::new(names.iter().copied()).verify(&token, &bundles, at(1_900_000_000));
    assert_eq!(verify(&["other", "svc"]).unwrap().audience(), ["svc"]);
    let error = verify(&["Svc"]).unwrap_err();
    assert_eq!(error.to_string(), "the token is for svc; expected Svc [J-06, JWT-SVID 3.2]");
    assert_eq!(verify(&[]).unwrap_err().to_string(), "the token is for svc; expected nobody [J-06, JWT-SVID 3.2]");
}

#[test]
fn a_verified_token_has_its_claims() {
    let peer = JwtVerifier::new(["svc"]).verify(&token("ok-private-claims"), &bundles(), at(1_900_000_000)).unwrap();
    assert_eq!(peer.id().as_str(), "spiffe://example.org/workload");
    assert_eq!(peer.claims()["sub"], "spiffe://example.org/workload");
}

#[test]
fn our_own_token_shows_itself_on_demand_only() {
    let text = unsigned(&header(), &claims());
    let own = JwtSvid::from_agent(text.clone()).unwrap();
    assert_eq!((own.expose_token(), own.id().as_str()), (text.as_str(), "spiffe://example.org/x"));
    assert_eq!((own.issued(), own.expires(), own.audience()), (Some(at(1000)), at(2000), &["svc".to_owned()][..]));
    let shown = format!("{own:?}");
    assert!(shown.contains("[redacted]") && !shown.contains(&text[..20]), "{shown}");
    let error = JwtSvid::from_agent(unsigned(&json!({ "alg": "none" }), &claims())).unwrap_err();
    assert_eq!(error.rule(), rule::J02);
}

fn life(iat: Option<u64>, exp: u64) -> Arc<JwtSvid> {
    let mut claims = claims();
    claims["exp"] = exp.into();
    match iat {
        Some(iat) => claims["iat"] = iat.into(),
        None => drop(claims.as_object_mut().unwrap().remove("iat")),
    }
    Arc::new(JwtSvid::from_agent(unsigned(&header(), &claims)).unwrap())
}

fn state(cache: &JwtSvidCache, request: &JwtRequest, now: u64) -> &'static str {
    match cache.get(request, at(now)) {
        CachedJwt::Fresh(_) => "fresh",
        CachedJwt::RenewalDue(_) => "renewal due",
        CachedJwt::Missing => "missing",
    }
}

#[test]
fn a_token_is_renewed_at_half_of_its_life() {
    assert_eq!(renew_at(at(1000), at(2000)), at(1500));
    assert_eq!(renew_at(at(2000), at(1000)), at(2000), "what ends before it begins is to be renewed at once");
    // Issued before it came; without that; by a clock that is ahead.
    for (iat, renewal) in [(Some(1000), 1500), (None, 1600), (Some(1800), 1600)] {
        let (cache, request) = (JwtSvidCache::default(), JwtRequest::for_audience(["svc"]));
        cache.put(request.clone(), life(iat, 2000), at(1200));
        let states = [renewal - 1, renewal, 1999, 2000].map(|now| state(&cache, &request, now));
        assert_eq!(states, ["fresh", "renewal due", "renewal due", "missing"], "{iat:?}");
    }
}

#[test]
fn a_token_is_found_by_audience_in_any_order_and_by_subject() {
    let cache = JwtSvidCache::default();
    cache.put(JwtRequest::for_audience(["a", "b"]), life(None, 2000), at(1000));
    assert_eq!(state(&cache, &JwtRequest::for_audience(["b", "a"]), 1000), "fresh");
    assert_eq!(state(&cache, &JwtRequest::for_audience(["a"]), 1000), "missing");
    let subject = JwtRequest::for_audience(["a", "b"]).as_subject("spiffe://example.org/x".parse().unwrap());
    assert_eq!(state(&cache, &subject, 1000), "missing");
    cache.clear();
    assert_eq!(state(&cache, &JwtRequest::for_audience(["b", "a"]), 1000), "missing");
}

#[test]
fn a_full_cache_drops_the_token_that_ends_first() {
    let cache = JwtSvidCache::new(2);
    let request = |name: &str| JwtRequest::for_audience([name]);
    for (name, exp) in [("a", 3000), ("b", 2000), ("a", 3000), ("c", 2500)] {
        cache.put(request(name), life(None, exp), at(1000));
    }
    assert_eq!(["a", "b", "c"].map(|name| state(&cache, &request(name), 1000)), ["fresh", "missing", "fresh"]);
}
