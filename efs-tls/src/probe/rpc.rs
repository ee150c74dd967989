//! ONC RPC over a byte stream (RFC 5531): one call, one reply, each a record of its own.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    outcome::{Found, ProbeOutcome},
    status::{Operation, Refusal, Status},
    xdr::{Decoder, Encoder, Malformed},
};

/// Why there is no record.
#[derive(Debug)]
pub(super) enum NoRecord {
    Stream(io::Error),
    Other(Found),
}

/// The head of a call of NFSv4's COMPOUND; the arguments follow.
///
/// The credentials are AUTH_SYS (RFC 5531 appendix A), as a kernel's without Kerberos: a user and a group that nobody
/// proves, which is why EFS has the client certificate.
pub(super) fn compound_call(xid: u32, uid: u32, gid: u32) -> Encoder {
    let credential = Encoder::default().u32s(&[0]).opaque(b"efs-tls").u32s(&[uid, gid, 0]).into_bytes();
    Encoder::default()
        .u32s(&[xid, CALL, RPC_VERSION, NFS_PROGRAM, NFS_V4, COMPOUND, AUTH_SYS])
        .opaque(&credential)
        .u32s(&[AUTH_NONE, 0])
}

/// Writes a record of one fragment (section 11), and flushes.
pub(super) async fn write_record(stream: &mut (impl AsyncWrite + Unpin), record: Encoder) -> io::Result<()> {
    let record = record.into_bytes();
    let length = u32::try_from(record.len()).expect("we send a few hundred bytes");
    stream.write_all(&Encoder::default().u32s(&[LAST_FRAGMENT | length]).fixed(&record).into_bytes()).await?;
    stream.flush().await
}

/// Reads a record, however it is fragmented.
pub(super) async fn read_record(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, NoRecord> {
    let mut record = Vec::new();
    for _ in 0..MAX_FRAGMENTS {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark).await?;
        let header = u32::from_be_bytes(mark);
        let length = u64::from(header & !LAST_FRAGMENT);
        if record.len() as u64 + length > MAX_RECORD {
            // Text in the place of a record mark always announces too much: its first byte stands for 512 MiB or more.
            let found = if record.is_empty() { Found::by_first_bytes(mark) } else { OVERSIZED };
            return Err(NoRecord::Other(found));
        }
        // The buffer grows as bytes arrive: a length alone allocates nothing.
        let read = (&mut *stream).take(length).read_to_end(&mut record).await?;
        if (read as u64) < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if header & LAST_FRAGMENT != 0 {
            return Ok(record);
        }
    }
    Err(NoRecord::Other(OVERSIZED))
}

/// Reads the head of the reply to call `xid` (section 9); the procedure's results are next.
pub(super) fn read_reply(reply: &mut Decoder<'_>, xid: u32, operation: Operation) -> Result<(), ProbeOutcome> {
    let not_nfs = |what| Err(ProbeOutcome::NotNfs { found: Found::Malformed(what) });
    let rejected = |status| Err(ProbeOutcome::Rejected(Refusal { operation, status }));
    if (reply.u32()?, reply.u32()?) != (xid, REPLY) {
        return not_nfs("a record that is no reply to our call");
    }
    if reply.u32()? != MSG_ACCEPTED {
        return match reply.u32()? {
            AUTH_ERROR => rejected(Status::RpcAuth(reply.u32()?)),
            _ => not_nfs("RPC of another version than 2"),
        };
    }
    reply.u32()?; // the verifier's flavour
    reply.opaque()?;
    match reply.u32()? {
        SUCCESS => Ok(()),
        PROG_UNAVAIL => Err(ProbeOutcome::NotNfs { found: Found::RpcWithoutNfs }),
        PROG_MISMATCH => Err(ProbeOutcome::OtherVersion { offered: Some(reply.u32()?..=reply.u32()?) }),
        status => rejected(Status::Rpc(status)),
    }
}

impl From<io::Error> for NoRecord {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<Malformed> for ProbeOutcome {
    fn from(_: Malformed) -> Self {
        Self::NotNfs { found: Found::Malformed("a reply that ends early") }
    }
}

const OVERSIZED: Found = Found::Malformed("a reply beyond any length");
/// Our replies have some hundred bytes; servers may name themselves in up to some thousand more.
const MAX_RECORD: u64 = 64 * 1024;
/// Without a limit, empty fragments would go on until the deadline.
const MAX_FRAGMENTS: usize = 64;
const LAST_FRAGMENT: u32 = 1 << 31;

const RPC_VERSION: u32 = 2;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const AUTH_ERROR: u32 = 1;
const SUCCESS: u32 = 0;
const PROG_UNAVAIL: u32 = 1;
const PROG_MISMATCH: u32 = 2;
const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;

const NFS_PROGRAM: u32 = 100_003;
const NFS_V4: u32 = 4;
const COMPOUND: u32 = 1;
