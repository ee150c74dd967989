//! Answers that no client should believe.

use prost::Message as _;

use super::messages::X509SvidResponse;
use super::state::State;
use crate::{KeyKind, PkiError, TestPki, Validity};

/// What is wrong with the answer to `FetchX509SVID`. All else in it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Garbage {
    /// It is no message at all.
    NotProtobuf,
    /// There is no SVID.
    NoSvid,
    /// The first SVID has no `spiffe_id`.
    NoId,
    /// The first SVID has no certificate.
    NoChain,
    /// The first SVID has no private key.
    NoKey,
    /// The first SVID has no bundle.
    NoBundle,
    /// The first SVID's certificate is cut off.
    ChainCutOff,
    /// The first SVID's private key is no key.
    KeyNotPkcs8,
    /// The first SVID's private key is that of nobody.
    KeyOfAnother,
    /// The first SVID's bundle is no certificate.
    BundleNotDer,
    /// The first SVID's bundle has the root of another trust domain.
    BundleOfAnother,
    /// The first SVID's `spiffe_id` is not that of its certificate.
    IdUnlikeCertificate,
    /// The first SVID's `spiffe_id` is not a SPIFFE ID.
    IdMalformed,
    /// The first SVID has a hint of 1025 bytes; 1024 are allowed.
    LongHint,
    /// Every SVID ended yesterday.
    Expired,
}

impl Garbage {
    pub(super) fn make(self, state: &State) -> Result<Vec<u8>, PkiError> {
        if self == Self::NotProtobuf {
            return Ok(vec![0xff; 40]);
        }
        let mut response = state.x509_response();
        if self == Self::NoSvid {
            response.svids.clear();
        }
        if self == Self::Expired {
            response.svids = state.issue(Validity::expired(state.settings.clock.now()))?;
        }
        self.spoil_first(&mut response)?;
        Ok(response.encode_to_vec())
    }

    fn spoil_first(self, response: &mut X509SvidResponse) -> Result<(), PkiError> {
        let Some(first) = response.svids.first_mut() else {
            return Ok(());
        };
        match self {
            Self::NotProtobuf | Self::NoSvid | Self::Expired => {}
            Self::NoId => first.spiffe_id.clear(),
            Self::NoChain => first.x509_svid.clear(),
            Self::NoKey => first.x509_svid_key.clear(),
            Self::NoBundle => first.bundle.clear(),
            Self::ChainCutOff => first.x509_svid.truncate(first.x509_svid.len() / 2),
            Self::KeyNotPkcs8 => first.x509_svid_key = vec![0x30; 40],
            Self::KeyOfAnother => first.x509_svid_key = KeyKind::P256.generate()?.serialize_der(),
            Self::BundleNotDer => first.bundle = b"a root".to_vec(),
            Self::BundleOfAnother => first.bundle = TestPki::new()?.root_der().to_vec(),
            Self::IdUnlikeCertificate => first.spiffe_id.push_str("-admin"),
            Self::IdMalformed => first.spiffe_id.push('/'),
            Self::LongHint => first.hint = "h".repeat(1025),
        }
        Ok(())
    }
}
