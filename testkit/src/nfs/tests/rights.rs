//! Read-only, squashed, or simply another user: what each may still do.

use super::*;
use crate::nfs::rpc::{Call, Procedure};

const READ_LOOKUP: u32 = 3;
const MODIFY_EXTEND: u32 = 4 | 8;
const DELETE: u32 = 16;
const ALL: u32 = 0x3f;

#[test]
fn a_read_only_client_reads_and_whatever_writes_is_rofs() {
    let mut client = Client::new(InMemoryNfs::default());
    let (handle, _) = client.open("hello.txt", 3);
    client.rights = Rights::default().read_only();
    assert_eq!(client.read("hello.txt"), Ok(b"hello\n".to_vec()));
    for (operation, args) in [
        (Operation::WRITE, write(&[0; 16], 0, b"x")),
        (Operation::SETATTR, Writer::new()),
        (Operation::CREATE, Writer::new()),
        (Operation::REMOVE, string("hello.txt")),
        (Operation::RENAME, Writer::new()),
        (Operation::LINK, Writer::new()),
    ] {
        let put = (Operation::PUTFH, opaque(&handle));
        client.in_session(&[put, (operation, args)]).expect_last_status(operation, NfsStatus::ROFS);
    }
    for (access, creates) in [(2, 0), (3, 0), (1, 1)] {
        client.try_open("hello.txt", access, creates).expect_last(Operation::OPEN, NfsStatus::ROFS);
    }
    client.open("hello.txt", 1);
    assert_eq!(client.access("directory"), READ_LOOKUP);
    client.rights = Rights::default();
    assert_eq!(client.read("hello.txt"), Ok(b"hello\n".to_vec()));
    assert_eq!(client.access("directory"), READ_LOOKUP | MODIFY_EXTEND | DELETE);
    client.try_open("hello.txt", 1, 1).expect_last(Operation::OPEN, NfsStatus::NOTSUPP);
}

#[test]
fn owner_and_mode_decide_for_everybody_but_root() {
    let nfs = InMemoryNfs::default()
        .file("private", "p")
        .owner_and_mode("private", 1000, 0o600)
        .file("shared", "s")
        .owner_and_mode("shared", 1000, 0o066)
        .owner_and_mode("absent", 7, 0o777);
    let mut client = Client::new(nfs);
    let squash = Rights::default().squash_root();
    let (read, modify) = (1, MODIFY_EXTEND);
    for (user, rights, private, shared, hello) in [
        (0, Rights::default(), read | modify, read | modify, read | modify),
        (0, squash, 0, read | modify, read),
        (0, squash.read_only(), 0, read, read),
        (1000, squash, read | modify, 0, read),
        (2000, Rights::default(), 0, read | modify, read),
        (NOBODY, Rights::default(), 0, read | modify, read),
    ] {
        (client.user, client.rights) = (user, rights);
        let found = ["private", "shared", "hello.txt"].map(|name| client.access(name));
        assert_eq!(found, [private, shared, hello], "{user} {rights:?}");
        for (name, granted) in [("private", private), ("shared", shared), ("hello.txt", hello)] {
            let expected = if granted & read != 0 { Ok(()) } else { Err(NfsStatus::ACCESS) };
            assert_eq!(client.read(name).map(drop), expected, "{user} {rights:?} {name}");
            let expected = match granted & modify {
                0 if rights == squash.read_only() => NfsStatus::ROFS,
                0 => NfsStatus::ACCESS,
                _ => NfsStatus::OK,
            };
            assert_eq!(client.write(name), expected, "{user} {rights:?} {name}");
            client.try_open(name, 2, 0).expect_last(Operation::OPEN, expected);
        }
    }
}

#[test]
fn a_directory_is_searched_listed_and_shown_by_its_mode() {
    let nfs = InMemoryNfs::default().owner_and_mode("directory", 5, 0o740);
    let mut client = Client::new(nfs);
    let list = [
        (Operation::PUTROOTFH, Writer::new()),
        (Operation::LOOKUP, string("directory")),
        (Operation::READDIR, read_directory(0, 512)),
    ];
    let search = [list[0].clone(), list[1].clone(), (Operation::LOOKUP, string("inner.txt"))];
    let search_in_vain = [list[0].clone(), list[1].clone(), (Operation::LOOKUP, string("absent"))];
    for (user, listed, found, absent) in [
        (0, NfsStatus::OK, NfsStatus::OK, NfsStatus::NOENT),
        (5, NfsStatus::OK, NfsStatus::OK, NfsStatus::NOENT),
        (6, NfsStatus::ACCESS, NfsStatus::ACCESS, NfsStatus::ACCESS),
    ] {
        client.user = user;
        client.in_session(&list).expect_last(Operation::READDIR, listed);
        client.in_session(&search).expect_last(Operation::LOOKUP, found);
        client.in_session(&search_in_vain).expect_last(Operation::LOOKUP, absent);
    }
    let mut attributes = Writer::new();
    attributes.words(&[0, 1 << (33 - 32) | 1 << (36 - 32)]); // mode, owner
    let operations = [list[0].clone(), list[1].clone(), (Operation::GETATTR, attributes)];
    let mut reply = client.in_session(&operations);
    reply.expect(Operation::PUTROOTFH, NfsStatus::OK);
    reply.expect(Operation::LOOKUP, NfsStatus::OK);
    reply.expect(Operation::GETATTR, NfsStatus::OK);
    reply.results.words(8).unwrap();
    let mut values = Reader::new(reply.results.opaque(64).unwrap());
    assert_eq!((values.u32(), values.opaque(8)), (Ok(0o740), Ok(b"5".as_slice())));
}

#[test]
fn a_call_without_a_user_is_nobodys_and_one_with_half_a_credential_is_refused() {
    let call = |flavor: u32, body: &[u32]| {
        let mut call = Writer::new();
        call.u32s(&[9, 0, 2, 100_003, 4, 1, flavor]);
        call.length(body.len() * 4);
        call.u32s(body);
        call.u32s(&[0, 0]); // verifier
        Call::read(&mut Reader::new(call.as_bytes())).unwrap().procedure()
    };
    let user = |flavor, body: &[u32]| match call(flavor, body) {
        Ok(Procedure::Compound { user }) => user,
        other => panic!("{other:?}"),
    };
    assert_eq!(user(0, &[]), NOBODY);
    assert_eq!(user(6, &[1, 2, 3]), NOBODY); // RPCSEC_GSS
    assert_eq!(user(1, &[0, 0, 7, 0, 1, 0]), 7);
    let bad_credential = [9, 1, 1, 1, 1_u32].map(u32::to_be_bytes).concat();
    for body in [[0, 0, 7].as_slice(), &[0, 0, 7, 0, 17]] {
        assert_eq!(call(1, body).unwrap_err(), bad_credential);
    }
}

impl Client {
    fn handle(&mut self, name: &str) -> Vec<u8> {
        let (user, rights) = (self.user, self.rights);
        (self.user, self.rights) = (0, Rights::default());
        let mut reply = self.in_session(&[
            (Operation::PUTROOTFH, Writer::new()),
            (Operation::LOOKUP, string(name)),
            (Operation::GETFH, Writer::new()),
        ]);
        (self.user, self.rights) = (user, rights);
        reply.expect(Operation::PUTROOTFH, NfsStatus::OK);
        reply.expect(Operation::LOOKUP, NfsStatus::OK);
        reply.expect(Operation::GETFH, NfsStatus::OK);
        reply.results.opaque(128).unwrap().to_vec()
    }

    /// Without OPEN, under the anonymous stateid.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, NfsStatus> {
        let handle = self.handle(name);
        let mut reply = self.in_session(&[(Operation::PUTFH, opaque(&handle)), (Operation::READ, read(0, 16))]);
        if reply.status != NfsStatus::OK {
            return Err(reply.status);
        }
        reply.expect(Operation::PUTFH, NfsStatus::OK);
        reply.expect(Operation::READ, NfsStatus::OK);
        reply.results.bool().unwrap();
        Ok(reply.results.opaque(16).unwrap().to_vec())
    }

    /// Without OPEN, under the anonymous stateid.
    fn write(&mut self, name: &str) -> NfsStatus {
        let handle = self.handle(name);
        let write = (Operation::WRITE, write(&[0; 16], 0, b"w"));
        self.in_session(&[(Operation::PUTFH, opaque(&handle)), write]).status
    }

    fn try_open(&mut self, name: &str, access: u32, creates: u32) -> Reply {
        let mut args = Writer::new();
        args.u32s(&[0, access, 0]);
        args.u64(self.id);
        args.opaque(b"owner");
        args.u32s(&[creates, 0]);
        args.opaque(name.as_bytes());
        self.in_session(&[(Operation::PUTROOTFH, Writer::new()), (Operation::OPEN, args)])
    }

    fn access(&mut self, name: &str) -> u32 {
        let handle = self.handle(name);
        let mut args = Writer::new();
        args.u32(ALL);
        let mut reply = self.in_session(&[(Operation::PUTFH, opaque(&handle)), (Operation::ACCESS, args)]);
        reply.expect(Operation::PUTFH, NfsStatus::OK);
        reply.expect(Operation::ACCESS, NfsStatus::OK);
        assert_eq!(reply.results.u32(), Ok(ALL));
        reply.results.u32().unwrap()
    }
}

impl Reply {
    /// As [`Reply::expect_last`], also for SETATTR, whose result has a part that stands outside the union.
    #[track_caller]
    fn expect_last_status(&mut self, operation: Operation, status: NfsStatus) {
        assert_eq!((self.status, self.count), (status, 3), "{operation}");
        self.expect(Operation::PUTFH, NfsStatus::OK);
        self.expect(operation, status);
    }
}
