//! What a signing certificate between leaf and root has to be.

use der::asn1::ObjectIdentifier;

use super::{
    X509SvidError,
    error::Signer,
    explain::Judgement,
    leaf::{CLIENT_AUTH, SERVER_AUTH, has_key_usage, no_unknown_critical, not_spiffe_id, several_uris},
};
use crate::{
    SpiffeId, TrustDomain,
    certificate::Certificate,
    rule::{self, Rule},
};

const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

type Check = fn(&Certificate<'_>, &TrustDomain) -> Result<Judgement, X509SvidError>;

/// On a certificate, with the trust domain of the leaf.
pub(super) const RULES: &[(Rule, Check)] = &[
    (rule::X24, |certificate, _| no_unknown_critical(certificate)),
    (rule::X11, |certificate, _| is_ca(certificate)),
    (rule::X13, |certificate, _| has_key_usage(certificate)),
    (rule::X18, |certificate, _| may_sign(certificate)),
    (rule::X19, |certificate, _| has_both_purposes(certificate)),
    (rule::X02, |certificate, _| has_no_second_uri(certificate)),
    (rule::X06, |certificate, _| has_spiffe_id_if_any(certificate)),
    (rule::X07, |certificate, _| is_svid(certificate)),
    (rule::X08, |certificate, _| is_no_workload(certificate)),
    (rule::X09, is_in_trust_domain),
];

pub(super) fn judge(certificate: &Certificate<'_>, domain: &TrustDomain) -> Result<(), X509SvidError> {
    RULES.iter().try_for_each(|(_, check)| check(certificate, domain).map(drop))
}

fn is_ca(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    if certificate.is_ca() {
        return Ok(Judgement::Pass);
    }
    Err(X509SvidError::SignerIsNoCa { signer: Signer::Presented(certificate.index) })
}

fn may_sign(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    match certificate.key_usage {
        Some(usage) if !usage.key_cert_sign() => {
            Err(X509SvidError::SignerMayNotSign { signer: Signer::Presented(certificate.index) })
        }
        _ => Ok(Judgement::Pass),
    }
}

/// The standard leaves it open whether the purposes of a signing certificate bind its leaves; libraries differ. An SVID is
/// for both.
fn has_both_purposes(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    let Some(purposes) = &certificate.purposes else {
        return Ok(Judgement::NotApplicable("the signing certificate is for any purpose"));
    };
    let both = [SERVER_AUTH, CLIENT_AUTH].iter().all(|wanted| purposes.contains(wanted));
    if both || purposes.contains(&ANY_PURPOSE) {
        return Ok(Judgement::Pass);
    }
    Err(X509SvidError::SignerPurposes { certificate: certificate.index })
}

/// A signing certificate with URIs of other schemes only is no SVID, which it need not be.
fn has_no_second_uri(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    if certificate.uris.len() > 1 && certificate.uris.iter().any(|uri| is_spiffe(uri)) {
        return Err(several_uris(certificate));
    }
    Ok(Judgement::Pass)
}

fn has_spiffe_id_if_any(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    match certificate.uris.as_slice() {
        [uri] if is_spiffe(uri) => match SpiffeId::from_bytes(uri) {
            Ok(_) => Ok(Judgement::Pass),
            Err(source) => Err(not_spiffe_id(certificate, source)),
        },
        _ => Ok(Judgement::NotApplicable("the signing certificate has no SPIFFE ID")),
    }
}

fn is_svid(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    Ok(match id(certificate) {
        Some(_) => Judgement::Pass,
        None => Judgement::Advice(format!("signing certificate {} should have a SPIFFE ID", certificate.index)),
    })
}

fn is_no_workload(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    match id(certificate) {
        None => Ok(Judgement::NotApplicable("the signing certificate has no SPIFFE ID")),
        Some(id) if id.is_trust_domain() => Ok(Judgement::Pass),
        Some(id) => Err(X509SvidError::SigningIdHasPath { certificate: certificate.index, id }),
    }
}

fn is_in_trust_domain(certificate: &Certificate<'_>, domain: &TrustDomain) -> Result<Judgement, X509SvidError> {
    Ok(match id(certificate) {
        None => Judgement::NotApplicable("the signing certificate has no SPIFFE ID"),
        Some(id) if id.is_member_of(domain) => Judgement::Pass,
        Some(id) => Judgement::Advice(format!("the signing certificate of {id} should be in {domain}")),
    })
}

fn id(certificate: &Certificate<'_>) -> Option<SpiffeId> {
    match certificate.uris.as_slice() {
        [uri] => SpiffeId::from_bytes(uri).ok(),
        _ => None,
    }
}

fn is_spiffe(uri: &[u8]) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"spiffe:"))
}
