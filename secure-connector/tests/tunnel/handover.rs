//! A listener that outlives its tunnel: nobody is refused while one process replaces another.

use std::{
    net::{TcpListener, UdpSocket},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use secure_connector::{Listen, SocketActivationError, Tunnel, TunnelError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::mpsc::UnboundedReceiver,
};

use super::double::{Far, dial, reachable, read_all, until, within};

const LONG: Duration = Duration::from_secs(30);

async fn echoing(listen: impl Into<Listen>) -> Tunnel {
    let (builder, mut far_ends): (_, UnboundedReceiver<Far>) = reachable();
    tokio::spawn(async move {
        while let Some(far) = far_ends.recv().await {
            tokio::spawn(far.echo());
        }
    });
    builder.listen(listen).start().await.unwrap()
}

async fn echo(client: &mut TcpStream) {
    client.write_all(b"are you there?").await.unwrap();
    client.shutdown().await.unwrap();
    let (end, reply) = read_all(client).await;
    assert_eq!((end.unwrap(), reply), (14, b"are you there?".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_tunnel_drains_while_the_new_one_accepts_and_nobody_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let old = echoing(listener.try_clone().unwrap()).await;
    let mut long_lived = dial(&old).await;
    until(|| old.status().accepted == 1).await;
    let new = echoing(listener).await;
    let clients = tokio::spawn(async move {
        for _ in 0..300 {
            echo(&mut within(TcpStream::connect(address)).await.unwrap()).await;
        }
    });
    until(|| old.status().accepted + new.status().accepted > 50).await;
    let finishing = async {
        until(|| !old.status().accepting).await;
        within(clients).await.unwrap();
        echo(&mut long_lived).await;
    };
    let (cut, ()) = within(async { tokio::join!(old.drain(LONG), finishing) }).await;
    assert_eq!((cut, old.status().accepted + new.status().accepted), (0, 301));
    assert!(new.status().accepted > 0);
}

#[tokio::test]
async fn connections_made_between_two_tunnels_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let old = echoing(listener.try_clone().unwrap()).await;
    old.drain(LONG).await;
    let mut waiting = dial(&old).await;
    let _new = echoing(listener).await;
    echo(&mut waiting).await;
}

#[tokio::test]
async fn a_given_unix_listener_serves_and_its_path_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tunnel");
    let tunnel = echoing(UnixListener::bind(&path).unwrap()).await;
    assert_eq!(tunnel.local_addr().unix(), Some(path.as_path()));
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(within(client.read_u8()).await.unwrap(), b'x');
    tunnel.drain(Duration::ZERO).await;
    assert!(path.exists());
}

#[tokio::test]
async fn a_given_unix_listener_without_a_path_is_refused() {
    let name = SocketAddr::from_abstract_name(format!("tunnel-{}", fastrand::u64(..))).unwrap();
    let error = reachable().0.listen(UnixListener::bind_addr(&name).unwrap()).start().await.expect_err("no path");
    assert!(matches!(error, TunnelError::NoPath), "{error:?}");
}

mod systemd {
    use super::*;

    const CHILD: &str = "TUNNEL_HANDOVER_CHILD";

    fn is_child() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    /// Runs `test` alone in a process that is given these two descriptors in the way of systemd.
    fn child(test: &str, environment: &str, first: impl Into<OwnedFd>, second: impl Into<OwnedFd>) -> Child {
        let mut shell = Command::new("sh");
        let script = format!("exec 3<&0 4<&1 0</dev/null 1>&2; {environment} exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(std::env::current_exe().unwrap());
        shell.args(["--exact", "--nocapture", &format!("tunnel::handover::systemd::{test}")]).env(CHILD, "1");
        shell.stdin(Stdio::from(first.into())).stdout(Stdio::from(second.into())).spawn().unwrap()
    }

    async fn passes(mut child: Child) {
        assert!(within(tokio::task::spawn_blocking(move || child.wait())).await.unwrap().unwrap().success());
    }

    fn a_unix_listener(folder: &Path) -> UnixListener {
        UnixListener::bind(folder.join("tunnel")).unwrap()
    }

    #[tokio::test]
    async fn passed_listeners_are_taken_once_with_their_names() {
        if is_child() {
            let passed = Listen::from_systemd().unwrap();
            let again = Listen::from_systemd().expect_err("they are taken");
            assert!(matches!(again, SocketActivationError::AlreadyTaken), "{again:?}");
            let names: Vec<_> = passed.iter().map(|(name, _)| name.as_deref().unwrap()).collect();
            assert_eq!(names, ["home", "data"]);
            let mut tunnels = Vec::new();
            for (_, listen) in passed {
                tunnels.push(echoing(listen).await);
            }
            until(|| tunnels.iter().all(|tunnel| tunnel.status().accepted == 1 && tunnel.status().active == 0)).await;
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let environment = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=home:data";
        let test = "passed_listeners_are_taken_once_with_their_names";
        let child = child(test, environment, tcp, a_unix_listener(folder.path()));
        echo(&mut within(TcpStream::connect(address)).await.unwrap()).await;
        let mut client = within(UnixStream::connect(folder.path().join("tunnel"))).await.unwrap();
        client.write_all(b"x").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut client).await.1, b"x");
        passes(child).await;
    }

    #[tokio::test]
    async fn what_is_not_a_stream_listener_is_named() {
        if is_child() {
            let error = Listen::from_systemd().expect_err("a datagram socket");
            let SocketActivationError::NotAListener { name } = &error else { panic!("{error:?}") };
            assert_eq!(name.as_deref(), Some("data"));
            return;
        }
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let environment = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=home:data";
        passes(child("what_is_not_a_stream_listener_is_named", environment, tcp, udp)).await;
    }

    #[tokio::test]
    async fn listeners_of_another_process_are_not_ours() {
        if is_child() {
            let error = Listen::from_systemd().expect_err("they are another process's");
            assert!(matches!(error, SocketActivationError::NonePassed), "{error:?}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (tcp, unix) = (TcpListener::bind("127.0.0.1:0").unwrap(), a_unix_listener(folder.path()));
        passes(child("listeners_of_another_process_are_not_ours", "LISTEN_PID=1 LISTEN_FDS=2", tcp, unix)).await;
    }

    #[tokio::test]
    async fn an_environment_that_is_not_systemds_is_an_error() {
        if is_child() {
            let error = Listen::from_systemd().expect_err("not a number");
            assert!(matches!(error, SocketActivationError::Environment), "{error:?}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (tcp, unix) = (TcpListener::bind("127.0.0.1:0").unwrap(), a_unix_listener(folder.path()));
        passes(child("an_environment_that_is_not_systemds_is_an_error", "LISTEN_PID=$$ LISTEN_FDS=two", tcp, unix))
            .await;
    }
}
