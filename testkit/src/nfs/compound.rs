//! The COMPOUND procedure (RFC 8881 section 16.2): operations are executed in order, up to the first that fails.

use std::collections::HashMap;

use super::record::MAX_RECORD;
use super::rights::Treatment;
use super::session::{MAX_OPERATIONS, OPAQUE_LIMIT, Sequenced, Sessions, SlotInUse};
use super::tree::{NodeId, Tree};
use super::xdr::{Malformed, Reader, Writer};
use super::{Denial, NfsStatus, Operation};

/// What the server knows, whatever the connection.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tree: Tree,
    sessions: Sessions,
    /// The files that are open, by the number in their stateid: whether for writing.
    pub(crate) opens: HashMap<u64, bool>,
    pub(crate) last_open: u64,
}

impl State {
    pub(crate) fn new(tree: Tree) -> Self {
        Self { tree, sessions: Sessions::default(), opens: HashMap::new(), last_open: 0 }
    }

    /// Executes the arguments of a COMPOUND and returns its results.
    ///
    /// `Malformed` when they cannot be decoded as far as the operations go; what is malformed within an operation is
    /// NFS4ERR_BADXDR.
    pub(crate) fn compound(&mut self, args: &mut Reader<'_>, client: Client) -> Result<Vec<u8>, Malformed> {
        let tag = args.opaque(OPAQUE_LIMIT)?;
        let minor_version = args.u32()?;
        let count = args.u32()?;
        let deny_all = client.treatment.is_denied_at(Denial::EveryCompound);
        if minor_version != MINOR_VERSION && !deny_all {
            return Ok(results(NfsStatus::MINOR_VERS_MISMATCH, tag, 0, &Writer::new()));
        }
        if count > MAX_OPERATIONS {
            return Ok(results(NfsStatus::TOO_MANY_OPS, tag, 0, &Writer::new()));
        }
        let mut execution = Execution { state: self, client, count, current: None, slot: None };
        let (mut status, mut executed, mut output) = (NfsStatus::OK, 0, Writer::new());
        while status == NfsStatus::OK && executed < count {
            let mut operation = Operation::new(args.u32()?);
            let mut result = Writer::new();
            let outcome = if deny_all {
                Err(NfsStatus::ACCESS)
            } else {
                execution.execute(operation, executed, args, &mut result)
            };
            status = match outcome {
                Ok(Some(replayed)) => return Ok(replayed),
                Ok(None) if output.as_bytes().len() + result.as_bytes().len() > MAX_RESULTS => NfsStatus::REP_TOO_BIG,
                Ok(None) => NfsStatus::OK,
                Err(status) => status,
            };
            if status == NfsStatus::OP_ILLEGAL {
                operation = Operation::ILLEGAL;
            }
            executed += 1;
            output.u32(operation.number());
            output.u32(status.number());
            if status == NfsStatus::OK {
                output.append(&result);
            } else if operation == Operation::SETATTR {
                output.words(&[]); // attrsset stands outside the union (section 18.30.2)
            }
        }
        let slot = execution.slot;
        let reply = results(status, tag, executed, &output);
        if let Some(slot) = slot {
            self.sessions.keep(slot, &reply);
        }
        Ok(reply)
    }
}

/// On whose behalf operations are executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) treatment: Treatment,
    /// The user id that counts for permissions.
    pub(crate) user: u32,
}

/// One COMPOUND under way.
#[derive(Debug)]
pub(crate) struct Execution<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) client: Client,
    /// How many operations there are.
    count: u32,
    /// The current file handle.
    pub(crate) current: Option<NodeId>,
    /// Set by SEQUENCE.
    slot: Option<SlotInUse>,
}

impl Execution<'_> {
    /// Executes one operation, whose results are written to `out`. `Some` is a whole reply out of the replay cache.
    fn execute(
        &mut self,
        operation: Operation,
        position: u32,
        args: &mut Reader<'_>,
        out: &mut Writer,
    ) -> Result<Option<Vec<u8>>, NfsStatus> {
        if !operation.is_defined() {
            return Err(NfsStatus::OP_ILLEGAL);
        }
        if operation == Operation::SEQUENCE {
            if position != 0 {
                return Err(NfsStatus::SEQUENCE_POS);
            }
            return match self.state.sessions.sequence(args, out)? {
                Sequenced::Replayed(reply) => Ok(Some(reply)),
                Sequenced::New(slot) => {
                    self.slot = Some(slot);
                    Ok(None)
                }
            };
        }
        if let Some(slot) = self.slot {
            self.in_session(operation, slot, args, out)?;
        } else {
            self.without_session(operation, args, out)?;
        }
        Ok(None)
    }

    /// The operations that need no SEQUENCE before them, if they come alone (section 2.6.3.1.1).
    fn without_session(
        &mut self,
        operation: Operation,
        args: &mut Reader<'_>,
        out: &mut Writer,
    ) -> Result<(), NfsStatus> {
        let sessions = &mut self.state.sessions;
        match operation {
            _ if !operation.may_stand_alone() => Err(NfsStatus::OP_NOT_IN_SESSION),
            _ if self.count > 1 => Err(NfsStatus::NOT_ONLY_OP),
            Operation::EXCHANGE_ID => sessions.exchange_id(args, out),
            Operation::CREATE_SESSION => sessions.create_session(args, out),
            Operation::DESTROY_SESSION => sessions.destroy_session(args),
            Operation::DESTROY_CLIENTID => sessions.destroy_client(args),
            _ => Err(NfsStatus::NOTSUPP),
        }
    }

    fn in_session(
        &mut self,
        operation: Operation,
        slot: SlotInUse,
        args: &mut Reader<'_>,
        out: &mut Writer,
    ) -> Result<(), NfsStatus> {
        match operation {
            _ if self.client.treatment.forbids(operation) => Err(NfsStatus::ROFS),
            Operation::RECLAIM_COMPLETE => self.state.sessions.reclaim_complete(args, slot),
            Operation::DESTROY_SESSION => self.state.sessions.destroy_session(args),
            Operation::PUTROOTFH => self.put_root_handle(),
            Operation::PUTFH => self.put_handle(args),
            Operation::GETFH => self.get_handle(out),
            Operation::LOOKUP => self.lookup(args),
            Operation::GETATTR => self.get_attributes(args, out),
            Operation::ACCESS => self.access(args, out),
            Operation::READDIR => self.read_directory(args, out),
            Operation::OPEN => self.open(args, out),
            Operation::READ => self.read(args, out),
            Operation::WRITE => self.write(args, out),
            Operation::CLOSE => self.close(args, out),
            _ => Err(NfsStatus::NOTSUPP),
        }
    }
}

impl From<Malformed> for NfsStatus {
    fn from(_: Malformed) -> Self {
        Self::BADXDR
    }
}

/// COMPOUND4res (section 16.2.2).
fn results(status: NfsStatus, tag: &[u8], count: u32, operations: &Writer) -> Vec<u8> {
    let mut reply = Writer::new();
    reply.u32(status.number());
    reply.opaque(tag);
    reply.u32(count);
    reply.append(operations);
    reply.into_bytes()
}

const MINOR_VERSION: u32 = 1;
/// Room for the RPC and COMPOUND headers is left.
pub(crate) const MAX_RESULTS: usize = MAX_RECORD - 2048;
