//! An NFSv4.1 server whose files are in memory.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};

use super::compound::State;
use super::record::{read_record, write_record};
use super::rpc::{Call, Procedure};
use super::tree::Tree;
use super::xdr::Reader;

/// An NFSv4.1 server with a tree of files in memory, over any stream.
///
/// Clients can list, read, and overwrite what is there; they cannot create, remove or rename: that is `NFS4ERR_NOTSUPP`.
/// Sessions outlive connections, so a client may reconnect and go on. Malformed calls are answered `GARBAGE_ARGS` or
/// `NFS4ERR_BADXDR`; a record beyond 1 MiB and 4 KiB ends the connection.
///
/// # Limitations
/// One file system, no locks, no delegations, no callbacks, no permission checks; owner, group and times are constant.
/// Reads are limited to 1 MiB, files to 16 MiB.
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

    /// Answers calls until the client closes the stream.
    ///
    /// # Errors
    /// The stream's; `InvalidData` when a record is too long or is no RPC call.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        self.answer_all(stream, None).await
    }

    /// As [`serve`](Self::serve), but lets the client see nothing.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn deny(&self, stream: impl AsyncRead + AsyncWrite + Unpin, denial: Denial) -> io::Result<()> {
        self.answer_all(stream, Some(denial)).await
    }

    /// The reply to one RPC message, both without record marks. `None` when the message is no RPC call.
    pub fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.answer_one(message, None)
    }

    async fn answer_all(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        denial: Option<Denial>,
    ) -> io::Result<()> {
        while let Some(message) = read_record(&mut stream).await? {
            let reply = self
                .answer_one(&message, denial)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the record is no RPC call"))?;
            write_record(&mut stream, &reply).await?;
        }
        Ok(())
    }

    fn answer_one(&self, message: &[u8], denial: Option<Denial>) -> Option<Vec<u8>> {
        let mut args = Reader::new(message);
        let call = Call::read(&mut args).ok()?;
        Some(match call.procedure() {
            Err(refusal) => refusal,
            Ok(Procedure::Null) => call.success(&[]),
            Ok(Procedure::Compound) => match self.with_state(|state| state.compound(&mut args, denial)) {
                Ok(results) => call.success(&results),
                Err(_) => call.garbage_args(),
            },
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
