//! X.509-SVIDs and bundles as the agent sends them: the whole state, judged as a whole.

use std::{collections::HashMap, time::SystemTime};

use der::{Reader as _, SliceReader};
use secure_connector::BoxError;

use super::{
    WorkloadApiError,
    message::{X509SvidMessage, X509SvidResponse},
};
use crate::{Bundle, BundleError, BundleSet, SpiffeId, TrustDomain, X509Svid, X509SvidError, X509Verifier};

/// Everything that the agent has for us, at one moment.
#[derive(Clone, Debug)]
pub struct X509Context {
    svids: Vec<X509Svid>,
    bundles: BundleSet,
}

impl X509Context {
    /// Our SVIDs, one at least. The first is the default identity (Workload API section 5.3).
    pub fn svids(&self) -> &[X509Svid] {
        &self.svids
    }

    /// The SVID with this hint: the first, if there are several (section 5.2.1).
    pub fn with_hint(&self, hint: &str) -> Option<&X509Svid> {
        self.svids.iter().find(|svid| svid.hint() == Some(hint))
    }

    /// The bundles of our own trust domains and of those that they federate with.
    pub fn bundles(&self) -> &BundleSet {
        &self.bundles
    }

    /// The one of this hint, or the default.
    pub(super) fn choose(&self, hint: Option<&str>) -> Result<&X509Svid, WorkloadApiError> {
        let chosen = hint.map_or_else(|| self.svids.first(), |hint| self.with_hint(hint));
        chosen.ok_or_else(|| WorkloadApiError::NoSuchHint {
            wanted: hint.unwrap_or_default().to_owned(),
            offered: self.svids.iter().filter_map(|svid| svid.hint().map(str::to_owned)).collect(),
        })
    }

    /// Judges everything: each SVID by the rules on its certificates, and by the path to a root of its own trust domain.
    pub(super) fn judge(mut response: X509SvidResponse, now: SystemTime) -> Result<Self, WorkloadApiError> {
        let mut bundles = x509_bundles(response.federated_bundles)?;
        let mut svids = Vec::with_capacity(response.svids.len());
        for (index, message) in response.svids.iter_mut().enumerate() {
            let (svid, bundle) = svid(index, message)?;
            // What the agent says about our own domain counts more than what it federates.
            bundles.insert(bundle);
            svids.push(svid);
        }
        if svids.is_empty() {
            return Err(WorkloadApiError::NoSvid);
        }
        for (index, svid) in svids.iter().enumerate() {
            let chain: Vec<_> = svid.identity().chain().collect();
            let verdict = X509Verifier::new().verify(&chain, &bundles, now);
            verdict.map_err(|source| WorkloadApiError::X509Svid { index, source })?;
        }
        Ok(Self { svids, bundles })
    }
}

/// Bundles by the ID of their trust domain.
pub(super) fn x509_bundles(bundles: HashMap<String, Vec<u8>>) -> Result<BundleSet, WorkloadApiError> {
    bundles.into_iter().map(|(id, roots)| x509_bundle(trust_domain(&id)?, &roots)).collect()
}

/// JWK sets by the ID of their trust domain.
pub(super) fn jwt_bundles(bundles: HashMap<String, Vec<u8>>) -> Result<BundleSet, WorkloadApiError> {
    let read = |(id, document): (String, Vec<u8>)| {
        let domain = trust_domain(&id)?;
        let name = domain.name().to_owned();
        Bundle::from_jwks(domain, &document).map_err(|source| WorkloadApiError::Bundle { trust_domain: name, source })
    };
    bundles.into_iter().map(read).collect()
}

fn svid(index: usize, message: &mut X509SvidMessage) -> Result<(X509Svid, Bundle), WorkloadApiError> {
    const LONGEST_HINT: usize = 1024;
    let fields = [
        ("spiffe_id", message.spiffe_id.is_empty()),
        ("x509_svid", message.x509_svid.is_empty()),
        ("x509_svid_key", message.x509_svid_key.is_empty()),
        ("bundle", message.bundle.is_empty()),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, empty)| *empty) {
        return Err(WorkloadApiError::EmptyField { index, field });
    }
    let length = message.hint.len();
    if length > LONGEST_HINT {
        return Err(WorkloadApiError::LongHint { index, length });
    }
    let broken = |source| WorkloadApiError::X509Svid { index, source };
    let chain = certificates(&message.x509_svid)
        .map_err(|(certificate, source)| broken(X509SvidError::NotDer { certificate, source }))?;
    let svid = X509Svid::from_der(chain, &message.x509_svid_key).map_err(broken)?;
    // A rule of nobody's: go-spiffe goes by the one, spiffe-rustls by the other. Ours are never in doubt.
    let named = spiffe_id(&message.spiffe_id)?;
    if named != *svid.id() {
        return Err(WorkloadApiError::OtherId { named: named.to_string(), itself: svid.id().clone() });
    }
    let bundle = x509_bundle(named.trust_domain(), &message.bundle)?;
    let svid = if length == 0 { svid } else { svid.with_hint(std::mem::take(&mut message.hint)) };
    Ok((svid, bundle))
}

fn x509_bundle(trust_domain: TrustDomain, roots: &[u8]) -> Result<Bundle, WorkloadApiError> {
    let name = trust_domain.name().to_owned();
    let roots = certificates(roots).map_err(|(place, source)| BundleError::Root { place, source });
    let bundle = roots.and_then(|roots| Bundle::from_x509_der(trust_domain, roots));
    bundle.map_err(|source| WorkloadApiError::Bundle { trust_domain: name, source })
}

/// "ASN.1 DER encoded [...], concatenated with no intermediate padding" (section 5.2.1). The error has the place.
fn certificates(concatenated: &[u8]) -> Result<Vec<Vec<u8>>, (usize, BoxError)> {
    let mut certificates = Vec::new();
    let mut reader = SliceReader::new(concatenated).map_err(|e| (0, e.into()))?;
    while !reader.is_finished() {
        let certificate = reader.tlv_bytes().map_err(|e| (certificates.len(), e.into()))?;
        certificates.push(certificate.to_vec());
    }
    Ok(certificates)
}

pub(super) fn spiffe_id(given: &str) -> Result<SpiffeId, WorkloadApiError> {
    given.parse().map_err(|source| WorkloadApiError::SpiffeId { given: given.to_owned(), source })
}

/// From `spiffe://example.org`; go-spiffe sends it like that, and the name alone is accepted as it does.
fn trust_domain(given: &str) -> Result<TrustDomain, WorkloadApiError> {
    let read = if given.contains("://") {
        given.parse().map(|id: SpiffeId| id.trust_domain())
    } else {
        TrustDomain::from_name(given)
    };
    read.map_err(|source| WorkloadApiError::SpiffeId { given: given.to_owned(), source })
}
