//! Rules for the server's own certificate that webpki leaves to its callers.

use rustls::{crypto::WebPkiSupportedAlgorithms, pki_types::CertificateDer};
use x509_parser::certificate::X509Certificate;

use crate::{ConnectError, Untrusted, tls::certificate};

/// A certificate whose chain holds.
pub(super) fn read<'a>(
    der: &'a CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<X509Certificate<'a>, ConnectError> {
    let leaf = read_key_only(der, algorithms)?;
    no_powers_of_a_ca(&leaf)?;
    Ok(leaf)
}

/// A certificate that is nothing but the wrapping of its key.
pub(super) fn read_key_only<'a>(
    der: &'a CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<X509Certificate<'a>, ConnectError> {
    let leaf = certificate::parse(der).map_err(|e| ConnectError::Untrusted {
        reason: Untrusted::Invalid { what: "it cannot be read".into() },
        source: Some(e.to_string().into()),
    })?;
    usable_key(&leaf, algorithms)?;
    Ok(leaf)
}

/// No signature scheme that we offer can be used with a weaker or another key, so the handshake would fail in any case,
/// with an alert that does not say why.
fn usable_key(leaf: &X509Certificate<'_>, algorithms: &WebPkiSupportedAlgorithms) -> Result<(), ConnectError> {
    if let Some(key) = certificate::weak_key(leaf) {
        return refuse(Untrusted::WeakKey { key, subject: certificate::subject(leaf) });
    }
    let identifier = certificate::key_algorithm(leaf);
    if algorithms.all.iter().any(|algorithm| identifier == Some(algorithm.public_key_alg_id().as_ref())) {
        return Ok(());
    }
    let oid = &leaf.public_key().algorithm.algorithm;
    let what = format!("its key is of a kind that cannot be used here (algorithm {oid}): use RSA, ECDSA or Ed25519");
    refuse(Untrusted::Invalid { what })
}

fn no_powers_of_a_ca(leaf: &X509Certificate<'_>) -> Result<(), ConnectError> {
    // "If the keyCertSign bit is asserted, then the cA bit in the basic constraints extension MUST also be asserted" (RFC
    // 5280 section 4.2.1.3); webpki has seen to it that it is not.
    let rule = match (leaf.key_usage(), leaf.name_constraints()) {
        (Ok(Some(usage)), _) if usage.value.key_cert_sign() => {
            "its key usage has keyCertSign, which only a CA may have (RFC 5280 section 4.2.1.3)"
        }
        // "The name constraints extension [...] MUST be used only in a CA certificate" (RFC 5280 section 4.2.1.10).
        (Ok(_), Ok(Some(_))) => "it has name constraints, which only a CA may have (RFC 5280 section 4.2.1.10)",
        (Ok(_), Ok(None)) => return Ok(()),
        (Err(_), _) | (_, Err(_)) => "an extension cannot be read or comes twice (RFC 5280 section 4.2)",
    };
    refuse(Untrusted::Invalid { what: rule.into() })
}

fn refuse<T>(reason: Untrusted) -> Result<T, ConnectError> {
    Err(ConnectError::Untrusted { reason, source: None })
}
