//! Chains as peers present them, and as we load our own.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;
use svid_tls::{Bundle, BundleSet, X509Svid, X509Verifier};

use crate::{Expect, policy};

pub(crate) fn judged(folder: &Path, case: &Value) -> Vec<String> {
    let read = |file: &Value| std::fs::read(folder.join(file.as_str().unwrap())).unwrap();
    let (pem, key) = (read(&case["chain"]), read(&case["key"]));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect();
    let bundles: BundleSet = case["bundles"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(domain, roots)| {
            let roots: Vec<u8> = roots.as_array().unwrap().iter().flat_map(&read).collect();
            Bundle::from_x509_pem(domain.parse().unwrap(), &roots).unwrap()
        })
        .collect();
    let at = humantime::parse_rfc3339(case["at"].as_str().unwrap()).unwrap();
    let id = case["id"].as_str().unwrap();
    let verifier = X509Verifier::new();
    let mut differences = Vec::new();

    let peer = verifier.verify(&chain, &bundles, at);
    // A peer with the wrong key cannot finish the handshake; its chain is all right.
    if case["rule"] != "X-27" {
        let difference = Expect::of(case, "expect_peer").difference(&peer, policy::of(id));
        differences.extend(difference.map(|difference| format!("as a peer's: {difference}")));
    }
    let own = X509Svid::from_pem(&pem, &key);
    let difference =
        Expect::of(case, "expect_own").difference(&own, policy::of(&format!("{id} own")).or_else(|| policy::of(id)));
    differences.extend(difference.map(|difference| format!("as our own: {difference}")));

    let report = verifier.explain(&chain, &bundles, at);
    let rules: Vec<_> = report.broken().map(|error| error.rule()).collect();
    match &peer {
        Ok(peer) if report.verified.as_ref() == Some(peer) && rules.is_empty() => {}
        Err(error) if !report.is_trusted() && rules.contains(&error.rule()) => {}
        _ => differences.push(format!("the report differs from the verdict {peer:?}:\n{report}")),
    }
    differences
}
