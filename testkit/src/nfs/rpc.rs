//! ONC RPC version 2 messages (RFC 5531 section 9).

use super::NOBODY;
use super::xdr::{Malformed, Reader, Writer};

/// A call whose header has been read; the procedure's arguments are next in the reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) xid: u32,
    rpc_version: u32,
    program: u32,
    version: u32,
    procedure: u32,
    user: Result<u32, Malformed>,
}

impl Call {
    /// `Malformed` when this is no call: then there is nothing to reply to.
    pub(crate) fn read(message: &mut Reader<'_>) -> Result<Self, Malformed> {
        let xid = message.u32()?;
        if message.u32()? != CALL {
            return Err(Malformed);
        }
        let call = Self {
            xid,
            rpc_version: message.u32()?,
            program: message.u32()?,
            version: message.u32()?,
            procedure: message.u32()?,
            user: user_of(message.u32()?, message.opaque(MAX_AUTH)?),
        };
        let _verifier = (message.u32()?, message.opaque(MAX_AUTH)?);
        Ok(call)
    }

    /// Which NFSv4 procedure is called, or the complete reply that refuses the call.
    pub(crate) fn procedure(self) -> Result<Procedure, Vec<u8>> {
        if self.rpc_version != RPC_VERSION {
            let mut reply = Writer::new();
            reply.u32s(&[self.xid, REPLY, MSG_DENIED, RPC_MISMATCH, RPC_VERSION, RPC_VERSION]);
            return Err(reply.into_bytes());
        }
        if self.program != NFS_PROGRAM {
            return Err(self.accepted(PROG_UNAVAIL, &[]));
        }
        if self.version != NFS_V4 {
            return Err(self.accepted(PROG_MISMATCH, &[NFS_V4, NFS_V4]));
        }
        match self.procedure {
            PROC_NULL => Ok(Procedure::Null),
            PROC_COMPOUND => match self.user {
                Ok(user) => Ok(Procedure::Compound { user }),
                Err(Malformed) => {
                    let mut reply = Writer::new();
                    reply.u32s(&[self.xid, REPLY, MSG_DENIED, AUTH_ERROR, AUTH_BADCRED]);
                    Err(reply.into_bytes())
                }
            },
            _ => Err(self.accepted(PROC_UNAVAIL, &[])),
        }
    }

    /// The successful reply with the procedure's results.
    pub(crate) fn success(self, results: &[u8]) -> Vec<u8> {
        let mut reply = self.accepted(SUCCESS, &[]);
        reply.extend(results);
        reply
    }

    /// The reply to arguments that cannot be decoded.
    pub(crate) fn garbage_args(self) -> Vec<u8> {
        self.accepted(GARBAGE_ARGS, &[])
    }

    fn accepted(self, status: u32, words: &[u32]) -> Vec<u8> {
        let mut reply = Writer::new();
        reply.u32s(&[self.xid, REPLY, MSG_ACCEPTED, AUTH_NONE, 0, status]);
        reply.u32s(words);
        reply.into_bytes()
    }
}

/// The procedures of NFSv4 (RFC 8881 section 16).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Procedure {
    Null,
    Compound { user: u32 },
}

/// The user id in a credential of AUTH_SYS (RFC 5531 appendix A); nobody in any other.
fn user_of(flavor: u32, body: &[u8]) -> Result<u32, Malformed> {
    if flavor != AUTH_SYS {
        return Ok(NOBODY);
    }
    let mut body = Reader::new(body);
    let _stamp = body.u32()?;
    let _machine_name = body.opaque(255)?;
    let user = body.u32()?;
    let _group = body.u32()?;
    let _further_groups = body.words(16)?;
    Ok(user)
}

/// A COMPOUND call with AUTH_SYS, whose arguments the caller appends.
pub(crate) fn compound_call(xid: u32, user: u32) -> Writer {
    let mut credential = Writer::new();
    credential.u32(0); // stamp
    credential.opaque(b"testkit"); // machine name
    credential.u32(user);
    credential.u32(0); // gid
    credential.words(&[]); // further gids
    let mut call = Writer::new();
    call.u32s(&[xid, CALL, RPC_VERSION, NFS_PROGRAM, NFS_V4, PROC_COMPOUND, AUTH_SYS]);
    call.opaque(credential.as_bytes());
    call.u32(AUTH_NONE);
    call.opaque(&[]);
    call
}

/// Reads the header of the reply to call `xid`; the results are next. `Err` says what else it is.
pub(crate) fn read_reply(reply: &mut Reader<'_>, xid: u32) -> Result<(), &'static str> {
    let mut word = || reply.u32().map_err(|Malformed| "an RPC reply that ends in its header");
    if word()? != xid {
        return Err("a message that is no reply to our call");
    }
    if word()? != REPLY {
        return Err("an RPC message that is no reply");
    }
    if word()? != MSG_ACCEPTED {
        return Err("an RPC reply that denies the call");
    }
    word()?;
    reply.opaque(MAX_AUTH).map_err(|Malformed| "an RPC reply with a malformed verifier")?;
    match reply.u32() {
        Ok(SUCCESS) => Ok(()),
        Ok(PROG_UNAVAIL | PROG_MISMATCH) => Err("an RPC server without NFSv4"),
        Ok(_) => Err("an RPC reply without success"),
        Err(Malformed) => Err("an RPC reply that ends in its header"),
    }
}

const RPC_VERSION: u32 = 2;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const MSG_DENIED: u32 = 1;
const SUCCESS: u32 = 0;
const PROG_UNAVAIL: u32 = 1;
const PROG_MISMATCH: u32 = 2;
const PROC_UNAVAIL: u32 = 3;
const GARBAGE_ARGS: u32 = 4;
const RPC_MISMATCH: u32 = 0;
const AUTH_ERROR: u32 = 1;
const AUTH_BADCRED: u32 = 1;
const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;
/// Section 8.2: the body of a credential or verifier is at most 400 bytes.
const MAX_AUTH: usize = 400;

const NFS_PROGRAM: u32 = 100_003;
const NFS_V4: u32 = 4;
const PROC_NULL: u32 = 0;
const PROC_COMPOUND: u32 = 1;
