//! Certificate revocation lists that the caller supplies.

use std::time::SystemTime;

use der::{Decode as _, Reader as _, asn1::AnyRef};
use rustls::pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use secure_connector::{BoxError, Revocation};
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::certificate::Time;

#[derive(Debug)]
pub(super) struct Crls {
    lists: Vec<CertRevocationList<'static>>,
    /// Of the list that was made first.
    this_update: SystemTime,
    /// Of the list that ends first.
    next_update: Option<SystemTime>,
}

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
        let (mut lists, mut made, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (index, bytes) in given.into_iter().enumerate() {
            let read = if bytes.first() == Some(&0x30) {
                read(&bytes).map(|list| vec![list])
            } else {
                CertificateRevocationListDer::pem_slice_iter(&bytes).map(|der| read(&der?)).collect()
            };
            for (list, this_update, next_update) in read.map_err(|source| CrlError::Unreadable { index, source })? {
                lists.push(list);
                made.push(this_update);
                ends.extend(next_update);
            }
        }
        let this_update = made.into_iter().min().ok_or(CrlError::None)?;
        Ok(Self { lists, this_update, next_update: ends.into_iter().min() })
    }

    /// What all of them together say of a path on which they list nothing.
    pub(super) fn good(&self) -> Revocation {
        Revocation::Good {
            via: "the revocation lists that were given".into(),
            this_update: self.this_update,
            next_update: self.next_update,
        }
    }

    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().collect()
    }
}

type Read = (CertRevocationList<'static>, SystemTime, Option<SystemTime>);

fn read(der: &[u8]) -> Result<Read, BoxError> {
    let list = OwnedCertRevocationList::from_der(der)?.into();
    let (this_update, next_update) = dates(der)?;
    Ok((list, this_update, next_update))
}

/// `thisUpdate` and `nextUpdate` of a list (RFC 5280 section 5.1), which webpki has read and does not tell.
fn dates(list: &[u8]) -> der::Result<(SystemTime, Option<SystemTime>)> {
    let tbs = AnyRef::from_der(list)?.sequence(|list| {
        let (tbs, _algorithm, _signature) = (AnyRef::decode(list)?, AnyRef::decode(list)?, AnyRef::decode(list)?);
        Ok::<_, der::Error>(tbs)
    })?;
    tbs.sequence(|tbs| {
        let _version = Option::<u8>::decode(tbs)?;
        let (_algorithm, _issuer) = (AnyRef::decode(tbs)?, AnyRef::decode(tbs)?);
        let this_update = Time::decode(tbs)?.system_time();
        let next_update = Option::<Time>::decode(tbs)?.map(Time::system_time);
        tbs.read_slice(tbs.remaining_len()).map(|_| (this_update, next_update))
    })
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
