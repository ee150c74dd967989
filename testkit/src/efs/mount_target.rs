//! The mount target: TLS, the client's certificate, and NFS behind it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{AdmissionRules, Claims, Verdict};
use crate::listener::FREE_LOOPBACK_PORT;
use crate::nfs::{Denial, InMemoryNfs};
use crate::rustls_config::server_config;
use crate::{ClientAuth, SeenConnection, ServerOptions, TestCertificate, TestPki, TestServer};

/// An Amazon EFS mount target on the loopback interface.
///
/// It shows the certificate of `*.efs.REGION.amazonaws.com`, asks for a client certificate without naming an authority, and
/// takes every one whose key the client holds: as with the real service, the handshake succeeds and a refusal arrives as
/// an NFS reply. Then the [`AdmissionRules`] judge. Those admitted reach the backend, or the files in memory; to the
/// others NFS answers `NFS4ERR_ACCESS`. A resumed session is judged again, by the certificate of its first handshake.
///
/// Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct FakeMountTarget {
    server: TestServer,
    counters: Arc<Mutex<Counters>>,
    events: tokio::sync::Mutex<UnboundedReceiver<io::Result<ConnectionEvent>>>,
}

impl FakeMountTarget {
    /// Begins a mount target with these rules.
    pub fn builder(rules: AdmissionRules) -> MountTargetBuilder {
        MountTargetBuilder {
            certificate_name: format!("*.efs.{}.amazonaws.com", rules.region),
            rules,
            tls: ServerOptions::default(),
            listen: FREE_LOOPBACK_PORT,
            service: Service { files: InMemoryNfs::default(), backend: None, denial: Denial::default() },
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next handshake to end and says what came of it, in the order in which they ended. Cancel-safe.
    ///
    /// # Errors
    /// The handshake failed; the [`rustls::Error`] is inside, if it was not the transport that failed.
    pub async fn next_event(&self) -> io::Result<ConnectionEvent> {
        let event = self.events.lock().await.recv().await;
        event.unwrap_or_else(|| Err(io::Error::other("the mount target has ended")))
    }
}

/// A [`FakeMountTarget`] about to be started.
#[derive(Debug)]
#[must_use = "nothing listens before `start`"]
pub struct MountTargetBuilder {
    rules: AdmissionRules,
    certificate_name: String,
    tls: ServerOptions,
    listen: SocketAddr,
    service: Service,
}

impl MountTargetBuilder {
    /// The name in the certificate, for another partition or service. Default: `*.efs.REGION.amazonaws.com`.
    pub fn certificate_name(mut self, name: impl Into<String>) -> Self {
        self.certificate_name = name.into();
        self
    }

    /// Versions and resumption. A client certificate is asked for in any case.
    pub fn tls(mut self, options: ServerOptions) -> Self {
        self.tls = options;
        self
    }

    /// Where to listen. Default: a free port of 127.0.0.1.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// A real NFS server for those admitted, over plain TCP. Default: none, but files in memory.
    pub fn backend(mut self, addr: SocketAddr) -> Self {
        self.service.backend = Some(addr);
        self
    }

    /// The files shown without a backend.
    pub fn files(mut self, files: InMemoryNfs) -> Self {
        self.service.files = files;
        self
    }

    /// Where in the protocol a refused client learns that it is. Default: at its first operation.
    pub fn denial(mut self, denial: Denial) -> Self {
        self.service.denial = denial;
        self
    }

    /// Starts the mount target with a certificate issued by `pki`.
    ///
    /// # Errors
    /// As [`start_with`](Self::start_with), or when the certificate cannot be issued.
    pub async fn start(self, pki: &TestPki) -> io::Result<FakeMountTarget> {
        let certificate = pki.leaf().dns(&self.certificate_name).issue().map_err(io::Error::other)?;
        self.start_with(&certificate).await
    }

    /// Starts the mount target with a certificate of your own, such as an expired one.
    ///
    /// # Errors
    /// When the port cannot be opened, or the certificate and options make no TLS configuration (a
    /// [`PkiError`](crate::PkiError) inside).
    pub async fn start_with(self, certificate: &TestCertificate) -> io::Result<FakeMountTarget> {
        let tls = self.tls.client_auth(ClientAuth::RequestAny);
        let acceptor = TlsAcceptor::from(server_config(certificate, &tls).map_err(io::Error::other)?);
        let (report, events) = unbounded_channel();
        let counters = Arc::<Mutex<Counters>>::default();
        let gate = Arc::new(Gate {
            acceptor,
            rules: self.rules,
            service: self.service,
            counters: Arc::clone(&counters),
            report,
        });
        let server = TestServer::start_at(self.listen, move |tcp, peer| {
            let gate = Arc::clone(&gate);
            async move { gate.receive(tcp, peer).await }
        })
        .await?;
        Ok(FakeMountTarget { server, counters, events: tokio::sync::Mutex::new(events) })
    }
}

/// What came of a connection whose handshake completed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionEvent {
    /// The TLS side: peer, SNI, certificates, version, resumed or not.
    pub connection: SeenConnection,
    /// What the client's certificate says, once it is one that an EFS client may have made.
    pub claims: Option<Claims>,
    /// Whether the client was let in.
    pub verdict: Verdict,
}

/// How often what has happened at a mount target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted, with a handshake under way, completed or failed.
    pub connections: u64,
    /// Handshakes completed that were full ones.
    pub full_handshakes: u64,
    /// Handshakes completed that resumed a session.
    pub resumed_handshakes: u64,
    /// Handshakes that failed.
    pub failed_handshakes: u64,
    /// Clients let in.
    pub admitted: u64,
    /// Clients refused after the handshake.
    pub refused: u64,
}

/// What every connection goes through.
struct Gate {
    acceptor: TlsAcceptor,
    rules: AdmissionRules,
    service: Service,
    counters: Arc<Mutex<Counters>>,
    report: UnboundedSender<io::Result<ConnectionEvent>>,
}

impl Gate {
    async fn receive(&self, tcp: TcpStream, peer: SocketAddr) {
        self.count(|counters| counters.connections += 1);
        let accepted = self.acceptor.accept(tcp).await;
        let (tls, connection) = match accepted.and_then(|tls| SeenConnection::of(&tls, peer).map(|seen| (tls, seen))) {
            Ok(accepted) => accepted,
            Err(error) => {
                self.count(|counters| counters.failed_handshakes += 1);
                tracing::debug!(%peer, %error, "handshake failed");
                return self.report(Err(error));
            }
        };
        let judgement = self.rules.judge(&connection.client_chain);
        tracing::debug!(%peer, resumed = connection.resumed, verdict = ?judgement.verdict, "handshake completed");
        self.count(|counters| {
            match connection.resumed {
                true => counters.resumed_handshakes += 1,
                false => counters.full_handshakes += 1,
            }
            match judgement.verdict {
                Verdict::Admitted(_) => counters.admitted += 1,
                Verdict::Refused(_) => counters.refused += 1,
            }
        });
        let admitted = matches!(judgement.verdict, Verdict::Admitted(_));
        self.report(Ok(ConnectionEvent { connection, claims: judgement.claims, verdict: judgement.verdict }));
        let served = if admitted { self.service.serve(tls).await } else { self.service.deny(tls).await };
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn report(&self, event: io::Result<ConnectionEvent>) {
        // Fails only when the handle is gone, and then nobody asks.
        let _ = self.report.send(event);
    }
}

/// What is behind the gate.
#[derive(Debug)]
struct Service {
    files: InMemoryNfs,
    backend: Option<SocketAddr>,
    denial: Denial,
}

impl Service {
    async fn serve(&self, mut tls: TlsStream<TcpStream>) -> io::Result<()> {
        let Some(backend) = self.backend else {
            return self.files.serve(tls).await;
        };
        let mut backend = TcpStream::connect(backend).await?;
        copy_bidirectional(&mut tls, &mut backend).await.map(drop)
    }

    async fn deny(&self, tls: TlsStream<TcpStream>) -> io::Result<()> {
        self.files.deny(tls, self.denial).await
    }
}
