//! File attributes (RFC 8881 section 5), as many as a client needs to mount and to list.

use super::tree::{Node, NodeId, ROOT, Tree};
use super::xdr::Writer;

/// Writes a fattr4: those of the `requested` attributes (bitmap4 words) that are supported, and their values.
pub(crate) fn write_attributes(out: &mut Writer, tree: &Tree, id: NodeId, requested: &[u32]) {
    let mut values = Writer::new();
    let mut present = [0_u32; 2];
    for attribute in SUPPORTED {
        let (word, bit) = place_in_bitmap(*attribute);
        if requested.get(word).is_some_and(|requested| requested & bit != 0) {
            write_value(&mut values, tree, id, *attribute);
            if let Some(present) = present.get_mut(word) {
                *present |= bit;
            }
        }
    }
    out.words(&present);
    out.opaque(values.as_bytes());
}

fn write_value(out: &mut Writer, tree: &Tree, id: NodeId, attribute: u32) {
    let node = tree.node(id);
    match attribute {
        SUPPORTED_ATTRS => out.words(&supported_bitmap()),
        TYPE => out.u32(match node {
            Node::File { .. } => NF4REG,
            Node::Directory(_) => NF4DIR,
        }),
        FH_EXPIRE_TYPE => out.u32(FH4_PERSISTENT),
        CHANGE => out.u64(match node {
            Node::File { change, .. } => *change,
            Node::Directory(_) => 0,
        }),
        SIZE | SPACE_USED => out.u64(match node {
            Node::File { contents, .. } => contents.len() as u64,
            Node::Directory(_) => 4096,
        }),
        UNIQUE_HANDLES => out.bool(true),
        LINK_SUPPORT | SYMLINK_SUPPORT | NAMED_ATTR => out.bool(false),
        FSID => {
            out.u64(1); // major
            out.u64(0); // minor
        }
        LEASE_TIME => out.u32(LEASE_SECONDS),
        RDATTR_ERROR => out.u32(0),
        FILEHANDLE => out.opaque(&Tree::handle_of(id)),
        FILEID | MOUNTED_ON_FILEID => out.u64(id.fileid()),
        MAXREAD | MAXWRITE => out.u64(MAX_IO),
        MODE => out.u32(tree.mode(id)),
        NUMLINKS => out.u32(if id == ROOT { 2 } else { 1 }),
        // A decimal user id, as RFC 8881 section 5.9 allows for AUTH_SYS.
        OWNER => out.opaque(tree.owner(id).to_string().as_bytes()),
        OWNER_GROUP => out.opaque(b"0"),
        // TIME_ACCESS, TIME_METADATA, TIME_MODIFY: nfstime4, always the epoch, so that answers can be compared.
        _ => {
            out.u64(0); // seconds
            out.u32(0); // nanoseconds
        }
    }
}

fn supported_bitmap() -> [u32; 2] {
    let mut bitmap = [0; 2];
    for attribute in SUPPORTED {
        let (word, bit) = place_in_bitmap(*attribute);
        if let Some(word) = bitmap.get_mut(word) {
            *word |= bit;
        }
    }
    bitmap
}

/// bitmap4: attribute n is bit n mod 32 of word n / 32 (section 3.3.7).
fn place_in_bitmap(attribute: u32) -> (usize, u32) {
    ((attribute / 32) as usize, 1 << (attribute % 32))
}

pub(crate) const LEASE_SECONDS: u32 = 90;
pub(crate) const MAX_IO: u64 = 1024 * 1024;
/// Words of an attribute bitmap that are read: three are in use (section 5.6), a few more may come.
pub(crate) const MAX_BITMAP_WORDS: usize = 8;

const NF4REG: u32 = 1;
const NF4DIR: u32 = 2;
const FH4_PERSISTENT: u32 = 0;

const SUPPORTED_ATTRS: u32 = 0;
pub(crate) const TYPE: u32 = 1;
const FH_EXPIRE_TYPE: u32 = 2;
const CHANGE: u32 = 3;
const SIZE: u32 = 4;
const LINK_SUPPORT: u32 = 5;
const SYMLINK_SUPPORT: u32 = 6;
const NAMED_ATTR: u32 = 7;
const FSID: u32 = 8;
const UNIQUE_HANDLES: u32 = 9;
const LEASE_TIME: u32 = 10;
const RDATTR_ERROR: u32 = 11;
const FILEHANDLE: u32 = 19;
const FILEID: u32 = 20;
const MAXREAD: u32 = 30;
const MAXWRITE: u32 = 31;
const MODE: u32 = 33;
const NUMLINKS: u32 = 35;
const OWNER: u32 = 36;
const OWNER_GROUP: u32 = 37;
const SPACE_USED: u32 = 45;
const TIME_ACCESS: u32 = 47;
const TIME_METADATA: u32 = 52;
const TIME_MODIFY: u32 = 53;
const MOUNTED_ON_FILEID: u32 = 55;

/// In ascending order: the values of a fattr4 are (section 3.3.10).
const SUPPORTED: &[u32] = &[
    SUPPORTED_ATTRS,
    TYPE,
    FH_EXPIRE_TYPE,
    CHANGE,
    SIZE,
    LINK_SUPPORT,
    SYMLINK_SUPPORT,
    NAMED_ATTR,
    FSID,
    UNIQUE_HANDLES,
    LEASE_TIME,
    RDATTR_ERROR,
    FILEHANDLE,
    FILEID,
    MAXREAD,
    MAXWRITE,
    MODE,
    NUMLINKS,
    OWNER,
    OWNER_GROUP,
    SPACE_USED,
    TIME_ACCESS,
    TIME_METADATA,
    TIME_MODIFY,
    MOUNTED_ON_FILEID,
];
