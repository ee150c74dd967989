//! One service: a connector, and a local listener in front of it.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use secure_connector::{
    ConfigError, IdleTimeout, Listen, LocalAddr, PeerVerifier, PemFiles, PinError, Roots, Sni, SpkiPin, SystemResolver,
    TcpOptions, Timeouts, TlsConnector, TlsVersion, Tunnel, TunnelBuilder, VerifiedName,
};

use super::{StunnelError, StunnelTarget, listener, settings::At, targets, values::Order};

/// A service of a [`StunnelConfig`](super::StunnelConfig): a TLS client, and the local address that leads to it.
#[derive(Clone, Debug)]
pub struct StunnelService {
    pub(super) name: String,
    pub(super) accept: At<LocalAddr>,
    pub(super) remote_clients: bool,
    pub(super) device: Option<String>,
    pub(super) reuse_address: bool,
    /// At least one.
    pub(super) connect: Vec<StunnelTarget>,
    pub(super) order: Order,
    pub(super) retry: bool,
    pub(super) keepalive: bool,
    pub(super) peer: Peer,
    pub(super) sni: Sni,
    pub(super) certificate: Option<ClientCertificate>,
    pub(super) versions: (TlsVersion, TlsVersion),
    pub(super) timeouts: Timeouts,
    pub(super) idle_timeout: Duration,
    pub(super) close_timeout: Duration,
}

/// What the peer has to prove.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// A chain to `ca_file`, and a certificate for one of `names`, if there are any; `pinned`: one that is in `ca_file`.
    Chain { ca_file: At<PathBuf>, names: Vec<VerifiedName>, pinned: bool },
    /// The key of a certificate in `ca_file`.
    Key { ca_file: At<PathBuf> },
    /// Nothing.
    Anybody,
}

/// The files of `cert` and `key`.
#[derive(Clone, Debug)]
pub(super) struct ClientCertificate {
    pub(super) line: usize,
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

impl StunnelService {
    /// The name of the section.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `accept`.
    pub fn accept(&self) -> &LocalAddr {
        &self.accept.value
    }

    /// The network device that the listener is bound to: `socket = a:SO_BINDTODEVICE=…`.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// `connect`, in order. There is at least one.
    pub fn targets(&self) -> &[StunnelTarget] {
        &self.connect
    }

    /// `checkHost` and `checkIP`: the peer's certificate has to be for one of them.
    pub fn verified_names(&self) -> &[VerifiedName] {
        match &self.peer {
            Peer::Chain { names, .. } => names,
            Peer::Key { .. } | Peer::Anybody => &[],
        }
    }

    /// `CAfile`, if the peer is verified at all.
    pub fn ca_file(&self) -> Option<&Path> {
        match &self.peer {
            Peer::Chain { ca_file, .. } | Peer::Key { ca_file } => Some(&ca_file.value),
            Peer::Anybody => None,
        }
    }

    /// What is sent as server name: a name or nothing.
    pub fn sni(&self) -> &Sni {
        &self.sni
    }

    /// The files of the client certificate and its key: `cert` and `key`.
    pub fn client_certificate(&self) -> Option<(&Path, &Path)> {
        self.certificate.as_ref().map(|files| (files.cert.as_path(), files.key.as_path()))
    }

    /// The TLS versions that are spoken: `sslVersion`, `sslVersionMin` and `sslVersionMax`.
    pub fn versions(&self) -> RangeInclusive<TlsVersion> {
        self.versions.0..=self.versions.1
    }

    /// The deadlines of a connection attempt: `TIMEOUTconnect` for TCP, `TIMEOUTbusy` for TLS.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// `TIMEOUTidle`: both sides of a connection that has been quiet for this long are reset.
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// `TIMEOUTclose`: how long a connection that one side has finished waits for the other to say something.
    pub fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// The TLS client. Reads the files of the service; the certificate and its key are read again when they change.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StunnelError::CaFile`], [`StunnelError::PinFile`], [`StunnelError::Identity`], [`StunnelError::Tls`].
    pub async fn connector(&self) -> Result<TlsConnector, StunnelError> {
        let dial = targets::dial(&self.connect, self.order, Arc::new(SystemResolver));
        let mut tcp = TcpOptions::default();
        if !self.keepalive {
            tcp = tcp.with_keepalive(None);
        }
        let mut builder = TlsConnector::builder(dial, self.verifier()?)
            .sni(self.sni.clone())
            .minimum_version(self.versions.0)
            .maximum_version(self.versions.1)
            .timeouts(self.timeouts)
            .tcp_options(tcp);
        if let Some(ClientCertificate { line, cert, key }) = &self.certificate {
            let files = PemFiles::open(cert, key, PemFiles::DEFAULT_INTERVAL).await;
            builder = builder.identity(files.map_err(|source| StunnelError::Identity { line: *line, source })?);
        }
        builder.build().map_err(|source| self.refused(source))
    }

    /// Opens the listener of `accept`. A TCP listener is [`Listen::Bound`], so that a copy of it can be kept for the
    /// tunnel of a later version of the configuration.
    ///
    /// # Errors
    /// [`StunnelError::Listen`].
    pub fn listen(&self) -> Result<Listen, StunnelError> {
        let Some(address) = self.accept.value.tcp() else {
            return Ok(Listen::Unix(self.accept.value.unix().map(Path::to_owned).unwrap_or_default()));
        };
        let opened = listener::open(address, self.reuse_address, self.device());
        opened.map(Listen::Bound).map_err(|source| StunnelError::Listen {
            line: self.accept.line,
            address: self.accept.value.clone(),
            device: self.device.clone(),
            source,
        })
    }

    /// The tunnel from `listener` to [`connector`](Self::connector).
    ///
    /// # Errors
    /// As [`connector`](Self::connector).
    pub async fn tunnel_on(&self, listener: Listen) -> Result<TunnelBuilder<TlsConnector>, StunnelError> {
        let tunnel = Tunnel::builder(self.connector().await?)
            .listen(listener)
            .hold(if self.retry { HOLD } else { Duration::ZERO })
            .idle_timeout(IdleTimeout::After(self.idle_timeout))
            .close_timeout(IdleTimeout::After(self.close_timeout));
        Ok(if self.remote_clients { tunnel.danger_accept_remote_clients() } else { tunnel })
    }

    /// The tunnel from [`listen`](Self::listen) to [`connector`](Self::connector).
    ///
    /// # Errors
    /// As those two.
    pub async fn tunnel(&self) -> Result<TunnelBuilder<TlsConnector>, StunnelError> {
        self.tunnel_on(self.listen()?).await
    }

    fn refused(&self, source: ConfigError) -> StunnelError {
        StunnelError::Tls { service: self.name.clone(), source }
    }

    fn verifier(&self) -> Result<PeerVerifier, StunnelError> {
        let refused = |source| self.refused(source);
        match &self.peer {
            Peer::Chain { ca_file, names, pinned } => {
                let roots = Roots::from_file(&ca_file.value)
                    .map_err(|source| StunnelError::CaFile { line: ca_file.line, source })?;
                let verifier = match names.as_slice() {
                    [] => PeerVerifier::danger_accept_any_name(roots),
                    names => PeerVerifier::check_host(roots, names.to_vec()).map_err(refused)?,
                };
                if *pinned { verifier.also_pinned(pins(ca_file)?).map_err(refused) } else { Ok(verifier) }
            }
            Peer::Key { ca_file } => PeerVerifier::pinned(pins(ca_file)?).map_err(refused),
            Peer::Anybody => Ok(PeerVerifier::danger_accept_any_certificate()),
        }
    }
}

/// How long a local connection is held with `retry = yes`.
const HOLD: Duration = Duration::from_secs(30);

/// The keys of all certificates of a file. stunnel compares certificates of the peer's subject only, which a key does
/// not need: nobody else has it.
fn pins(At { line, value: path }: &At<PathBuf>) -> Result<Vec<SpkiPin>, StunnelError> {
    let unusable = |source| StunnelError::PinFile { line: *line, source };
    let file = fs::read(path).map_err(|e| unusable(PinError::Certificate(e.into())))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&file)
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(PinError::Certificate(e.into())))?;
    let pins: Result<Vec<_>, _> = match certificates.as_slice() {
        // DER, or nothing of the kind.
        [] => SpkiPin::of_certificate(&file).map(|pin| vec![pin]),
        certificates => certificates.iter().map(|der| SpkiPin::of_certificate(der)).collect(),
    };
    pins.map_err(unusable)
}
