//! The files and directories of the in-memory server.

use std::collections::BTreeMap;

use super::NfsStatus;

/// A tree of directories and files. Nothing is ever removed, so a node's number stays good.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Inode>,
}

#[derive(Clone, Debug)]
struct Inode {
    node: Node,
    owner: u32,
    mode: u32,
}

/// What a node is, and its contents.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Numbers of the entries, by name.
    Directory(BTreeMap<String, NodeId>),
    File {
        contents: Vec<u8>,
        /// Counts the writes: the `change` attribute.
        change: u64,
    },
}

/// The number of a node in its tree; the file handle is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(usize);

impl Tree {
    /// A root directory without entries.
    pub(crate) fn empty() -> Self {
        Self { nodes: vec![Inode::new(Node::Directory(BTreeMap::new()))] }
    }

    /// Puts a file at `path`, with the directories above it. A file in the place of one of those directories is replaced.
    pub(crate) fn put_file(&mut self, path: &str, contents: Vec<u8>) {
        let mut components: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
        let Some(file_name) = components.pop() else {
            return;
        };
        let mut directory = ROOT;
        for name in components {
            directory = match self.lookup(directory, name) {
                Ok(id) if matches!(self.node(id), Node::Directory(_)) => id,
                _ => self.insert(directory, name, Node::Directory(BTreeMap::new())),
            };
        }
        self.insert(directory, file_name, Node::File { contents, change: 0 });
    }

    /// Changes nothing if there is nothing at `path`.
    pub(crate) fn set_owner_and_mode(&mut self, path: &str, owner: u32, mode: u32) {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        let found = names.try_fold(ROOT, |directory, name| self.lookup(directory, name));
        if let Some(inode) = found.ok().and_then(|id| self.nodes.get_mut(id.0)) {
            inode.owner = owner;
            inode.mode = mode & 0o777;
        }
    }

    pub(crate) fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, NfsStatus> {
        self.entries(directory)?.get(name).copied().ok_or(NfsStatus::NOENT)
    }

    pub(crate) fn entries(&self, directory: NodeId) -> Result<&BTreeMap<String, NodeId>, NfsStatus> {
        match self.node(directory) {
            Node::Directory(entries) => Ok(entries),
            Node::File { .. } => Err(NfsStatus::NOTDIR),
        }
    }

    /// At most `count` bytes from `offset`, and whether the file ends there.
    pub(crate) fn read(&self, file: NodeId, offset: u64, count: u32) -> Result<(&[u8], bool), NfsStatus> {
        let Node::File { contents, .. } = self.node(file) else {
            return Err(NfsStatus::ISDIR);
        };
        let from = usize::try_from(offset).map_or(contents.len(), |offset| offset.min(contents.len()));
        let rest = contents.get(from..).unwrap_or_default();
        let data = rest.get(..count as usize).unwrap_or(rest);
        Ok((data, data.len() == rest.len()))
    }

    pub(crate) fn write(&mut self, file: NodeId, offset: u64, data: &[u8]) -> Result<(), NfsStatus> {
        let Some(Node::File { contents, change }) = self.nodes.get_mut(file.0).map(|inode| &mut inode.node) else {
            return Err(NfsStatus::ISDIR);
        };
        let end = usize::try_from(offset)
            .ok()
            .and_then(|from| from.checked_add(data.len()))
            .filter(|end| *end <= MAX_FILE)
            .ok_or(NfsStatus::FBIG)?;
        if contents.len() < end {
            contents.resize(end, 0);
        }
        if let Some(place) = contents.get_mut(end - data.len()..end) {
            place.copy_from_slice(data);
        }
        *change += 1;
        Ok(())
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.inode(id).node
    }

    pub(crate) fn owner(&self, id: NodeId) -> u32 {
        self.inode(id).owner
    }

    pub(crate) fn mode(&self, id: NodeId) -> u32 {
        self.inode(id).mode
    }

    /// Whether the mode has all of the `wanted` bits (4 read, 2 write, 1 search) for a user. Root has them all.
    pub(crate) fn permits(&self, user: u32, id: NodeId, wanted: u32) -> bool {
        let (owner, mode) = (self.owner(id), self.mode(id));
        let granted = if user == owner { mode >> 6 } else { mode };
        user == 0 || granted & wanted == wanted
    }

    /// The file handle (at most 128 bytes, RFC 8881 section 2.5).
    pub(crate) fn handle_of(id: NodeId) -> [u8; 8] {
        id.fileid().to_be_bytes()
    }

    pub(crate) fn by_handle(&self, handle: &[u8]) -> Result<NodeId, NfsStatus> {
        let fileid = handle.try_into().map(u64::from_be_bytes).ok();
        fileid
            .and_then(|fileid| usize::try_from(fileid).ok()?.checked_sub(1))
            .filter(|index| *index < self.nodes.len())
            .map(NodeId)
            .ok_or(NfsStatus::BADHANDLE)
    }

    fn insert(&mut self, directory: NodeId, name: &str, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Inode::new(node));
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(directory.0).map(|inode| &mut inode.node) {
            entries.insert(name.to_owned(), id);
        }
        id
    }

    fn inode(&self, id: NodeId) -> &Inode {
        self.nodes.get(id.0).expect("nodes are never removed")
    }
}

impl Inode {
    fn new(node: Node) -> Self {
        let mode = match node {
            Node::Directory(_) => 0o755,
            Node::File { .. } => 0o644,
        };
        Self { node, owner: 0, mode }
    }
}

impl NodeId {
    /// Unique in the file system, and never 0.
    pub(crate) fn fileid(self) -> u64 {
        self.0 as u64 + 1
    }
}

pub(crate) const ROOT: NodeId = NodeId(0);
/// Permission bits of one class of users.
pub(crate) const READ: u32 = 4;
pub(crate) const WRITE: u32 = 2;
pub(crate) const SEARCH: u32 = 1;
/// A test double is not for storing data.
const MAX_FILE: usize = 16 * 1024 * 1024;
