//! Bytes, flushes and half-closes.

use std::{sync::Arc, time::Duration};

use secure_connector::{CloseReason, Tunnel};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    task::JoinSet,
};

use super::double::{Answer, Double, Near, dial, next_close, reachable, read_all, within};

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_side_by_side_keep_their_own_bytes_whole() {
    const CONNECTIONS: u64 = 200;
    const BYTES: usize = 300_000;
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    tokio::spawn(async move {
        while let Some(far) = far_ends.recv().await {
            tokio::spawn(far.echo());
        }
    });
    let mut clients = JoinSet::new();
    for seed in 0..CONNECTIONS {
        let (mut reader, mut writer) = dial(&tunnel).await.into_split();
        clients.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let sent: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(BYTES).collect();
            let sending = async {
                for piece in sent.chunks(7_001) {
                    writer.write_all(piece).await.unwrap();
                }
                writer.shutdown().await.unwrap();
            };
            let (received, ()) = tokio::join!(read_all(&mut reader), sending);
            assert_eq!(received.0.unwrap(), BYTES);
            assert!(received.1 == sent, "connection {seed} got other bytes than it sent");
        });
    }
    within(clients.join_all()).await;
    tunnel.drain(Duration::from_secs(10)).await;
    let status = tunnel.status();
    assert_eq!((status.accepted, status.connects_ok, status.active, status.truncated), (200, 200, 0, 0));
    assert_eq!((status.bytes_up, status.bytes_down), (CONNECTIONS * BYTES as u64, CONNECTIONS * BYTES as u64));
}

/// The far stream holds everything back until it is flushed.
#[tokio::test]
async fn a_request_reaches_the_upstream_although_nothing_follows_it() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut client = dial(&tunnel).await;
    let mut far = within(far_ends.recv()).await.unwrap();
    for request in [b"PING", b"PONG"] {
        let mut received = [0; 4];
        client.write_all(request).await.unwrap();
        within(far.io.read_exact(&mut received)).await.unwrap();
        assert_eq!(&received, request);
    }
}

#[tokio::test]
async fn a_late_reply_arrives_after_the_local_side_has_finished() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut far = within(far_ends.recv()).await.unwrap();
    let (end, question) = read_all(&mut far.io).await;
    assert_eq!((end.unwrap(), question), (8, b"question".to_vec()));
    far.io.write_all(b"late reply").await.unwrap();
    far.finish().await;
    let (end, reply) = read_all(&mut client).await;
    assert_eq!((end.unwrap(), reply), (10, b"late reply".to_vec()));
    assert_eq!(far.near().await, Near::Shutdown);
    assert_eq!(next_close(&mut events).await, (CloseReason::Finished, 8, 10));
}

#[tokio::test]
async fn the_local_side_goes_on_after_the_upstream_has_finished() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    let mut far = within(far_ends.recv()).await.unwrap();
    far.io.write_all(b"hello").await.unwrap();
    far.finish().await;
    let (end, greeting) = read_all(&mut client).await;
    assert_eq!((end.unwrap(), greeting), (5, b"hello".to_vec()));
    client.write_all(b"still here").await.unwrap();
    client.shutdown().await.unwrap();
    let (end, rest) = read_all(&mut far.io).await;
    assert_eq!((end.unwrap(), rest), (10, b"still here".to_vec()));
    assert_eq!(next_close(&mut events).await, (CloseReason::Finished, 10, 5));
}

#[tokio::test]
async fn a_local_side_that_finishes_before_the_upstream_is_reached_still_gets_its_reply() {
    let (double, mut far_ends) = Double::new([], Answer::ConnectWhenLetIn);
    let tunnel = Tunnel::builder(Arc::clone(&double)).start().await.unwrap();
    let mut client = dial(&tunnel).await;
    client.shutdown().await.unwrap();
    // A tunnel that took this for leaving would do so about now.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    double.let_in.notify_one();
    let mut far = within(far_ends.recv()).await.unwrap();
    far.io.write_all(b"banner").await.unwrap();
    far.finish().await;
    let (end, banner) = read_all(&mut client).await;
    assert_eq!((end.unwrap(), banner), (6, b"banner".to_vec()));
}

#[tokio::test]
async fn a_good_end_waits_in_the_kernel_for_a_slow_reader() {
    const BYTES: usize = 200_000;
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut events = tunnel.events();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = within(socket.connect(tunnel.local_addr().tcp().unwrap())).await.unwrap();
    client.shutdown().await.unwrap();
    let mut far = within(far_ends.recv()).await.unwrap();
    within(far.io.write_all(&[7; BYTES])).await.unwrap();
    far.finish().await;
    assert_eq!(next_close(&mut events).await, (CloseReason::Finished, 0, BYTES as u64));
    let (end, reply) = read_all(&mut client).await;
    assert_eq!(end.unwrap(), BYTES);
    assert_eq!(reply, [7; BYTES]);
}
