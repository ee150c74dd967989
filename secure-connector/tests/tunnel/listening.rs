//! Where a tunnel listens, and who may reach it.

use std::{net::SocketAddr, time::Duration};

use secure_connector::{Listen, LocalAddr, TunnelError};
use tokio::io::AsyncReadExt;

use super::double::{dial, reachable, within};

async fn refusal(listen: impl Into<Listen>) -> TunnelError {
    reachable().0.listen(listen).start().await.expect_err("the listener was to be refused")
}

#[tokio::test]
async fn the_default_is_a_loopback_port_chosen_by_the_system() {
    let tunnel = reachable().0.start().await.unwrap();
    let address = tunnel.local_addr().tcp().unwrap();
    assert!(address.ip().is_loopback() && address.port() != 0);
    assert!(!tunnel.status().remote_clients);
    dial(&tunnel).await;
}

#[tokio::test]
async fn an_address_that_other_hosts_reach_takes_an_explicit_word() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(refusal(everywhere).await, TunnelError::NotLoopback { address } if address == everywhere));
    let bound = std::net::TcpListener::bind(everywhere).unwrap();
    let bound_to = bound.local_addr().unwrap();
    assert!(matches!(refusal(bound).await, TunnelError::NotLoopback { address } if address == bound_to));
    let tunnel = reachable().0.listen(everywhere).danger_accept_remote_clients().start().await.unwrap();
    assert!(tunnel.status().remote_clients);
    let local = reachable().0.danger_accept_remote_clients().start().await.unwrap();
    assert!(!local.status().remote_clients);
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = (taken.local_addr().unwrap(), taken);
    let error = refusal(taken.0).await;
    assert_eq!(error.to_string(), format!("cannot listen on {}", taken.0));
    let TunnelError::Listen { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_listener_that_is_open_already_serves() {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = bound.local_addr().unwrap();
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.listen(bound).start().await.unwrap();
    assert_eq!(tunnel.local_addr(), &LocalAddr::Tcp(address));
    let _client = dial(&tunnel).await;
    within(far_ends.recv()).await.unwrap();
}

#[cfg(unix)]
mod unix {
    use std::{fs, os::unix::fs::PermissionsExt};

    use secure_connector::LocalPeer;
    use tokio::{
        io::AsyncWriteExt,
        net::{UnixListener, UnixStream},
    };

    use super::*;

    #[tokio::test]
    async fn a_unix_socket_is_for_its_owner_only_and_goes_with_the_tunnel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tunnel");
        let (builder, mut far_ends) = reachable();
        let tunnel = builder.listen(Listen::Unix(path.clone())).start().await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(tunnel.local_addr().unix(), Some(path.as_path()));
        let mut client = UnixStream::connect(&path).await.unwrap();
        let mut far = within(far_ends.recv()).await.unwrap();
        far.io.write_all(b"hello").await.unwrap();
        far.finish().await;
        let mut greeting = Vec::new();
        within(client.read_to_end(&mut greeting)).await.unwrap();
        assert_eq!(greeting, b"hello");
        let LocalPeer::Unix { pid, .. } = tunnel.connections()[0].peer else { panic!("a Unix peer") };
        assert_eq!(pid, i32::try_from(std::process::id()).ok());
        tunnel.drain(Duration::ZERO).await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tunnel");
        drop(UnixListener::bind(&path).unwrap());
        let (builder, mut far_ends) = reachable();
        let _tunnel = builder.listen(Listen::Unix(path.clone())).start().await.unwrap();
        let _client = UnixStream::connect(&path).await.unwrap();
        within(far_ends.recv()).await.unwrap();
    }

    #[tokio::test]
    async fn a_live_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tunnel");
        let (live, mut far_ends) = reachable();
        let _live = live.listen(Listen::Unix(path.clone())).start().await.unwrap();
        let error = refusal(Listen::Unix(path.clone())).await;
        assert!(matches!(&error, TunnelError::InUse { path: found } if *found == path), "{error:?}");
        // The question was a connection of its own.
        within(far_ends.recv()).await.unwrap();
        let _client = UnixStream::connect(&path).await.unwrap();
        within(far_ends.recv()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [file.clone(), link] {
            let error = refusal(Listen::Unix(path.clone())).await;
            assert!(matches!(&error, TunnelError::NotASocket { path: found } if *found == path), "{error:?}");
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_path_that_has_become_somebody_elses_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tunnel");
        let tunnel = reachable().0.listen(Listen::Unix(path.clone())).start().await.unwrap();
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        fs::write(&path, "new owner").unwrap();
        tunnel.drain(Duration::ZERO).await;
        assert_eq!(fs::read_to_string(path).unwrap(), "new owner");
    }
}
