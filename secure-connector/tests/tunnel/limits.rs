//! Too many connections, and connections that are up to no good.

use std::time::Duration;

use secure_connector::{CloseReason, Tunnel, TunnelEvent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::double::{
    Answer, Double, assert_reset_after, dial, next_close, next_event, reachable, read_all, reset, until, within,
};

#[tokio::test]
async fn one_connection_too_many_is_reset_and_a_freed_place_is_given_again() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.max_connections(2).start().await.unwrap();
    let mut events = tunnel.events();
    let first = dial(&tunnel).await;
    let second = dial(&tunnel).await;
    let mut third = dial(&tunnel).await;
    assert_reset_after(b"", read_all(&mut third).await);
    let status = tunnel.status();
    assert_eq!((status.accepted, status.active, status.refused), (2, 2, 1));
    loop {
        if let TunnelEvent::Refused { peer } = next_event(&mut events).await {
            assert_eq!(peer.to_string(), third.local_addr().unwrap().to_string());
            break;
        }
    }
    reset(first);
    until(|| tunnel.status().active == 1).await;
    let mut fourth = dial(&tunnel).await;
    let mut far = None;
    for _ in 0..3 {
        far = within(far_ends.recv()).await;
    }
    far.unwrap().io.write_all(b"welcome").await.unwrap();
    within(fourth.read_exact(&mut [0; 7])).await.unwrap();
    drop(second);
}

#[tokio::test]
async fn a_connector_that_panics_costs_one_connection() {
    let (double, mut far_ends) = Double::new([Answer::Panic], Answer::Connect);
    let tunnel = Tunnel::builder(double).max_connections(1).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    assert_reset_after(b"", read_all(&mut client).await);
    assert_eq!(next_close(&mut events).await.0, CloseReason::Aborted);
    let _next = dial(&tunnel).await;
    within(far_ends.recv()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bad_connections_do_not_harm_a_good_one() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    tokio::spawn(async move {
        let mut count = 0_u32;
        while let Some(mut far) = far_ends.recv().await {
            count += 1;
            match count % 3 {
                _ if count > 1000 => drop(tokio::spawn(far.echo())),
                0 => drop(far),
                1 => drop(tokio::spawn(far.echo())),
                _ => drop(far.io.write_all(b"\x15\x03\x03\x00\x02\x02\x28").await),
            }
        }
    });
    let mut clients = JoinSet::new();
    for number in 0..1000_u32 {
        while clients.len() >= 50 {
            within(clients.join_next()).await.unwrap().unwrap();
        }
        // The far end may be gone before connect returns.
        let Ok(mut client) = within(TcpStream::connect(tunnel.local_addr().tcp().unwrap())).await else { continue };
        clients.spawn(async move {
            let garbage: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(2000).collect();
            let _ = client.write_all(&garbage).await;
            match number % 3 {
                0 => drop(client),
                1 => reset(client),
                _ => drop((client.shutdown().await, client.read(&mut [0; 100]).await)),
            }
        });
    }
    within(clients.join_all()).await;
    until(|| tunnel.status().accepted == 1000 && tunnel.status().active == 0).await;
    let mut good = dial(&tunnel).await;
    good.write_all(b"are you well?").await.unwrap();
    good.shutdown().await.unwrap();
    let (end, echo) = read_all(&mut good).await;
    assert_eq!((end.unwrap(), echo), (13, b"are you well?".to_vec()));
    assert_eq!(tunnel.drain(Duration::from_secs(10)).await, 0);
    assert_eq!(tunnel.status().accepted, 1001);
}
