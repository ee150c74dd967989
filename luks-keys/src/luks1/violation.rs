/// What is wrong with a LUKS1 header.
///
/// All of these are refused by cryptsetup as well, but for [`NotText`](Self::NotText).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Luks1Violation {
    /// The header does not begin with `LUKS\xba\xbe`.
    #[error("no LUKS magic at the beginning")]
    Magic,
    /// The version is not 1.
    #[error("version {0} instead of 1")]
    Version(u16),
    /// A name holds bytes that are no text.
    #[error("the {0} is not text")]
    NotText(&'static str),
    /// The hash is unknown, or too short for the digest of 20 bytes.
    #[error("hash `{0}` is not supported for LUKS1")]
    Hash(String),
    /// A key of no bytes.
    #[error("the key has no bytes")]
    KeyBytes,
    /// Another number of stripes than 4000.
    #[error("keyslot {slot} has {found} stripes instead of 4000")]
    #[non_exhaustive]
    Stripes {
        /// Keyslot
        slot: u8,
        /// As the header says
        found: u32,
    },
    /// Key material inside the header itself.
    #[error("the key material of keyslot {slot} begins at sector {found}, inside the header")]
    #[non_exhaustive]
    MaterialInHeader {
        /// Keyslot
        slot: u8,
        /// Sector of 512 bytes
        found: u32,
    },
    /// Key material that reaches into the encrypted data.
    #[error("the key material of keyslot {slot} ends at sector {end}, the data begins at sector {payload}")]
    #[non_exhaustive]
    MaterialInPayload {
        /// Keyslot
        slot: u8,
        /// First sector after it
        end: u64,
        /// First sector of the data
        payload: u32,
    },
    /// Two keyslots share sectors.
    #[error("the key material of keyslots {first} and {second} overlaps")]
    #[non_exhaustive]
    Overlap {
        /// The one at the lower sector
        first: u8,
        /// The one at the higher sector
        second: u8,
    },
}
