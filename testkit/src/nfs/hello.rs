//! The first steps of an NFSv4.1 client: far enough to learn whether the server lets it in.

use std::io;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};

use super::attributes::{MAX_BITMAP_WORDS, TYPE};
use super::record::{read_record, write_record};
use super::rpc::{compound_call, read_reply};
use super::session::{OPAQUE_LIMIT, SessionId};
use super::xdr::{Malformed, Reader, Writer};
use super::{NfsStatus, Operation};

/// What a server made of [`nfs_hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelloOutcome {
    /// The root directory could be had.
    Admitted {
        /// What may be done in the root directory: the ACCESS4 bits (RFC 8881 section 18.1) out of READ (1), LOOKUP (2)
        /// and MODIFY (4).
        access: u32,
    },
    /// An operation was refused.
    Denied {
        /// Which one.
        operation: Operation,
        /// Why; [`NfsStatus::ACCESS`] when the client is not let in.
        status: NfsStatus,
    },
    /// The answer is no NFSv4.1.
    NotNfs {
        /// What it is instead.
        found: &'static str,
    },
}

/// Introduces itself as user 0 and looks at the root: EXCHANGE_ID; CREATE_SESSION; SEQUENCE, PUTROOTFH, GETATTR, ACCESS;
/// and, to leave nothing behind, DESTROY_SESSION and DESTROY_CLIENTID. The stream stays open.
///
/// # Errors
/// The stream's; `UnexpectedEof` when it ends before the answer, `InvalidData` when an answer is too long to be one.
pub async fn nfs_hello(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<HelloOutcome> {
    let mut client = Client { stream, xid: 0 };
    match client.hello().await {
        Ok(outcome) => Ok(outcome),
        Err(Stop::Denied { operation, status }) => Ok(HelloOutcome::Denied { operation, status }),
        Err(Stop::NotNfs(found)) => Ok(HelloOutcome::NotNfs { found }),
        Err(Stop::Io(error)) => Err(error),
    }
}

struct Client<'s, S> {
    stream: &'s mut S,
    xid: u32,
}

enum Stop {
    Denied { operation: Operation, status: NfsStatus },
    NotNfs(&'static str),
    Io(io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<'_, S> {
    async fn hello(&mut self) -> Result<HelloOutcome, Stop> {
        let (client_id, sequence) = self.exchange_id().await?;
        let session = self.create_session(client_id, sequence).await?;
        let outcome = self.look_at_root(session).await;
        if matches!(outcome, Ok(_) | Err(Stop::Denied { .. })) {
            // The outcome is known; a server that will not tidy up does not change it.
            let _ = self.destroy(Operation::DESTROY_SESSION, &session).await;
            let _ = self.destroy(Operation::DESTROY_CLIENTID, &client_id.to_be_bytes()).await;
        }
        outcome
    }

    async fn exchange_id(&mut self) -> Result<(u64, u32), Stop> {
        // A second client with this owner would end the state of the first.
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
        let owner = format!("secure-connector-testkit {} {number}", process::id());
        let mut args = Writer::new();
        args.u64(number); // co_verifier
        args.opaque(owner.as_bytes());
        args.u32(0); // eia_flags
        args.u32(0); // SP4_NONE
        args.words(&[]); // eia_client_impl_id
        let reply = self.compound(&[(Operation::EXCHANGE_ID, args)]).await?;
        let mut results = reply.results(Operation::EXCHANGE_ID)?;
        let client_id = results.u64()?;
        let sequence = results.u32()?;
        Ok((client_id, sequence))
    }

    async fn create_session(&mut self, client_id: u64, sequence: u32) -> Result<SessionId, Stop> {
        let mut args = Writer::new();
        args.u64(client_id);
        args.u32(sequence);
        args.u32(0); // csa_flags
        for _fore_and_back_channel in 0..2 {
            // header padding, request, response and cached response sizes, operations, requests
            args.u32s(&[0, 16 * 1024, 16 * 1024, 4 * 1024, 8, 1]);
            args.words(&[]); // ca_rdma_ird
        }
        args.u32(0x4000_0000); // csa_cb_program: from the transient range; never called, as there is no backchannel
        args.words(&[0]); // csa_sec_parms: one, AUTH_NONE
        let reply = self.compound(&[(Operation::CREATE_SESSION, args)]).await?;
        Ok(reply.results(Operation::CREATE_SESSION)?.fixed()?)
    }

    async fn look_at_root(&mut self, session: SessionId) -> Result<HelloOutcome, Stop> {
        let mut sequence = Writer::new();
        sequence.fixed(&session);
        sequence.u32s(&[1, 0, 0, 0]); // sequence id, slot, highest slot, do not cache
        let mut attributes = Writer::new();
        attributes.words(&[1 << TYPE]);
        let mut access = Writer::new();
        access.u32(READ_LOOKUP_MODIFY);
        let reply = self
            .compound(&[
                (Operation::SEQUENCE, sequence),
                (Operation::PUTROOTFH, Writer::new()),
                (Operation::GETATTR, attributes),
                (Operation::ACCESS, access),
            ])
            .await?;
        let mut results = reply.results(Operation::SEQUENCE)?;
        results.fixed::<36>()?; // SEQUENCE4resok
        expect_result(&mut results, Operation::PUTROOTFH)?;
        expect_result(&mut results, Operation::GETATTR)?;
        results.words(MAX_BITMAP_WORDS)?;
        results.opaque(OPAQUE_LIMIT)?;
        expect_result(&mut results, Operation::ACCESS)?;
        let _supported = results.u32()?;
        Ok(HelloOutcome::Admitted { access: results.u32()? })
    }

    async fn destroy(&mut self, operation: Operation, id: &[u8]) -> Result<(), Stop> {
        let mut args = Writer::new();
        args.fixed(id);
        let reply = self.compound(&[(operation, args)]).await?;
        reply.results(operation).map(drop)
    }

    async fn compound(&mut self, operations: &[(Operation, Writer)]) -> Result<Reply, Stop> {
        self.xid += 1;
        let mut call = compound_call(self.xid, ROOT_USER);
        call.opaque(b""); // tag
        call.u32(1); // minor version
        call.length(operations.len());
        for (operation, args) in operations {
            call.u32(operation.number());
            call.append(args);
        }
        write_record(self.stream, call.as_bytes()).await?;
        let reply = read_record(self.stream).await?;
        Ok(Reply { xid: self.xid, message: reply.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))? })
    }
}

struct Reply {
    xid: u32,
    message: Vec<u8>,
}

impl Reply {
    /// The results of a COMPOUND, after the head of the first operation's, which must be `first`.
    fn results(&self, first: Operation) -> Result<Reader<'_>, Stop> {
        let mut results = Reader::new(&self.message);
        read_reply(&mut results, self.xid).map_err(Stop::NotNfs)?;
        let status = NfsStatus::new(results.u32()?);
        results.opaque(OPAQUE_LIMIT)?; // tag
        let count = results.u32()?;
        if count == 0 && status != NfsStatus::OK {
            return Err(Stop::Denied { operation: first, status });
        }
        expect_result(&mut results, first)?;
        Ok(results)
    }
}

/// Reads the head of one operation's results; what the operation returned is next.
fn expect_result(results: &mut Reader<'_>, operation: Operation) -> Result<(), Stop> {
    if Operation::new(results.u32()?) != operation {
        return Err(Stop::NotNfs("a COMPOUND reply to other operations"));
    }
    match NfsStatus::new(results.u32()?) {
        NfsStatus::OK => Ok(()),
        status => Err(Stop::Denied { operation, status }),
    }
}

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Self::NotNfs("a COMPOUND reply that is cut short or malformed")
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

const ROOT_USER: u32 = 0;
/// ACCESS4_READ, ACCESS4_LOOKUP and ACCESS4_MODIFY.
const READ_LOOKUP_MODIFY: u32 = 7;
