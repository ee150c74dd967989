//! The binary header in front of the JSON (LUKS2 On-Disk Format Specification, section 2.1).

use crate::fields::{Fields, is_zero};
use crate::hash::HashAlgorithm;

use super::Luks2Violation;
use super::load::HeaderCopy;

/// Bytes on disk, most of them reserved.
pub(crate) const BINARY_LEN: usize = 4096;
pub(crate) const MIN_HEADER_SIZE: u64 = 16 << 10;
pub(crate) const MAX_HEADER_SIZE: u64 = 4 << 20;

const CHECKSUM_AT: usize = 448;
const CHECKSUM_LEN: usize = 64;
/// Salt that makes the two copies differ on disk; it has no other use.
pub(super) const SALT_LEN: usize = 64;

/// The fields of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BinaryHeader {
    pub(super) header_size: u64,
    pub(super) sequence_id: u64,
    pub(super) label: String,
    pub(super) subsystem: String,
    pub(super) uuid: String,
    pub(super) salt: [u8; SALT_LEN],
    checksum_algorithm: HashAlgorithm,
    checksum: [u8; CHECKSUM_LEN],
}

impl BinaryHeader {
    /// Reads what does not depend on the checksum: enough to know how much to read for it.
    pub(super) fn parse(bytes: &[u8; BINARY_LEN], copy: HeaderCopy, offset: u64) -> Result<Self, Luks2Violation> {
        let mut fields = Fields::new(bytes);
        if fields.array() != *copy.magic() {
            return Err(Luks2Violation::Magic);
        }
        let version = fields.u16();
        if version != 2 {
            return Err(Luks2Violation::Version(version));
        }
        let header_size = fields.u64();
        let sequence_id = fields.u64();
        let label = text(&mut fields, 48, "label");
        let algorithm = text(&mut fields, 32, "checksum algorithm");
        let salt = fields.array();
        let uuid = text(&mut fields, 40, "UUID");
        let subsystem = text(&mut fields, 48, "subsystem");
        let found = fields.u64();
        let padding = fields.bytes(184);
        let checksum: [u8; CHECKSUM_LEN] = fields.array();

        if found != offset {
            return Err(Luks2Violation::HeaderOffset { found, expected: offset });
        }
        let in_range = (MIN_HEADER_SIZE..=MAX_HEADER_SIZE).contains(&header_size) && header_size.is_power_of_two();
        if !in_range || (copy == HeaderCopy::Secondary && offset != header_size) {
            return Err(Luks2Violation::HeaderSize(header_size));
        }
        let checksum_algorithm = checksum_algorithm(&algorithm?)?;
        let unused = checksum.split_at_checked(checksum_algorithm.output_len()).map_or(&[][..], |(_, unused)| unused);
        if !is_zero(padding) || !is_zero(unused) || !is_zero(fields.rest()) {
            return Err(Luks2Violation::Reserved);
        }
        let uuid = uuid?;
        if !is_uuid(&uuid) {
            return Err(Luks2Violation::Text("UUID"));
        }
        let (label, subsystem) = (label?, subsystem?);
        Ok(Self { header_size, sequence_id, label, subsystem, uuid, salt, checksum_algorithm, checksum })
    }

    pub(super) fn new(uuid: String, label: String, subsystem: String) -> Self {
        Self {
            header_size: MIN_HEADER_SIZE,
            sequence_id: 0,
            label,
            subsystem,
            uuid,
            salt: [0; SALT_LEN],
            checksum_algorithm: HashAlgorithm::Sha256,
            checksum: [0; CHECKSUM_LEN],
        }
    }

    /// The whole copy as it is on disk, with its checksum.
    pub(super) fn to_bytes(&self, copy: HeaderCopy, json_area: &[u8]) -> Vec<u8> {
        let offset = if copy == HeaderCopy::Primary { 0 } else { self.header_size };
        let mut bytes = Vec::with_capacity(BINARY_LEN + json_area.len());
        let text = |bytes: &mut Vec<u8>, text: &str, len: usize| {
            let end = bytes.len() + len;
            bytes.extend(text.bytes().take(len - 1));
            bytes.resize(end, 0);
        };
        bytes.extend(copy.magic());
        bytes.extend(2_u16.to_be_bytes());
        bytes.extend(self.header_size.to_be_bytes());
        bytes.extend(self.sequence_id.to_be_bytes());
        text(&mut bytes, &self.label, 48);
        text(&mut bytes, self.checksum_algorithm.name(), 32);
        bytes.extend(self.salt);
        text(&mut bytes, &self.uuid, 40);
        text(&mut bytes, &self.subsystem, 48);
        bytes.extend(offset.to_be_bytes());
        bytes.resize(BINARY_LEN, 0);
        bytes.extend(json_area);
        let checksum = self.checksum_algorithm.digest(&[&bytes]);
        for (field, byte) in bytes.iter_mut().skip(CHECKSUM_AT).zip(checksum) {
            *field = byte;
        }
        bytes
    }

    /// All but salt and checksum.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.sequence_id == other.sequence_id
            && self.label == other.label
            && self.subsystem == other.subsystem
            && self.uuid == other.uuid
    }

    /// Compares the checksum over the whole copy, its own field counting as zeros.
    pub(super) fn verify(&self, bytes: &[u8; BINARY_LEN], json_area: &[u8]) -> Result<(), Luks2Violation> {
        let (before, rest) = bytes.split_at(CHECKSUM_AT);
        let after = rest.get(CHECKSUM_LEN..).unwrap_or_default();
        let digest = self.checksum_algorithm.digest(&[before, &[0; CHECKSUM_LEN], after, json_area]);
        if self.checksum.starts_with(&digest) { Ok(()) } else { Err(Luks2Violation::Checksum) }
    }
}

fn text(fields: &mut Fields<'_>, len: usize, name: &'static str) -> Result<String, Luks2Violation> {
    let field = fields.text(len);
    field.text.filter(|_| field.terminated).map(str::to_owned).ok_or(Luks2Violation::Text(name))
}

fn checksum_algorithm(name: &str) -> Result<HashAlgorithm, Luks2Violation> {
    match name.parse() {
        Ok(hash @ (HashAlgorithm::Sha256 | HashAlgorithm::Sha512 | HashAlgorithm::Sha1)) => Ok(hash),
        _ => Err(Luks2Violation::ChecksumAlgorithm(name.to_owned())),
    }
}

/// The form of RFC 9562, section 4, in either case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().zip(0..).all(|(byte, at)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
