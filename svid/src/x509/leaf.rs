//! What an SVID's own certificate has to be (X509-SVID.md sections 2 to 4 and 5.2).

use der::asn1::ObjectIdentifier;
use rustls::{crypto::WebPkiSupportedAlgorithms, pki_types::CertificateDer};

use super::{X509SvidError, explain::Judgement};
use crate::{
    SpiffeId, SpiffeIdError,
    certificate::Certificate,
    rule::{self, Rule},
};

pub(super) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(super) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

pub(super) struct Leaf<'a> {
    pub(super) certificate: Certificate<'a>,
    /// Of the only URI, if there is one only.
    id: Option<Result<SpiffeId, SpiffeIdError>>,
}

pub(super) type Check = fn(&Leaf<'_>) -> Result<Judgement, X509SvidError>;

/// In the order in which they are judged.
pub(super) const RULES: &[(Rule, Check)] = &[
    (rule::X24, |leaf| no_unknown_critical(&leaf.certificate)),
    (rule::X01, |leaf| leaf.has_uri()),
    (rule::X02, |leaf| leaf.has_no_second_uri()),
    (rule::X06, |leaf| leaf.id().map(|_| Judgement::Pass)),
    (rule::X04, |leaf| leaf.has_path()),
    (rule::X05, |leaf| leaf.is_named()),
    (rule::X10, |leaf| leaf.is_no_ca()),
    (rule::X13, |leaf| has_key_usage(&leaf.certificate)),
    (rule::X14, |leaf| leaf.usage(|usage| usage.digital_signature(), || X509SvidError::NoDigitalSignature)),
    (rule::X15, |leaf| leaf.usage(|usage| !usage.key_cert_sign(), || X509SvidError::LeafSignsCertificates)),
    (rule::X16, |leaf| leaf.usage(|usage| !usage.crl_sign(), || X509SvidError::LeafSignsCrls)),
    (rule::X20, |leaf| leaf.has_both_purposes()),
];

impl<'a> Leaf<'a> {
    pub(super) fn read(chain: &'a [CertificateDer<'_>]) -> Result<Self, X509SvidError> {
        let leaf = chain.first().ok_or(X509SvidError::NoCertificate)?;
        let certificate = Certificate::read(leaf, 0)?;
        let id = match certificate.uris.as_slice() {
            [uri] => Some(SpiffeId::from_bytes(uri)),
            _ => None,
        };
        Ok(Self { certificate, id })
    }

    pub(super) fn judge(&self, algorithms: &WebPkiSupportedAlgorithms) -> Result<(), X509SvidError> {
        for (_, check) in RULES {
            check(self)?;
        }
        self.has_usable_key(algorithms)
    }

    pub(super) fn id(&self) -> Result<SpiffeId, X509SvidError> {
        match &self.id {
            Some(Ok(id)) => Ok(id.clone()),
            Some(Err(source)) => Err(not_spiffe_id(&self.certificate, *source)),
            None if self.certificate.uris.is_empty() => Err(X509SvidError::NoUri { certificate: 0 }),
            None => Err(several_uris(&self.certificate)),
        }
    }

    /// No signature scheme that we offer can be used with another key, so that a handshake would fail without saying why.
    pub(super) fn has_usable_key(&self, algorithms: &WebPkiSupportedAlgorithms) -> Result<(), X509SvidError> {
        let weak = self.certificate.rsa_bits().filter(|bits| *bits < 2048);
        if let Some(bits) = weak {
            return Err(X509SvidError::Key { what: format!("RSA with {bits} bits; expected 2048 at least") });
        }
        let algorithm = self.certificate.key.algorithm.value();
        if algorithms.all.iter().any(|known| known.public_key_alg_id().as_ref() == algorithm) {
            return Ok(());
        }
        Err(X509SvidError::Key { what: "its kind is unknown; expected RSA, ECDSA (P-256, P-384) or Ed25519".into() })
    }

    fn has_uri(&self) -> Result<Judgement, X509SvidError> {
        if self.certificate.uris.is_empty() {
            Err(X509SvidError::NoUri { certificate: 0 })
        } else {
            Ok(Judgement::Pass)
        }
    }

    fn has_no_second_uri(&self) -> Result<Judgement, X509SvidError> {
        match self.certificate.uris.len() {
            0 => Ok(Judgement::NotApplicable("there is no URI")),
            1 => Ok(Judgement::Pass),
            _ => Err(several_uris(&self.certificate)),
        }
    }

    fn has_path(&self) -> Result<Judgement, X509SvidError> {
        match &self.id {
            Some(Ok(id)) if id.is_trust_domain() => Err(X509SvidError::NoPath { id: id.clone() }),
            Some(Ok(_)) => Ok(Judgement::Pass),
            _ => Ok(Judgement::NotApplicable("there is no SPIFFE ID")),
        }
    }

    fn is_named(&self) -> Result<Judgement, X509SvidError> {
        match (self.certificate.empty_subject, self.certificate.san_critical) {
            (false, _) => Ok(Judgement::NotApplicable("there is a subject")),
            (true, true) => Ok(Judgement::Pass),
            (true, false) => Err(X509SvidError::NameNotCritical),
        }
    }

    fn is_no_ca(&self) -> Result<Judgement, X509SvidError> {
        if self.certificate.is_ca() { Err(X509SvidError::LeafIsCa) } else { Ok(Judgement::Pass) }
    }

    fn usage(
        &self,
        holds: fn(crate::certificate::KeyUsage) -> bool,
        error: fn() -> X509SvidError,
    ) -> Result<Judgement, X509SvidError> {
        match self.certificate.key_usage {
            None => Ok(Judgement::NotApplicable("there is no key usage")),
            Some(usage) if holds(usage) => Ok(Judgement::Pass),
            Some(_) => Err(error()),
        }
    }

    fn has_both_purposes(&self) -> Result<Judgement, X509SvidError> {
        match &self.certificate.purposes {
            None => Ok(Judgement::Advice("the leaf should list its purposes, serverAuth and clientAuth".into())),
            Some(purposes) if [SERVER_AUTH, CLIENT_AUTH].iter().all(|wanted| purposes.contains(wanted)) => {
                Ok(Judgement::Pass)
            }
            Some(_) => Err(X509SvidError::Purposes),
        }
    }
}

pub(super) fn no_unknown_critical(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    match certificate.unknown_critical {
        None => Ok(Judgement::Pass),
        Some(oid) => Err(X509SvidError::UnknownCritical { certificate: certificate.index, oid: oid.to_string() }),
    }
}

pub(super) fn has_key_usage(certificate: &Certificate<'_>) -> Result<Judgement, X509SvidError> {
    match certificate.key_usage {
        None => Err(X509SvidError::NoKeyUsage { certificate: certificate.index }),
        Some(usage) if !usage.critical => Err(X509SvidError::KeyUsageNotCritical { certificate: certificate.index }),
        Some(_) => Ok(Judgement::Pass),
    }
}

pub(super) fn several_uris(certificate: &Certificate<'_>) -> X509SvidError {
    let uris = certificate.uris.iter().map(|uri| shown(uri)).collect();
    X509SvidError::SeveralUris { certificate: certificate.index, uris }
}

pub(super) fn not_spiffe_id(certificate: &Certificate<'_>, source: SpiffeIdError) -> X509SvidError {
    let uri = certificate.uris.first().map(|uri| shown(uri)).unwrap_or_default();
    X509SvidError::NotSpiffeId { certificate: certificate.index, uri, source }
}

fn shown(uri: &[u8]) -> String {
    String::from_utf8_lossy(uri).into_owned()
}
