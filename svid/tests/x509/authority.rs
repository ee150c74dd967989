//! Certificates made for one test, right unless changed.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
};

/// A certificate with its key; a leaf, too.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

impl Authority {
    pub(crate) fn root(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (params("root"), KeyPair::generate().unwrap());
        authority(&mut params, change);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    /// The same name and key in another certificate.
    pub(crate) fn renewed(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::from_pem(&self.key.serialize_pem()).unwrap();
        let mut params = params("root");
        authority(&mut params, change);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    pub(crate) fn sub(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params("middle");
        authority(&mut params, change);
        self.issue(params)
    }

    pub(crate) fn leaf(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params("leaf");
        params.subject_alt_names = uris(&[id]);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.issue(params)
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.der.clone()
    }

    pub(crate) fn pem(&self) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", self.der()))
    }

    pub(crate) fn key_der(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    fn issue(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().to_vec();
        Self { params, key, der }
    }
}

/// Every certificate begins before and ends after this.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

pub(crate) fn chain_of(leaf: &Authority, intermediates: &[&Authority]) -> Vec<Vec<u8>> {
    [leaf].iter().chain(intermediates).map(|certificate| certificate.der()).collect()
}

pub(crate) fn uris(uris: &[&str]) -> Vec<SanType> {
    uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect()
}

pub(crate) fn key_usage(bits: u8, critical: bool) -> CustomExtension {
    let value = vec![3, 2, u8::try_from(bits.trailing_zeros()).unwrap(), bits];
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 15], value);
    extension.set_criticality(critical);
    extension
}

/// Name constraints that permit one URI host.
pub(crate) fn uri_constraint(host: &str) -> CustomExtension {
    let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let value = wrap(0x30, &wrap(0xa0, &wrap(0x30, &wrap(0x86, host.as_bytes()))));
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], value);
    extension.set_criticality(true);
    extension
}

pub(crate) fn revocation_list(issuer: &Authority, serials: &[u64], next_update: SystemTime) -> Vec<u8> {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: (*serial).into(),
        revocation_time: (now() - Duration::from_secs(3600)).into(),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: (now() - Duration::from_secs(7200)).into(),
        next_update: next_update.into(),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&issuer.issuer()).unwrap().der().to_vec()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (now() - Duration::from_secs(30 * 86_400)).into();
    params.not_after = (now() + Duration::from_secs(30 * 86_400)).into();
    params
}

fn authority(params: &mut CertificateParams, change: impl FnOnce(&mut CertificateParams)) {
    params.subject_alt_names = uris(&["spiffe://example.org"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(params);
}
