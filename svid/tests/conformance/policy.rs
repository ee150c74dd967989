//! What this crate does where the standard leaves a choice. The documentation of the type named says the same.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Accept,
    Refuse,
    /// The document is accepted, the entry ignored.
    Ignore,
}

/// By the ID of the case; ` own` behind it where our own material is judged otherwise than a peer's.
const POLICY: &[(&str, Choice)] = &[
    // SpiffeId
    ("id-035", Choice::Refuse),
    ("id-036", Choice::Refuse),
    ("td-28", Choice::Refuse),
    ("td-29", Choice::Refuse),
    // WorkloadApiAddress
    ("ep-11", Choice::Refuse),
    // X509Verifier
    ("ok-chain-shuffled", Choice::Accept),
    ("empty-subject-san-not-critical", Choice::Refuse),
    ("rsa1024-leaf", Choice::Refuse),
    ("id-2049", Choice::Refuse),
    ("leaf-no-basic-constraints", Choice::Accept),
    ("upper-trust-domain", Choice::Refuse),
    ("leaf-eku-server-only", Choice::Refuse),
    ("leaf-eku-any-only", Choice::Refuse),
    ("unknown-critical-ext own", Choice::Refuse),
    ("unknown-critical-ext-on-inter own", Choice::Refuse),
    ("root-pathlen-exceeded", Choice::Refuse),
    ("inter-eku-server-only", Choice::Refuse),
    ("notafter-before-notbefore own", Choice::Accept),
    ("root-expired", Choice::Refuse),
    ("root-not-yet-valid", Choice::Refuse),
    ("root-not-ca", Choice::Refuse),
    ("root-v1", Choice::Refuse),
    ("sha1-signature own", Choice::Accept),
    ("chain-of-21-cas", Choice::Refuse),
    // JwtVerifier
    ("ok-sub-no-path", Choice::Refuse),
    ("no-kid", Choice::Refuse),
    ("exp-float", Choice::Accept),
    ("unknown-header", Choice::Refuse),
    ("whitespace", Choice::Refuse),
    ("duplicate-header", Choice::Refuse),
    // Bundle::from_jwks
    ("x509-with-kid", Choice::Accept),
    ("x509-key-differs", Choice::Ignore),
    ("x509-leaf-in-x5c", Choice::Ignore),
    ("hint-negative", Choice::Refuse),
    ("hint-zero", Choice::Accept),
    ("hint-huge", Choice::Accept),
    ("dup-keys-member", Choice::Refuse),
    ("utf8-bom", Choice::Refuse),
    // BundleSet::from_bundle_map
    ("map-id-as-key", Choice::Refuse),
];

pub(crate) fn of(case: &str) -> Option<Choice> {
    POLICY.iter().find(|(id, _)| *id == case).map(|(_, choice)| *choice)
}
