//! SPIFFE IDs, trust domains and endpoint addresses.

use serde_json::Value;
use svid_tls::{SpiffeId, TrustDomain, WorkloadApiAddress};

use crate::{Expect, policy};

pub(crate) fn spiffe_id(case: &Value) -> Vec<String> {
    let ours = case["input"].as_str().unwrap().parse::<SpiffeId>();
    let mut differences: Vec<_> = verdict(case, &ours).into_iter().collect();
    if let (Ok(id), Some(domain)) = (&ours, case["trust_domain"].as_str()) {
        let (domain_is, path_is) = (id.trust_domain(), id.path());
        if domain_is.name() != domain || path_is != case["path"] {
            differences.push(format!("trust domain {domain_is}, path {path_is}"));
        }
    }
    differences
}

pub(crate) fn trust_domain(case: &Value) -> Vec<String> {
    let ours = case["input"].as_str().unwrap().parse::<TrustDomain>();
    let mut differences: Vec<_> = verdict(case, &ours).into_iter().collect();
    if let (Ok(domain), Some(theirs)) = (&ours, case["trust_domain"].as_str())
        && domain.name() != theirs
    {
        differences.push(format!("trust domain {domain}"));
    }
    differences
}

pub(crate) fn endpoint(case: &Value) -> Vec<String> {
    let ours = case["input"].as_str().unwrap().parse::<WorkloadApiAddress>();
    verdict(case, &ours).into_iter().collect()
}

fn verdict<T: std::fmt::Debug, E: std::fmt::Display>(case: &Value, ours: &Result<T, E>) -> Option<String> {
    let policy = policy::of(case["id"].as_str().unwrap());
    Expect::of(case, "expect").difference(ours, policy)
}
