//! The operations on files and directories (RFC 8881 section 18).

use super::attributes::{MAX_BITMAP_WORDS, MAX_IO, write_attributes};
use super::compound::{Execution, MAX_RESULTS};
use super::record::MAX_RECORD;
use super::session::OPAQUE_LIMIT;
use super::tree::{Node, NodeId, READ, ROOT, SEARCH, Tree, WRITE};
use super::xdr::{Reader, Writer};
use super::{Denial, NfsStatus};

impl Execution<'_> {
    /// PUTROOTFH (section 18.21).
    pub(crate) fn put_root_handle(&mut self) -> Result<(), NfsStatus> {
        if self.client.treatment.is_denied_at(Denial::RootFileHandle) {
            return Err(NfsStatus::ACCESS);
        }
        self.current = Some(ROOT);
        Ok(())
    }

    /// PUTFH (section 18.19).
    pub(crate) fn put_handle(&mut self, args: &mut Reader<'_>) -> Result<(), NfsStatus> {
        self.current = Some(self.state.tree.by_handle(args.opaque(FH_SIZE)?)?);
        Ok(())
    }

    /// GETFH (section 18.8).
    pub(crate) fn get_handle(&self, out: &mut Writer) -> Result<(), NfsStatus> {
        out.opaque(&Tree::handle_of(self.current()?));
        Ok(())
    }

    /// LOOKUP (section 18.13).
    pub(crate) fn lookup(&mut self, args: &mut Reader<'_>) -> Result<(), NfsStatus> {
        self.current = Some(self.find(component(args)?)?);
        Ok(())
    }

    /// GETATTR (section 18.7).
    pub(crate) fn get_attributes(&self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        let requested = args.words(MAX_BITMAP_WORDS)?;
        write_attributes(out, &self.state.tree, self.current()?, &requested);
        Ok(())
    }

    /// ACCESS (section 18.1).
    pub(crate) fn access(&self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        let requested = args.u32()?;
        let id = self.current()?;
        let (search, write) = match self.state.tree.node(id) {
            Node::File { .. } => (0, ACCESS4_MODIFY | ACCESS4_EXTEND),
            Node::Directory(_) => (ACCESS4_LOOKUP, ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_DELETE),
        };
        let write = if self.client.treatment.is_read_only() { 0 } else { write };
        let mut allowed = 0;
        for (permission, actions) in [(READ, ACCESS4_READ), (SEARCH, search), (WRITE, write)] {
            if self.state.tree.permits(self.client.user, id, permission) {
                allowed |= actions;
            }
        }
        out.u32(requested & ACCESS4_ALL); // supported
        out.u32(requested & allowed);
        Ok(())
    }

    /// READDIR (section 18.23). The cookie of entry n is n + 3: 0 means the beginning, 1 and 2 are reserved.
    pub(crate) fn read_directory(&self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        let cookie = args.u64()?;
        let _cookie_verifier = args.fixed::<8>()?;
        let _names_only_count = args.u32()?;
        let limit = args.u32()? as usize;
        let requested = args.words(MAX_BITMAP_WORDS)?;
        let tree = &self.state.tree;
        let entries = tree.entries(self.current()?)?;
        self.demand(READ, self.current()?)?;
        let skipped = match cookie {
            0 => 0,
            _ => usize::try_from(cookie)
                .ok()
                .and_then(|cookie| cookie.checked_sub(2))
                .filter(|skipped| (1..=entries.len()).contains(skipped))
                .ok_or(NfsStatus::BAD_COOKIE)?,
        };
        out.u64(0); // cookieverf: entries never change their places
        let mut written = 0;
        for (index, (name, id)) in entries.iter().enumerate().skip(skipped) {
            let mut entry = Writer::new();
            entry.bool(true);
            entry.u64(index as u64 + 3);
            entry.opaque(name.as_bytes());
            write_attributes(&mut entry, tree, *id, &requested);
            if out.as_bytes().len() + entry.as_bytes().len() + END_OF_LIST > limit.min(MAX_RESULTS) {
                break;
            }
            out.append(&entry);
            written += 1;
        }
        let is_last = skipped + written == entries.len();
        if written == 0 && !is_last {
            return Err(NfsStatus::TOOSMALL);
        }
        out.bool(false);
        out.bool(is_last);
        Ok(())
    }

    /// OPEN of a file that exists (section 18.16).
    pub(crate) fn open(&mut self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        let _seqid = args.u32()?;
        let share_access = args.u32()?;
        let _share_deny = args.u32()?;
        args.u64()?; // client id of the owner
        args.opaque(OPAQUE_LIMIT)?; // owner
        let writes = share_access & OPEN4_SHARE_ACCESS_WRITE != 0;
        let creates = args.u32()? != OPEN4_NOCREATE;
        if (creates || writes) && self.client.treatment.is_read_only() {
            return Err(NfsStatus::ROFS);
        }
        if creates {
            return Err(NfsStatus::NOTSUPP);
        }
        let file = match args.u32()? {
            CLAIM_NULL => self.find(component(args)?)?,
            CLAIM_FH => self.current()?,
            _ => return Err(NfsStatus::NOTSUPP),
        };
        if let Node::Directory(_) = self.state.tree.node(file) {
            return Err(NfsStatus::ISDIR);
        }
        if share_access & OPEN4_SHARE_ACCESS_BOTH == 0 {
            return Err(NfsStatus::INVAL);
        }
        if share_access & OPEN4_SHARE_ACCESS_READ != 0 {
            self.demand(READ, file)?;
        }
        if writes {
            self.demand(WRITE, file)?;
        }
        self.current = Some(file);
        self.state.last_open += 1;
        let number = self.state.last_open;
        self.state.opens.insert(number, writes);
        write_stateid(out, number);
        out.bool(true); // cinfo: atomic, and unchanged from
        out.u64(0); // before
        out.u64(0); // to after
        out.u32(0); // rflags
        out.words(&[]); // attrset
        out.u32(OPEN_DELEGATE_NONE);
        Ok(())
    }

    /// READ (section 18.22).
    pub(crate) fn read(&self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        self.check_stateid(args, |_writable| true)?;
        let offset = args.u64()?;
        let count = args.u32()?.min(u32::try_from(MAX_IO).unwrap_or(u32::MAX));
        self.demand(READ, self.current()?)?;
        let (data, is_end) = self.state.tree.read(self.current()?, offset, count)?;
        out.bool(is_end);
        out.opaque(data);
        Ok(())
    }

    /// WRITE (section 18.32), always to stable storage.
    pub(crate) fn write(&mut self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        self.check_stateid(args, |writable| writable)?;
        let offset = args.u64()?;
        let _stable = args.u32()?;
        let data = args.opaque(MAX_RECORD)?;
        let file = self.current()?;
        self.demand(WRITE, file)?;
        self.state.tree.write(file, offset, data)?;
        out.length(data.len());
        out.u32(FILE_SYNC4);
        out.u64(0); // writeverf: the server never restarts
        Ok(())
    }

    /// CLOSE (section 18.2).
    pub(crate) fn close(&mut self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        let _seqid = args.u32()?;
        let number = open_number(args)?;
        self.current()?;
        self.state.opens.remove(&number).ok_or(NfsStatus::BAD_STATEID)?;
        write_stateid(out, number);
        Ok(())
    }

    fn current(&self) -> Result<NodeId, NfsStatus> {
        self.current.ok_or(NfsStatus::NOFILEHANDLE)
    }

    /// What has this name in the current directory.
    fn find(&self, name: &str) -> Result<NodeId, NfsStatus> {
        let directory = self.current()?;
        let found = self.state.tree.lookup(directory, name);
        // That it is no directory is said to everybody.
        if found != Err(NfsStatus::NOTDIR) {
            self.demand(SEARCH, directory)?;
        }
        found
    }

    fn demand(&self, permission: u32, id: NodeId) -> Result<(), NfsStatus> {
        if self.state.tree.permits(self.client.user, id, permission) { Ok(()) } else { Err(NfsStatus::ACCESS) }
    }

    /// Reads a stateid: of an open file, or one of the special ones that stand for no open (section 8.2.3).
    fn check_stateid(&self, args: &mut Reader<'_>, permits: impl Fn(bool) -> bool) -> Result<(), NfsStatus> {
        let special = args.clone().fixed::<16>()?;
        let number = open_number(args)?;
        if special == [0; 16] || special == [0xff; 16] {
            return Ok(());
        }
        let writable = self.state.opens.get(&number).ok_or(NfsStatus::BAD_STATEID)?;
        if permits(*writable) { Ok(()) } else { Err(NfsStatus::OPENMODE) }
    }
}

/// A name in a directory (section 14.5 for what is none).
fn component<'a>(args: &mut Reader<'a>) -> Result<&'a str, NfsStatus> {
    match std::str::from_utf8(args.opaque(OPAQUE_LIMIT)?) {
        Err(_) | Ok("") => Err(NfsStatus::INVAL),
        Ok("." | "..") => Err(NfsStatus::BADNAME),
        Ok(name) => Ok(name),
    }
}

/// stateid4 (section 3.3.12): a sequence number, and twelve bytes that are ours.
fn write_stateid(out: &mut Writer, number: u64) {
    out.u32(1);
    out.u32(0);
    out.u64(number);
}

fn open_number(args: &mut Reader<'_>) -> Result<u64, NfsStatus> {
    let _seqid_and_zero = args.u64()?;
    Ok(args.u64()?)
}

/// NFS4_FHSIZE (section 3.1).
const FH_SIZE: usize = 128;
/// The two booleans that end a list of directory entries.
const END_OF_LIST: usize = 8;

const ACCESS4_READ: u32 = 0x01;
const ACCESS4_LOOKUP: u32 = 0x02;
const ACCESS4_MODIFY: u32 = 0x04;
const ACCESS4_EXTEND: u32 = 0x08;
const ACCESS4_DELETE: u32 = 0x10;
const ACCESS4_ALL: u32 = 0x3f;

const OPEN4_SHARE_ACCESS_READ: u32 = 1;
const OPEN4_SHARE_ACCESS_WRITE: u32 = 2;
const OPEN4_SHARE_ACCESS_BOTH: u32 = 3;
const OPEN4_NOCREATE: u32 = 0;
const CLAIM_NULL: u32 = 0;
const CLAIM_FH: u32 = 4;
const OPEN_DELEGATE_NONE: u32 = 0;
const FILE_SYNC4: u32 = 2;
