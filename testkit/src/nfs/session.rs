//! Client ids, sessions and their slots (RFC 8881 section 2.10).

use std::collections::HashMap;

use super::NfsStatus;
use super::xdr::{Reader, Writer};

/// Every client and session of a server. They outlive connections: a client that reconnects goes on with its session.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    clients: HashMap<u64, Client>,
    sessions: HashMap<SessionId, Session>,
    /// The number of the client id or session id given out last.
    last_id: u64,
}

#[derive(Debug)]
struct Client {
    owner: Vec<u8>,
    verifier: [u8; 8],
    /// The csa_sequence that the next CREATE_SESSION must have.
    next_sequence: u32,
    confirmed: bool,
    reclaim_complete: bool,
}

#[derive(Debug)]
struct Session {
    client: u64,
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    sequence: u32,
    /// The reply to `sequence`, if the client asked to keep it.
    reply: Option<Vec<u8>>,
}

pub(crate) type SessionId = [u8; 16];

/// What SEQUENCE says of the compound it begins.
#[derive(Debug)]
pub(crate) enum Sequenced {
    New(SlotInUse),
    /// The request was executed before; this is the answer it got.
    Replayed(Vec<u8>),
}

/// The slot that a compound occupies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotInUse {
    session: SessionId,
    slot: usize,
    keep_reply: bool,
}

impl Sessions {
    /// EXCHANGE_ID (section 18.35).
    pub(crate) fn exchange_id(&mut self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        let verifier = args.fixed()?;
        let owner = args.opaque(OPAQUE_LIMIT)?;
        let _flags = args.u32()?;
        if args.u32()? != SP4_NONE {
            // Protection by machine credentials or SSV needs RPCSEC_GSS (section 2.10.8.3).
            return Err(NfsStatus::NOTSUPP);
        }
        for _implementation_id in 0..args.length(1)? {
            args.opaque(OPAQUE_LIMIT)?;
            args.opaque(OPAQUE_LIMIT)?;
            args.fixed::<12>()?;
        }
        let known = self.clients.iter().find(|(_, client)| client.owner == owner);
        // Another verifier means that the client has restarted: its old state is void (section 18.35.4, case 5).
        let id = match known.map(|(id, client)| (*id, client.verifier == verifier)) {
            Some((id, true)) => id,
            other => {
                if let Some((restarted, _)) = other {
                    self.forget(restarted);
                }
                self.last_id += 1;
                self.clients.insert(self.last_id, Client::new(owner, verifier));
                self.last_id
            }
        };
        let client = self.clients.get(&id).ok_or(NfsStatus::STALE_CLIENTID)?;
        out.u64(id);
        out.u32(client.next_sequence);
        out.u32(EXCHGID4_FLAG_USE_NON_PNFS | if client.confirmed { EXCHGID4_FLAG_CONFIRMED_R } else { 0 });
        out.u32(SP4_NONE);
        out.u64(0); // so_minor_id
        out.opaque(SERVER_NAME); // so_major_id
        out.opaque(SERVER_NAME); // eir_server_scope
        out.words(&[]); // eir_server_impl_id
        Ok(())
    }

    /// CREATE_SESSION (section 18.36).
    pub(crate) fn create_session(&mut self, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), NfsStatus> {
        let client_id = args.u64()?;
        let sequence = args.u32()?;
        let _flags = args.u32()?;
        let fore = ChannelAttributes::read(args)?;
        let back = ChannelAttributes::read(args)?;
        let _callback_program = args.u32()?;
        for _security_parameter in 0..args.length(8)? {
            match args.u32()? {
                AUTH_NONE => {}
                AUTH_SYS => {
                    args.u32()?; // stamp
                    args.opaque(255)?; // machine name
                    args.fixed::<8>()?; // uid, gid
                    args.words(16)?; // further gids
                }
                _ => return Err(NfsStatus::NOTSUPP),
            }
        }
        let client = self.clients.get_mut(&client_id).ok_or(NfsStatus::STALE_CLIENTID)?;
        if sequence != client.next_sequence {
            return Err(NfsStatus::SEQ_MISORDERED);
        }
        client.next_sequence = sequence.wrapping_add(1);
        client.confirmed = true;
        let fore = fore.limited();
        self.last_id += 1;
        let mut id = SessionId::default();
        let (_, number) = id.split_at_mut(8);
        number.copy_from_slice(&self.last_id.to_be_bytes());
        let slots = vec![Slot::default(); fore.max_requests as usize];
        self.sessions.insert(id, Session { client: client_id, slots });
        out.fixed(&id);
        out.u32(sequence);
        out.u32(0); // csr_flags: no backchannel, not persistent
        fore.write(out);
        back.write(out);
        Ok(())
    }

    /// SEQUENCE (section 18.46). The reply's results are written for a new request only.
    pub(crate) fn sequence(&mut self, args: &mut Reader<'_>, out: &mut Writer) -> Result<Sequenced, NfsStatus> {
        let id = args.fixed()?;
        let sequence = args.u32()?;
        let slot_id = args.u32()?;
        let _highest_slot = args.u32()?;
        let keep_reply = args.bool()?;
        let session = self.sessions.get_mut(&id).ok_or(NfsStatus::BADSESSION)?;
        let highest = u32::try_from(session.slots.len() - 1).expect("the slots are limited to MAX_SLOTS");
        let slot_in_use = SlotInUse { session: id, slot: slot_id as usize, keep_reply };
        let slot = session.slots.get_mut(slot_in_use.slot).ok_or(NfsStatus::BADSLOT)?;
        // A fresh slot stands at 0, and no request has had that number.
        if sequence == slot.sequence && sequence != 0 {
            let reply = slot.reply.clone().ok_or(NfsStatus::RETRY_UNCACHED_REP)?;
            return Ok(Sequenced::Replayed(reply));
        }
        if sequence != slot.sequence.wrapping_add(1) {
            return Err(NfsStatus::SEQ_MISORDERED);
        }
        *slot = Slot { sequence, reply: None };
        out.fixed(&id);
        out.u32s(&[sequence, slot_id, highest, highest, 0]);
        Ok(Sequenced::New(slot_in_use))
    }

    /// Keeps the reply for a replay, if the request asked for that.
    pub(crate) fn keep(&mut self, in_use: SlotInUse, reply: &[u8]) {
        let session = self.sessions.get_mut(&in_use.session).filter(|_| in_use.keep_reply);
        if let Some(slot) = session.and_then(|session| session.slots.get_mut(in_use.slot)) {
            slot.reply = Some(reply.to_vec());
        }
    }

    /// DESTROY_SESSION (section 18.37).
    pub(crate) fn destroy_session(&mut self, args: &mut Reader<'_>) -> Result<(), NfsStatus> {
        let id: SessionId = args.fixed()?;
        self.sessions.remove(&id).map(drop).ok_or(NfsStatus::BADSESSION)
    }

    /// DESTROY_CLIENTID (section 18.50).
    pub(crate) fn destroy_client(&mut self, args: &mut Reader<'_>) -> Result<(), NfsStatus> {
        let id = args.u64()?;
        if self.sessions.values().any(|session| session.client == id) {
            return Err(NfsStatus::CLIENTID_BUSY);
        }
        self.clients.remove(&id).map(drop).ok_or(NfsStatus::STALE_CLIENTID)
    }

    /// RECLAIM_COMPLETE (section 18.51): once for each client and server life.
    pub(crate) fn reclaim_complete(&mut self, args: &mut Reader<'_>, in_use: SlotInUse) -> Result<(), NfsStatus> {
        let one_file_system = args.bool()?;
        let session = self.sessions.get(&in_use.session).ok_or(NfsStatus::BADSESSION)?;
        let client = self.clients.get_mut(&session.client).ok_or(NfsStatus::STALE_CLIENTID)?;
        if one_file_system {
            return Ok(());
        }
        if client.reclaim_complete {
            return Err(NfsStatus::COMPLETE_ALREADY);
        }
        client.reclaim_complete = true;
        Ok(())
    }

    fn forget(&mut self, client_id: u64) {
        self.clients.remove(&client_id);
        self.sessions.retain(|_, session| session.client != client_id);
    }
}

impl Client {
    fn new(owner: &[u8], verifier: [u8; 8]) -> Self {
        Self { owner: owner.to_vec(), verifier, next_sequence: 1, confirmed: false, reclaim_complete: false }
    }
}

/// channel_attrs4 (section 18.36.1), without RDMA.
#[derive(Clone, Copy, Debug)]
struct ChannelAttributes {
    max_request: u32,
    max_response: u32,
    max_response_cached: u32,
    max_operations: u32,
    max_requests: u32,
}

impl ChannelAttributes {
    fn read(args: &mut Reader<'_>) -> Result<Self, NfsStatus> {
        let _header_padding = args.u32()?;
        let attributes = Self {
            max_request: args.u32()?,
            max_response: args.u32()?,
            max_response_cached: args.u32()?,
            max_operations: args.u32()?,
            max_requests: args.u32()?,
        };
        args.words(1)?; // ca_rdma_ird
        Ok(attributes)
    }

    fn write(self, out: &mut Writer) {
        out.u32(0); // ca_headerpadsize
        out.u32(self.max_request);
        out.u32(self.max_response);
        out.u32(self.max_response_cached);
        out.u32(self.max_operations);
        out.u32(self.max_requests);
        out.words(&[]); // ca_rdma_ird
    }

    /// What this server grants of what was asked for: it may only lower the values.
    fn limited(self) -> Self {
        Self {
            max_request: self.max_request.min(MAX_MESSAGE),
            max_response: self.max_response.min(MAX_MESSAGE),
            max_response_cached: self.max_response_cached.min(MAX_MESSAGE),
            max_operations: self.max_operations.min(MAX_OPERATIONS),
            max_requests: self.max_requests.clamp(1, MAX_SLOTS),
        }
    }
}

/// The operations in one COMPOUND.
pub(crate) const MAX_OPERATIONS: u32 = 32;
/// NFS4_OPAQUE_LIMIT (section 3.1).
pub(crate) const OPAQUE_LIMIT: usize = 1024;
const MAX_MESSAGE: u32 = 1024 * 1024 + 4096;
const MAX_SLOTS: u32 = 16;
const SERVER_NAME: &[u8] = b"secure-connector-testkit";
const SP4_NONE: u32 = 0;
const EXCHGID4_FLAG_USE_NON_PNFS: u32 = 0x0001_0000;
const EXCHGID4_FLAG_CONFIRMED_R: u32 = 0x8000_0000;
const AUTH_NONE: u32 = 0;
const AUTH_SYS: u32 = 1;
