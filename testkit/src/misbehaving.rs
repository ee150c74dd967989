//! Servers that do one thing wrong, each on a free port of 127.0.0.1, to see what a client makes of it.
//!
//! ```
//! use secure_connector_testkit::misbehaving::{self, alert};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let server = misbehaving::fatal_alert(alert::UNRECOGNIZED_NAME).await?;
//! // … connect to server.addr() and look at the error
//! # Ok(())
//! # }
//! ```
//!
//! Every function fails only when no loopback port can be opened, or when the certificate and options given make no TLS
//! configuration (a [`PkiError`](crate::PkiError) inside the [`io::Error`]).
#![expect(clippy::missing_errors_doc, reason = "stated once, above, for all of them")]

use std::future;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::listener::FREE_LOOPBACK_PORT;
use crate::rustls_config::server_config;
use crate::{ServerOptions, TestCertificate, TestServer};

/// Speaks HTTP without TLS: answers the first bytes with `400 Bad Request` and closes.
pub async fn plaintext_http() -> io::Result<TestServer> {
    garbage(HTTP_BAD_REQUEST).await
}

/// Answers the first bytes with `answer`, whatever that is, and closes.
pub async fn garbage(answer: impl Into<Vec<u8>>) -> io::Result<TestServer> {
    let answer: Arc<[u8]> = answer.into().into();
    TestServer::start(move |mut tcp, _| {
        let answer = Arc::clone(&answer);
        async move {
            if tcp.read_u8().await.is_ok() && tcp.write_all(&answer).await.is_ok() {
                close_in_order(tcp).await;
            }
        }
    })
    .await
}

/// Reads everything and never answers: a plaintext server that waits for its own protocol.
pub async fn silent() -> io::Result<TestServer> {
    TestServer::start(|tcp, _| drain(tcp)).await
}

/// The kernel accepts the connection, nobody ever reads from it.
pub async fn black_hole() -> io::Result<TestServer> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(FREE_LOOPBACK_PORT)?;
    let listener = socket.listen(128)?;
    let addr = listener.local_addr()?;
    Ok(TestServer::running(addr, async move {
        let _unaccepted = listener;
        future::pending().await
    }))
}

/// Not even the TCP handshake completes: the accept queue is full, so the kernel drops every SYN.
///
/// # Limitations
/// Linux only; elsewhere the connection may be accepted, as by [`black_hole`].
pub async fn full_backlog() -> io::Result<TestServer> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(FREE_LOOPBACK_PORT)?;
    // Linux drops a SYN when the queue holds *more* than the backlog, so a backlog of 0 has room for one.
    let listener = socket.listen(0)?;
    let addr = listener.local_addr()?;
    let occupant = TcpStream::connect(addr).await?;
    Ok(TestServer::running(addr, async move {
        let _full = (listener, occupant);
        future::pending().await
    }))
}

/// Reads the ClientHello and closes the connection without a word.
pub async fn closes_after_client_hello() -> io::Result<TestServer> {
    TestServer::start(|mut tcp, _| async move {
        if read_record(&mut tcp).await.is_ok() {
            close_in_order(tcp).await;
        }
    })
    .await
}

/// Answers the ClientHello with a fatal alert of this description (RFC 8446 section 6; see [`alert`]).
pub async fn fatal_alert(description: u8) -> io::Result<TestServer> {
    TestServer::start(move |mut tcp, _| async move {
        // RFC 8446 section 5.1: type alert(21), legacy version 0x0303, length 2; section 6: level fatal(2).
        let record = [21, 3, 3, 0, 2, 2, description];
        if read_record(&mut tcp).await.is_ok() && tcp.write_all(&record).await.is_ok() {
            close_in_order(tcp).await;
        }
    })
    .await
}

/// Completes the handshake, sends `after` bytes of application data, then closes the TCP connection without the
/// close_notify alert that would have said that this was all (RFC 8446 section 6.1): a truncation.
pub async fn truncating(
    certificate: &TestCertificate,
    options: &ServerOptions,
    after: usize,
) -> io::Result<TestServer> {
    after_sending(certificate, options, after, |tls| async {
        close_in_order(tls.into_inner().0).await;
    })
    .await
}

/// Completes the handshake, sends `after` bytes of application data, then resets the TCP connection (RST). The peer may
/// see the reset before it has read all of them.
pub async fn resetting(certificate: &TestCertificate, options: &ServerOptions, after: usize) -> io::Result<TestServer> {
    after_sending(certificate, options, after, |tls| async move {
        // Closing a socket whose linger time is zero sends RST instead of FIN. That it cannot be set on a socket which
        // the peer has closed already does no harm.
        let _ = tls.get_ref().0.set_zero_linger();
    })
    .await
}

/// Alert descriptions (RFC 8446 section 6) for [`fatal_alert`].
pub mod alert {
    /// No common set of parameters.
    pub const HANDSHAKE_FAILURE: u8 = 40;
    /// The certificate shown is bad in some way.
    pub const BAD_CERTIFICATE: u8 = 42;
    /// The certificate shown has expired.
    pub const CERTIFICATE_EXPIRED: u8 = 45;
    /// The authority that issued the certificate shown is not known.
    pub const UNKNOWN_CA: u8 = 48;
    /// The certificate is valid, but access is denied.
    pub const ACCESS_DENIED: u8 = 49;
    /// No common protocol version.
    pub const PROTOCOL_VERSION: u8 = 70;
    /// Something unrelated to the peer went wrong.
    pub const INTERNAL_ERROR: u8 = 80;
    /// No server of the name in the SNI.
    pub const UNRECOGNIZED_NAME: u8 = 112;
    /// A client certificate is needed and none was shown (TLS 1.3).
    pub const CERTIFICATE_REQUIRED: u8 = 116;
    /// No common application protocol.
    pub const NO_APPLICATION_PROTOCOL: u8 = 120;
}

async fn after_sending<E, F>(
    certificate: &TestCertificate,
    options: &ServerOptions,
    after: usize,
    end: E,
) -> io::Result<TestServer>
where
    E: Fn(TlsStream<TcpStream>) -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(server_config(certificate, options).map_err(io::Error::other)?);
    TestServer::start(move |tcp, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(tcp).await else {
                return;
            };
            if tls.write_all(&vec![b'x'; after]).await.is_ok() && tls.flush().await.is_ok() {
                end(tls).await;
            }
        }
    })
    .await
}

/// Reads one TLS record (RFC 8446 section 5.1) and throws it away.
async fn read_record(tcp: &mut TcpStream) -> io::Result<()> {
    let mut type_and_version = [0; 3];
    tcp.read_exact(&mut type_and_version).await?;
    let length = tcp.read_u16().await?;
    tcp.read_exact(&mut vec![0; length.into()]).await?;
    Ok(())
}

/// Sends FIN, then waits for the peer's: closing a socket with unread data would send RST, and the peer could lose what
/// was sent before.
pub(crate) async fn close_in_order(mut tcp: TcpStream) {
    if tcp.shutdown().await.is_ok() {
        drain(tcp).await;
    }
}

async fn drain(mut tcp: TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    while matches!(tcp.read(&mut buffer).await, Ok(1..)) {}
}

const HTTP_BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
