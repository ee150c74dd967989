//! Ends that are not the end of stream: each side must learn of the other's.

use std::{
    io,
    time::{Duration, Instant},
};

use secure_connector::{CloseReason, IdleTimeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::double::{Near, PIPE, assert_reset_after, dial, next_close, reachable, read_all, reset, until, within};

fn vanished() -> CloseReason {
    CloseReason::Truncated { error: "the far end vanished".into() }
}

#[tokio::test]
async fn a_truncated_upstream_is_a_reset_after_what_arrived_not_an_end() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    let mut far = within(far_ends.recv()).await.unwrap();
    far.io.write_all(b"half a reply").await.unwrap();
    drop(far);
    assert_reset_after(b"half a reply", read_all(&mut client).await);
    assert_eq!(next_close(&mut events).await, (vanished(), 0, 12));
    let status = tunnel.status();
    assert_eq!((status.truncated, status.unconfirmed, status.bytes_down), (1, 0, 12));
    assert_eq!(status.last_error.unwrap().error, "the far end vanished");
}

#[tokio::test]
async fn a_reply_cut_short_after_the_local_side_finished_is_still_a_reset() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    client.shutdown().await.unwrap();
    let mut far = within(far_ends.recv()).await.unwrap();
    assert_eq!(within(far.io.read_u8()).await.map_err(|e| e.kind()), Err(io::ErrorKind::UnexpectedEof));
    far.io.write_all(b"perhaps all").await.unwrap();
    drop(far);
    assert_reset_after(b"perhaps all", read_all(&mut client).await);
    assert_eq!(next_close(&mut events).await, (CloseReason::Unconfirmed, 0, 11));
    let status = tunnel.status();
    assert_eq!((status.truncated, status.unconfirmed), (0, 1));
}

#[tokio::test]
async fn an_upstream_that_refuses_an_upload_is_still_heard() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let client = dial(&tunnel).await;
    let mut far = within(far_ends.recv()).await.unwrap();
    far.io.write_all(b"too large").await.unwrap();
    drop(far);
    let (mut reader, mut writer) = client.into_split();
    let uploading = async { while writer.write_all(&[0; PIPE]).await.is_ok() {} };
    let (answer, ()) = within(async { tokio::join!(read_all(&mut reader), uploading) }).await;
    assert_eq!(answer.1, b"too large");
    assert!(matches!(next_close(&mut events).await, (CloseReason::Truncated { .. }, _, 9)));
}

#[tokio::test]
async fn a_local_reset_does_not_look_like_an_end_to_the_upstream() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    client.write_all(b"half a request").await.unwrap();
    let mut far = within(far_ends.recv()).await.unwrap();
    within(far.io.read_exact(&mut [0; 14])).await.unwrap();
    reset(client);
    assert_eq!(far.near().await, Near::Dropped);
    assert_eq!(next_close(&mut events).await, (CloseReason::LocalReset, 14, 0));
    assert_eq!(tunnel.status().local_resets, 1);
}

/// The relay cannot read the local side, because the upstream takes nothing.
#[tokio::test]
async fn a_local_reset_is_noticed_while_the_upstream_is_stuck() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let client = dial(&tunnel).await;
    let far = within(far_ends.recv()).await.unwrap();
    // Until no more is taken for a while: the far end, the relay and the kernel are full.
    while tokio::time::timeout(Duration::from_millis(200), client.writable()).await.is_ok() {
        let _ = client.try_write(&[0; PIPE]);
    }
    reset(client);
    assert_eq!(far.near().await, Near::Dropped);
}

#[tokio::test]
async fn an_idle_connection_is_reset_on_both_sides() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.idle_timeout(IdleTimeout::After(Duration::from_millis(50))).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    let far = within(far_ends.recv()).await.unwrap();
    assert_reset_after(b"", read_all(&mut client).await);
    assert_eq!(far.near().await, Near::Dropped);
    assert_eq!(next_close(&mut events).await, (CloseReason::Idle, 0, 0));
    assert_eq!(tunnel.status().idle_closed, 1);
}

/// How a local side that has finished ends with this close timeout, if the far end never says anything more.
async fn closed_after(limit: Duration) -> Duration {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.close_timeout(IdleTimeout::After(limit)).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    client.write_all(b"request").await.unwrap();
    let mut far = within(far_ends.recv()).await.unwrap();
    within(far.io.read_exact(&mut [0; 7])).await.unwrap();
    let started = Instant::now();
    client.shutdown().await.unwrap();
    let (end, bytes) = read_all(&mut client).await;
    assert_eq!((end.unwrap(), bytes), (0, Vec::new()), "an end, not a reset");
    let took = started.elapsed();
    assert_eq!(next_close(&mut events).await, (CloseReason::CloseTimeout, 7, 0));
    assert_eq!(tunnel.status().close_timeouts, 1);
    assert_eq!(far.near().await, Near::Shutdown);
    took
}

#[tokio::test]
async fn a_half_closed_connection_ends_without_a_reset_when_the_close_timeout_is_over() {
    const LIMIT: Duration = Duration::from_millis(100);
    assert!(closed_after(LIMIT).await >= LIMIT);
    closed_after(Duration::ZERO).await;
}

#[tokio::test]
async fn the_close_timeout_counts_from_the_last_byte_and_leaves_open_connections_alone() {
    const LIMIT: Duration = Duration::from_millis(400);
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.close_timeout(IdleTimeout::After(LIMIT)).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    let mut far = within(far_ends.recv()).await.unwrap();
    // Nobody has finished: quiet for as long as it likes.
    assert!(tokio::time::timeout(2 * LIMIT, events.recv()).await.is_ok_and(|event| event.is_ok()), "connected");
    assert!(tokio::time::timeout(2 * LIMIT, next_close(&mut events)).await.is_err());
    client.shutdown().await.unwrap();
    let started = Instant::now();
    for _ in 0..6 {
        tokio::time::sleep(LIMIT / 4).await;
        far.io.write_all(b"more").await.unwrap();
    }
    far.finish().await;
    let (end, bytes) = read_all(&mut client).await;
    assert_eq!((end.unwrap(), bytes), (24, b"more".repeat(6)));
    assert!(started.elapsed() > LIMIT);
    assert_eq!(next_close(&mut events).await, (CloseReason::Finished, 0, 24));
}

/// The local side does not read: what was read of the far end waits to be written, and the time does not run.
#[tokio::test]
async fn the_close_timeout_does_not_cut_what_is_on_its_way() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.close_timeout(IdleTimeout::After(Duration::ZERO)).start().await.unwrap();
    let mut client = dial(&tunnel).await;
    let mut far = within(far_ends.recv()).await.unwrap();
    let sent = {
        let mut sent = 0;
        while let Ok(write) = tokio::time::timeout(Duration::from_millis(200), far.io.write(&[7; PIPE])).await {
            sent += write.unwrap();
        }
        sent
    };
    client.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(tunnel.status().active, 1);
    let (end, bytes) = read_all(&mut client).await;
    end.unwrap();
    assert_eq!((bytes.len(), tunnel.status().close_timeouts), (sent, 1));
}

#[tokio::test]
async fn a_drain_lets_connections_finish_and_cuts_those_that_do_not() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let address = tunnel.local_addr().tcp().unwrap();
    let mut finishing = dial(&tunnel).await;
    let mut finishing_far = within(far_ends.recv()).await.unwrap();
    let mut stuck = dial(&tunnel).await;
    let stuck_far = within(far_ends.recv()).await.unwrap();

    const LIMIT: Duration = Duration::from_millis(200);
    let started = Instant::now();
    let drain = tunnel.drain(LIMIT);
    let meanwhile = async {
        until(|| !tunnel.status().accepting).await;
        // The listener goes right after that.
        let refused = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
        within(refused).await;
        finishing_far.io.write_all(b"last words").await.unwrap();
        finishing_far.finish().await;
        finishing.shutdown().await.unwrap();
        let (end, words) = read_all(&mut finishing).await;
        assert_eq!((end.unwrap(), words), (10, b"last words".to_vec()));
    };
    let (cut, ()) = within(async { tokio::join!(drain, meanwhile) }).await;
    assert_eq!(cut, 1);
    assert!(started.elapsed() >= LIMIT);
    assert_reset_after(b"", read_all(&mut stuck).await);
    assert_eq!(stuck_far.near().await, Near::Dropped);
    assert_eq!(next_close(&mut events).await.0, CloseReason::Finished);
    assert_eq!(next_close(&mut events).await.0, CloseReason::Aborted);
    assert_eq!(tunnel.drain(Duration::from_secs(60)).await, 1, "a second call tells the same");
}

#[tokio::test]
async fn a_second_drain_may_shorten_the_first() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let _client = dial(&tunnel).await;
    let _far = within(far_ends.recv()).await.unwrap();
    let patient = tunnel.drain(Duration::from_secs(3600));
    let hasty = async {
        until(|| !tunnel.status().accepting).await;
        tunnel.drain(Duration::ZERO).await
    };
    assert_eq!(within(async { tokio::join!(patient, hasty) }).await, (1, 1));
}

#[tokio::test]
async fn dropping_the_handle_closes_the_listener_and_resets_the_connections() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let address = tunnel.local_addr().tcp().unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    let far = within(far_ends.recv()).await.unwrap();
    drop(tunnel);
    assert_reset_after(b"", read_all(&mut client).await);
    assert_eq!(far.near().await, Near::Dropped);
    while !matches!(within(events.recv()).await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {}
    let refused = tokio::net::TcpStream::connect(address).await.map(drop).map_err(|e| e.kind());
    assert_eq!(refused, Err(io::ErrorKind::ConnectionRefused));
    let tasks = tokio::runtime::Handle::current().metrics();
    until(|| tasks.num_alive_tasks() == 0).await;
}
