//! Servers whose every answer is scripted, over a pipe.

use efs_tls::{Probe, ProbeOptions, probe_stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

pub(crate) const EXCHANGE_ID: u32 = 42;
pub(crate) const CREATE_SESSION: u32 = 43;
pub(crate) const SEQUENCE: u32 = 53;
pub(crate) const PUTROOTFH: u32 = 24;
pub(crate) const GETATTR: u32 = 9;
pub(crate) const ACCESS: u32 = 3;
pub(crate) const DELAY: u32 = 10_008;

/// A call of COMPOUND, as far as scripts look at it.
pub(crate) struct Call {
    pub(crate) xid: u32,
    /// Out of the AUTH_SYS credentials.
    pub(crate) user: (u32, u32),
    /// The first operation.
    pub(crate) operation: u32,
    pub(crate) message: Vec<u8>,
}

impl Call {
    fn read(message: Vec<u8>) -> Self {
        let word = |at: usize| u32::from_be_bytes(message[4 * at..][..4].try_into().unwrap());
        // RFC 5531 section 9: xid, call, RPC 2, NFS 4, COMPOUND, then 7 words of AUTH_SYS and an empty AUTH_NONE.
        assert_eq!([word(1), word(2), word(3), word(4), word(5), word(6)], [0, 2, 100_003, 4, 1, 1]);
        Self { xid: word(0), user: (word(12), word(13)), operation: word(20), message }
    }

    /// The reply of a COMPOUND that ended with `status`: the number of results, and the results.
    pub(crate) fn reply(&self, status: u32, results: &[u32]) -> Vec<u8> {
        self.accepted(&[&[0, status, 0], results].concat())
    }

    /// The reply of a COMPOUND whose first operation failed.
    pub(crate) fn fails(&self, status: u32) -> Vec<u8> {
        self.reply(status, &[1, self.operation, status])
    }

    /// An RPC reply that accepts the call, from `accept_stat` on.
    pub(crate) fn accepted(&self, rest: &[u32]) -> Vec<u8> {
        words(&[&[self.xid, 1, 0, 0, 0], rest].concat())
    }
}

pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

pub(crate) fn record(message: &[u8]) -> Vec<u8> {
    [&words(&[1 << 31 | u32::try_from(message.len()).unwrap()]), message].concat()
}

/// Probes a server that answers each call with a record of what `answer` returns, and hangs up at `None`.
pub(crate) async fn scripted(options: ProbeOptions, mut answer: impl FnMut(Call) -> Option<Vec<u8>>) -> Probe {
    raw(options, |call| match answer(call) {
        Some(reply) => (record(&reply), Then::Listen),
        None => (Vec::new(), Then::HangUp),
    })
    .await
}

/// What a server does after it has written its bytes.
pub(crate) enum Then {
    Listen,
    HangUp,
}

/// As [`scripted`], without record marks.
pub(crate) async fn raw(options: ProbeOptions, mut answer: impl FnMut(Call) -> (Vec<u8>, Then)) -> Probe {
    let (client, mut server) = duplex(1024);
    let serve = async move {
        while let Some(message) = read(&mut server).await {
            let (bytes, then) = answer(Call::read(message));
            // The client may have heard enough before the end.
            let _ = server.write_all(&bytes).await;
            if let Then::HangUp = then {
                break;
            }
        }
    };
    tokio::join!(probe_stream(client, &options), serve).0
}

async fn read(server: &mut DuplexStream) -> Option<Vec<u8>> {
    let header = server.read_u32().await.ok()?;
    assert!(header >> 31 == 1, "a record of one fragment");
    let mut message = vec![0; (header & !(1 << 31)) as usize];
    server.read_exact(&mut message).await.ok()?;
    Some(message)
}
