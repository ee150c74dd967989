//! What follows when an attempt fails.

use std::{
    io,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use redis_tls::{AuthFailure, AuthPhase};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

use super::{
    server::{Manners, serve},
    support::{HOUR, MINUTE, TestClock, Tokens, command, connect},
};

#[tokio::test(start_paused = true)]
async fn a_refused_attempt_is_repeated_with_a_new_token() {
    let tokens = Arc::new(Tokens::new(&TestClock::new()));
    let (mut kept, far, keeper) = connect(&tokens, 1024);
    let status = kept.status();
    let server = tokio::spawn(serve(far, Manners { refuses: 3, pushes: false }));
    let reading = tokio::spawn(async move { kept.read_u8().await });
    sleep(11 * HOUR + MINUTE).await;
    let status = status.borrow().clone();
    assert_eq!((status.renewals, status.failures, status.credentials.as_str()), (1, 0, "token #4"));
    let Some(AuthFailure::Refused { credentials, code }) = status.last_failure else { panic!("{status:?}") };
    assert_eq!((credentials.as_str(), code.as_str()), ("token #3", "WRONGPASS"));
    assert_eq!(*tokens.verdicts.lock().unwrap(), ["refused", "refused", "refused", "accepted"]);
    let totals = keeper.totals().borrow().clone();
    assert_eq!((totals.connections, totals.renewals, totals.failures, totals.given_up), (1, 1, 3, 0));
    assert!(!reading.is_finished());
    reading.abort();
    reading.await.unwrap_err();
    let secrets: Vec<_> = server.await.unwrap().auths.into_iter().map(|mut auth| auth.pop().unwrap()).collect();
    assert_eq!(secrets, ["secret-1", "secret-2", "secret-3", "secret-4"]);
}

#[tokio::test(start_paused = true)]
async fn the_second_of_two_secrets_follows_at_once_when_the_first_is_refused() {
    let mut tokens = Tokens::new(&TestClock::new());
    tokens.candidates = 2;
    let tokens = Arc::new(tokens);
    let (mut kept, far, keeper) = connect(&tokens, 1024);
    let status = kept.status();
    tokio::spawn(serve(far, Manners { refuses: 1, pushes: false }));
    tokio::spawn(async move { kept.read_u8().await });
    sleep(11 * HOUR).await;
    assert_eq!((status.borrow().renewals, status.borrow().credentials.as_str()), (1, "token #2"));
    assert_eq!(keeper.totals().borrow().failures, 0);
    assert_eq!(*tokens.verdicts.lock().unwrap(), ["refused", "accepted"]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_until_the_connection_has_to_end_in_quiet() {
    let tokens = Arc::new(Tokens::new(&TestClock::new()));
    tokens.failures.store(usize::MAX, SeqCst);
    let (kept, mut far, keeper) = connect(&tokens, 1024);
    let status = kept.status();
    let (mut reader, mut writer) = tokio::io::split(kept);
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.map(|_| all)
    });
    sleep(11 * HOUR + MINUTE).await;
    assert!(matches!(status.borrow().phase, AuthPhase::Retrying { .. }), "{:?}", status.borrow());
    let failures = status.borrow().failures;
    sleep(30 * MINUTE).await;
    assert!(status.borrow().failures >= failures + 10, "{:?}", status.borrow());
    // A command is under way when the time has come: its reply is waited for.
    writer.write_all(&command(&["BLPOP", "list", "0"])).await.unwrap();
    sleep(20 * MINUTE).await;
    assert_eq!(status.borrow().phase, AuthPhase::GivenUp);
    assert!(!reading.is_finished());
    let error = writer.write_all(&command(&["PING"])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(error.to_string(), "the connection is ended: its authentication runs out and could not be renewed");
    far.write_all(b"*-1\r\n").await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), b"*-1\r\n");
    assert_eq!(keeper.totals().borrow().given_up, 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_connection_was_given_up_does_not_revive_it() {
    for answer in ["+OK\r\n", "-WRONGPASS no\r\n"] {
        let tokens = Arc::new(Tokens::new(&TestClock::new()));
        let (kept, mut far, keeper) = connect(&tokens, 1024);
        let status = kept.status();
        let (mut reader, mut writer) = tokio::io::split(kept);
        let mut reading = tokio::spawn(async move { reader.read(&mut [0]).await });
        sleep(12 * HOUR).await;
        assert_eq!((tokens.given(), status.borrow().phase), (1, AuthPhase::GivenUp));
        assert!(!reading.is_finished());
        far.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(timeout(MINUTE, &mut reading).await.unwrap().unwrap().unwrap(), 0);
        let error = writer.write_all(&command(&["PING"])).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!((status.borrow().phase, keeper.totals().borrow().given_up), (AuthPhase::GivenUp, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expired_while_it_waited_is_not_sent() {
    let tokens = Arc::new(Tokens::new(&TestClock::new()));
    let (mut kept, mut far, _) = connect(&tokens, 1024);
    kept.write_all(&command(&["MULTI"])).await.unwrap();
    far.write_all(b"+OK\r\n").await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(kept);
    tokio::spawn(async move { while reader.read_u8().await.is_ok() {} });
    sleep(11 * HOUR).await;
    assert_eq!(tokens.given(), 1);
    sleep(16 * MINUTE).await;
    writer.write_all(&command(&["EXEC"])).await.unwrap();
    sleep(MINUTE).await;
    let mut arrived = vec![0; 1024];
    let read = far.read(&mut arrived).await.unwrap();
    let arrived = String::from_utf8_lossy(&arrived[..read]);
    assert!(arrived.ends_with("secret-2\r\n") && !arrived.contains("secret-1"), "{arrived}");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_is_ever_sent() {
    let mut tokens = Tokens::new(&TestClock::new());
    tokens.lifetime = None;
    let tokens = Arc::new(tokens);
    let (mut kept, far, _) = connect(&tokens, 1024);
    let status = kept.status();
    let server = tokio::spawn(serve(far, Manners::default()));
    let reading = tokio::spawn(async move { kept.read_u8().await });
    sleep(500 * HOUR).await;
    assert_eq!(status.borrow().phase, AuthPhase::Current { until: None });
    reading.abort();
    reading.await.unwrap_err();
    assert_eq!((server.await.unwrap().auths.len(), tokens.given()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_shown() {
    let tokens = Arc::new(Tokens::new(&TestClock::new()));
    // Nobody takes the command away, so that it stays half written.
    let (mut kept, _far, keeper) = connect(&tokens, 8);
    sleep(11 * HOUR).await;
    let mut room = [0];
    assert!(futures_poll(&mut kept, &mut room).await);
    let shown = format!("{kept:?} {keeper:?}");
    assert_eq!(tokens.given(), 1);
    assert!(shown.contains("Command(Secret([hidden]))") && !shown.contains("secret-1"), "{shown}");
}

/// Polls a read for a while; true if nothing came.
async fn futures_poll(kept: &mut (impl AsyncReadExt + Unpin), room: &mut [u8]) -> bool {
    timeout(MINUTE, kept.read(room)).await.is_err()
}
