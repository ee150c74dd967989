//! A TLS server that sends back what it gets and tells what it saw.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt, copy, split};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::rustls_config::{agreed_version, server_config};
use crate::{ServerOptions, TestCertificate, TestServer, TlsVersion};

/// A TLS echo server on a free port of 127.0.0.1. It answers the client's end of data with its own, in order.
///
/// ```
/// use secure_connector_testkit::{EchoServer, ServerOptions, TestPki};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pki = TestPki::new()?;
/// let certificate = pki.leaf().dns("localhost").issue()?;
/// let server = EchoServer::start(&certificate, &ServerOptions::default()).await?;
/// // … connect to server.addr() with pki.root_der() as the only root, then:
/// // let seen = server.next_connection().await?;
/// // assert_eq!(seen.sni.as_deref(), Some("localhost"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EchoServer {
    server: TestServer,
    seen: Mutex<mpsc::UnboundedReceiver<io::Result<SeenConnection>>>,
}

impl EchoServer {
    /// Starts the server.
    ///
    /// # Errors
    /// When no loopback port can be opened, or the certificate and options make no TLS configuration (a
    /// [`PkiError`](crate::PkiError) inside).
    pub async fn start(certificate: &TestCertificate, options: &ServerOptions) -> io::Result<Self> {
        let acceptor = TlsAcceptor::from(server_config(certificate, options).map_err(io::Error::other)?);
        let (report, seen) = mpsc::unbounded_channel();
        let server = TestServer::start(move |tcp, peer| serve(acceptor.clone(), tcp, peer, report.clone())).await?;
        Ok(Self { server, seen: Mutex::new(seen) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The connections accepted so far, handshake completed or not.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Waits for the next handshake to end and says what came of it, in the order in which they ended. Cancel-safe.
    ///
    /// # Errors
    /// The handshake failed; the [`rustls::Error`] is inside, if it was not the transport that failed.
    pub async fn next_connection(&self) -> io::Result<SeenConnection> {
        let seen = self.seen.lock().await.recv().await;
        seen.unwrap_or_else(|| Err(io::Error::other("the server has ended")))
    }
}

/// What the server saw of a connection whose handshake completed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenConnection {
    /// The client's address.
    pub peer: SocketAddr,
    /// The server name indication, if one was sent.
    pub sni: Option<String>,
    /// The client's certificates (DER), leaf first; in a resumed session those of the session's first handshake. Empty
    /// when none was asked for or shown.
    pub client_chain: Vec<Vec<u8>>,
    /// The protocol version agreed. `None` for plain TCP: then nothing but `peer` is known.
    pub version: Option<TlsVersion>,
    /// Whether this was an abbreviated handshake that resumed an earlier session.
    pub resumed: bool,
    /// The application protocol agreed, if any.
    pub alpn: Option<Vec<u8>>,
}

impl SeenConnection {
    pub(crate) fn of(tls: &TlsStream<TcpStream>, peer: SocketAddr) -> io::Result<Self> {
        let connection = tls.get_ref().1;
        let chain = connection.peer_certificates().unwrap_or_default();
        Ok(Self {
            peer,
            sni: connection.server_name().map(str::to_owned),
            client_chain: chain.iter().map(|der| der.to_vec()).collect(),
            version: Some(
                agreed_version(connection.protocol_version())
                    .ok_or_else(|| io::Error::other("a version that was not offered"))?,
            ),
            resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
        })
    }

    pub(crate) fn plain(peer: SocketAddr) -> Self {
        Self { peer, sni: None, client_chain: Vec::new(), version: None, resumed: false, alpn: None }
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    peer: SocketAddr,
    report: mpsc::UnboundedSender<io::Result<SeenConnection>>,
) {
    let accepted = acceptor.accept(tcp).await;
    let seen = accepted.and_then(|tls| Ok((SeenConnection::of(&tls, peer)?, tls)));
    // A report that nobody can receive any more means that the handle is gone, and this task is about to end.
    match seen {
        Err(error) => drop(report.send(Err(error))),
        Ok((seen, tls)) => {
            let _ = report.send(Ok(seen));
            let (mut from_client, mut to_client) = split(tls);
            if copy(&mut from_client, &mut to_client).await.is_ok() {
                let _ = to_client.shutdown().await;
            }
        }
    }
}
