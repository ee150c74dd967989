//! JWT-SVIDs, bundle documents and bundle maps.

use serde_json::Value;
use svid_tls::{Bundle, BundleSet, JwtVerifier};

use crate::{Expect, policy};

pub(crate) fn token(document: &Value, case: &Value) -> Vec<String> {
    let bundles: BundleSet = document["bundles"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(domain, bundle)| Bundle::from_jwks(domain.parse().unwrap(), bundle.to_string().as_bytes()).unwrap())
        .collect();
    let audience = case.get("audience").unwrap_or_else(|| &document["audience"]).as_array().unwrap();
    let verifier = JwtVerifier::new(audience.iter().map(|name| name.as_str().unwrap()));
    let at = case.get("at").unwrap_or_else(|| &document["at"]).as_str().unwrap();
    let ours = verifier.verify(case["token"].as_str().unwrap(), &bundles, humantime::parse_rfc3339(at).unwrap());
    let policy = policy::of(case["id"].as_str().unwrap());
    Expect::of(case, "expect").difference(&ours, policy).into_iter().collect()
}

pub(crate) fn bundle(domain: &str, case: &Value) -> Vec<String> {
    let ours = Bundle::from_jwks(domain.parse().unwrap(), case["document"].as_str().unwrap().as_bytes());
    let expect = Expect::of(case, "expect");
    let id = case["id"].as_str().unwrap();
    let mut differences: Vec<_> = expect.difference(&ours, policy::of(id)).into_iter().collect();
    let Ok(bundle) = &ours else { return differences };
    let keys = [("x509", bundle.x509_roots().len()), ("jwt", bundle.jwt_key_ids().len())];
    if expect == Expect::NoKey && bundle.ignored().is_empty() {
        differences.push(format!("every key is used: {bundle:?}"));
    }
    let ignore = u64::from(policy::of(id) == Some(policy::Choice::Ignore));
    for (name, ours) in keys {
        let wanted = case["want"].get(name).and_then(Value::as_u64);
        if wanted.is_some_and(|wanted| wanted.saturating_sub(ignore) != u64::try_from(ours).unwrap()) {
            differences.push(format!("{ours} {name} keys: {bundle:?}"));
        }
    }
    let numbers = [("sequence", bundle.sequence()), ("refresh_hint", bundle.refresh_hint().map(|hint| hint.as_secs()))];
    for (name, ours) in numbers {
        if case["want"].get(name).is_some_and(|wanted| wanted.as_u64() != ours) {
            differences.push(format!("{name} is {ours:?}"));
        }
    }
    differences
}

pub(crate) fn bundle_map(case: &Value) -> Vec<String> {
    let ours = BundleSet::from_bundle_map(case["document"].as_str().unwrap().as_bytes());
    let policy = policy::of(case["id"].as_str().unwrap());
    Expect::of(case, "expect").difference(&ours, policy).into_iter().collect()
}
