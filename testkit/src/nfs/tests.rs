//! Calls built by hand, and what the server answers.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::record::{MAX_RECORD, read_record, write_record};
use super::rights::Treatment;
use super::rpc::{compound_call, read_reply};
use super::xdr::{Reader, Writer};
use super::{Denial, HelloOutcome, InMemoryNfs, NOBODY, NfsStatus, Operation, Rights, nfs_hello};

mod rights;

const SEQUENCE_RESULT: usize = 36;

#[tokio::test]
async fn a_stranger_is_admitted_and_leaves_nothing_behind() {
    let nfs = InMemoryNfs::default();
    let (mut client, server) = duplex(1024);
    let talk = async {
        let admitted = HelloOutcome::Admitted { access: 7 };
        assert_eq!(nfs_hello(&mut client).await.unwrap(), admitted);
        assert_eq!(nfs_hello(&mut client).await.unwrap(), admitted);
        drop(client);
    };
    let (served, ()) = tokio::join!(nfs.serve(server), talk);
    served.unwrap();
    let state = format!("{nfs:?}");
    assert!(state.contains("clients: {}, sessions: {}"), "{state}");
}

#[tokio::test]
async fn the_denied_learn_it_where_they_should() {
    for (denial, operation) in
        [(Denial::EveryCompound, Operation::EXCHANGE_ID), (Denial::RootFileHandle, Operation::PUTROOTFH)]
    {
        let nfs = InMemoryNfs::default();
        let (mut client, server) = duplex(1024);
        let talk = async {
            let outcome = nfs_hello(&mut client).await.unwrap();
            assert_eq!(outcome, HelloOutcome::Denied { operation, status: NfsStatus::ACCESS });
            drop(client);
        };
        let (served, ()) = tokio::join!(nfs.deny(server, denial), talk);
        served.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_no_nfs_is_named() {
    let ours = [0, 0, 0, 1];
    let accepted = [ours, [0, 0, 0, 1], [0; 4], [0; 4], [0; 4]].concat();
    for (answer, found) in [
        (b"220 ready".to_vec(), "a message that is no reply to our call"),
        ([ours, [0; 4]].concat(), "an RPC message that is no reply"),
        ([ours, [0, 0, 0, 1], [0, 0, 0, 1]].concat(), "an RPC reply that denies the call"),
        ([accepted.clone(), vec![0, 0, 0, 1]].concat(), "an RPC server without NFSv4"),
        ([accepted.clone(), vec![0, 0, 0, 5]].concat(), "an RPC reply without success"),
        ([accepted.clone(), vec![0; 4]].concat(), "a COMPOUND reply that is cut short or malformed"),
        (accepted, "an RPC reply that ends in its header"),
    ] {
        let (mut client, mut server) = duplex(1024);
        let (outcome, ()) = tokio::join!(nfs_hello(&mut client), async {
            read_record(&mut server).await.unwrap();
            write_record(&mut server, &answer).await.unwrap();
        });
        assert_eq!(outcome.unwrap(), HelloOutcome::NotNfs { found });
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_or_floods_is_an_error_of_the_stream() {
    for (answer, expected) in [
        (b"".as_slice(), std::io::ErrorKind::UnexpectedEof),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", std::io::ErrorKind::InvalidData),
    ] {
        let (mut client, mut server) = duplex(1024);
        let (outcome, ()) = tokio::join!(nfs_hello(&mut client), async {
            read_record(&mut server).await.unwrap();
            server.write_all(answer).await.unwrap();
            drop(server);
        });
        assert_eq!(outcome.unwrap_err().kind(), expected);
    }
}

#[test]
fn a_directory_is_looked_up_listed_and_read() {
    let mut client = Client::new(InMemoryNfs::default());
    let attributes = {
        let mut args = Writer::new();
        args.words(&[1 << 1 | 1 << 4, 1 << (33 - 32)]); // type, size, mode
        args
    };
    let mut reply = client.in_session(&[
        (Operation::PUTROOTFH, Writer::new()),
        (Operation::LOOKUP, string("hello.txt")),
        (Operation::GETATTR, attributes),
        (Operation::GETFH, Writer::new()),
    ]);
    reply.expect(Operation::PUTROOTFH, NfsStatus::OK);
    reply.expect(Operation::LOOKUP, NfsStatus::OK);
    reply.expect(Operation::GETATTR, NfsStatus::OK);
    assert_eq!(reply.results.words(8).unwrap(), [1 << 1 | 1 << 4, 1 << 1]);
    let mut values = Reader::new(reply.results.opaque(64).unwrap());
    assert_eq!(values.u32(), Ok(1)); // NF4REG
    assert_eq!(values.u64(), Ok(6));
    assert_eq!(values.u32(), Ok(0o644));
    reply.expect(Operation::GETFH, NfsStatus::OK);
    let handle = reply.results.opaque(128).unwrap().to_vec();

    let mut reply = client.in_session(&[(Operation::PUTFH, opaque(&handle)), (Operation::READ, read(1, 3))]);
    reply.expect(Operation::PUTFH, NfsStatus::OK);
    reply.expect(Operation::READ, NfsStatus::OK);
    assert_eq!(reply.results.bool(), Ok(false)); // not the end
    assert_eq!(reply.results.opaque(16), Ok(b"ell".as_slice()));

    for (operations, operation, status) in [
        (
            [(Operation::PUTFH, opaque(b"forged")), (Operation::GETFH, Writer::new())],
            Operation::PUTFH,
            NfsStatus::BADHANDLE,
        ),
        (
            [(Operation::PUTROOTFH, Writer::new()), (Operation::LOOKUP, string("absent"))],
            Operation::LOOKUP,
            NfsStatus::NOENT,
        ),
        (
            [(Operation::PUTROOTFH, Writer::new()), (Operation::LOOKUP, string(".."))],
            Operation::LOOKUP,
            NfsStatus::BADNAME,
        ),
        (
            [(Operation::PUTROOTFH, Writer::new()), (Operation::LOOKUP, opaque(&[0xff]))],
            Operation::LOOKUP,
            NfsStatus::INVAL,
        ),
        ([(Operation::PUTFH, opaque(&handle)), (Operation::LOOKUP, string("x"))], Operation::LOOKUP, NfsStatus::NOTDIR),
        ([(Operation::PUTROOTFH, Writer::new()), (Operation::READ, read(0, 1))], Operation::READ, NfsStatus::ISDIR),
    ] {
        client.in_session(&operations).expect_last(operation, status);
    }
    let mut badly_padded = Writer::new();
    badly_padded.u32(1);
    badly_padded.fixed(b"x\0\0\x01");
    for (operation, args) in [(Operation::PUTFH, opaque(&[0; 129])), (Operation::PUTFH, badly_padded)] {
        client.in_session(&[(operation, args)]).expect_last(operation, NfsStatus::BADXDR);
    }
    client.in_session(&[(Operation::GETFH, Writer::new())]).expect_last(Operation::GETFH, NfsStatus::NOFILEHANDLE);
}

#[test]
fn a_long_directory_is_listed_in_parts() {
    let names: Vec<_> = (0..40).map(|number| format!("file-{number:02}")).collect();
    let nfs = names.iter().fold(InMemoryNfs::empty(), |nfs, name| nfs.file(name, ""));
    let mut client = Client::new(nfs);
    let (mut cookie, mut listed, mut replies) = (0, Vec::new(), 0);
    loop {
        let mut reply = client
            .in_session(&[(Operation::PUTROOTFH, Writer::new()), (Operation::READDIR, read_directory(cookie, 512))]);
        reply.expect(Operation::PUTROOTFH, NfsStatus::OK);
        reply.expect(Operation::READDIR, NfsStatus::OK);
        reply.results.u64().unwrap(); // cookie verifier
        while reply.results.bool().unwrap() {
            cookie = reply.results.u64().unwrap();
            listed.push(String::from_utf8(reply.results.opaque(255).unwrap().to_vec()).unwrap());
            assert_eq!(reply.results.words(8).unwrap(), [1 << 1, 0]);
            reply.results.opaque(64).unwrap();
        }
        replies += 1;
        if reply.results.bool().unwrap() {
            break;
        }
    }
    assert_eq!(listed, names);
    assert!(replies > 2, "{replies}");
    for (cookie, limit, status) in [
        (0, 20, NfsStatus::TOOSMALL),
        (1, 512, NfsStatus::BAD_COOKIE),
        (43, 512, NfsStatus::BAD_COOKIE),
        (u64::MAX, 512, NfsStatus::BAD_COOKIE),
    ] {
        client
            .in_session(&[(Operation::PUTROOTFH, Writer::new()), (Operation::READDIR, read_directory(cookie, limit))])
            .expect_last(Operation::READDIR, status);
    }
}

#[test]
fn a_file_opened_for_writing_is_written_and_one_opened_for_reading_is_not() {
    let mut client = Client::new(InMemoryNfs::default());
    for (access, outcome) in [(3, NfsStatus::OK), (1, NfsStatus::OPENMODE)] {
        let (handle, stateid) = client.open("hello.txt", access);
        let reply =
            client.in_session(&[(Operation::PUTFH, opaque(&handle)), (Operation::WRITE, write(&stateid, 4, b"!?"))]);
        reply.expect_last(Operation::WRITE, outcome);
        let mut reply = client.in_session(&[(Operation::PUTFH, opaque(&handle)), (Operation::READ, read(0, 99))]);
        reply.expect(Operation::PUTFH, NfsStatus::OK);
        reply.expect(Operation::READ, NfsStatus::OK);
        assert_eq!(reply.results.bool(), Ok(true));
        assert_eq!(reply.results.opaque(99), Ok(b"hell!?".as_slice()));
        let close =
            || [(Operation::PUTFH, opaque(&handle)), (Operation::CLOSE, fixed(&[&[0; 4], &stateid[..]].concat()))];
        client.in_session(&close()).expect_last(Operation::CLOSE, NfsStatus::OK);
        client.in_session(&close()).expect_last(Operation::CLOSE, NfsStatus::BAD_STATEID);
        let again =
            client.in_session(&[(Operation::PUTFH, opaque(&handle)), (Operation::WRITE, write(&stateid, 0, b"x"))]);
        again.expect_last(Operation::WRITE, NfsStatus::BAD_STATEID);
    }
    let anonymous = [0; 16];
    let (handle, _) = client.open("hello.txt", 1);
    client
        .in_session(&[(Operation::PUTFH, opaque(&handle)), (Operation::WRITE, write(&anonymous, u64::MAX, b"x"))])
        .expect_last(Operation::WRITE, NfsStatus::FBIG);
}

#[test]
fn unsupported_unknown_and_misplaced_operations_are_told_apart() {
    let mut client = Client::new(InMemoryNfs::default());
    let sequence = client.sequence();
    for (operations, minor, operation, status) in [
        (vec![(Operation::new(51), Writer::new())], 1, Operation::new(51), NfsStatus::OP_NOT_IN_SESSION),
        (vec![(Operation::new(2), Writer::new())], 1, Operation::ILLEGAL, NfsStatus::OP_ILLEGAL),
        (vec![(Operation::new(59), Writer::new())], 1, Operation::ILLEGAL, NfsStatus::OP_ILLEGAL),
        (vec![(Operation::PUTROOTFH, Writer::new())], 1, Operation::PUTROOTFH, NfsStatus::OP_NOT_IN_SESSION),
        (
            vec![(Operation::DESTROY_CLIENTID, fixed(&[0; 8])), (Operation::PUTROOTFH, Writer::new())],
            1,
            Operation::DESTROY_CLIENTID,
            NfsStatus::NOT_ONLY_OP,
        ),
        (
            vec![(Operation::DESTROY_CLIENTID, fixed(&[0; 8]))],
            1,
            Operation::DESTROY_CLIENTID,
            NfsStatus::STALE_CLIENTID,
        ),
        (vec![(Operation::DESTROY_SESSION, fixed(&[0; 16]))], 1, Operation::DESTROY_SESSION, NfsStatus::BADSESSION),
        (vec![(Operation::EXCHANGE_ID, Writer::new())], 1, Operation::EXCHANGE_ID, NfsStatus::BADXDR),
        (
            vec![(Operation::SEQUENCE, sequence.clone()), (Operation::SEQUENCE, sequence)],
            1,
            Operation::SEQUENCE,
            NfsStatus::SEQUENCE_POS,
        ),
    ] {
        client.call(minor, &operations).expect_last(operation, status);
    }
    client.sequence += 1;
    client.in_session(&[(Operation::new(35), Writer::new())]).expect_last(Operation::new(35), NfsStatus::NOTSUPP);
    let mut set = client.in_session(&[(Operation::SETATTR, Writer::new())]);
    set.expect(Operation::SETATTR, NfsStatus::NOTSUPP);
    assert_eq!(set.results.words(8).unwrap(), [0; 0]);

    let mismatch = client.call(0, &[(Operation::PUTROOTFH, Writer::new())]);
    assert_eq!((mismatch.status, mismatch.count), (NfsStatus::MINOR_VERS_MISMATCH, 0));
    let too_many = client.call(1, &vec![(Operation::PUTROOTFH, Writer::new()); 33]);
    assert_eq!((too_many.status, too_many.count), (NfsStatus::TOO_MANY_OPS, 0));
    let nothing = client.call(1, &[]);
    assert_eq!((nothing.status, nothing.count), (NfsStatus::OK, 0));
}

#[test]
fn slots_answer_each_request_once_and_a_repeated_one_from_the_cache() {
    let mut client = Client::new(InMemoryNfs::default());
    let reclaim = |client: &Client, sequence, slot, keep| {
        let mut args = Writer::new();
        args.bool(false);
        client.raw(
            1,
            &[
                (Operation::SEQUENCE, sequence_args(&client.session, sequence, slot, keep)),
                (Operation::RECLAIM_COMPLETE, args),
            ],
        )
    };
    let first = reclaim(&client, 1, 0, true);
    Reply::of(&first).expect_last(Operation::RECLAIM_COMPLETE, NfsStatus::OK);
    // Executed again it would be refused as complete already.
    assert_eq!(reclaim(&client, 1, 0, true), first);
    let second = reclaim(&client, 2, 0, false);
    Reply::of(&second).expect_last(Operation::RECLAIM_COMPLETE, NfsStatus::COMPLETE_ALREADY);
    for (sequence, slot, status) in [
        (2, 0, NfsStatus::RETRY_UNCACHED_REP),
        (1, 0, NfsStatus::SEQ_MISORDERED),
        (4, 0, NfsStatus::SEQ_MISORDERED),
        (0, 1, NfsStatus::SEQ_MISORDERED),
        (1, 4, NfsStatus::BADSLOT),
    ] {
        let reply = reclaim(&client, sequence, slot, false);
        Reply::of(&reply).expect_last(Operation::SEQUENCE, status);
    }
    client.session = [7; 16];
    let reply = reclaim(&client, 3, 0, false);
    Reply::of(&reply).expect_last(Operation::SEQUENCE, NfsStatus::BADSESSION);
}

#[test]
fn a_client_that_restarts_loses_its_sessions_and_one_that_asks_twice_does_not() {
    let mut client = Client::new(InMemoryNfs::default());
    let same = client.exchange_id([1; 8]);
    assert_eq!(same, (client.id, 2)); // its next CREATE_SESSION is the second
    client.in_session(&[(Operation::PUTROOTFH, Writer::new())]).expect_last(Operation::PUTROOTFH, NfsStatus::OK);
    let busy = client.call(1, &[(Operation::DESTROY_CLIENTID, fixed(&client.id.to_be_bytes()))]);
    busy.expect_last(Operation::DESTROY_CLIENTID, NfsStatus::CLIENTID_BUSY);
    let restarted = client.exchange_id([2; 8]);
    assert_ne!(restarted.0, client.id);
    client.in_session(&[(Operation::PUTROOTFH, Writer::new())]).expect_last(Operation::SEQUENCE, NfsStatus::BADSESSION);
    let misordered = client.call(1, &[(Operation::CREATE_SESSION, create_session_args(restarted.0, 7))]);
    misordered.expect_last(Operation::CREATE_SESSION, NfsStatus::SEQ_MISORDERED);
    let stale = client.call(1, &[(Operation::CREATE_SESSION, create_session_args(99, 1))]);
    stale.expect_last(Operation::CREATE_SESSION, NfsStatus::STALE_CLIENTID);
}

#[test]
fn a_reply_beyond_the_limit_is_too_big_and_not_sent() {
    let mut client = Client::new(InMemoryNfs::empty().file("big", vec![1; 1024 * 1024]));
    let (handle, _) = client.open("big", 1);
    let read = |count| (Operation::READ, read(0, count));
    let put = || (Operation::PUTFH, opaque(&handle));
    client.in_session(&[put(), read(u32::MAX)]).expect_last(Operation::READ, NfsStatus::OK);
    let twice = client.in_session(&[put(), read(u32::MAX), read(u32::MAX)]);
    assert_eq!((twice.status, twice.count), (NfsStatus::REP_TOO_BIG, 4));
}

#[test]
fn calls_that_are_not_for_us_are_refused_as_rpc_says() {
    let nfs = InMemoryNfs::default();
    let accepted = |words: &[u32]| [&[9, 1, 0, 0, 0], words].concat();
    for (call, expected) in [
        // xid, call, RPC version, program, version, procedure, credential and verifier without a body
        ([9, 0, 2, 100_003, 4, 0, 0, 0, 0, 0], accepted(&[0])),
        ([9, 0, 2, 400_123, 1, 2, 0, 0, 0, 0], accepted(&[1])),
        ([9, 0, 2, 100_003, 3, 0, 0, 0, 0, 0], accepted(&[2, 4, 4])),
        ([9, 0, 2, 100_003, 4, 2, 0, 0, 0, 0], accepted(&[3])),
        ([9, 0, 2, 100_003, 4, 1, 0, 0, 0, 0], accepted(&[4])),
        ([9, 0, 3, 100_003, 4, 0, 0, 0, 0, 0], vec![9, 1, 1, 0, 2, 2]),
    ] {
        let mut message = Writer::new();
        message.u32s(&call);
        let mut reply = Writer::new();
        reply.u32s(&expected);
        assert_eq!(nfs.answer(message.as_bytes()).unwrap(), reply.as_bytes(), "{call:?}");
    }
    assert_eq!(nfs.answer(&[0; 39]), None);
    assert_eq!(nfs.answer(&[0, 0, 0, 9, 0, 0, 0, 1]), None);
}

#[tokio::test]
async fn records_are_joined_and_limited() {
    let (mut near, mut far) = duplex(64);
    near.write_all(&[0, 0, 0, 2, 1, 2, 0x80, 0, 0, 1, 3]).await.unwrap();
    assert_eq!(read_record(&mut far).await.unwrap(), Some(vec![1, 2, 3]));
    let (mut near, mut far) = duplex(64);
    near.write_all(&(0x8000_0000 | u32::try_from(MAX_RECORD + 1).unwrap()).to_be_bytes()).await.unwrap();
    drop(near);
    assert_eq!(read_record(&mut far).await.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    let (mut near, mut far) = duplex(1024);
    near.write_all(&[0; 256]).await.unwrap();
    drop(near);
    assert_eq!(read_record(&mut far).await.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    for cut in 1..=4 {
        let (mut near, mut far) = duplex(64);
        near.write_all(&[0x80, 0, 0, 1][..cut]).await.unwrap();
        drop(near);
        assert_eq!(read_record(&mut far).await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    }
    let (near, mut far) = duplex(64);
    drop(near);
    assert_eq!(read_record(&mut far).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_call_ends_the_connection() {
    let nfs = InMemoryNfs::default();
    let (mut client, server) = duplex(64);
    let talk = async {
        write_record(&mut client, b"not a call").await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    };
    let (served, ()) = tokio::join!(nfs.serve(server), talk);
    assert_eq!(served.unwrap_err().to_string(), "the record is no RPC call");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(message in vec(any::<u8>(), 0..512)) {
        InMemoryNfs::default().answer(&message);
    }

    #[test]
    fn any_compound_is_answered(args in vec(any::<u8>(), 0..512)) {
        let mut call = compound_call(1, 0);
        call.fixed(&args);
        InMemoryNfs::default().answer(call.as_bytes()).unwrap();
    }

    #[test]
    fn any_arguments_of_any_operation_are_answered(
        operations in vec((0_u32..64, vec(any::<u32>(), 0..16)), 1..8),
        small in any::<bool>(),
    ) {
        let mut client = Client::new(InMemoryNfs::default());
        let mut all = vec![(Operation::PUTROOTFH, Writer::new())];
        all.extend(operations.into_iter().map(|(number, words)| {
            let mut args = Writer::new();
            // Small numbers reach further: they are lengths and enumerations that may be right.
            args.u32s(&words.iter().map(|word| if small { word % 8 } else { *word }).collect::<Vec<_>>());
            (Operation::new(number), args)
        }));
        client.in_session(&all);
    }
}

/// A client with a session.
struct Client {
    nfs: InMemoryNfs,
    /// How the server treats it, and the user in its calls.
    rights: Rights,
    user: u32,
    id: u64,
    session: [u8; 16],
    /// Used up by [`Client::in_session`], slot 0.
    sequence: u32,
}

impl Client {
    fn new(nfs: InMemoryNfs) -> Self {
        let mut client = Self { nfs, rights: Rights::default(), user: 0, id: 0, session: [0; 16], sequence: 0 };
        let (id, sequence) = client.exchange_id([1; 8]);
        client.id = id;
        let mut reply = client.call(1, &[(Operation::CREATE_SESSION, create_session_args(id, sequence))]);
        reply.expect(Operation::CREATE_SESSION, NfsStatus::OK);
        client.session = reply.results.fixed().unwrap();
        client
    }

    fn exchange_id(&self, verifier: [u8; 8]) -> (u64, u32) {
        let mut args = fixed(&verifier);
        args.opaque(b"a client");
        args.u32s(&[0, 0, 0]);
        let mut reply = self.call(1, &[(Operation::EXCHANGE_ID, args)]);
        reply.expect(Operation::EXCHANGE_ID, NfsStatus::OK);
        (reply.results.u64().unwrap(), reply.results.u32().unwrap())
    }

    /// Its file handle and stateid.
    fn open(&mut self, name: &str, access: u32) -> (Vec<u8>, [u8; 16]) {
        let mut args = Writer::new();
        args.u32s(&[0, access, 0]);
        args.u64(self.id);
        args.opaque(b"owner");
        args.u32s(&[0, 0]); // do not create, claim by name
        args.opaque(name.as_bytes());
        let mut reply = self.in_session(&[
            (Operation::PUTROOTFH, Writer::new()),
            (Operation::OPEN, args),
            (Operation::GETFH, Writer::new()),
        ]);
        reply.expect(Operation::PUTROOTFH, NfsStatus::OK);
        reply.expect(Operation::OPEN, NfsStatus::OK);
        let stateid = reply.results.fixed().unwrap();
        reply.results.fixed::<32>().unwrap(); // cinfo (20), rflags, no attributes set, no delegation
        reply.expect(Operation::GETFH, NfsStatus::OK);
        (reply.results.opaque(128).unwrap().to_vec(), stateid)
    }

    fn sequence(&self) -> Writer {
        sequence_args(&self.session, self.sequence + 1, 0, false)
    }

    /// The reply behind SEQUENCE, if that succeeds.
    fn in_session(&mut self, operations: &[(Operation, Writer)]) -> Reply {
        let mut all = vec![(Operation::SEQUENCE, self.sequence())];
        all.extend_from_slice(operations);
        self.sequence += 1;
        self.call(1, &all)
    }

    fn call(&self, minor: u32, operations: &[(Operation, Writer)]) -> Reply {
        Reply::of(&self.raw(minor, operations))
    }

    fn raw(&self, minor: u32, operations: &[(Operation, Writer)]) -> Vec<u8> {
        let mut call = compound_call(1, self.user);
        call.opaque(b"tag");
        call.u32(minor);
        call.length(operations.len());
        for (operation, args) in operations {
            call.u32(operation.number());
            call.append(args);
        }
        self.nfs.answer_one(call.as_bytes(), Treatment::Served(self.rights)).unwrap()
    }
}

/// A COMPOUND reply, read as far as its first operation, or the second if the first is a successful SEQUENCE.
struct Reply {
    status: NfsStatus,
    count: u32,
    tail: Vec<u8>,
    results: Reader<'static>,
}

impl Reply {
    fn of(message: &[u8]) -> Self {
        // Leaked, so that the tests can read on without another borrow.
        let mut results = Reader::new(message.to_vec().leak());
        read_reply(&mut results, 1).unwrap();
        let status = NfsStatus::new(results.u32().unwrap());
        assert!(matches!(results.opaque(16), Ok(b"tag")));
        let count = results.u32().unwrap();
        let tail = message[message.len() - 8..].to_vec();
        let mut reply = Self { status, count, tail, results };
        let mut ahead = reply.results.clone();
        if ahead.u32() == Ok(Operation::SEQUENCE.number()) && ahead.u32() == Ok(0) {
            reply.expect(Operation::SEQUENCE, NfsStatus::OK);
            reply.results.fixed::<SEQUENCE_RESULT>().unwrap();
        }
        reply
    }

    #[track_caller]
    fn expect(&mut self, operation: Operation, status: NfsStatus) {
        assert_eq!(Operation::new(self.results.u32().unwrap()), operation);
        assert_eq!(NfsStatus::new(self.results.u32().unwrap()), status, "{operation}");
    }

    /// That the compound ended with this status, by this operation if it failed.
    #[track_caller]
    fn expect_last(&self, operation: Operation, status: NfsStatus) {
        assert_eq!(self.status, status, "{operation}");
        if status != NfsStatus::OK {
            let expected = [operation.number().to_be_bytes(), status.number().to_be_bytes()].concat();
            assert_eq!(self.tail, expected, "{operation} {status}");
        }
    }
}

fn sequence_args(session: &[u8; 16], sequence: u32, slot: u32, keep: bool) -> Writer {
    let mut args = fixed(session);
    args.u32s(&[sequence, slot, 3, keep.into()]);
    args
}

fn create_session_args(client: u64, sequence: u32) -> Writer {
    let mut args = fixed(&client.to_be_bytes());
    args.u32s(&[sequence, 0]);
    for _fore_and_back in 0..2 {
        args.u32s(&[0, u32::MAX, u32::MAX, 4096, 99, 4, 0]);
    }
    args.u32s(&[0x4000_0000, 2, 0]); // callback program, two security parameters: AUTH_NONE
    args.u32s(&[1, 0]); // and AUTH_SYS, stamp
    args.opaque(b"machine");
    args.u32s(&[0, 0, 1, 0]); // uid, gid, one more gid
    args
}

fn read_directory(cookie: u64, limit: u32) -> Writer {
    let mut args = Writer::new();
    args.u64(cookie);
    args.u32s(&[0, 0, limit, limit]); // verifier, counts
    args.words(&[1 << 1]); // type
    args
}

fn read(offset: u64, count: u32) -> Writer {
    let mut args = fixed(&[0; 16]); // the anonymous stateid
    args.u64(offset);
    args.u32(count);
    args
}

fn write(stateid: &[u8; 16], offset: u64, data: &[u8]) -> Writer {
    let mut args = fixed(stateid);
    args.u64(offset);
    args.u32(0);
    args.opaque(data);
    args
}

fn string(text: &str) -> Writer {
    opaque(text.as_bytes())
}

fn opaque(data: &[u8]) -> Writer {
    let mut args = Writer::new();
    args.opaque(data);
    args
}

fn fixed(data: &[u8]) -> Writer {
    let mut args = Writer::new();
    args.fixed(data);
    args
}
