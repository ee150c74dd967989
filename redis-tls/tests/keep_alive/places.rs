//! Where an `AUTH` fits in, and where it waits.

use std::{io, sync::Arc, time::Duration};

use redis_tls::{AuthPhase, KeptAlive};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{sleep, timeout},
};

use super::support::{HOUR, MINUTE, TestClock, Tokens, command, connect};

/// The client's end, which a task reads from all the time, and the server's end.
struct Line {
    client: tokio::io::WriteHalf<KeptAlive<DuplexStream>>,
    server: DuplexStream,
    read: tokio::task::JoinHandle<io::Result<Vec<u8>>>,
    status: tokio::sync::watch::Receiver<redis_tls::AuthStatus>,
}

fn line() -> Line {
    let mut tokens = Tokens::new(&TestClock::new());
    tokens.validity = 2 * HOUR;
    let tokens = Arc::new(tokens);
    let (kept, server, _) = connect(&tokens, 64 * 1024);
    let status = kept.status();
    let (mut reader, client) = tokio::io::split(kept);
    let read = tokio::spawn(async move {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await?;
        Ok(all)
    });
    Line { client, server, read, status }
}

impl Line {
    async fn write(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
        self.client.flush().await.unwrap();
    }

    /// What has arrived at the server.
    async fn arrived(&mut self) -> String {
        let mut bytes = vec![0; 64 * 1024];
        let read = timeout(Duration::from_millis(1), self.server.read(&mut bytes)).await;
        String::from_utf8_lossy(&bytes[..read.map_or(0, Result::unwrap)]).into_owned()
    }

    async fn answer(&mut self, bytes: &[u8]) {
        self.server.write_all(bytes).await.unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn auth(number: u32) -> String {
    text(&command(&["AUTH", "keeper", &format!("secret-{number}")]))
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_sends_it_in_the_eleventh_hour() {
    let mut line = line();
    sleep(10 * HOUR - MINUTE).await;
    assert_eq!(line.arrived().await, "");
    sleep(HOUR + MINUTE).await;
    assert_eq!(line.arrived().await, auth(1));
    assert_eq!(line.status.borrow().phase, AuthPhase::Renewing);
    line.answer(b"+OK\r\n").await;
    sleep(MINUTE).await;
    let status = line.status.borrow().clone();
    assert!(matches!(status.phase, AuthPhase::Current { until: Some(_) }), "{status:?}");
    assert_eq!((status.credentials.as_str(), status.renewals, status.failures), ("token #1", 1, 0));
    // And again, counted from then.
    sleep(9 * HOUR + 58 * MINUTE).await;
    assert_eq!(line.arrived().await, "");
    sleep(HOUR + 2 * MINUTE).await;
    assert_eq!(line.arrived().await, auth(2));
    drop(line.server);
    assert_eq!(text(&line.read.await.unwrap().unwrap()), "");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_end_of_a_command() {
    let mut line = line();
    let get = text(&command(&["GET", "key"]));
    let (begun, rest) = get.split_at(9);
    line.write(begun.as_bytes()).await;
    sleep(11 * HOUR).await;
    assert_eq!(line.arrived().await, begun);
    line.write(format!("{rest}{get}").as_bytes()).await;
    assert_eq!(line.arrived().await, format!("{rest}{}{get}", auth(1)));
    line.answer(b"$1\r\na\r\n+OK\r\n$1\r\nb\r\n").await;
    drop(line.server);
    assert_eq!(text(&line.read.await.unwrap().unwrap()), "$1\r\na\r\n$1\r\nb\r\n");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_end_of_a_transaction() {
    let mut line = line();
    line.write(&command(&["multi"])).await;
    sleep(11 * HOUR).await;
    line.write(&command(&["INCR", "key"])).await;
    sleep(MINUTE).await;
    assert_eq!(line.arrived().await, text(&[command(&["multi"]), command(&["INCR", "key"])].concat()));
    line.write(&command(&["EXEC"])).await;
    sleep(MINUTE).await;
    assert_eq!(line.arrived().await, text(&command(&["EXEC"])) + &auth(1));
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_a_resp2_subscriber_is_none_any_more() {
    let mut line = line();
    line.write(&command(&["SUBSCRIBE", "a", "b"])).await;
    line.answer(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n").await;
    sleep(11 * HOUR).await;
    line.answer(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n").await;
    assert_eq!(line.arrived().await, text(&command(&["SUBSCRIBE", "a", "b"])));
    line.write(&command(&["UNSUBSCRIBE"])).await;
    line.answer(b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n").await;
    sleep(MINUTE).await;
    assert_eq!(line.arrived().await, text(&command(&["UNSUBSCRIBE"])));
    line.answer(b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n").await;
    sleep(MINUTE).await;
    assert_eq!(line.arrived().await, auth(1));
}

#[tokio::test(start_paused = true)]
async fn a_resp3_subscriber_authenticates_amid_its_messages() {
    let mut line = line();
    line.write(&[command(&["HELLO", "3"]), command(&["SUBSCRIBE", "a"])].concat()).await;
    line.answer(b"%1\r\n$5\r\nproto\r\n:3\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n").await;
    line.arrived().await;
    sleep(11 * HOUR).await;
    assert_eq!(line.arrived().await, auth(1));
    let message = ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
    line.answer(format!("{message}+OK\r\n{message}").as_bytes()).await;
    sleep(MINUTE).await;
    assert_eq!(line.status.borrow().renewals, 1);
    drop(line.server);
    assert!(text(&line.read.await.unwrap().unwrap()).ends_with(&format!(":1\r\n{message}{message}")));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_followed_by_it_before_anything_else() {
    let mut line = line();
    line.write(&command(&["RESET"])).await;
    line.write(&command(&["PING"])).await;
    assert_eq!(line.arrived().await, text(&command(&["RESET"])) + &auth(1) + &text(&command(&["PING"])));
    line.answer(b"+RESET\r\n+OK\r\n+PONG\r\n").await;
    drop(line.server);
    assert_eq!(text(&line.read.await.unwrap().unwrap()), "+RESET\r\n+PONG\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_authenticates_itself_takes_over_once_the_server_accepts_it() {
    let mut refused = line();
    refused.write(&command(&["AUTH", "me", "mine"])).await;
    refused.answer(b"-WRONGPASS invalid username-password pair\r\n").await;
    sleep(11 * HOUR).await;
    assert!(refused.arrived().await.ends_with(&auth(1)));

    let hello = command(&["HELLO", "2", "AUTH", "me", "mine", "SETNAME", "x"]);
    for (sent, answer) in [(command(&["AUTH", "me", "mine"]), b"+OK\r\n".as_slice()), (hello, b"*0\r\n")] {
        let mut accepted = line();
        accepted.write(&sent).await;
        accepted.answer(answer).await;
        sleep(13 * HOUR).await;
        assert_eq!(accepted.arrived().await, text(&sent));
        assert_eq!(accepted.status.borrow().phase, AuthPhase::TakenOver);
    }
}

#[tokio::test(start_paused = true)]
async fn where_replies_cannot_be_counted_it_is_not_sent_and_the_connection_ends_in_time() {
    for sent in ["MONITOR", "CLIENT REPLY OFF", "PSYNC ? -1"] {
        let mut line = line();
        line.write(format!("{sent}\r\n").as_bytes()).await;
        line.answer(b"+OK\r\n+1 [0 127.0.0.1:1] \"PING\"\r\n").await;
        sleep(11 * HOUR + 45 * MINUTE).await;
        assert_eq!(line.arrived().await, format!("{sent}\r\n"));
        assert!(!line.read.is_finished());
        sleep(10 * MINUTE).await;
        assert_eq!(text(&line.read.await.unwrap().unwrap()), "+OK\r\n+1 [0 127.0.0.1:1] \"PING\"\r\n");
        assert_eq!(line.status.borrow().phase, AuthPhase::GivenUp);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_be_its_own_fails_the_connection() {
    let mut line = line();
    sleep(11 * HOUR).await;
    assert_eq!(line.arrived().await, auth(1));
    line.answer(b"$2\r\nhi\r\n").await;
    let error = line.read.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(
        error.to_string(),
        "the server's answer to AUTH is neither OK nor an error, or is the answer to something else"
    );
}
