use std::io;

/// What is wrong with a copy of a LUKS2 header. Paths are those of the JSON: `keyslots.0.area.offset`.
///
/// Variants marked *stricter* are taken by cryptsetup 2.6.1; the reason why we do not stands beside them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Luks2Violation {
    /// No magic: there is no copy here.
    #[error("no LUKS2 magic")]
    Magic,
    /// The device could not be read there.
    #[error("reading failed: {0}")]
    Unreadable(io::ErrorKind),
    /// The device ends within the copy.
    #[error("the device ends within the header")]
    Truncated,
    /// The version is not 2.
    #[error("version {0} instead of 2")]
    Version(u16),
    /// The copy says that it belongs elsewhere.
    #[error("the header says that it is at offset {found}, but it is at {expected}")]
    #[non_exhaustive]
    HeaderOffset {
        /// As the header says
        found: u64,
        /// Where it is
        expected: u64,
    },
    /// No power of two from 16 KiB to 4 MiB.
    #[error("header size {0} is no power of two from 16 KiB to 4 MiB")]
    HeaderSize(u64),
    /// The checksum's hash is none of sha256, sha512, sha1. Stricter: cryptsetup takes whatever its library has.
    #[error("checksum algorithm `{0}` is none of sha256, sha512, sha1")]
    ChecksumAlgorithm(String),
    /// The checksum does not fit.
    #[error("the checksum does not fit: the header was damaged or changed by something that is no LUKS tool")]
    Checksum,
    /// Stricter: bytes that the specification wants to be zero, where something could be hidden.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// Stricter: a text without its NUL, or of no UTF-8, or a UUID that is none, which tools would show or compare wrongly.
    #[error("the {0} is not a terminated text of the form it must have")]
    Text(&'static str),

    /// The JSON does not begin with `{` or is none.
    #[error("the JSON is not valid: {0}")]
    Json(String),
    /// Stricter: two members of one name, of which tools take different ones.
    #[error("`{0}` is there twice")]
    Duplicate(String),
    /// Deeper than 32.
    #[error("the JSON is nested deeper than 32")]
    Depth,
    /// Stricter: more values than any volume needs, which would cost memory.
    #[error("the JSON has more than 65536 values")]
    Values,
    /// Something else than NUL behind the JSON, or not a single NUL.
    #[error("behind the JSON there must be NULs, and only these")]
    Tail,
    /// A member that must be there.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A value of another type or range.
    #[error("`{path}` must be {expected}")]
    #[non_exhaustive]
    Value {
        /// Of the value
        path: String,
        /// In words
        expected: &'static str,
    },
    /// Stricter in part: a number of an object that is not canonical decimal or too high. cryptsetup 2.6.1 aborts on
    /// token 32 and cannot use keyslot 32.
    #[error("`{path}` is no number from 0 to {highest}")]
    #[non_exhaustive]
    Id {
        /// Of the object
        path: String,
        /// The highest that there is
        highest: u8,
    },
    /// A reference to an object that is not there.
    #[error("`{path}` names {id}, which does not exist")]
    #[non_exhaustive]
    Reference {
        /// Of the list
        path: String,
        /// As it says
        id: String,
    },
    /// A KDF, splitter or area of unknown type, or a KDF with other members than its own.
    #[error("`{path}` is not supported: {found}")]
    #[non_exhaustive]
    Unsupported {
        /// Of the value
        path: String,
        /// Type or member
        found: String,
    },
    /// `config.json_size` is not the header size less 4096.
    #[error("config.json_size is {found} instead of {expected}")]
    #[non_exhaustive]
    JsonSize {
        /// As the JSON says
        found: u64,
        /// As the binary header says
        expected: u64,
    },
    /// Not a multiple of 4096, or more than 128 MiB.
    #[error("config.keyslots_size {0} is no multiple of 4096 up to 128 MiB")]
    KeyslotsSize(u64),
    /// The keyslots reach into the data.
    #[error("the keyslots area ends at {end}, the first segment begins at {segment}")]
    #[non_exhaustive]
    KeyslotsInData {
        /// First byte after the keyslots
        end: u64,
        /// First byte of data
        segment: u64,
    },
    /// An area outside of the keyslots area, or of no bytes.
    #[error("the area of keyslot {0} is outside of the keyslots area, or empty")]
    AreaPlace(u8),
    /// Stricter: an area that is shorter than the key material that is read from it.
    #[error("the area of keyslot {slot} has {found} bytes, its key material {needed}")]
    #[non_exhaustive]
    AreaSize {
        /// Keyslot
        slot: u8,
        /// As the JSON says
        found: u64,
        /// Key size times stripes, in whole sectors
        needed: u64,
    },
    /// Two keyslots share bytes.
    #[error("the areas of keyslots {first} and {second} overlap")]
    #[non_exhaustive]
    AreaOverlap {
        /// The one at the lower offset
        first: u8,
        /// The one at the higher offset
        second: u8,
    },
    /// Stricter: cryptsetup ignores the number and takes 4000, other tools may not.
    #[error("keyslot {slot} has {found} stripes instead of 4000")]
    #[non_exhaustive]
    Stripes {
        /// Keyslot
        slot: u8,
        /// As the JSON says
        found: i64,
    },
    /// A keyslot must belong to exactly one digest.
    #[error("keyslot {slot} belongs to {found} digests instead of one")]
    #[non_exhaustive]
    DigestsOfKeyslot {
        /// Keyslot
        slot: u8,
        /// How many
        found: usize,
    },
    /// Stricter: cryptsetup 2.6.1 takes *every* passphrase where the digest or its salt has an unexpected length.
    #[error("digest {digest} has {found} bytes, which is neither 20 nor those of its hash")]
    #[non_exhaustive]
    DigestLength {
        /// Digest
        digest: u8,
        /// Bytes
        found: usize,
    },
    /// Segments must be numbered from 0 without a gap, and there must be one.
    #[error("segments are not numbered from 0 without a gap")]
    SegmentNumbers,
    /// Only the last regular segment may be dynamic, backups come behind, and none may overlap.
    #[error("segment {0} overlaps another, is not the last though dynamic, or follows a backup")]
    SegmentOrder(u8),
    /// An encrypted segment without a digest has no key.
    #[error("segment {0} is encrypted but no digest lists it")]
    SegmentWithoutDigest(u8),
    /// A running reencryption needs both its requirement and its keyslot.
    #[error("a reencryption keyslot without the requirement, or the requirement without the keyslot")]
    Reencryption,
}
