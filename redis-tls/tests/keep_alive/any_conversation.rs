//! For any commands and answers, however they are cut, and whenever an `AUTH` is due.

use std::{fmt, sync::Arc, time::Duration};

use proptest::prelude::*;
use redis_tls::AuthPhase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    server::{Journal, Manners, serve},
    support::{HOUR, TestClock, Tokens, command, connect},
};

#[derive(Clone)]
struct Talk {
    commands: Vec<Vec<u8>>,
    /// The sizes of writes and the pauses between them, in seconds; used in turn.
    writes: Vec<(usize, u64)>,
    read: usize,
    buffer: usize,
    manners: Manners,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: Vec<_> = self.commands.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        write!(f, "{commands:?} {:?} {} {} {:?}", self.writes, self.read, self.buffer, self.manners)
    }
}

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "+OK",
        "-ERR no",
        "-WRONGPASS x",
        ":42",
        "+",
        "_",
        "#t",
        ",1.5",
        "(123",
        "$-1",
        "*-1",
    ]);
    let line = line.prop_map(|text| format!("{text}\r\n").into_bytes());
    let bulk = prop::collection::vec(any::<u8>(), 0..40)
        .prop_map(|data| [format!("${}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat());
    let tricky = prop::sample::select(vec![
        b"$19\r\n+OK\r\n*1\r\n$4\r\n-ERR\r\n\r\n".to_vec(),
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n".to_vec(),
        b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n".to_vec(),
        b"|1\r\n+ttl\r\n:3600\r\n*0\r\n".to_vec(),
    ]);
    let leaf = prop_oneof![line, bulk, tricky];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let kind = prop::sample::select(vec!['*', '~', '%']);
        (kind, prop::collection::vec((inner.clone(), inner), 0..4)).prop_map(|(kind, pairs)| {
            let count = if kind == '%' { pairs.len() } else { pairs.len() * 2 };
            let elements: Vec<u8> = pairs.into_iter().flat_map(|(a, b)| [a, b].concat()).collect();
            [format!("{kind}{count}\r\n").as_bytes(), &elements].concat()
        })
    })
}

fn any_command() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "GET k",
        "set k v",
        "MULTI",
        "multi",
        "EXEC",
        "DISCARD",
        "HELLO 3",
        "hello 2",
        "HELLO",
        "HELLO 9",
        "AUTH wrong",
        "SUBSCRIBE a",
        "subscribe a b a",
        "SUBSCRIBE forbidden a",
        "PSUBSCRIBE p*",
        "UNSUBSCRIBE",
        "UNSUBSCRIBE a b c",
        "PUNSUBSCRIBE",
        "PUNSUBSCRIBE p*",
        "CLIENT SETNAME me",
        "PING",
        "RESET",
        "BLPOP a b c d 0",
        "SUBSCRIBED x",
    ]);
    let array = words.clone().prop_map(|words| command(&words.split(' ').collect::<Vec<_>>()));
    let inline = words.prop_map(|words| format!("{words}\r\n").into_bytes());
    let scripted = answer().prop_map(|answer| command(&["REPLY", &hex::encode(answer)]));
    let argument = prop::collection::vec(any::<char>(), 0..30).prop_map(String::from_iter);
    let any_words = prop::collection::vec(argument, 1..4)
        .prop_map(|words| command(&[&["ECHO"][..], &words.iter().map(String::as_str).collect::<Vec<_>>()].concat()));
    let empty = prop::sample::select(vec![b"\r\n".to_vec(), b"*0\r\n".to_vec()]);
    prop_oneof![8 => array, 2 => inline, 8 => scripted, 2 => any_words, 1 => empty]
}

/// `RESET` and (un)subscriptions in a transaction are another matter.
fn is_traceable(commands: &[Vec<u8>]) -> bool {
    let mut in_transaction = false;
    commands.iter().all(|bytes| {
        let text = String::from_utf8_lossy(bytes).to_ascii_uppercase();
        let has = |word: &str| text.split_ascii_whitespace().any(|found| found == word);
        in_transaction = (in_transaction || has("MULTI")) && !has("EXEC") && !has("DISCARD") && !has("RESET");
        !(in_transaction && (text.contains("SUBSCRIBE") || has("HELLO")))
    })
}

fn talk() -> impl Strategy<Value = Talk> {
    (
        prop::collection::vec(any_command(), 1..25).prop_filter("traceable", |commands| is_traceable(commands)),
        prop::collection::vec((1_usize..60, prop_oneof![3 => Just(0), 1 => 0_u64..90]), 1..10),
        1_usize..80,
        1_usize..200,
        0_usize..4,
        any::<bool>(),
    )
        .prop_map(|(commands, writes, read, buffer, refuses, pushes)| Talk {
            commands,
            writes,
            read,
            buffer,
            manners: Manners { refuses, pushes },
        })
}

/// Returns what the client read, and the server's journal.
async fn hold(talk: &Talk) -> (Vec<u8>, Journal) {
    let tokens = Arc::new(Tokens::new(&TestClock::new()));
    let (kept, far, _) = connect(&tokens, talk.buffer);
    let status = kept.status();
    let AuthPhase::Current { until: Some(due) } = status.borrow().phase else { panic!("{:?}", status.borrow()) };
    let server = tokio::spawn(serve(far, talk.manners.clone()));
    let (mut reader, mut writer) = tokio::io::split(kept);
    let size = talk.read;
    let reading = tokio::spawn(async move {
        let mut read = Vec::new();
        let mut room = vec![0; size];
        loop {
            match reader.read(&mut room).await.unwrap() {
                0 => return read,
                new => read.extend_from_slice(&room[..new]),
            }
        }
    });
    let requests = talk.commands.concat();
    let mut rest = requests.as_slice();
    let mut paused = 0;
    // The `AUTH` becomes due somewhere on the way.
    let lead = due.duration_since(TestClock::start()).unwrap() - Duration::from_secs(60);
    tokio::time::sleep(lead).await;
    for (size, pause) in talk.writes.iter().cycle() {
        let (now, later) = rest.split_at((*size).min(rest.len()));
        writer.write_all(now).await.unwrap();
        writer.flush().await.unwrap();
        rest = later;
        if rest.is_empty() {
            break;
        }
        // Longer than that, and the connection is rightly given up.
        let pause = (*pause).min(HOUR.as_secs() / 2 - paused);
        paused += pause;
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
    tokio::time::sleep(HOUR / 20).await;
    writer.shutdown().await.unwrap();
    let journal = server.await.unwrap();
    (reading.await.unwrap(), journal)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn client_and_server_see_exactly_each_others_bytes(talk in talk()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (read, journal) = runtime.block_on(async { tokio::time::timeout(24 * HOUR, hold(&talk)).await.unwrap() });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        prop_assert_eq!(text(&journal.commands), text(&talk.commands.concat()));
        prop_assert_eq!(text(&read), text(&journal.answers));
    }
}
