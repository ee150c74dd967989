//! From JSON to values, object by object.

use super::super::Luks2Violation;
use super::super::json::Json;
use super::super::node::Node;
use super::{Area, Config, Digest, DigestKind, Keyslot, KeyslotKind, Metadata, Priority, Segment, SegmentKind, Token};
use crate::anti_forensic::STRIPES;
use crate::hash::HashAlgorithm;
use crate::kdf::{Argon2Variant, Kdf};

/// The highest numbers that cryptsetup can handle.
const HIGHEST_KEYSLOT: u8 = 31;
const HIGHEST_TOKEN: u8 = 31;
const HIGHEST_SEGMENT: u8 = 31;
const HIGHEST_DIGEST: u8 = 7;

const LUKS1_DIGEST_LEN: usize = 20;

impl Metadata {
    /// Reads the document of a header of this size and checks every rule.
    pub(crate) fn parse(document: &Json, header_size: u64) -> Result<Self, Luks2Violation> {
        let root = Node::root(document);
        let metadata = Self {
            keyslots: each(&root.get("keyslots")?, keyslot)?,
            tokens: each(&root.get("tokens")?, token)?,
            segments: segments(&root.get("segments")?)?,
            digests: each(&root.get("digests")?, digest)?,
            config: config(&root.get("config")?, header_size)?,
        };
        metadata.check(header_size)?;
        Ok(metadata)
    }
}

fn each<T>(node: &Node<'_>, parse: fn(&Node<'_>) -> Result<T, Luks2Violation>) -> Result<Vec<T>, Luks2Violation> {
    node.members()?.map(|member| parse(&member)).collect()
}

fn keyslot(node: &Node<'_>) -> Result<Keyslot, Luks2Violation> {
    let id = node.id(HIGHEST_KEYSLOT)?;
    let area = node.get("area")?;
    area.kind()?;
    let priority = match node.optional("priority")? {
        None => Priority::Normal,
        Some(priority) => match priority.int() {
            Ok(0) => Priority::Ignore,
            Ok(1) => Priority::Normal,
            Ok(2) => Priority::Prefer,
            _ => return Err(priority.wrong("0, 1 or 2")),
        },
    };
    let kind = match node.kind()? {
        "luks2" => luks2_keyslot(id, node, &area)?,
        other => KeyslotKind::Other(other.to_owned()),
    };
    Ok(Keyslot {
        id,
        priority,
        key_size: node.get("key_size")?.positive()?,
        area: Area { offset: area.get("offset")?.u64_string()?, size: area.get("size")?.u64_string()? },
        kind,
    })
}

fn luks2_keyslot(id: u8, node: &Node<'_>, area: &Node<'_>) -> Result<KeyslotKind, Luks2Violation> {
    let af = node.get("af")?;
    of_type(&af, "luks1")?;
    of_type(area, "raw")?;
    let stripes = af.get("stripes")?.int()?;
    if stripes != i64::from(STRIPES) {
        return Err(Luks2Violation::Stripes { slot: id, found: stripes });
    }
    Ok(KeyslotKind::Luks2 {
        kdf: kdf(&node.get("kdf")?)?,
        af_hash: af.get("hash")?.string()?.to_owned(),
        encryption: area.get("encryption")?.string()?.to_owned(),
        encryption_key_size: area.get("key_size")?.positive()?,
    })
}

fn kdf(node: &Node<'_>) -> Result<Kdf, Luks2Violation> {
    let kind = node.kind()?;
    let members: &[&str] = match kind {
        "pbkdf2" => &["type", "salt", "hash", "iterations"],
        "argon2i" | "argon2id" => &["type", "salt", "time", "memory", "cpus"],
        other => return Err(Luks2Violation::Unsupported { path: node.path(), found: other.to_owned() }),
    };
    if let Some((extra, _)) = node.object()?.iter().find(|(name, _)| !members.contains(&name.as_str())) {
        return Err(Luks2Violation::Unsupported { path: node.path(), found: extra.clone() });
    }
    let salt = node.get("salt")?.salt()?;
    Ok(match kind {
        "pbkdf2" => Kdf::Pbkdf2 {
            hash: node.get("hash")?.string()?.to_owned(),
            iterations: node.get("iterations")?.positive()?,
            salt,
        },
        _ => Kdf::Argon2 {
            variant: if kind == "argon2i" { Argon2Variant::Argon2i } else { Argon2Variant::Argon2id },
            time: node.get("time")?.positive()?,
            memory_kib: node.get("memory")?.positive()?,
            lanes: node.get("cpus")?.positive()?,
            salt,
        },
    })
}

fn token(node: &Node<'_>) -> Result<Token, Luks2Violation> {
    Ok(Token {
        id: node.id(HIGHEST_TOKEN)?,
        kind: node.kind()?.to_owned(),
        keyslots: references(node, "keyslots", HIGHEST_KEYSLOT)?,
        json: node.json.to_string(),
    })
}

fn segments(node: &Node<'_>) -> Result<Vec<Segment>, Luks2Violation> {
    let mut segments = each(node, segment)?;
    segments.sort_by_key(|segment| segment.id);
    let numbered = segments.iter().zip(0..).all(|(segment, number)| segment.id == number);
    if numbered && !segments.is_empty() { Ok(segments) } else { Err(Luks2Violation::SegmentNumbers) }
}

fn segment(node: &Node<'_>) -> Result<Segment, Luks2Violation> {
    let size = node.get("size")?;
    let size = match size.string()? {
        "dynamic" => None,
        _ => Some(size.u64_string()?).filter(|bytes| *bytes > 0).map(|bytes| (bytes, size)),
    };
    if size.is_none() && node.get("size")?.string()? != "dynamic" {
        return Err(node.get("size")?.wrong("`dynamic` or more than 0"));
    }
    let offset = node.get("offset")?;
    let in_sectors = |bytes: u64| bytes.is_multiple_of(512);
    if !in_sectors(offset.u64_string()?) {
        return Err(offset.wrong("a multiple of 512"));
    }
    if let Some((bytes, node)) = size {
        if !in_sectors(bytes) {
            return Err(node.wrong("a multiple of 512"));
        }
        if offset.u64_string()?.checked_add(bytes).is_none() {
            return Err(node.wrong("such that the segment ends below 2^64"));
        }
    }
    let flags = match node.optional("flags")? {
        Some(flags) => owned(flags.strings()?),
        None => Vec::new(),
    };
    Ok(Segment {
        id: node.id(HIGHEST_SEGMENT)?,
        offset: offset.u64_string()?,
        size: size.map(|(bytes, _)| bytes),
        flags,
        kind: match node.kind()? {
            "crypt" => crypt(node, size.map(|(bytes, _)| bytes))?,
            other => SegmentKind::Other(other.to_owned()),
        },
    })
}

fn crypt(node: &Node<'_>, size: Option<u64>) -> Result<SegmentKind, Luks2Violation> {
    let sector_size = node.get("sector_size")?;
    // Stricter: cryptsetup loads 1536 and 8192 too, which dm-crypt then refuses.
    let Ok(bytes @ (512 | 1024 | 2048 | 4096)) = sector_size.positive() else {
        return Err(sector_size.wrong("512, 1024, 2048 or 4096"));
    };
    if size.is_some_and(|size| size % u64::from(bytes) != 0) {
        return Err(sector_size.wrong("a divisor of the segment's size"));
    }
    let integrity = match node.optional("integrity")? {
        Some(integrity) => {
            integrity.get("journal_encryption")?.string()?;
            integrity.get("journal_integrity")?.string()?;
            Some(integrity.kind()?.to_owned())
        }
        None => None,
    };
    Ok(SegmentKind::Crypt {
        encryption: node.get("encryption")?.string()?.to_owned(),
        sector_size: bytes,
        iv_tweak: node.get("iv_tweak")?.u64_string()?,
        integrity,
    })
}

fn digest(node: &Node<'_>) -> Result<Digest, Luks2Violation> {
    let id = node.id(HIGHEST_DIGEST)?;
    let kind = match node.kind()? {
        "pbkdf2" => {
            let hash = node.get("hash")?.string()?;
            let digest = node.get("digest")?.base64()?;
            let full = hash.parse().ok().map(HashAlgorithm::output_len);
            if digest.len() != LUKS1_DIGEST_LEN && full.is_some_and(|full| digest.len() != full) {
                return Err(Luks2Violation::DigestLength { digest: id, found: digest.len() });
            }
            let iterations = node.get("iterations")?.positive()?;
            DigestKind::Pbkdf2 { hash: hash.to_owned(), iterations, salt: node.get("salt")?.salt()?, digest }
        }
        other => DigestKind::Other(other.to_owned()),
    };
    Ok(Digest {
        id,
        keyslots: references(node, "keyslots", HIGHEST_KEYSLOT)?,
        segments: references(node, "segments", HIGHEST_SEGMENT)?,
        kind,
    })
}

fn config(node: &Node<'_>, header_size: u64) -> Result<Config, Luks2Violation> {
    let found = node.get("json_size")?.u64_string()?;
    let expected = header_size - super::super::binary_header::BINARY_LEN as u64;
    if found != expected {
        return Err(Luks2Violation::JsonSize { found, expected });
    }
    let flags = match node.optional("flags")? {
        Some(flags) => owned(flags.strings()?),
        None => Vec::new(),
    };
    let mut mandatory_requirements = Vec::new();
    if let Some(requirements) = node.optional("requirements")?
        && let Some(mandatory) = requirements.optional("mandatory")?
    {
        mandatory_requirements = owned(mandatory.strings()?);
    }
    Ok(Config { keyslots_size: node.get("keyslots_size")?.u64_string()?, flags, mandatory_requirements })
}

fn of_type(node: &Node<'_>, expected: &str) -> Result<(), Luks2Violation> {
    match node.kind()? {
        kind if kind == expected => Ok(()),
        other => Err(Luks2Violation::Unsupported { path: node.path(), found: other.to_owned() }),
    }
}

/// A list of the numbers of other objects. Whether these exist is checked once all are read.
fn references(node: &Node<'_>, name: &str, highest: u8) -> Result<Vec<u8>, Luks2Violation> {
    let list = node.get(name)?;
    let reference = |id: &str| {
        let number = id.parse().ok().filter(|number: &u8| *number <= highest && number.to_string() == id);
        number.ok_or_else(|| Luks2Violation::Reference { path: list.path(), id: id.to_owned() })
    };
    list.strings()?.into_iter().map(reference).collect()
}

fn owned(strings: Vec<&str>) -> Vec<String> {
    strings.into_iter().map(str::to_owned).collect()
}
