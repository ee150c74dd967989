//! The exchange itself, over pipes, on a virtual clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use efs_tls::{
    Access, Admission, Found, Operation, Probe, ProbeKind, ProbeOptions, ProbeOutcome, RootDirectory, Status,
    probe_stream,
};
use proptest::prelude::*;
use secure_connector_testkit::nfs::InMemoryNfs;
use tokio::{io::duplex, time::Instant};

use crate::{
    mount_target::parts,
    script::{
        ACCESS, CREATE_SESSION, Call, DELAY, EXCHANGE_ID, GETATTR, PUTROOTFH, SEQUENCE, Then, raw, record, scripted,
        words,
    },
};

const LIMIT: Duration = Duration::from_secs(30);

fn options() -> ProbeOptions {
    ProbeOptions::default().user(0, 0).limit(LIMIT)
}

/// Answers every call with the same.
async fn always(answer: impl Fn(&Call) -> Vec<u8>) -> ProbeOutcome {
    scripted(options(), |call| Some(answer(&call))).await.outcome
}

/// Introduces itself well, and ends its answers about the root with `results`.
async fn root_answers(status: u32, results: Vec<u32>) -> ProbeOutcome {
    let nfs = InMemoryNfs::default();
    let probe = scripted(options(), |call| match call.operation {
        SEQUENCE => Some(call.reply(status, &results)),
        _ => nfs.answer(&call.message),
    });
    probe.await.outcome
}

/// SEQUENCE, PUTROOTFH and GETATTR of the given bitmap and values, and ACCESS of six supported rights.
fn root_results(bitmap: &[u32], values: &[u32], granted: u32) -> Vec<u32> {
    let count = |words: &[u32]| u32::try_from(words.len()).unwrap();
    let head = [&[4, SEQUENCE, 0][..], &[0; 9], &[PUTROOTFH, 0, GETATTR, 0, count(bitmap)], bitmap].concat();
    [&head[..], &[4 * count(values)], values, &[ACCESS, 0, 0x3f, granted]].concat()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_behind_and_the_stream_can_be_used_again() {
    let nfs = InMemoryNfs::default();
    let (mut client, server) = duplex(1024);
    let probes = async {
        for _ in 0..2 {
            let probe = probe_stream(&mut client, &options()).await;
            assert!(probe.outcome.is_admitted(), "{probe}");
        }
        drop(client);
    };
    let (served, ()) = tokio::join!(nfs.serve(server), probes);
    served.unwrap();
    let state = format!("{nfs:?}");
    assert!(state.contains("clients: {}, sessions: {}"), "{state}");
}

#[tokio::test(start_paused = true)]
async fn the_server_is_asked_for_the_user_and_by_a_name_of_its_own_each_time() {
    let names = Mutex::new(Vec::new());
    for user in [(0, 0), (1000, 100)] {
        let nfs = InMemoryNfs::default();
        let options = options().user(user.0, user.1);
        let probe = scripted(options, |call| {
            assert_eq!(call.user, user);
            if call.operation == EXCHANGE_ID {
                // After the verifier and the length.
                names.lock().unwrap().push(call.message[96..142].to_vec());
            }
            nfs.answer(&call.message)
        });
        let probe = probe.await;
        let ProbeOutcome::Admitted(Admission { uid, gid, .. }) = probe.outcome else { panic!("{probe}") };
        assert_eq!((uid, gid), user);
    }
    let names = names.into_inner().unwrap();
    assert!(names.iter().all(|name| name.starts_with(b"efs-tls probe ")), "{names:?}");
    assert_ne!(names[0], names[1]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_patience_is_asked_again_under_the_right_number() {
    let nfs = InMemoryNfs::default();
    let mut calls = BTreeMap::new();
    let started = Instant::now();
    let probe = scripted(options(), |call| {
        let count = calls.entry(call.operation).or_insert(0);
        *count += 1;
        match (call.operation, *count) {
            (EXCHANGE_ID | CREATE_SESSION | SEQUENCE, 1) => Some(call.fails(DELAY)),
            // Here the number of SEQUENCE is used up.
            (SEQUENCE, 2) => {
                nfs.answer(&call.message).unwrap();
                Some(call.reply(DELAY, &[&[2, SEQUENCE, 0][..], &[0; 9], &[PUTROOTFH, DELAY]].concat()))
            }
            // And a server may have no result at all.
            (SEQUENCE, 3) => Some(call.reply(DELAY, &[0])),
            _ => nfs.answer(&call.message),
        }
    });
    let probe = probe.await;
    assert!(probe.outcome.is_admitted(), "{probe}");
    assert_eq!([EXCHANGE_ID, CREATE_SESSION, SEQUENCE].map(|operation| calls[&operation]), [2, 2, 4]);
    assert!(started.elapsed() > Duration::from_millis(500), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn patience_ends_at_the_limit_and_grace_is_not_waited_for() {
    let started = Instant::now();
    let outcome = always(|call| call.fails(DELAY)).await;
    let ProbeOutcome::Busy(refusal) = &outcome else { panic!("{outcome}") };
    assert_eq!(parts(*refusal), (Operation::ExchangeId, Status::Nfs(DELAY)));
    assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
    assert_eq!((outcome.kind(), outcome.is_retryable()), (ProbeKind::Busy, true));

    let results = [&[2, SEQUENCE, 0][..], &[0; 9], &[PUTROOTFH, DELAY]].concat();
    let outcome = root_answers(DELAY, results).await;
    let ProbeOutcome::Busy(refusal) = &outcome else { panic!("{outcome}") };
    assert_eq!(parts(*refusal), (Operation::PutRootFh, Status::Nfs(DELAY)));

    let started = Instant::now();
    let outcome = always(|call| call.fails(10_013)).await;
    assert!(matches!(outcome, ProbeOutcome::Busy(_)), "{outcome}");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_left_at_the_limit() {
    let probe = raw(options(), |_| (Vec::new(), Then::Listen)).await;
    let ProbeOutcome::TimedOut { during: Some(Operation::ExchangeId), limit: LIMIT } = &probe.outcome else {
        panic!("{probe}")
    };
    assert_eq!(probe.took.as_secs(), LIMIT.as_secs());
    assert!(probe.outcome.is_retryable());

    // One that does not say goodbye has answered.
    let nfs = InMemoryNfs::default();
    let probe = raw(options(), |call| match call.operation {
        EXCHANGE_ID | CREATE_SESSION | SEQUENCE => (record(&nfs.answer(&call.message).unwrap()), Then::Listen),
        _ => (Vec::new(), Then::Listen),
    });
    let probe = probe.await;
    assert!(probe.outcome.is_admitted(), "{probe}");
    assert_eq!(probe.took.as_secs(), 1);

    // No limit is too long.
    let nfs = InMemoryNfs::default();
    let probe = scripted(options().limit(Duration::MAX), |call| nfs.answer(&call.message)).await;
    assert!(probe.outcome.is_admitted(), "{probe}");
}

#[tokio::test(start_paused = true)]
async fn other_versions_of_nfs_are_named() {
    for (outcome, expected) in [
        (always(|call| call.accepted(&[2, 2, 3])).await, Some(2..=3)),
        (always(|call| call.reply(10_021, &[0])).await, None),
        (always(|call| call.fails(10_004)).await, None),
        (always(|call| call.reply(10_044, &[1, EXCHANGE_ID, 10_044])).await, None),
    ] {
        let ProbeOutcome::OtherVersion { offered } = &outcome else { panic!("{outcome}") };
        assert_eq!(*offered, expected);
        assert_eq!((outcome.kind(), outcome.is_retryable()), (ProbeKind::OtherVersion, false));
    }
}

#[tokio::test(start_paused = true)]
async fn denials_are_told_from_other_errors_by_operation_and_status() {
    for status in [1, 13] {
        let outcome = always(|call| call.fails(status)).await;
        let ProbeOutcome::Denied(denial) = &outcome else { panic!("{outcome}") };
        assert_eq!(parts(denial.refusal), (Operation::ExchangeId, Status::Nfs(status)));
    }
    let at_the_end = [&[4, SEQUENCE, 0][..], &[0; 9], &[PUTROOTFH, 0, GETATTR, 0, 0, 0, ACCESS, 13]].concat();
    let outcome = root_answers(13, at_the_end).await;
    let ProbeOutcome::Denied(denial) = &outcome else { panic!("{outcome}") };
    assert_eq!(parts(denial.refusal), (Operation::Access, Status::Nfs(13)));

    let no_root = [&[2, SEQUENCE, 0][..], &[0; 9], &[PUTROOTFH, 2]].concat();
    for (outcome, refused, text, advice) in [
        (
            always(|call| call.fails(10_006)).await,
            (Operation::ExchangeId, Status::Nfs(10_006)),
            "the server answered NFS4ERR_SERVERFAULT at EXCHANGE_ID",
            "operator",
        ),
        (
            root_answers(2, no_root).await,
            (Operation::PutRootFh, Status::Nfs(2)),
            "the server answered NFS4ERR_NOENT at PUTROOTFH",
            "CreationInfo",
        ),
        (
            always(|call| words(&[call.xid, 1, 1, 1, 5])).await,
            (Operation::ExchangeId, Status::RpcAuth(5)),
            "the server answered RPC AUTH_TOOWEAK at EXCHANGE_ID",
            "AUTH_SYS",
        ),
        (
            always(|call| call.accepted(&[4])).await,
            (Operation::ExchangeId, Status::Rpc(4)),
            "the server answered RPC GARBAGE_ARGS at EXCHANGE_ID",
            "operator",
        ),
        (
            always(|call| call.fails(99)).await,
            (Operation::ExchangeId, Status::Nfs(99)),
            "the server answered NFS status 99 at EXCHANGE_ID",
            "operator",
        ),
    ] {
        let ProbeOutcome::Rejected(refusal) = &outcome else { panic!("{outcome}") };
        assert_eq!((parts(*refusal), outcome.to_string().as_str()), (refused, text));
        assert_eq!((outcome.kind(), outcome.is_retryable()), (ProbeKind::Rejected, false));
        assert!(outcome.explain().contains(advice), "{}", outcome.explain());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_nfs_is_named() {
    let protocols: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"220 mail.example.org ESMTP\r\n", "SMTP or FTP"),
        (b"* OK IMAP4rev1\r\n", "IMAP"),
        (b"-ERR unknown command\r\n", "Redis or POP3"),
        (&[21, 3, 3, 0, 2, 2, 10], "TLS"),
    ];
    for (bytes, name) in protocols {
        not_nfs(bytes, Found::Protocol(name)).await;
    }
    not_nfs(&[0x4a, 0, 0, 0, 10], Found::UnknownBytes([0x4a, 0, 0, 0])).await;

    let early = Found::Malformed("a reply that ends early");
    let ours = Found::Malformed("a record that is no reply to our call");
    let endless = Found::Malformed("a reply beyond any length");
    let foreign = Found::Malformed("a reply to other operations than ours");
    not_nfs_of(always(|_| Vec::new()).await, early);
    not_nfs_of(always(|call| words(&[call.xid ^ 1, 1, 0, 0, 0, 0])).await, ours);
    not_nfs_of(always(|call| call.message.clone()).await, ours);
    not_nfs_of(always(|call| call.accepted(&[1])).await, Found::RpcWithoutNfs);
    not_nfs_of(
        always(|call| words(&[call.xid, 1, 1, 0, 2, 2])).await,
        Found::Malformed("RPC of another version than 2"),
    );
    not_nfs_of(always(|call| call.accepted(&[0, 0, 0, 1])).await, early);
    not_nfs_of(always(|call| call.reply(0, &[1, CREATE_SESSION, 0])).await, foreign);
    not_nfs_of(always(|call| call.reply(0, &[1, EXCHANGE_ID, 0, 7])).await, early);
    not_nfs_of(root_answers(0, vec![1, SEQUENCE, 0]).await, early);
    not_nfs(&words(&[0; 64]), endless).await;
    not_nfs(&[words(&[60_000]), vec![0; 60_000], words(&[60_000])].concat(), endless).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_has_not_answered() {
    let cut = &record(&[0; 20])[..10];
    for bytes in [&[][..], &cut[..3], cut] {
        let probe = raw(options(), |_| (bytes.to_vec(), Then::HangUp)).await;
        let ProbeOutcome::Disconnected { during: Operation::ExchangeId, source } = &probe.outcome else {
            panic!("{probe}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!((probe.outcome.kind(), probe.outcome.is_retryable()), (ProbeKind::Network, true));
        assert!(probe.explain().contains("where a tunnel or a bastion leads to"), "{}", probe.explain());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_fragments_is_read() {
    let nfs = InMemoryNfs::default();
    let probe = raw(options(), |call| {
        let reply = nfs.answer(&call.message).unwrap();
        let (first, rest) = reply.split_at(10);
        let mark = words(&[u32::try_from(first.len()).unwrap()]);
        ([mark, first.to_vec(), words(&[0]), record(rest)].concat(), Then::Listen)
    });
    let probe = probe.await;
    assert!(probe.outcome.is_admitted(), "{probe}");
}

#[tokio::test(start_paused = true)]
async fn the_root_is_described_if_the_server_does() {
    const ALL: u32 = 0x32; // mode, owner, owner_group
    let text = |text: &[u8; 4]| u32::from_be_bytes(*text);
    let values = [0o40_0750, 4, text(b"1000"), 3, text(b"grp\0")];
    let admitted = |outcome: ProbeOutcome| match outcome {
        ProbeOutcome::Admitted(admission) => (admission.granted, admission.root),
        other => panic!("{other}"),
    };
    // Rights that the server does not say it can tell, and bits that are none, are left out.
    let (granted, root) = admitted(root_answers(0, root_results(&[0, ALL], &values, 0xff)).await);
    assert_eq!(granted.names().count(), 6);
    let root = root.unwrap();
    assert_eq!((root.owner.as_str(), root.group.as_str(), root.mode), ("1000", "grp", 0o750));
    assert_eq!(root.to_string(), "1000:grp, mode 0750");

    let mut results = root_results(&[0, ALL], &values, 0x3f);
    let supported = results.len() - 2;
    results[supported] = 0x05;
    let (granted, _) = admitted(root_answers(0, results).await);
    assert_eq!(granted, Access::READ.union(Access::MODIFY));

    let (granted, root) = admitted(root_answers(0, root_results(&[0, ALL, 0], &values, 3)).await);
    assert_eq!((granted, root.is_some()), (Access::READ.union(Access::LOOKUP), true));
    for (bitmap, values) in [
        (&[][..], &[][..]),
        (&[0, 0x12], &values[..3]),
        (&[2, ALL], &values),
        (&[0, ALL, 1], &values),
        (&[0, ALL], &values[..4]),
    ] {
        let (_, root) = admitted(root_answers(0, root_results(bitmap, values, 3)).await);
        assert_eq!(root, None::<RootDirectory>, "{bitmap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_granted_is_explained() {
    let root = |owner: u32, mode: u32| [0o40_0000 | mode, 4, owner, 4, owner];
    let user = u32::from_be_bytes(*b"1000");
    for (uid, mode, granted, advice) in [
        (
            1000,
            0o700,
            0x3f,
            "There is nothing to change: user 1000:0 may do everything in the root directory (1000:1000, mode 0700)",
        ),
        (1000, 0o700, 0x03, "elasticfilesystem:ClientWrite. For reading"),
        (0, 0o755, 0x03, "elasticfilesystem:ClientWrite and, for user 0, elasticfilesystem:ClientRootAccess"),
        (0, 0o700, 0x00, "Allow elasticfilesystem:ClientRootAccess"),
        (1001, 0o700, 0x00, "user 1001:0 may not enter the root directory (1000:1000, mode 0700)"),
    ] {
        let nfs = InMemoryNfs::default();
        let options = options().user(uid, 0);
        let probe = scripted(options, |call| match call.operation {
            SEQUENCE => Some(call.reply(0, &root_results(&[0, 0x32], &root(user, mode), granted))),
            _ => nfs.answer(&call.message),
        });
        let probe = probe.await;
        assert!(probe.explain().contains(advice), "{}", probe.explain());
    }
}

proptest! {
    #[test]
    fn no_bytes_whatever_are_taken_for_an_admission(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let probe = on_a_virtual_clock(async move {
            raw(options(), move |_| (bytes.clone(), Then::HangUp)).await
        });
        prop_assert!(!probe.outcome.is_admitted(), "{}", probe);
        shown(&probe);
    }

    #[test]
    fn no_results_whatever_upset_the_exchange(
        replies in proptest::collection::vec((any_status(), proptest::collection::vec(any_word(), 0..24)), 0..8),
    ) {
        let nfs = InMemoryNfs::default();
        let probe = on_a_virtual_clock(async move {
            let mut replies = replies.into_iter();
            scripted(options(), move |call| match replies.next()? {
                // Lets the exchange go on, to upset its later steps.
                (0, words) if words.len() % 3 == 0 => nfs.answer(&call.message),
                (status, words) => Some(call.reply(status, &words)),
            })
            .await
        });
        shown(&probe);
    }

    #[test]
    fn no_fault_in_a_reply_upsets_the_exchange(
        reply in 0..5_usize,
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let nfs = InMemoryNfs::default();
        let probe = on_a_virtual_clock(async move {
            let mut count = 0;
            scripted(options(), move |call| {
                let mut answer = nfs.answer(&call.message)?;
                if count == reply {
                    let at = at.index(answer.len());
                    answer[at] = byte;
                    if cut {
                        answer.truncate(at);
                    }
                }
                count += 1;
                Some(answer)
            })
            .await
        });
        // Once the root has been seen, the rest is goodbye.
        prop_assert!(reply < 3 || probe.outcome.is_admitted(), "{}", probe);
        shown(&probe);
    }
}

fn any_word() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..8_u32,
        proptest::sample::select(vec![EXCHANGE_ID, CREATE_SESSION, SEQUENCE, PUTROOTFH, GETATTR, ACCESS]),
        any::<u32>(),
    ]
}

fn any_status() -> impl Strategy<Value = u32> {
    proptest::sample::select(vec![0, 0, 0, 13, DELAY, 10_013, 10_021, u32::MAX])
}

fn on_a_virtual_clock(probe: impl Future<Output = Probe>) -> Probe {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(probe)
}

/// That it can be shown, and that it ended in time.
fn shown(probe: &Probe) {
    assert!(!probe.explain().is_empty() && !probe.to_string().is_empty());
    assert!(probe.took <= LIMIT + Duration::from_millis(10), "{:?}", probe.took);
}

async fn not_nfs(bytes: &[u8], expected: Found) {
    not_nfs_of(raw(options(), |_| (bytes.to_vec(), Then::Listen)).await.outcome, expected);
}

#[track_caller]
fn not_nfs_of(outcome: ProbeOutcome, expected: Found) {
    let ProbeOutcome::NotNfs { found } = &outcome else { panic!("{outcome}") };
    assert_eq!(*found, expected);
    assert_eq!((outcome.kind(), outcome.is_retryable()), (ProbeKind::NotNfs, false));
    assert!(outcome.explain().contains("Check the address") || expected == Found::Protocol("TLS"));
}

#[expect(dead_code, reason = "pins that a probe can be awaited in a task of its own")]
fn a_probe_can_be_spawned(connector: Arc<efs_tls::EfsConnector>) {
    tokio::spawn(async move { connector.probe().await });
}
