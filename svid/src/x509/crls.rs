//! Certificate revocation lists that the caller supplies.

use rustls::pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use secure_connector::BoxError;
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

#[derive(Debug)]
pub(super) struct Crls(Vec<CertRevocationList<'static>>);

/// Why revocation lists cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// One of them cannot be read. Nothing is taken.
    #[error("revocation list {index} (first = 0) cannot be read: expected DER or PEM")]
    Unreadable {
        /// Its place.
        index: usize,
        /// What is wrong with it.
        source: BoxError,
    },
    /// There is none.
    #[error("no revocation list was given")]
    None,
}

impl Crls {
    pub(super) fn read(given: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, CrlError> {
        let mut lists = Vec::new();
        for (index, bytes) in given.into_iter().enumerate() {
            let read = if bytes.first() == Some(&0x30) {
                read(&bytes).map(|list| vec![list])
            } else {
                CertificateRevocationListDer::pem_slice_iter(&bytes).map(|der| read(&der?)).collect()
            };
            lists.extend(read.map_err(|source| CrlError::Unreadable { index, source })?);
        }
        if lists.is_empty() { Err(CrlError::None) } else { Ok(Self(lists)) }
    }

    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.0.iter().collect()
    }
}

fn read(der: &[u8]) -> Result<CertRevocationList<'static>, BoxError> {
    Ok(OwnedCertRevocationList::from_der(der)?.into())
}

/// The whole path below the root; no list or an outdated list is a refusal.
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
