//! The mount target: TLS, the client's certificate, and NFS behind it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

use super::service::Service;
use super::trail::new_client_connection;
use super::{AdmissionRules, Claims, Judgement, Permissions, Refusal, Verdict};
use crate::listener::FREE_LOOPBACK_PORT;
use crate::nfs::{Denial, InMemoryNfs, Rights};
use crate::rustls_config::server_config;
use crate::{ClientAuth, SeenConnection, ServerOptions, TestCertificate, TestPki, TestServer};

/// An Amazon EFS mount target on the loopback interface.
///
/// It shows the certificate of `*.efs.REGION.amazonaws.com`, asks for a client certificate without naming an authority, and
/// takes every one whose key the client holds: as with the real service, the handshake succeeds and a refusal arrives as
/// an NFS reply. Then the [`AdmissionRules`] judge. Those admitted reach the backend, or the files in memory; to the
/// others NFS answers `NFS4ERR_ACCESS`. A resumed session is judged again, by the certificate of its first handshake.
///
/// A client without `ClientWrite` finds a read-only file system, to one without `ClientRootAccess` user 0 is
/// [`NOBODY`](crate::nfs::NOBODY). Unlike EFS it gives an access point no root directory and no user of its own.
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
            plain_nfs: PlainNfs::default(),
            service: Service::default(),
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

    /// Waits for the next handshake to end, or the next connection without one, and says what came of it, in the order in
    /// which they ended. Cancel-safe.
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
    plain_nfs: PlainNfs,
    service: Service,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PlainNfs {
    #[default]
    Off,
    On,
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

    /// Serves NFS without TLS too, on the same port, as the real mount target does. Default: no; what is no TLS fails the
    /// handshake.
    pub fn plain_nfs(mut self) -> Self {
        self.plain_nfs = PlainNfs::On;
        self
    }

    /// A real NFS server, over plain TCP, for those who may do everything. Default: none, but files in memory.
    pub fn backend(self, addr: SocketAddr) -> Self {
        self.backend_for(Rights::default(), addr)
    }

    /// A real NFS server, over plain TCP, for those who have exactly these rights. What passes between client and server is
    /// not looked into: the server itself has to be read-only, or to squash root.
    ///
    /// Clients for whose rights there is no server are refused ([`Refusal::NoBackend`]), unless there is none at all.
    pub fn backend_for(mut self, rights: Rights, addr: SocketAddr) -> Self {
        self.service.backends.push((rights, addr));
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
            plain_nfs: self.plain_nfs,
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

/// What came of a connection whose handshake completed, or that needed none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionEvent {
    /// Peer, and the TLS side: SNI, certificates, version (none for plain NFS), resumed or not.
    pub connection: SeenConnection,
    /// What the client's certificate says, once it is one that an EFS client may have made.
    pub claims: Option<Claims>,
    /// What the client may do; without `mount` it was not let in.
    pub permissions: Permissions,
    /// Whether the client was let in.
    pub verdict: Verdict,
    /// The same as CloudTrail logs it: a `NewClientConnection` event.
    ///
    /// The fields are those of the EFS User Guide's example. Where that has none: `userIdentity` of an anonymous client, or
    /// of one that has not proven who it is, is that of anonymous requests to Amazon S3 (`ANONYMOUS_PRINCIPAL`), and a
    /// refusal adds CloudTrail's `errorCode` `AccessDenied`. `eventID` counts the connections.
    pub cloud_trail: Value,
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
    /// Connections of plain NFS.
    pub plain: u64,
    /// Clients let in.
    pub admitted: u64,
    /// Clients refused by an NFS reply.
    pub refused: u64,
}

/// What every connection goes through.
struct Gate {
    acceptor: TlsAcceptor,
    rules: AdmissionRules,
    plain_nfs: PlainNfs,
    service: Service,
    counters: Arc<Mutex<Counters>>,
    report: UnboundedSender<io::Result<ConnectionEvent>>,
}

impl Gate {
    async fn receive(&self, tcp: TcpStream, peer: SocketAddr) {
        self.count(|counters| counters.connections += 1);
        if self.plain_nfs == PlainNfs::On && is_plain_nfs(&tcp).await {
            self.count(|counters| counters.plain += 1);
            return self.admit(tcp, SeenConnection::plain(peer), self.rules.judge_plain()).await;
        }
        let accepted = self.acceptor.accept(tcp).await;
        let (tls, connection) = match accepted.and_then(|tls| SeenConnection::of(&tls, peer).map(|seen| (tls, seen))) {
            Ok(accepted) => accepted,
            Err(error) => {
                self.count(|counters| counters.failed_handshakes += 1);
                tracing::debug!(%peer, %error, "handshake failed");
                return self.report(Err(error));
            }
        };
        self.count(|counters| match connection.resumed {
            true => counters.resumed_handshakes += 1,
            false => counters.full_handshakes += 1,
        });
        let judgement = self.rules.judge(&connection.client_chain);
        self.admit(tls, connection, judgement).await;
    }

    async fn admit(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        connection: SeenConnection,
        mut judgement: Judgement,
    ) {
        let peer = connection.peer;
        let rights = judgement.permissions.rights();
        let admitted = matches!(judgement.verdict, Verdict::Admitted(_));
        let server = self.service.server_for(rights).filter(|_| admitted);
        if admitted && server.is_none() {
            judgement.verdict = Verdict::Refused(Refusal::NoBackend { rights });
        }
        tracing::debug!(%peer, resumed = connection.resumed, verdict = ?judgement.verdict, "client judged");
        let number = self.count(|counters| {
            match server {
                Some(_) => counters.admitted += 1,
                None => counters.refused += 1,
            }
            counters.admitted + counters.refused
        });
        let now = self.rules.clock.now();
        let cloud_trail = new_client_connection(&self.rules, &judgement, peer, now, number);
        let Judgement { claims, permissions, verdict, .. } = judgement;
        self.report(Ok(ConnectionEvent { connection, claims, permissions, verdict, cloud_trail }));
        let served = match server {
            Some(server) => server.serve(stream).await,
            None => self.service.deny(stream).await,
        };
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    fn count<T>(&self, change: impl FnOnce(&mut Counters) -> T) -> T {
        change(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self, event: io::Result<ConnectionEvent>) {
        // Fails only when the handle is gone, and then nobody asks.
        let _ = self.report.send(event);
    }
}

/// Whether the first byte is that of an RPC record rather than of a TLS one.
async fn is_plain_nfs(tcp: &TcpStream) -> bool {
    /// ContentType handshake (RFC 8446 section 5.1). As the first byte of a record mark (RFC 5531 section 11) it would
    /// begin a fragment of 352 MiB.
    const TLS_HANDSHAKE: u8 = 22;
    let mut first = [TLS_HANDSHAKE];
    matches!(tcp.peek(&mut first).await, Ok(1)) && first != [TLS_HANDSHAKE]
}
