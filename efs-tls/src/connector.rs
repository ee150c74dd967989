//! One file system of Amazon EFS, reached over TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use secure_connector::{
    Clock, ConfigError, ConnectError, Dial, IdentitySource, NameError, PeerVerifier, PostQuantum, Roots,
    SecureConnector, SecureTransport, Sni, Socket, SystemClock, TcpOptions, Timeouts, TlsConnector, TlsStream,
    TlsVersion,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use crate::{
    AccessPointId, CertificateRequest, ClientInfo, ClientKey, CommonName, EfsIdentity, KeyError, MountTargetName,
    MountTargets, Probe, ProbeOptions, RenewalStatus,
    mount_targets::Failover,
    probe::{Comparison, probe_connector},
};

/// The port of NFS, which mount targets serve with TLS.
pub const NFS_PORT: u16 = 2049;

/// Connections to the mount target of one file system: TLS as the EFS mount helper does it, in process.
///
/// - The certificate has to be for [`MountTargetName::verified_name`], the name without the availability zone, whatever
///   address is dialled; the same name is sent as SNI.
/// - The trust anchors are the four Amazon roots, as in the mount helper's CA file.
/// - The client certificate is an [`EfsIdentity`], renewed for as long as the connector lives.
///
/// A policy that does not admit us does not fail the connection: the handshake succeeds, and the NFS requests over the
/// stream are answered with an access error. [`probe`](EfsConnector::probe) finds out.
///
/// ```
/// use aws_credential_types::Credentials;
/// use efs_tls::{EfsConnector, MountTargetName};
/// use secure_connector::{SecureConnector, SecureStream};
///
/// # async fn example(credentials: Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// let target = MountTargetName::regional("fs-0123456789abcdef0".parse()?, "us-east-1".parse()?);
/// let connector = EfsConnector::iam(target, credentials).access_point("fsap-0123456789abcdef0".parse()?).build().await?;
/// let nfs = connector.connect().await?;
/// println!("{}", nfs.report());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EfsConnector {
    target: MountTargetName,
    tls: TlsConnector,
    identity: EfsIdentity,
    mount_targets: Option<Failover>,
    pub(crate) comparison: Option<Comparison>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Builds an [`EfsConnector`].
#[derive(Debug)]
#[must_use]
pub struct EfsConnectorBuilder {
    target: MountTargetName,
    credentials: Option<SharedCredentialsProvider>,
    access_point: Option<AccessPointId>,
    dial: Option<Dial>,
    mount_targets: Option<MountTargets>,
    roots: Roots,
    key: Option<Arc<ClientKey>>,
    common_name: CommonName,
    client_info: ClientInfo,
    renew_every: Duration,
    minimum: TlsVersion,
    maximum: TlsVersion,
    post_quantum: PostQuantum,
    timeouts: Timeouts,
    tcp: TcpOptions,
    clock: Arc<dyn Clock>,
}

/// Why an [`EfsConnector`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EfsConfigError {
    /// The TLS configuration.
    #[error("the TLS configuration")]
    Tls(#[from] ConfigError),
    /// The private key.
    #[error("the private key of the client certificate")]
    Key(#[from] KeyError),
}

impl EfsConnector {
    /// A client that authenticates to IAM: the mount option `iam`.
    pub fn iam(target: MountTargetName, credentials: impl ProvideCredentials + 'static) -> EfsConnectorBuilder {
        EfsConnectorBuilder::new(target, Some(SharedCredentialsProvider::new(credentials)))
    }

    /// A client without credentials: admitted only where the file-system policy, or the lack of one, admits anybody.
    pub fn anonymous(target: MountTargetName) -> EfsConnectorBuilder {
        EfsConnectorBuilder::new(target, None)
    }

    /// The mount target.
    pub fn target(&self) -> &MountTargetName {
        &self.target
    }

    /// The client certificate's renewal, now and whenever it changes.
    pub fn renewal(&self) -> watch::Receiver<RenewalStatus> {
        self.identity.status()
    }

    /// The identity, for other connectors to the same file system.
    pub fn identity(&self) -> &EfsIdentity {
        &self.identity
    }

    /// Finds out whether the file system lets us in, and if not, what stands in the way, with the default
    /// [`ProbeOptions`].
    ///
    /// Connects once as [`connect`](SecureConnector::connect) does. When NFS denies access through an access point, connects
    /// once more with a certificate that leaves it out: being let in then shows that the access point is the reason.
    pub async fn probe(&self) -> Probe {
        self.probe_with(&ProbeOptions::default()).await
    }

    /// As [`probe`](Self::probe), for another user or with another limit.
    pub async fn probe_with(&self, options: &ProbeOptions) -> Probe {
        probe_connector(self, options).await
    }

    /// With the identity as it is: a probe tells what is wrong with it.
    pub(crate) async fn connect_as_we_are(&self) -> Result<TlsStream<Socket>, ConnectError> {
        match &self.mount_targets {
            Some(targets) => targets.connect(&self.tls, self.identity.subscribe()).await,
            None => self.tls.connect().await,
        }
    }
}

impl EfsConnectorBuilder {
    fn new(target: MountTargetName, credentials: Option<SharedCredentialsProvider>) -> Self {
        Self {
            target,
            credentials,
            access_point: None,
            dial: None,
            mount_targets: None,
            roots: Roots::amazon(),
            key: None,
            common_name: CommonName::of_this_host(),
            client_info: ClientInfo::default(),
            renew_every: EfsIdentity::DEFAULT_INTERVAL,
            minimum: TlsVersion::Tls12,
            maximum: TlsVersion::Tls13,
            post_quantum: PostQuantum::default(),
            timeouts: Timeouts::default(),
            tcp: TcpOptions::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Enters through an access point: the mount option `accesspoint`.
    pub fn access_point(mut self, access_point: AccessPointId) -> Self {
        self.access_point = Some(access_point);
        self
    }

    /// Dials this address instead of the mount target's name: the mount option `mounttargetip`. The name is verified all
    /// the same.
    pub fn mount_target_address(self, address: SocketAddr) -> Self {
        self.dial(Dial::addresses([address]))
    }

    /// Dials something else than port 2049 of the mount target's name: several addresses, a resolver hook, a bastion. The
    /// name is verified all the same. Takes the place of [`mount_targets`](Self::mount_targets).
    pub fn dial(mut self, dial: Dial) -> Self {
        self.dial = Some(dial);
        self.mount_targets = None;
        self
    }

    /// Chooses among the mount targets of all zones and fails over between them, instead of dialling the mount target's
    /// name. The name is verified all the same. Takes the place of [`dial`](Self::dial).
    pub fn mount_targets(mut self, targets: MountTargets) -> Self {
        self.mount_targets = Some(targets);
        self
    }

    /// The trust anchors. Default: [`Roots::amazon`]; isolated regions have their own CAs, to be given here.
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// The key of the client certificate. Default: one RSA-3072 key for all connectors of the process, made when it is
    /// first needed; without the feature `aws-lc-rs`, a key has to be given.
    pub fn key(mut self, key: Arc<ClientKey>) -> Self {
        self.key = Some(key);
        self
    }

    /// The common name in the client certificate. Default: this host's name.
    pub fn common_name(mut self, common_name: CommonName) -> Self {
        self.common_name = common_name;
        self
    }

    /// What the client certificate says about this software.
    pub fn client_info(mut self, client_info: ClientInfo) -> Self {
        self.client_info = client_info;
        self
    }

    /// The longest time between two client certificates, at most 2 h. Default: 60 min.
    pub fn renew_every(mut self, interval: Duration) -> Self {
        self.renew_every = interval;
        self
    }

    /// The lowest TLS version to accept. Default: 1.2, as the mount helper.
    ///
    /// TLS 1.2 sends the client certificate unencrypted, and with temporary credentials it holds their session token,
    /// which is of no use without the secret access key. The report warns of it
    /// ([`Warning::IdentitySentInClear`](secure_connector::Warning::IdentitySentInClear)); TLS 1.3 encrypts it.
    pub fn minimum_version(mut self, version: TlsVersion) -> Self {
        self.minimum = version;
        self
    }

    /// The highest TLS version to offer. Default: 1.3.
    pub fn maximum_version(mut self, version: TlsVersion) -> Self {
        self.maximum = version;
        self
    }

    /// Whether to offer post-quantum key exchange. Default: yes, where the cryptography library has it.
    pub fn post_quantum(mut self, post_quantum: PostQuantum) -> Self {
        self.post_quantum = post_quantum;
        self
    }

    /// The deadlines of the stages.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Options of the TCP socket.
    pub fn tcp_options(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// The clock that dates our certificate and judges theirs. Default: the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the configuration, makes the key if none was given, and starts the renewal of the client certificate.
    /// Nothing is dialled. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`EfsConfigError`].
    pub async fn build(self) -> Result<EfsConnector, EfsConfigError> {
        let name = self.target.verified_name();
        let named = |e: NameError| EfsConfigError::Tls(e.into());
        let peer = PeerVerifier::check_host(self.roots, [name.parse().map_err(named)?])?;
        let sni = Sni::Name(name.parse().map_err(named)?);
        let key = match self.key {
            Some(key) => key,
            None => ClientKey::of_this_process().await?,
        };
        let request =
            CertificateRequest::new(self.target.file_system().clone(), self.target.region().clone(), self.common_name);
        let request = request.service(self.target.service()).client_info(self.client_info);
        let identity_for = |request| {
            let (key, clock) = (key.clone(), self.clock.clone());
            let identity = match &self.credentials {
                Some(credentials) => EfsIdentity::iam(request, key, credentials.clone()),
                None => EfsIdentity::anonymous(request, key),
            };
            identity.renew_every(self.renew_every).clock(clock)
        };
        let mount_targets =
            self.mount_targets.map(|targets| Failover::new(self.target.clone(), targets, self.timeouts));
        let dial = self.dial.unwrap_or_else(|| Dial::name(self.target.dns_name(), NFS_PORT));
        let tls = TlsConnector::builder(dial, peer)
            .sni(sni)
            .minimum_version(self.minimum)
            .maximum_version(self.maximum)
            .post_quantum(self.post_quantum)
            .timeouts(self.timeouts)
            .tcp_options(self.tcp)
            .clock(self.clock.clone());
        let comparison = self.access_point.clone().map(|access_point| Comparison {
            access_point,
            identity: identity_for(request.clone()),
            tls: tls.clone(),
        });
        let request = match self.access_point {
            Some(access_point) => request.access_point(access_point),
            None => request,
        };
        let identity = identity_for(request).start();
        let tls = tls.identity(IdentitySource::subscribe(&identity)).build()?;
        Ok(EfsConnector { target: self.target, tls, identity, mount_targets, comparison, clock: self.clock })
    }
}

#[async_trait]
impl SecureConnector for EfsConnector {
    type Stream = TlsStream<Socket>;

    async fn connect(&self) -> Result<Self::Stream, ConnectError> {
        self.identity.renew_if_ended(self.clock.now());
        self.connect_as_we_are().await
    }
}

#[async_trait]
impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecureTransport<IO> for EfsConnector {
    type Stream = TlsStream<IO>;

    async fn secure(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        self.tls.secure(io).await
    }
}
