//! The exchange: as few requests as tell whether we are let in, and none that changes anything.

use std::{ops::ControlFlow, time::Duration};

use secure_connector::Backoff;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};

use super::{
    Access, Admission, Deadline, Operation, ProbeOptions, ProbeOutcome, Refusal, RootDirectory, Status,
    outcome::Found,
    rpc::{NoRecord, compound_call, read_record, read_reply, write_record},
    xdr::{Decoder, Encoder, Malformed},
};

/// Asks for the root until the deadline, and takes leave of a server that answered.
pub(super) async fn exchange<S>(stream: S, options: &ProbeOptions, deadline: Deadline) -> ProbeOutcome
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (uid, gid) = options.user;
    let mut client = Client {
        stream,
        user: (uid, gid),
        xid: fastrand::u32(..),
        client_id: None,
        session: None,
        under_way: Operation::ExchangeId,
        delayed: None,
    };
    let outcome = match timeout(deadline.left(), client.look_at_root()).await {
        Ok(Ok(admission)) => ProbeOutcome::Admitted(admission),
        Ok(Err(outcome)) => outcome,
        Err(_) => return client.out_of_time(deadline.limit),
    };
    if matches!(outcome, ProbeOutcome::Admitted(_) | ProbeOutcome::Denied(_) | ProbeOutcome::Rejected(_)) {
        // The outcome is known; a server that does not say goodbye does not change it.
        let _ = timeout(deadline.left().min(GOODBYE), client.leave()).await;
    }
    outcome
}

struct Client<S> {
    stream: S,
    user: (u32, u32),
    xid: u32,
    /// Set by EXCHANGE_ID, for as long as the server remembers us.
    client_id: Option<u64>,
    session: Option<Session>,
    under_way: Operation,
    /// The last request for patience, while it is being granted.
    delayed: Option<Refusal>,
}

struct Session {
    id: [u8; 16],
    /// What SEQUENCE has to count next in the one slot that is used (section 2.10.6.1).
    sequence: u32,
}

type Request = Vec<(Operation, Encoder)>;

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn look_at_root(&mut self) -> Result<Admission, ProbeOutcome> {
        let sequence = self.exchange_id().await?;
        self.create_session(sequence).await?;
        self.root().await
    }

    /// EXCHANGE_ID (RFC 8881 section 18.35). Returns the number that CREATE_SESSION has to have.
    async fn exchange_id(&mut self) -> Result<u32, ProbeOutcome> {
        // A second client of the same name would end the state of the first, so the name is never used twice.
        let name = format!("efs-tls probe {:032x}", fastrand::u128(..));
        let verifier = fastrand::u64(..);
        let results = self
            .ask(|_| {
                let args = Encoder::default().u64(verifier).opaque(name.as_bytes());
                vec![(Operation::ExchangeId, args.u32s(&[NO_FLAGS, SP4_NONE, NO_IMPLEMENTATION_ID]))]
            })
            .await?;
        let mut results = Decoder::new(&results);
        expect(&mut results, Operation::ExchangeId)?;
        self.client_id = Some(results.u64()?);
        Ok(results.u32()?)
    }

    /// CREATE_SESSION (section 18.36), without a channel for callbacks.
    async fn create_session(&mut self, sequence: u32) -> Result<(), ProbeOutcome> {
        let client_id = self.client_id.unwrap_or_default();
        let results = self
            .ask(|_| {
                let args = Encoder::default()
                    .u64(client_id)
                    .u32s(&[sequence, NO_FLAGS])
                    .u32s(&CHANNEL) // there
                    .u32s(&CHANNEL) // and back
                    .u32s(&[CALLBACK_PROGRAM, 1, AUTH_NONE]);
                vec![(Operation::CreateSession, args)]
            })
            .await?;
        let mut results = Decoder::new(&results);
        expect(&mut results, Operation::CreateSession)?;
        self.session = Some(Session { id: results.fixed()?, sequence: 1 });
        Ok(())
    }

    async fn root(&mut self) -> Result<Admission, ProbeOutcome> {
        let results = self
            .ask(|session| {
                let Session { id, sequence } = session.expect("a session was created before");
                let (slot, highest_slot, keep_reply) = (0, 0, 0);
                let attributes = [2, 0, ATTRIBUTES_OF_WORD_1];
                vec![
                    (
                        Operation::Sequence,
                        Encoder::default().fixed(id).u32s(&[*sequence, slot, highest_slot, keep_reply]),
                    ),
                    (Operation::PutRootFh, Encoder::default()),
                    (Operation::GetAttr, Encoder::default().u32s(&attributes)),
                    (Operation::Access, Encoder::default().u32s(&[Access::all().bits()])),
                ]
            })
            .await?;
        let mut results = Decoder::new(&results);
        expect(&mut results, Operation::Sequence)?;
        results.fixed::<36>()?; // SEQUENCE4resok
        expect(&mut results, Operation::PutRootFh)?;
        expect(&mut results, Operation::GetAttr)?;
        let (present, values) = (results.bitmap()?, results.opaque()?);
        expect(&mut results, Operation::Access)?;
        let (supported, granted) = (Access::from_bits(results.u32()?), Access::from_bits(results.u32()?));
        let (uid, gid) = self.user;
        let granted = granted.intersection(supported);
        Ok(Admission { uid, gid, supported, granted, root: root_directory(&present, values).ok().flatten() })
    }

    async fn leave(&mut self) -> Result<(), ProbeOutcome> {
        if let Some(session) = self.session.take() {
            self.ask(|_| vec![(Operation::DestroySession, Encoder::default().fixed(&session.id))]).await?;
        }
        if let Some(client_id) = self.client_id.take() {
            self.ask(|_| vec![(Operation::DestroyClientId, Encoder::default().u64(client_id))]).await?;
        }
        Ok(())
    }

    /// Makes a request until the server does not ask for patience, and returns the results of its operations.
    async fn ask(&mut self, request: impl Fn(Option<&Session>) -> Request) -> Result<Vec<u8>, ProbeOutcome> {
        let mut failures = 0;
        loop {
            match self.ask_once(request(self.session.as_ref())).await? {
                ControlFlow::Break(results) => return Ok(results),
                ControlFlow::Continue(()) => sleep(PATIENCE.delay(failures)).await,
            }
            failures += 1;
        }
    }

    /// One COMPOUND (section 16.2).
    async fn ask_once(&mut self, request: Request) -> Result<ControlFlow<Vec<u8>>, ProbeOutcome> {
        let first = request.first().map_or(self.under_way, |(operation, _)| *operation);
        self.under_way = first;
        let reply = self.call(&request).await?;
        let mut reply = Decoder::new(&reply);
        read_reply(&mut reply, self.xid, first)?;
        let status = reply.u32()?;
        reply.opaque()?; // our tag
        let executed = reply.u32()?;
        if executed == 0 && status != Status::DELAY {
            return Err(ProbeOutcome::of_refusal(Refusal { operation: first, status: Status::Nfs(status) }));
        }
        let results = reply.rest();
        if let Some(session) = self.session.as_mut().filter(|_| first == Operation::Sequence)
            && expect(&mut Decoder::new(results), first).is_ok()
        {
            // Whatever became of the other operations, this number is used up. It is not when SEQUENCE itself fails.
            session.sequence = session.sequence.wrapping_add(1);
        }
        if status != Status::DELAY {
            self.delayed = None;
            return Ok(ControlFlow::Break(results.to_vec()));
        }
        let operation = usize::try_from(executed).ok().and_then(|executed| request.get(executed.checked_sub(1)?));
        let operation = operation.map_or(first, |(operation, _)| *operation);
        self.delayed = Some(Refusal { operation, status: Status::Nfs(status) });
        Ok(ControlFlow::Continue(()))
    }

    async fn call(&mut self, request: &Request) -> Result<Vec<u8>, ProbeOutcome> {
        self.xid = self.xid.wrapping_add(1);
        let (uid, gid) = self.user;
        let operations = u32::try_from(request.len()).expect("there are four at most");
        let head = compound_call(self.xid, uid, gid).opaque(b"").u32s(&[MINOR_VERSION, operations]);
        let call = request.iter().fold(head, |call, (operation, args)| call.u32s(&[operation.number()]).append(args));
        let during = self.under_way;
        write_record(&mut self.stream, call).await.map_err(|source| ProbeOutcome::Disconnected { during, source })?;
        read_record(&mut self.stream).await.map_err(|error| match error {
            NoRecord::Stream(source) => ProbeOutcome::Disconnected { during, source },
            NoRecord::Other(found) => ProbeOutcome::NotNfs { found },
        })
    }

    fn out_of_time(&self, limit: Duration) -> ProbeOutcome {
        match self.delayed {
            Some(refusal) => ProbeOutcome::Busy(refusal),
            None => ProbeOutcome::TimedOut { during: Some(self.under_way), limit },
        }
    }
}

/// Reads the head of one operation's results; what it returned is next.
fn expect(results: &mut Decoder<'_>, operation: Operation) -> Result<(), ProbeOutcome> {
    if results.u32()? != operation.number() {
        return Err(ProbeOutcome::NotNfs { found: Found::Malformed("a reply to other operations than ours") });
    }
    match results.u32()? {
        Status::OK => Ok(()),
        status => Err(ProbeOutcome::of_refusal(Refusal { operation, status: Status::Nfs(status) })),
    }
}

/// The values of the attributes that are present, in ascending order (section 3.3.10). `None` when they are not the three
/// that were asked for.
fn root_directory(present: &[u32], values: &[u8]) -> Result<Option<RootDirectory>, Malformed> {
    let [0, ATTRIBUTES_OF_WORD_1, rest @ ..] = present else { return Ok(None) };
    if rest.iter().any(|word| *word != 0) {
        return Ok(None);
    }
    let mut values = Decoder::new(values);
    let mode = values.u32()? & 0o7777;
    let mut name = || values.opaque().map(|name| String::from_utf8_lossy(name).into_owned());
    Ok(Some(RootDirectory { mode, owner: name()?, group: name()? }))
}

const PATIENCE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
/// For the requests that only tidy up.
const GOODBYE: Duration = Duration::from_secs(1);

const MINOR_VERSION: u32 = 1;
const NO_FLAGS: u32 = 0;
const SP4_NONE: u32 = 0;
const NO_IMPLEMENTATION_ID: u32 = 0;
const AUTH_NONE: u32 = 0;
/// From the range for transient programs (RFC 5531 section 8.3); it is never called.
const CALLBACK_PROGRAM: u32 = 0x4000_0000;
/// `channel_attrs4`: header padding, longest request, reply and kept reply, operations, requests at a time, no RDMA.
const CHANNEL: [u32; 7] = [0, 64 * 1024, 64 * 1024, 4 * 1024, 8, 1, 0];
/// mode (33), owner (36) and owner_group (37) (section 5.8).
const ATTRIBUTES_OF_WORD_1: u32 = 1 << (33 - 32) | 1 << (36 - 32) | 1 << (37 - 32);
