//! Errors of X.509-SVIDs, path by path, and what the conformance vectors cannot ask.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "x509/authority.rs"]
mod authority;

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use svid_tls::{Bundle, BundleSet, Outcome, Report, Signer, X509Svid, X509SvidError, X509Verifier};

use self::authority::{Authority, chain_of, key_usage, now, revocation_list, uri_constraint};

fn bundles(roots: &[&Authority]) -> BundleSet {
    let ders = roots.iter().map(|root| root.der());
    [Bundle::from_x509_der("example.org".parse().unwrap(), ders).unwrap()].into_iter().collect()
}

fn verify(chain: &[Vec<u8>], bundles: &BundleSet) -> Result<String, X509SvidError> {
    X509Verifier::new().verify(chain, bundles, now()).map(|peer| peer.id().to_string())
}

const WEB: &str = "spiffe://example.org/web";

/// The vectors name the rule that each case breaks; our error is to be about the same one.
#[test]
fn the_error_is_about_the_rule_that_is_broken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let vectors: Value = serde_json::from_slice(&std::fs::read(folder.join("x509-cases.json")).unwrap()).unwrap();
    let mut compared = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let read = |file: &Value| std::fs::read(folder.join(file.as_str().unwrap())).unwrap();
        let id = case["id"].as_str().unwrap();
        if case["expect_peer"] != "reject" || case["rule"] == "X-27" {
            continue;
        }
        let chain = pem_blocks(&read(&case["chain"]));
        let bundle = |(domain, roots): (&String, &Value)| {
            let roots: Vec<u8> = roots.as_array().unwrap().iter().flat_map(read).collect();
            Bundle::from_x509_pem(domain.parse().unwrap(), &roots).unwrap()
        };
        let bundles: BundleSet = case["bundles"].as_object().unwrap().iter().map(bundle).collect();
        let at = humantime::parse_rfc3339(case["at"].as_str().unwrap()).unwrap();
        let error = X509Verifier::new().verify(&chain, &bundles, at).unwrap_err();
        let found = match &error {
            // What is wrong with the URI is a rule of identifiers.
            X509SvidError::NotSpiffeId { source, .. } if case["rule"] != "X-06" => source.rule().number,
            other => other.rule().number,
        };
        let wanted = match id {
            // The URI is read byte by byte, and these are not where a scheme is.
            "bad-id-16" => "I-06",
            "bad-id-22" => "I-01",
            // There is a bundle, and it has no roots.
            "empty-bundle" => "X-23",
            // Its signature is that of nobody in example.org.
            "wrong-td-forged" | "wrong-td-forged-2" => "X-21",
            _ => case["rule"].as_str().unwrap(),
        };
        assert_eq!(found, wanted, "{id}: {error}");
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
}

fn pem_blocks(text: &[u8]) -> Vec<Vec<u8>> {
    pem::parse_many(text).unwrap().into_iter().map(|block| block.into_contents()).collect()
}

#[test]
fn the_peer_is_trusted_until_the_first_certificate_of_the_path_ends() {
    let day = Duration::from_secs(86_400);
    let root = Authority::root(|_| {});
    let middle = root.sub(|params| params.not_after = (now() + 2 * day).into());
    let leaf = middle.leaf(WEB, |params| params.not_after = (now() + 3 * day).into());
    let peer = X509Verifier::new().verify(&chain_of(&leaf, &[&middle]), &bundles(&[&root]), now()).unwrap();
    assert_eq!((peer.id().as_str(), peer.not_after()), (WEB, now() + 2 * day));
}

#[test]
fn a_root_that_is_not_current_is_not_used_and_another_one_is() {
    let expired = Authority::root(|params| params.not_after = (now() - Duration::from_secs(1)).into());
    let renewed = expired.renewed(|_| {});
    let chain = chain_of(&expired.leaf(WEB, |_| {}), &[]);
    let error = verify(&chain, &bundles(&[&expired])).unwrap_err();
    assert!(matches!(error, X509SvidError::NotCurrent { signer: Signer::Root(0), at, .. } if at == now()), "{error}");
    assert_eq!(verify(&chain, &bundles(&[&expired, &renewed])).unwrap(), WEB);
    let lax = X509Verifier::new().danger_ignore_state_of_roots();
    assert_eq!(lax.verify(&chain, &bundles(&[&expired]), now()).unwrap().id().as_str(), WEB);
}

#[test]
fn a_root_is_an_authority_that_may_sign() {
    let no_authority = Authority::root(|params| params.is_ca = rcgen::IsCa::ExplicitNoCa);
    let error = verify(&chain_of(&no_authority.leaf(WEB, |_| {}), &[]), &bundles(&[&no_authority])).unwrap_err();
    assert!(matches!(error, X509SvidError::SignerIsNoCa { signer: Signer::Root(0) }), "{error}");
    let may_not = Authority::root(|params| params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature]);
    let error = verify(&chain_of(&may_not.leaf(WEB, |_| {}), &[]), &bundles(&[&may_not])).unwrap_err();
    assert!(matches!(error, X509SvidError::SignerMayNotSign { signer: Signer::Root(0) }), "{error}");
}

#[test]
fn the_path_length_of_a_root_holds() {
    let root = Authority::root(|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0)));
    let middle = root.sub(|_| {});
    assert_eq!(verify(&chain_of(&root.leaf(WEB, |_| {}), &[]), &bundles(&[&root])).unwrap(), WEB);
    let error = verify(&chain_of(&middle.leaf(WEB, |_| {}), &[&middle]), &bundles(&[&root])).unwrap_err();
    assert!(matches!(error, X509SvidError::PathLength { source: None }), "{error}");
}

#[test]
fn signing_certificates_are_no_workloads_and_for_both_roles() {
    type Change = fn(&mut rcgen::CertificateParams);
    let cases: &[(Change, &str)] = &[
        (|params| params.subject_alt_names = authority::uris(&["spiffe://example.org/ca"]), "X-08"),
        (|params| params.subject_alt_names = authority::uris(&["spiffe://example.org/"]), "X-06"),
        (|params| params.subject_alt_names = authority::uris(&["spiffe://example.org", "https://a"]), "X-02"),
        (|params| params.key_usages = vec![], "X-13"),
        (|params| params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign], "X-18"),
        (|params| params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth], "X-19"),
        (|params| params.is_ca = rcgen::IsCa::ExplicitNoCa, "X-11"),
        (|params| params.not_after = (now() - Duration::from_secs(1)).into(), "X-22"),
    ];
    let root = Authority::root(|_| {});
    for (change, rule) in cases {
        let middle = root.sub(change);
        let error = verify(&chain_of(&middle.leaf(WEB, |_| {}), &[&middle]), &bundles(&[&root])).unwrap_err();
        assert_eq!(error.rule().number, *rule, "{error}");
        // Where no path needs it, it says nothing.
        assert_eq!(verify(&chain_of(&root.leaf(WEB, |_| {}), &[&middle]), &bundles(&[&root])).unwrap(), WEB);
    }
    let fine: &[Change] = &[
        |params| params.subject_alt_names = authority::uris(&["https://a", "https://b"]),
        |params| params.subject_alt_names = authority::uris(&["spiffe://other.org"]),
        |params| params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Any],
    ];
    for change in fine {
        let middle = root.sub(change);
        assert_eq!(verify(&chain_of(&middle.leaf(WEB, |_| {}), &[&middle]), &bundles(&[&root])).unwrap(), WEB);
    }
}

#[test]
fn a_key_usage_that_is_not_critical_is_refused() {
    let root = Authority::root(|_| {});
    let leaf = |critical| {
        chain_of(
            &root.leaf(WEB, |params| {
                params.key_usages.clear();
                params.custom_extensions.push(key_usage(0x80, critical));
            }),
            &[],
        )
    };
    assert_eq!(verify(&leaf(true), &bundles(&[&root])).unwrap(), WEB);
    let error = verify(&leaf(false), &bundles(&[&root])).unwrap_err();
    assert!(matches!(error, X509SvidError::KeyUsageNotCritical { certificate: 0 }), "{error}");
}

#[test]
fn a_root_may_constrain_uris_and_an_intermediate_may_not() {
    let allows = |host: &str| {
        let constraint = uri_constraint(host);
        move |params: &mut rcgen::CertificateParams| params.custom_extensions.push(constraint)
    };
    let judged = |root: &Authority, middle: &Authority| {
        verify(&chain_of(&middle.leaf(WEB, |_| {}), &[middle]), &bundles(&[root]))
    };
    let root = Authority::root(allows("example.org"));
    assert_eq!(judged(&root, &root.sub(|_| {})).unwrap(), WEB);
    let elsewhere = root.sub(|params| params.subject_alt_names = authority::uris(&["spiffe://other.org"]));
    let refused = |error| matches!(error, X509SvidError::NameConstraint { source: None, .. });
    assert!(refused(judged(&root, &elsewhere).unwrap_err()));
    let root = Authority::root(allows("other.org"));
    assert!(refused(judged(&root, &root.sub(|_| {})).unwrap_err()));

    let root = Authority::root(|_| {});
    let error = judged(&root, &root.sub(allows("example.org"))).unwrap_err();
    assert!(matches!(error, X509SvidError::NameConstraint { source: Some(_), .. }), "{error}");
    let dns = rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("svc.local".into())],
        excluded_subtrees: vec![],
    };
    assert_eq!(judged(&root, &root.sub(|params| params.name_constraints = Some(dns))).unwrap(), WEB);
}

#[test]
fn sixteen_certificates_are_looked_at_and_no_more() {
    let root = Authority::root(|_| {});
    let unrelated = Authority::root(|_| {});
    let chain = |length: usize| {
        let mut chain = chain_of(&root.leaf(WEB, |_| {}), &[]);
        chain.resize(length, unrelated.der());
        chain
    };
    assert_eq!(verify(&chain(16), &bundles(&[&root])).unwrap(), WEB);
    let error = verify(&chain(17), &bundles(&[&root])).unwrap_err();
    assert!(matches!(error, X509SvidError::ChainTooLong { certificates: 17, limit: 16 }), "{error}");
    assert!(matches!(verify(&[], &bundles(&[&root])), Err(X509SvidError::NoCertificate)));
}

#[test]
fn revocation_lists_are_asked_where_they_are_given() {
    let root = Authority::root(|_| {});
    let (good, revoked) = (root.leaf(WEB, |_| {}), root.leaf(WEB, |params| params.serial_number = Some(7.into())));
    let judged = |leaf: &Authority, next_update| {
        let list = revocation_list(&root, &[7], next_update);
        let verifier = X509Verifier::new().with_crls([list]).unwrap();
        verifier.verify(&chain_of(leaf, &[]), &bundles(&[&root]), now()).map(|peer| peer.id().to_string())
    };
    let tomorrow = now() + Duration::from_secs(86_400);
    assert_eq!(judged(&good, tomorrow).unwrap(), WEB);
    for error in [judged(&revoked, tomorrow).unwrap_err(), judged(&good, now() - Duration::from_secs(1)).unwrap_err()] {
        assert!(matches!(error, X509SvidError::Revoked { .. }), "{error}");
    }
    assert_eq!(verify(&chain_of(&revoked, &[]), &bundles(&[&root])).unwrap(), WEB);
    let none = X509Verifier::new().with_crls([]).unwrap_err().to_string();
    assert_eq!(none, "no revocation list was given");
    let unreadable = X509Verifier::new().with_crls([vec![0x30]]).unwrap_err().to_string();
    assert_eq!(unreadable, "revocation list 0 (first = 0) cannot be read: expected DER or PEM");
}

#[test]
fn a_revocation_list_of_a_root_that_may_sign_none_is_worth_nothing() {
    let judged = |usages: &[rcgen::KeyUsagePurpose]| {
        let root = Authority::root(|params| params.key_usages = usages.to_vec());
        let (signer, leaf) = (root.renewed(|_| {}), root.leaf(WEB, |_| {}));
        let list = revocation_list(&signer, &[7], now() + Duration::from_secs(86_400));
        let verifier = X509Verifier::new().with_crls([list]).unwrap();
        verifier.verify(&chain_of(&leaf, &[]), &bundles(&[&root]), now()).map(|peer| peer.id().to_string())
    };
    use rcgen::KeyUsagePurpose as U;
    assert_eq!(judged(&[U::KeyCertSign, U::CrlSign]).unwrap(), WEB);
    let error = judged(&[U::KeyCertSign]).unwrap_err();
    assert!(matches!(error, X509SvidError::Revoked { .. }), "{error}");
}

fn outcome<'a>(report: &'a Report, number: &str) -> &'a Outcome {
    &report.findings.iter().find(|finding| finding.rule.number == number).unwrap().outcome
}

#[test]
fn a_report_goes_on_after_the_first_broken_rule() {
    let root = Authority::root(|_| {});
    let leaf = root.leaf(WEB, |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = (now() - Duration::from_secs(1)).into();
    });
    let report = X509Verifier::new().explain(&chain_of(&leaf, &[]), &bundles(&[&root]), now());
    let broken: Vec<_> = report.broken().map(|error| error.rule().number).collect();
    assert_eq!(broken, ["X-14", "X-15", "X-16", "X-20", "X-22"]);
    assert!(matches!(outcome(&report, "X-23"), Outcome::Pass));
    assert!(matches!(outcome(&report, "X-21"), Outcome::NotApplicable("not reached")));
    let text = report.to_string();
    assert!(text.starts_with("not trusted; claims to be spiffe://example.org/web\n"), "{text}");
    let line =
        "FAIL    X-15 the key usage of the leaf has keyCertSign, which is for authorities [X-15, X509-SVID 5.2]\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_report_on_a_good_chain_gives_advice() {
    let root = Authority::root(|_| {});
    let upper = root.sub(|_| {});
    let middle = upper.sub(|params| params.subject_alt_names.clear());
    let leaf = middle.leaf(WEB, |params| params.extended_key_usages.clear());
    let report = X509Verifier::new().explain(&chain_of(&leaf, &[&middle, &upper]), &bundles(&[&root]), now());
    assert!(report.is_trusted() && report.broken().next().is_none(), "{report}");
    for number in ["X-07", "X-20"] {
        assert!(matches!(outcome(&report, number), Outcome::Advice(_)), "{report}");
    }
    for number in
        ["X-00", "X-04", "X-10", "X-14", "X-15", "X-16", "X-11", "X-13", "X-18", "X-21", "X-22", "X-23", "X-30"]
    {
        assert!(matches!(outcome(&report, number), Outcome::Pass), "{number}\n{report}");
    }
    assert!(matches!(outcome(&report, "X-29"), Outcome::NotApplicable("not reached")));
}

#[test]
fn our_own_svid_has_its_key_and_hides_it() {
    let root = Authority::root(|_| {});
    let (leaf, other) = (root.leaf(WEB, |_| {}), root.leaf(WEB, |_| {}));
    let svid = X509Svid::from_der(chain_of(&leaf, &[]), &leaf.key_der()).unwrap().with_hint("internal");
    assert_eq!((svid.id().as_str(), svid.hint()), (WEB, Some("internal")));
    assert_eq!(svid.identity().chain().collect::<Vec<_>>(), [leaf.der()]);
    assert!(svid.not_after() > SystemTime::UNIX_EPOCH);
    let shown = format!("{svid:?}");
    assert!(shown.contains("[redacted]"), "{shown}");
    let error = X509Svid::from_der(chain_of(&leaf, &[]), &other.key_der()).unwrap_err();
    assert!(matches!(error, X509SvidError::PrivateKey { .. }), "{error}");
    let same = X509Svid::from_pem(leaf.pem().as_bytes(), leaf.key_pem().as_bytes()).unwrap();
    assert_eq!(same.id(), svid.id());
}
