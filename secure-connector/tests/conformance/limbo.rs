//! x509-limbo, run as its harness for rustls-webpki runs it.

use std::{collections::HashMap, time::SystemTime};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use secure_connector::{PeerVerifier, Roots};
use serde::Deserialize;

use crate::Outcome;

#[derive(Deserialize)]
pub(crate) struct Suite {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    signature_algorithms: Vec<String>,
    key_usage: Vec<String>,
    expected_result: Verdict,
    expected_peer_name: Option<PeerName>,
    max_chain_depth: Option<u32>,
    crls: Vec<String>,
}

#[derive(Deserialize)]
struct PeerName {
    value: String,
}

/// What `WebPkiServerVerifier` of rustls 0.23.46 does, by the same rules.
#[derive(Deserialize)]
pub(crate) struct Baseline {
    id: String,
    actual: Verdict,
    agree: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Verdict {
    Success,
    Failure,
    Skipped,
}

impl Suite {
    pub(crate) fn cases(&self) -> usize {
        self.testcases.len()
    }
}

pub(crate) fn run(suite: &Suite, baseline: &[Baseline]) -> Outcome {
    let baseline: HashMap<&str, &Baseline> = baseline.iter().map(|entry| (entry.id.as_str(), entry)).collect();
    let mut outcome = Outcome::default();
    for case in &suite.testcases {
        let baseline = baseline.get(case.id.as_str()).copied();
        if let Some(reason) = skip(case) {
            outcome.skipped += 1;
            if let Some(Baseline { agree: Some(_), .. }) = baseline {
                outcome.failed.push(format!("{}: skipped ({reason}), but the baseline has a verdict", case.id));
            }
            continue;
        }
        let (verdict, why) = judge(case);
        let listed = KNOWN.iter().any(|(_, ids)| ids.contains(&case.id.as_str()));
        match (verdict == case.expected_result, listed) {
            (true, false) => outcome.passed += 1,
            (true, true) => outcome.failed.push(format!("{}: a known exception that passes: strike it", case.id)),
            (false, _) if excused(verdict, baseline) => {
                outcome.known.insert(case.id.clone());
            }
            (false, _) => outcome.failed.push(format!("{}: wanted {:?}, found {why}", case.id, case.expected_result)),
        }
    }
    outcome
}

/// The bar: nothing that plain rustls gets right goes wrong, and nothing is accepted wrongly that plain rustls refuses.
fn excused(wrong: Verdict, baseline: Option<&Baseline>) -> bool {
    match baseline {
        Some(Baseline { agree: Some(agree), actual, .. }) => !agree && *actual == wrong,
        // Nobody to compare with: too strict is for a person to judge, too lax is not.
        _ => wrong == Verdict::Failure,
    }
}

fn skip(case: &Case) -> Option<&'static str> {
    match case {
        Case { validation_kind, .. } if validation_kind != "SERVER" => Some("about client certificates"),
        Case { max_chain_depth: Some(_), .. } => Some("webpki has a fixed limit of depth"),
        Case { expected_peer_name: None, .. } => Some("no peer name"),
        Case { key_usage, .. } if !key_usage.is_empty() => Some("webpki asks for no key usage"),
        Case { signature_algorithms, .. } if !signature_algorithms.is_empty() => {
            Some("the signature algorithms are those of the provider")
        }
        _ => None,
    }
}

fn judge(case: &Case) -> (Verdict, String) {
    match verify(case) {
        Ok(()) => (Verdict::Success, "accepted".into()),
        Err(error) => (Verdict::Failure, format!("{error:?}")),
    }
}

fn verify(case: &Case) -> Result<(), Box<dyn std::error::Error>> {
    // Like limbo's harness: an anchor that cannot be read is left out.
    let roots = case.trusted_certs.iter().filter_map(|pem| Roots::from_pem(pem.as_bytes()).ok());
    let roots = roots.reduce(Roots::and).ok_or("no anchor can be read")?;
    let name = case.expected_peer_name.as_ref().expect("cases without are skipped").value.parse()?;
    let mut peer = PeerVerifier::check_host(roots, [name])?;
    if !case.crls.is_empty() {
        peer = peer.with_crls(case.crls.iter().map(|pem| pem.clone().into_bytes()))?;
    }
    let chain: Vec<CertificateDer<'_>> = std::iter::once(&case.peer_certificate)
        .chain(&case.untrusted_intermediates)
        .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()))
        .collect::<Result<_, _>>()?;
    let at = match &case.validation_time {
        Some(time) => humantime::parse_rfc3339(&time.replace("+00:00", "Z"))?,
        None => SystemTime::now(),
    };
    peer.judge(&chain, at)?;
    Ok(())
}

/// Cases that go wrong as they do in plain rustls, by the reason why they stay.
pub(crate) const KNOWN: &[(&str, &[&str])] = &[
    (
        "a CA certificate is no server certificate, although RFC 5280 does not forbid it: the error says what to do",
        &["pathlen::validation-ignores-pathlen-in-leaf", "rfc5280::ca-as-leaf"],
    ),
    (
        "webpki takes a self-issued intermediate for its namesake",
        &["pathlen::self-issued-certs-pathlen", "rfc5280::nc::permitted-self-issued"],
    ),
    (
        "a trust anchor is trusted as it is: 'implementations [...] are free to process or ignore' the rest of its \
         certificate (RFC 5280 section 6.2)",
        &[
            "rfc5280::root-inconsistent-ca-extensions",
            "rfc5280::root-missing-basic-constraints",
            "rfc5280::root-non-critical-basic-constraints",
            "rfc5280::ski::root-missing-ski",
            "rfc5280::unknown-critical-extension-root",
            "webpki::aki::root-with-aki-all-fields",
            "webpki::aki::root-with-aki-authoritycertissuer",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-ski-mismatch",
            "webpki::eku::root-has-eku",
            "webpki::forbidden-rsa-not-divisible-by-8-in-root",
        ],
    ),
    (
        "a rule for those who issue; refusing the certificate would not make anybody safer",
        &[
            "rfc5280::aki::critical-aki",
            "rfc5280::aki::cross-signed-root-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::aki::leaf-missing-aki",
            "rfc5280::ca-empty-subject",
            "rfc5280::nc::permitted-dns-match-noncritical",
            "rfc5280::pc::ica-noncritical-pc",
            "rfc5280::san::noncritical-with-empty-subject",
            "rfc5280::serial::too-long",
            "rfc5280::serial::zero",
            "rfc5280::ski::critical-ski",
            "rfc5280::ski::intermediate-missing-ski",
            "webpki::eku::ee-anyeku",
            "webpki::eku::ee-critical-eku",
            "webpki::eku::ee-without-eku",
            "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
            "webpki::malformed-aia",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
            "webpki::san::san-critical-with-nonempty-subject",
        ],
    ),
    (
        "common names are never consulted, so what they say cannot be wrong",
        &[
            "webpki::cn::case-mismatch",
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch",
            "webpki::cn::not-in-san",
            "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch",
        ],
    ),
    (
        "webpki takes a leading dot in a name constraint as RFC 3280 did",
        &["rfc5280::nc::invalid-dnsname-leading-period"],
    ),
    ("hosts with an underscore exist", &["rfc5280::san::underscore-dns"]),
    (
        "there is no public suffix list here: a CA that issues *.com is stopped by nobody but its auditors",
        &[
            "webpki::san::public-suffix-multi-label-wildcard-san",
            "webpki::san::public-suffix-private-namespace-wildcard-san",
        ],
    ),
];
