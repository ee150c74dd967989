//! What becomes of a local connection while the upstream is away.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use secure_connector::{CloseReason, Tunnel, TunnelEvent, Verified};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::double::{
    Answer::{Connect, RefuseForGood, RefuseForNow, Silence},
    BRISK, Double, assert_reset_after, dial, next_close, next_event, read_all, reset, until, within,
};

const REFUSED: &str = "no address accepted a connection: 192.0.2.1:2049: connection refused";
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_connection_is_held_until_the_upstream_comes_back() {
    let (double, mut far_ends) = Double::new([RefuseForNow, RefuseForNow, RefuseForNow], Connect);
    let tunnel = Tunnel::builder(double).backoff(BRISK).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    client.write_all(b"sent early").await.unwrap();
    let mut far = within(far_ends.recv()).await.unwrap();
    let mut received = [0; 10];
    within(far.io.read_exact(&mut received)).await.unwrap();
    assert_eq!(&received, b"sent early");
    let status = tunnel.status();
    assert_eq!((status.connects_failed, status.retried, status.connects_ok, status.active), (3, 3, 1, 1));
    assert_eq!(status.last_error.unwrap().error, REFUSED);
    let mut retries = 0;
    loop {
        match next_event(&mut events).await {
            TunnelEvent::Retrying { error, .. } => {
                assert_eq!(error, REFUSED);
                retries += 1;
            }
            TunnelEvent::Connected { report, .. } => {
                assert_eq!(report.verified, Verified::DnsName("far.test".into()));
                break;
            }
            _ => {}
        }
    }
    assert_eq!(retries, 3);
}

#[tokio::test]
async fn a_hold_that_runs_out_ends_in_a_reset() {
    let (double, _far_ends) = Double::new([], RefuseForNow);
    let tunnel =
        Tunnel::builder(Arc::clone(&double)).backoff(BRISK).hold(Duration::from_millis(60)).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    assert_reset_after(b"", read_all(&mut client).await);
    assert_eq!(next_close(&mut events).await.0, CloseReason::ConnectFailed { error: REFUSED.into() });
    assert!(double.attempts.load(SeqCst) > 3);
}

#[tokio::test]
async fn a_retry_that_hangs_is_cut_short_by_the_hold() {
    let (double, _far_ends) = Double::new([RefuseForNow], Silence);
    let tunnel = Tunnel::builder(double).backoff(BRISK).hold(Duration::from_millis(60)).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    assert_reset_after(b"", read_all(&mut client).await);
    assert_eq!(next_close(&mut events).await.0, CloseReason::ConnectFailed { error: REFUSED.into() });
}

#[tokio::test]
async fn no_hold_means_one_attempt() {
    let (double, _far_ends) = Double::new([], RefuseForNow);
    let tunnel = Tunnel::builder(Arc::clone(&double)).hold(Duration::ZERO).start().await.unwrap();
    let mut client = dial(&tunnel).await;
    assert_reset_after(b"", read_all(&mut client).await);
    assert_eq!(double.attempts.load(SeqCst), 1);
}

#[tokio::test]
async fn an_error_that_will_not_pass_resets_at_once() {
    let (double, _far_ends) = Double::new([], RefuseForGood);
    let tunnel = Tunnel::builder(Arc::clone(&double)).hold(HOUR).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    assert_reset_after(b"", read_all(&mut client).await);
    let error = "the peer's certificate is not trusted: none was presented".to_owned();
    assert_eq!(next_close(&mut events).await.0, CloseReason::ConnectFailed { error });
    assert_eq!(double.attempts.load(SeqCst), 1);
}

#[tokio::test]
async fn a_local_side_that_closes_in_its_hold_ends_it() {
    let (double, _far_ends) = Double::new([RefuseForNow], Silence);
    let tunnel = Tunnel::builder(double).backoff(BRISK).hold(HOUR).start().await.unwrap();
    let mut events = tunnel.events();
    let client = dial(&tunnel).await;
    until(|| tunnel.status().retried > 0).await;
    drop(client);
    assert_eq!(next_close(&mut events).await.0, CloseReason::LocalLeft);
    assert_eq!(tunnel.status().local_left, 1);
}

#[tokio::test]
async fn a_local_side_that_resets_after_it_has_sent_something_ends_its_hold() {
    for script in [vec![RefuseForNow], vec![]] {
        let (double, _far_ends) = Double::new(script, Silence);
        let tunnel = Tunnel::builder(double).backoff(BRISK).hold(HOUR).start().await.unwrap();
        let mut events = tunnel.events();
        let mut client = dial(&tunnel).await;
        client.write_all(b"request").await.unwrap();
        until(|| tunnel.status().active == 1).await;
        reset(client);
        assert_eq!(next_close(&mut events).await.0, CloseReason::LocalLeft);
    }
}

#[tokio::test]
async fn a_local_side_that_asked_and_half_closed_keeps_its_place() {
    let (double, mut far_ends) = Double::new([RefuseForNow; 8], Connect);
    let tunnel = Tunnel::builder(double).backoff(BRISK).hold(HOUR).start().await.unwrap();
    let mut client = dial(&tunnel).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let far = within(far_ends.recv()).await.unwrap();
    within(far.echo()).await;
    let (end, reply) = read_all(&mut client).await;
    assert_eq!((end.unwrap(), reply), (8, b"question".to_vec()));
}
