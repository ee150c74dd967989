//! Which users are admitted. As root, the clients of another user are real ones.

use std::{
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::{Child, Command, Stdio},
};

use secure_connector::{Listen, LocalPeer, Tunnel, TunnelBuilder, TunnelError, TunnelEvent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UnixStream},
};

use super::double::{Double, assert_reset_after, dial, next_event, reachable, read_all, within};

/// No user's number.
const NOBODY_HERE: u32 = 4_000_000_000;
const OTHER: u32 = 65_534;

fn own_uid() -> u32 {
    std::fs::metadata("/proc/self").unwrap().uid()
}

async fn denial(
    tunnel: &Tunnel,
    events: &mut tokio::sync::broadcast::Receiver<TunnelEvent>,
) -> (LocalPeer, Option<u32>) {
    let TunnelEvent::Denied { peer, uid } = next_event(events).await else { panic!("a denial") };
    let status = tunnel.status();
    assert_eq!((status.denied, status.accepted, status.refused, status.connects_ok), (1, 0, 0, 0));
    (peer, uid)
}

#[tokio::test]
async fn a_tcp_client_is_admitted_by_its_uid_whatever_the_family() {
    for (on, to) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let (builder, mut far_ends) = reachable();
        let listener = TcpListener::bind(on).unwrap();
        let port = listener.local_addr().unwrap().port();
        let allowed = builder.listen(listener).danger_accept_remote_clients().allow_uids([own_uid()]);
        let _tunnel = allowed.start().await.unwrap();
        let _client = within(TcpStream::connect((to, port))).await.unwrap();
        within(far_ends.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn an_ipv6_socket_connected_to_an_ipv4_address_is_admitted() {
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.allow_uids([NOBODY_HERE]).allow_uids([own_uid()]).start().await.unwrap();
    let mapped = format!("[::ffff:127.0.0.1]:{}", tunnel.local_addr().tcp().unwrap().port());
    let _client = within(TcpSocket::new_v6().unwrap().connect(mapped.parse().unwrap())).await.unwrap();
    within(far_ends.recv()).await.unwrap();
}

#[tokio::test]
async fn a_tcp_client_of_another_user_is_reset_counted_and_reported() {
    let tunnel = reachable().0.allow_uids([NOBODY_HERE]).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = dial(&tunnel).await;
    assert_reset_after(b"", read_all(&mut client).await);
    let peer = LocalPeer::Tcp(client.local_addr().unwrap());
    assert_eq!(denial(&tunnel, &mut events).await, (peer, Some(own_uid())));
}

/// The kernel lists a socket without a holder as root's: for a tunnel that admits root, anybody's.
#[tokio::test]
async fn a_tcp_client_that_closed_before_it_was_accepted_is_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = within(TcpStream::connect(listener.local_addr().unwrap())).await.unwrap();
    client.write_all(b"a request").await.unwrap();
    let peer = LocalPeer::Tcp(client.local_addr().unwrap());
    drop(client);
    let tunnel = reachable().0.listen(listener).allow_uids([0, own_uid()]).start().await.unwrap();
    let mut events = tunnel.events();
    assert_eq!(denial(&tunnel, &mut events).await, (peer, None));
}

#[tokio::test]
async fn unix_clients_are_admitted_by_uid_and_the_mode_lets_them_ask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("allowed");
    let (builder, mut far_ends) = reachable();
    let _allowed = builder.listen(Listen::Unix(path.clone())).allow_uids([own_uid()]).start().await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    let _client = within(UnixStream::connect(&path)).await.unwrap();
    within(far_ends.recv()).await.unwrap();

    let path = folder.path().join("denied");
    let tunnel = reachable().0.listen(Listen::Unix(path.clone())).allow_uids([NOBODY_HERE]).start().await.unwrap();
    let mut events = tunnel.events();
    let mut client = within(UnixStream::connect(&path)).await.unwrap();
    assert_eq!(within(client.read(&mut [0; 1])).await.unwrap(), 0);
    let (peer, uid) = denial(&tunnel, &mut events).await;
    assert_eq!(uid, Some(own_uid()));
    assert!(matches!(peer, LocalPeer::Unix { uid, .. } if uid == Some(own_uid())));
}

#[tokio::test]
async fn an_empty_set_is_an_error_and_not_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tunnel");
    for listen in [Listen::default(), Listen::Unix(path.clone())] {
        let error = reachable().0.listen(listen).allow_uids([]).start().await.expect_err("nobody is allowed");
        assert!(matches!(error, TunnelError::NobodyAllowed), "{error:?}");
    }
    assert!(!path.exists());
}

/// A tunnel, and a client of its listener that runs as user 65534; it goes when it has read a byte or an end.
async fn with_client_of_another_user(builder: TunnelBuilder<std::sync::Arc<Double>>) -> (Tunnel, Child) {
    use std::os::unix::process::CommandExt;
    let tunnel = builder.start().await.unwrap();
    let port = tunnel.local_addr().tcp().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && read -r -n 1 -u 3 word && test \"$word\" = y");
    let client = Command::new("bash").args(["-c", &script]).uid(OTHER).current_dir("/").stderr(Stdio::null()).spawn();
    (tunnel, client.unwrap())
}

#[tokio::test]
async fn a_process_of_another_user_is_told_from_ours() {
    if own_uid() != 0 {
        eprintln!("not run: only root can start a process of another user");
        return;
    }
    let (builder, mut far_ends) = reachable();
    let (tunnel, mut client) = with_client_of_another_user(builder.allow_uids([OTHER])).await;
    let mut far = within(far_ends.recv()).await.unwrap();
    far.io.write_all(b"y").await.unwrap();
    let status = within(tokio::task::spawn_blocking(move || client.wait())).await.unwrap().unwrap();
    assert!(status.success());
    assert_eq!((tunnel.status().accepted, tunnel.status().denied), (1, 0));

    let (builder, _far_ends) = reachable();
    let (tunnel, mut client) = with_client_of_another_user(builder.allow_uids([0])).await;
    let mut events = tunnel.events();
    let status = within(tokio::task::spawn_blocking(move || client.wait())).await.unwrap().unwrap();
    assert!(!status.success());
    assert_eq!(denial(&tunnel, &mut events).await.1, Some(OTHER));
}
