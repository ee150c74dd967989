//! Where the encrypted data is.

use crate::header::LuksHeader;
use crate::luks1::Luks1Header;
use crate::luks2::{Metadata, SegmentKind};

/// The encrypted data of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// Bytes from the beginning of the data device
    pub offset: u64,
    /// Bytes. `None`: up to the end of the device.
    pub size: Option<u64>,
    /// 512, 1024, 2048 or 4096
    pub sector_size: u32,
    /// Added to the number of each sector of 512 bytes
    pub iv_tweak: u64,
    /// Such as `aes-xts-plain64`
    pub encryption: String,
}

/// Why there is no data that the key opens, or none that may be touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The header demands what this crate cannot do, such as an unfinished reencryption.
    #[error("the header requires {}, which is not supported; finish it with cryptsetup", .0.join(", "))]
    Requirements(Vec<String>),
    /// A reencryption left several segments.
    #[error("the volume has {0} segments, only one is supported")]
    Segments(usize),
    /// The data is not encrypted by dm-crypt.
    #[error("the volume's segment is of the type `{0}` instead of `crypt`")]
    SegmentType(String),
    /// The sectors carry tags of dm-integrity.
    #[error("the volume has integrity protection by {0}, which needs the kernel")]
    Integrity(String),
    /// The key belongs to no data.
    #[error("the key is not bound to the volume's data")]
    Unbound,
}

impl LuksHeader {
    /// What the key of this digest opens.
    pub(crate) fn payload(&self, digest_id: u8) -> Result<Payload, PayloadError> {
        match self {
            Self::Luks1(header) => Ok(luks1_payload(header)),
            Self::Luks2(header) => luks2_payload(&header.metadata, digest_id),
        }
    }
}

/// Numbers from 0, whatever the offset.
fn luks1_payload(header: &Luks1Header) -> Payload {
    Payload {
        offset: u64::from(header.payload_offset) * 512,
        size: None,
        sector_size: 512,
        iv_tweak: 0,
        encryption: header.encryption.clone(),
    }
}

fn luks2_payload(metadata: &Metadata, digest_id: u8) -> Result<Payload, PayloadError> {
    if !metadata.config.mandatory_requirements.is_empty() {
        return Err(PayloadError::Requirements(metadata.config.mandatory_requirements.clone()));
    }
    let [segment] = metadata.segments.as_slice() else {
        return Err(PayloadError::Segments(metadata.segments.len()));
    };
    let (encryption, sector_size, iv_tweak) = match &segment.kind {
        SegmentKind::Crypt { integrity: Some(integrity), .. } => {
            return Err(PayloadError::Integrity(integrity.clone()));
        }
        SegmentKind::Crypt { encryption, sector_size, iv_tweak, integrity: None } => {
            (encryption.clone(), *sector_size, *iv_tweak)
        }
        SegmentKind::Other(kind) => return Err(PayloadError::SegmentType(kind.clone())),
    };
    if !metadata.digests.iter().any(|digest| digest.id == digest_id && digest.lists_segment(segment.id)) {
        return Err(PayloadError::Unbound);
    }
    Ok(Payload { offset: segment.offset, size: segment.size, sector_size, iv_tweak, encryption })
}
