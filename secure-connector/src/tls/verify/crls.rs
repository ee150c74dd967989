//! Certificate revocation lists that the caller supplies.

use std::time::SystemTime;

use rustls::pki_types::CertificateRevocationListDer;
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::{
    oid_registry::OID_X509_EXT_CRL_NUMBER,
    prelude::{CertificateRevocationList, FromDer},
};

use crate::{
    BoxError, ConfigError, Revocation,
    tls::{certificate, distinguished_name::rfc4514, pem},
};

#[derive(Debug)]
pub(super) struct Crls(Vec<Crl>);

#[derive(Debug)]
pub(super) struct Crl {
    pub(super) list: CertRevocationList<'static>,
    /// RFC 4514 string form.
    pub(super) issuer: String,
    this_update: SystemTime,
    next_update: Option<SystemTime>,
}

impl Crls {
    pub(super) fn read(given: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, ConfigError> {
        let mut crls = Vec::new();
        for (index, bytes) in given.into_iter().enumerate() {
            let read = if certificate::is_der(&bytes) {
                Crl::read(&bytes).map(|crl| vec![crl])
            } else {
                pem::blocks::<CertificateRevocationListDer<'_>>(&bytes).map(|der| Crl::read(&der?)).collect()
            };
            crls.extend(read.map_err(|source| ConfigError::Crl { index, source })?);
        }
        if crls.is_empty() { Err(ConfigError::NoCrls) } else { Ok(Self(crls)) }
    }

    /// In the form that webpki wants.
    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.0.iter().map(|crl| &crl.list).collect()
    }

    /// `subject` is the content of a `Name`, without its SEQUENCE header.
    pub(super) fn of_issuer(&self, subject: &[u8]) -> impl Iterator<Item = &Crl> {
        self.0.iter().filter(move |crl| crl.list.issuer() == subject)
    }
}

impl Crl {
    /// What it says of a certificate that it does not list.
    pub(super) fn good(&self) -> Revocation {
        Revocation::Good {
            via: format!("the revocation list of {}", self.issuer),
            this_update: self.this_update,
            next_update: self.next_update,
        }
    }

    fn read(der: &[u8]) -> Result<Self, BoxError> {
        let list = OwnedCertRevocationList::from_der(der)?.into();
        let (_, parsed) = CertificateRevocationList::from_der(der).map_err(|e| e.to_string())?;
        // "CRL issuers [...] MUST include this extension in all CRLs and MUST mark this extension as non-critical" (RFC
        // 5280 section 5.2.3). webpki only checks its value.
        match parsed.extensions().iter().find(|extension| extension.oid == OID_X509_EXT_CRL_NUMBER) {
            None => Err("it has no CRL number (RFC 5280 section 5.2.3)".into()),
            Some(number) if number.critical => Err("its CRL number is critical (RFC 5280 section 5.2.3)".into()),
            Some(_) => Ok(Self {
                list,
                issuer: rfc4514(parsed.issuer()),
                this_update: certificate::system_time(&parsed.last_update()),
                next_update: parsed.next_update().map(|at| certificate::system_time(&at)),
            }),
        }
    }
}

/// The whole chain below the anchor; no list or an outdated list is a refusal, as in OpenSSL's `CRL_CHECK_ALL`.
pub(super) fn policy<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build(),
    )
}
