//! The better one of the two copies, and what is wrong with the other. Nothing is ever written here: cryptsetup repairs
//! the worse copy on any look at the device, which changes evidence and races with other tools.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use super::binary_header::{BINARY_LEN, BinaryHeader, MAX_HEADER_SIZE, MIN_HEADER_SIZE, SALT_LEN};
use super::json::Json;
use super::{Luks2Violation, Metadata, document};

/// A LUKS2 header whose every rule was checked, from the better one of its two copies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Luks2Header {
    /// Bytes of one copy with its JSON.
    pub header_size: u64,
    /// Goes up with each update.
    pub sequence_id: u64,
    /// Label, may be empty
    pub label: String,
    /// Subsystem label, may be empty
    pub subsystem: String,
    /// UUID
    pub uuid: String,
    /// What the JSON says.
    pub metadata: Metadata,
    /// What is wrong with the other copy.
    pub needs_repair: Option<NeedsRepair>,
    pub(super) document: Json,
    pub(super) binary: BinaryHeader,
    /// Of the primary and of the secondary copy, which updates leave as they are.
    pub(super) salts: [Option<[u8; SALT_LEN]>; 2],
}

/// One of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderCopy {
    /// At the beginning of the device.
    Primary,
    /// Right behind the first.
    Secondary,
}

/// The other copy is not what it should be. The volume can be used, but is one mishap away from being lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeedsRepair {
    /// The copy to rewrite.
    pub which: HeaderCopy,
    /// What is wrong with it.
    pub why: RepairReason,
}

/// What is wrong with a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepairReason {
    /// It breaks a rule.
    Invalid(Luks2Violation),
    /// It missed an update.
    #[non_exhaustive]
    Older {
        /// Of this copy
        sequence_id: u64,
        /// Of the better copy
        newest: u64,
    },
    /// It says something else under the same sequence number; the primary one counts.
    Differs,
}

/// Why there is no header.
#[derive(Debug)]
pub(crate) enum LoadFault {
    Copies { primary: Luks2Violation, secondary: Luks2Violation },
    TooSmall { needed: u64 },
}

/// A copy with a good checksum.
struct Copy {
    binary: BinaryHeader,
    json_area: Vec<u8>,
}

pub(super) type Contents = (BinaryHeader, Json, Metadata);

impl Luks2Header {
    pub(crate) fn load(device: &mut (impl Read + Seek), device_size: u64) -> Result<Self, LoadFault> {
        let primary = read_copy(device, HeaderCopy::Primary, 0);
        let secondary = match &primary {
            Ok(primary) => read_copy(device, HeaderCopy::Secondary, primary.binary.header_size),
            Err(_) => find_secondary(device),
        };
        let salts = [&primary, &secondary].map(|copy| copy.as_ref().ok().map(|copy| copy.binary.salt));
        let mut differs = None;
        if let (Ok(primary), Ok(secondary)) = (&primary, &secondary) {
            if primary.says_the_same(secondary) {
                let contents = primary.contents();
                return contents
                    .map_err(|why| LoadFault::Copies { primary: why.clone(), secondary: why })
                    .and_then(|contents| Self::new(contents, salts, None).fits(device_size));
            }
            differs = Some(NeedsRepair { which: HeaderCopy::Secondary, why: RepairReason::Differs });
        }
        let contents = |copy: Result<Copy, Luks2Violation>| copy.and_then(|copy| copy.contents());
        let header = match (contents(primary), contents(secondary)) {
            (Ok(primary), Ok(secondary)) => {
                let (first, second) = (primary.0.sequence_id, secondary.0.sequence_id);
                let older = |which, sequence_id, newest| {
                    Some(NeedsRepair { which, why: RepairReason::Older { sequence_id, newest } })
                };
                if first > second {
                    Self::new(primary, salts, older(HeaderCopy::Secondary, second, first))
                } else if second > first {
                    Self::new(secondary, salts, older(HeaderCopy::Primary, first, second))
                } else {
                    Self::new(primary, salts, differs)
                }
            }
            (Ok(primary), Err(why)) => Self::new(primary, salts, Some(invalid(HeaderCopy::Secondary, why))),
            (Err(why), Ok(secondary)) => Self::new(secondary, salts, Some(invalid(HeaderCopy::Primary, why))),
            (Err(primary), Err(secondary)) => return Err(LoadFault::Copies { primary, secondary }),
        };
        header.fits(device_size)
    }

    fn fits(self, device_size: u64) -> Result<Self, LoadFault> {
        let needed = 2 * self.header_size + self.metadata.config.keyslots_size;
        if device_size < needed { Err(LoadFault::TooSmall { needed }) } else { Ok(self) }
    }

    /// The JSON, compact, with everything that this crate does not know.
    #[must_use]
    pub fn json(&self) -> String {
        self.document.to_string()
    }

    pub(super) fn new(
        (binary, document, metadata): Contents,
        salts: [Option<[u8; SALT_LEN]>; 2],
        needs_repair: Option<NeedsRepair>,
    ) -> Self {
        let BinaryHeader { header_size, sequence_id, label, subsystem, uuid, .. } = binary.clone();
        Self { header_size, sequence_id, label, subsystem, uuid, metadata, needs_repair, document, binary, salts }
    }
}

fn invalid(which: HeaderCopy, why: Luks2Violation) -> NeedsRepair {
    NeedsRepair { which, why: RepairReason::Invalid(why) }
}

/// Where a secondary header can be that no primary header points to.
fn find_secondary(device: &mut (impl Read + Seek)) -> Result<Copy, Luks2Violation> {
    let mut telling = Luks2Violation::Magic;
    let mut offset = MIN_HEADER_SIZE;
    while offset <= MAX_HEADER_SIZE {
        match read_copy(device, HeaderCopy::Secondary, offset) {
            Ok(copy) => return Ok(copy),
            Err(Luks2Violation::Magic | Luks2Violation::Truncated) => {}
            Err(violation) => telling = violation,
        }
        offset *= 2;
    }
    Err(telling)
}

/// No more than 4 MiB is read: the size is checked before.
fn read_copy(device: &mut (impl Read + Seek), which: HeaderCopy, offset: u64) -> Result<Copy, Luks2Violation> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Luks2Violation::Truncated,
        kind => Luks2Violation::Unreadable(kind),
    };
    device.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let mut bytes = [0; BINARY_LEN];
    device.read_exact(&mut bytes).map_err(unreadable)?;
    let binary = BinaryHeader::parse(&bytes, which, offset)?;
    let mut json_area = vec![0; usize::try_from(binary.header_size).unwrap_or(BINARY_LEN) - BINARY_LEN];
    device.read_exact(&mut json_area).map_err(unreadable)?;
    binary.verify(&bytes, &json_area)?;
    Ok(Copy { binary, json_area })
}

impl Copy {
    fn says_the_same(&self, other: &Self) -> bool {
        self.json_area == other.json_area && self.binary.says_the_same(&other.binary)
    }

    fn contents(&self) -> Result<Contents, Luks2Violation> {
        let document = document::parse(&self.json_area)?;
        let metadata = Metadata::parse(&document, self.binary.header_size)?;
        Ok((self.binary.clone(), document, metadata))
    }
}

impl HeaderCopy {
    pub(super) fn magic(self) -> &'static [u8; 6] {
        match self {
            Self::Primary => b"LUKS\xba\xbe",
            Self::Secondary => b"SKUL\xba\xbe",
        }
    }
}

impl fmt::Display for HeaderCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        })
    }
}

impl fmt::Display for NeedsRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            RepairReason::Invalid(why) => write!(f, "the {} header is invalid: {why}", self.which),
            RepairReason::Older { sequence_id, newest } => {
                write!(f, "the {} header has update {sequence_id}, the other {newest}", self.which)
            }
            RepairReason::Differs => write!(f, "the {} header differs from the other", self.which),
        }
    }
}
