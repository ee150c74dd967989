//! What can be seen of a tunnel from outside.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::double::{dial, reachable, within};

#[tokio::test]
async fn a_connection_shows_what_was_agreed_for_it() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let mut client = dial(&tunnel).await;
    client.write_all(b"12345").await.unwrap();
    let mut far = within(far_ends.recv()).await.unwrap();
    within(far.io.read_exact(&mut [0; 5])).await.unwrap();
    let [connection] = &tunnel.connections()[..] else { panic!("one connection") };
    assert_eq!((connection.id, connection.bytes_up, connection.bytes_down), (0, 5, 0));
    assert_eq!(connection.peer.to_string(), client.local_addr().unwrap().to_string());
    let report = connection.report.as_ref().unwrap();
    assert_eq!(report.peer.as_deref(), Some("192.0.2.1:2049"));
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn status_and_connections_serialize_for_a_log() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let client = dial(&tunnel).await;
    let _far = within(far_ends.recv()).await.unwrap();
    let status = serde_json::to_value(tunnel.status()).unwrap();
    assert_eq!(status["local_addr"], tunnel.local_addr().to_string());
    assert_eq!((&status["active"], &status["last_error"]), (&1.into(), &serde_json::Value::Null));
    assert!(status["started_at"].as_str().unwrap().ends_with('Z'), "{status}");
    let connections = serde_json::to_value(tunnel.connections()).unwrap();
    assert_eq!(connections[0]["peer"]["tcp"], client.local_addr().unwrap().to_string());
    assert_eq!(connections[0]["report"]["verified"]["dns_name"], "far.test");
}
