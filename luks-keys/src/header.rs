//! A header of either version, read from a device.

use std::io::{self, Read, Seek, SeekFrom};

use crate::luks1::{HEADER_LEN, Luks1Header, Luks1Violation};
use crate::luks2::{LoadFault, Luks2Header, Luks2Violation};

/// A LUKS header. Nothing is written when it is read, even where cryptsetup would repair it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LuksHeader {
    /// LUKS1
    Luks1(Luks1Header),
    /// LUKS2
    Luks2(Box<Luks2Header>),
}

/// Why a device has no header that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Reading failed.
    #[error("the LUKS header cannot be read")]
    Io(#[from] io::Error),
    /// No magic of any version.
    #[error("no LUKS header; was the right device given, or is the header kept apart?")]
    NotLuks,
    /// A LUKS1 header that breaks a rule. There is no second copy: restore a backup.
    #[error("the LUKS1 header is invalid: {0}")]
    Luks1(Luks1Violation),
    /// Neither copy of the LUKS2 header can be used: restore a backup.
    #[error("the LUKS2 header is invalid: {}", both(primary, secondary))]
    #[non_exhaustive]
    Luks2 {
        /// What is wrong with the primary copy
        primary: Luks2Violation,
        /// What is wrong with the secondary copy
        secondary: Luks2Violation,
    },
    /// The device ends before the keyslots do.
    #[error("the device has {found} bytes, the header needs {needed}: it was cut off, or is a copy of the header only")]
    #[non_exhaustive]
    TooSmall {
        /// Size of the device in bytes
        found: u64,
        /// Least size in bytes
        needed: u64,
    },
}

fn both(primary: &Luks2Violation, secondary: &Luks2Violation) -> String {
    if primary == secondary {
        format!("both copies: {primary}")
    } else {
        format!("primary: {primary}; secondary: {secondary}")
    }
}

impl LuksHeader {
    /// Reads the header at the beginning of `device`, which is the device with the data, or the one that the header is
    /// kept on.
    ///
    /// # Errors
    /// [`HeaderError`]; every rule of the formats is checked here, but for those that only an unlock meets.
    pub fn read(device: &mut (impl Read + Seek)) -> Result<Self, HeaderError> {
        let found = device.seek(SeekFrom::End(0))?;
        let mut start = [0; HEADER_LEN];
        device.seek(SeekFrom::Start(0))?;
        match device.read_exact(&mut start) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(HeaderError::NotLuks),
            // Bad sectors at the very beginning: the secondary header of LUKS2 may still be good.
            Err(_) => start.fill(0),
            Ok(()) => {}
        }
        match Luks1Header::parse(&start) {
            Ok(header) if found < header.least_device_size() => {
                Err(HeaderError::TooSmall { found, needed: header.least_device_size() })
            }
            Ok(header) => Ok(Self::Luks1(header)),
            Err(Luks1Violation::Magic | Luks1Violation::Version(_)) => match Luks2Header::load(device, found) {
                Ok(header) => Ok(Self::Luks2(Box::new(header))),
                Err(LoadFault::TooSmall { needed }) => Err(HeaderError::TooSmall { found, needed }),
                Err(LoadFault::Copies { primary: Luks2Violation::Magic, secondary: Luks2Violation::Magic }) => {
                    Err(HeaderError::NotLuks)
                }
                Err(LoadFault::Copies { primary, secondary }) => Err(HeaderError::Luks2 { primary, secondary }),
            },
            Err(violation) => Err(HeaderError::Luks1(violation)),
        }
    }

    /// The UUID, as the header has it.
    #[must_use]
    pub fn uuid(&self) -> &str {
        match self {
            Self::Luks1(header) => &header.uuid,
            Self::Luks2(header) => &header.uuid,
        }
    }
}
