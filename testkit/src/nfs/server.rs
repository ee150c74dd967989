//! An NFSv4.1 server whose files are in memory.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};

use super::Rights;
use super::compound::{Client, State};
use super::record::{read_record, write_record};
use super::rights::Treatment;
use super::rpc::{Call, Procedure};
use super::tree::Tree;
use super::xdr::Reader;

/// An NFSv4.1 server with a tree of files in memory, over any stream.
///
/// Clients can list, read, and overwrite what is there, as far as owner and mode let them; they cannot create, remove or
/// rename: that is `NFS4ERR_NOTSUPP`. Directories are 0755, files 0644, all owned by user 0, unless told otherwise.
/// Sessions outlive connections, so a client may reconnect and go on. Malformed calls are answered `GARBAGE_ARGS` or
/// `NFS4ERR_BADXDR`; a record beyond 1 MiB and 4 KiB ends the connection.
///
/// # Limitations
/// One file system, no locks, no delegations, no callbacks. Of the mode the bits of the owner and those of the others
/// count, whatever the group; owner, group, mode and times do not change. Reads are limited to 1 MiB, files to 16 MiB.
#[derive(Debug)]
pub struct InMemoryNfs {
    state: Mutex<State>,
}

/// Where a client that is not let in learns about it. The status is always `NFS4ERR_ACCESS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// At the first operation of every COMPOUND, so already at EXCHANGE_ID.
    #[default]
    EveryCompound,
    /// At PUTROOTFH: the session is set up, but the root cannot be had.
    RootFileHandle,
}

impl InMemoryNfs {
    /// A server whose root directory is empty.
    pub fn empty() -> Self {
        Self { state: Mutex::new(State::new(Tree::empty())) }
    }

    /// Puts a file at a path such as `etc/motd`, with the directories above it.
    pub fn file(self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.with_state(|state| state.tree.put_file(path, contents.into()));
        self
    }

    /// Gives the file or directory at a path (`/` for the root) an owner and a mode such as 0o640. A path that leads
    /// nowhere is left so.
    pub fn owner_and_mode(self, path: &str, owner: u32, mode: u32) -> Self {
        self.with_state(|state| state.tree.set_owner_and_mode(path, owner, mode));
        self
    }

    /// Answers calls until the client closes the stream.
    ///
    /// # Errors
    /// The stream's; `InvalidData` when a record is too long or is no RPC call.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        self.serve_with(stream, Rights::default()).await
    }

    /// As [`serve`](Self::serve), for a client with these rights.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_with(&self, stream: impl AsyncRead + AsyncWrite + Unpin, rights: Rights) -> io::Result<()> {
        self.answer_all(stream, Treatment::Served(rights)).await
    }

    /// As [`serve`](Self::serve), but lets the client see nothing.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn deny(&self, stream: impl AsyncRead + AsyncWrite + Unpin, denial: Denial) -> io::Result<()> {
        self.answer_all(stream, Treatment::Denied(denial)).await
    }

    /// The reply to one RPC message, both without record marks. `None` when the message is no RPC call.
    pub fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.answer_one(message, Treatment::Served(Rights::default()))
    }

    async fn answer_all(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        treatment: Treatment,
    ) -> io::Result<()> {
        while let Some(message) = read_record(&mut stream).await? {
            let reply = self
                .answer_one(&message, treatment)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the record is no RPC call"))?;
            write_record(&mut stream, &reply).await?;
        }
        Ok(())
    }

    pub(crate) fn answer_one(&self, message: &[u8], treatment: Treatment) -> Option<Vec<u8>> {
        let mut args = Reader::new(message);
        let call = Call::read(&mut args).ok()?;
        Some(match call.procedure() {
            Err(refusal) => refusal,
            Ok(Procedure::Null) => call.success(&[]),
            Ok(Procedure::Compound { user }) => {
                let client = Client { treatment, user: treatment.effective_user(user) };
                match self.with_state(|state| state.compound(&mut args, client)) {
                    Ok(results) => call.success(&results),
                    Err(_) => call.garbage_args(),
                }
            }
        })
    }

    fn with_state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A root with `hello.txt` ("hello\n") and `directory/inner.txt` ("inner\n").
impl Default for InMemoryNfs {
    fn default() -> Self {
        Self::empty().file("hello.txt", "hello\n").file("directory/inner.txt", "inner\n")
    }
}
