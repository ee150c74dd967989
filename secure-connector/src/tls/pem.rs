//! PEM text. What cannot be read is never quoted: a file may hold a private key beside its certificates.

use rustls::pki_types::pem::{Error, PemObject};

/// Why a PEM block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemFault {
    #[error("a PEM block has no END line")]
    NoEnd,
    #[error("a BEGIN line is malformed: expected `-----BEGIN …-----` on a line of its own")]
    Begin,
    #[error("a PEM block is not base64")]
    Base64,
    #[error("there is no PEM block of the kind that is expected")]
    Missing,
    #[error("the PEM text cannot be read")]
    Other,
}

/// All blocks of the kind `T`, in order; other blocks and text are skipped.
pub(crate) fn blocks<T: PemObject>(text: &[u8]) -> impl Iterator<Item = Result<T, PemFault>> {
    T::pem_slice_iter(text).map(|block| block.map_err(PemFault::from))
}

/// The first block of the kind `T`.
pub(crate) fn first<T: PemObject>(text: &[u8]) -> Result<T, PemFault> {
    blocks(text).next().unwrap_or(Err(PemFault::Missing))
}

impl From<Error> for PemFault {
    fn from(error: Error) -> Self {
        match error {
            Error::MissingSectionEnd { .. } => Self::NoEnd,
            Error::IllegalSectionStart { .. } => Self::Begin,
            Error::Base64Decode(_) => Self::Base64,
            Error::NoItemsFound => Self::Missing,
            _ => Self::Other,
        }
    }
}
