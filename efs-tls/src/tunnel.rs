//! A local port for the kernel's NFS client.

mod export;
mod health;

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use secure_connector::{Listen, Tunnel, TunnelBuilder, TunnelError, TunnelStatus};
use tokio::sync::watch;

pub use self::health::EfsTunnelHealth;
use self::health::Prober;
use crate::{EfsConnector, NfsMountOptions, NfsOption, RenewalStatus};

/// A [`Tunnel`] to an EFS file system, with what is needed to mount it.
///
/// Any number of NFS connections (`nconnect`) and mounts may share one tunnel; it admits whoever reaches the local port on
/// this host, with the connector's identity. Where only the kernel's NFS client should, which counts as root,
/// `configure(|tunnel| tunnel.allow_uids([0]))` says so.
///
/// ```
/// use efs_tls::{EfsConnector, EfsTunnel, MountTargetName};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let target = MountTargetName::regional("fs-0123456789abcdef0".parse()?, "us-east-1".parse()?);
/// let tunnel = EfsTunnel::builder(EfsConnector::anonymous(target).build().await?).start().await?;
/// println!("{}", tunnel.mount_command("/mnt/efs"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EfsTunnel {
    tunnel: Tunnel,
    port: u16,
    options: Vec<NfsOption>,
    renewal: watch::Receiver<RenewalStatus>,
    prober: Prober,
}

/// Builds an [`EfsTunnel`].
#[derive(Debug)]
#[must_use = "a tunnel does nothing until it is started"]
pub struct EfsTunnelBuilder {
    connector: Arc<EfsConnector>,
    tunnel: TunnelBuilder<Arc<EfsConnector>>,
    probe_every: Option<Duration>,
    port: Port,
    options: Vec<NfsOption>,
    renewal: watch::Receiver<RenewalStatus>,
}

/// The state of an [`EfsTunnel`].
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct EfsTunnelStatus {
    /// Connections and bytes.
    pub tunnel: TunnelStatus,
    /// The client certificate.
    pub renewal: RenewalStatus,
    /// What the latest probe found; `None` before the end of the first, and without
    /// [`probe_every`](EfsTunnelBuilder::probe_every).
    pub health: Option<EfsTunnelHealth>,
}

/// Why an [`EfsTunnel`] cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EfsTunnelError {
    /// Every port of the range is taken.
    #[error("no free port in {}..={}: end a tunnel, or give a port or a wider range", range.start(), range.end())]
    NoFreePort {
        /// The range.
        range: RangeInclusive<u16>,
        /// The last refusal.
        source: io::Error,
    },
    /// The listener cannot be opened.
    #[error("the local listener")]
    Tunnel(#[from] TunnelError),
}

impl EfsTunnel {
    /// The ports from which the EFS mount helper takes one.
    pub const PORTS: RangeInclusive<u16> = 20049..=21048;

    /// A tunnel over `connector`.
    pub fn builder(connector: impl Into<Arc<EfsConnector>>) -> EfsTunnelBuilder {
        let connector = connector.into();
        EfsTunnelBuilder {
            renewal: connector.renewal(),
            tunnel: Tunnel::builder(connector.clone()),
            connector,
            probe_every: None,
            port: Port::AnyOf(Self::PORTS),
            options: Vec::new(),
        }
    }

    /// The local port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The options to mount with.
    pub fn mount_options(&self) -> NfsMountOptions {
        self.options.iter().cloned().fold(NfsMountOptions::new(self.port), NfsMountOptions::with)
    }

    /// The command that mounts the file system, or the access point, at `mount_point`; to be run as root.
    pub fn mount_command(&self, mount_point: &str) -> String {
        self.mount_options().mount_command(mount_point)
    }

    /// Counters, the state of the client certificate and the health, at this moment.
    pub fn status(&self) -> EfsTunnelStatus {
        EfsTunnelStatus {
            tunnel: self.tunnel.status(),
            renewal: self.renewal.borrow().clone(),
            health: self.prober.health.borrow().clone(),
        }
    }

    /// The client certificate's renewal, now and whenever it changes.
    pub fn renewal(&self) -> watch::Receiver<RenewalStatus> {
        self.renewal.clone()
    }

    /// What the latest probe found, now and after every probe; always `None` without
    /// [`probe_every`](EfsTunnelBuilder::probe_every).
    pub fn health(&self) -> watch::Receiver<Option<EfsTunnelHealth>> {
        self.prober.health.clone()
    }

    /// The tunnel underneath: its connections, events and drain.
    pub fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// Closes the listener, lets connections finish for up to `limit`, resets the rest and returns how many these were.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.tunnel.drain(limit).await
    }
}

impl EfsTunnelBuilder {
    /// Listens on this port of 127.0.0.1: the mount option `tlsport`. Default: a free one of [`EfsTunnel::PORTS`].
    pub fn port(mut self, port: u16) -> Self {
        self.port = Port::Given(port);
        self
    }

    /// Listens on a free port of this range.
    pub fn ports(mut self, range: RangeInclusive<u16>) -> Self {
        self.port = Port::AnyOf(range);
        self
    }

    /// Takes over a listener that is open already, so that a mount outlives this process; see
    /// [replacing the process](Tunnel#replacing-the-process).
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.port = Port::Open(listener);
        self
    }

    /// Adds an NFS mount option.
    pub fn mount_option(mut self, option: NfsOption) -> Self {
        self.options.push(option);
        self
    }

    /// Asks the file system at this interval, at least a second, and for the first time at once, whether it lets us in, as
    /// root: [`EfsTunnelStatus::health`]. Default: never.
    ///
    /// Each time is a connection of its own, with an event of its own in CloudTrail.
    pub fn probe_every(mut self, interval: Duration) -> Self {
        self.probe_every = Some(interval);
        self
    }

    /// Changes what the [`Tunnel`] underneath goes by: hold, idle timeout, limits.
    pub fn configure(
        mut self,
        change: impl FnOnce(TunnelBuilder<Arc<EfsConnector>>) -> TunnelBuilder<Arc<EfsConnector>>,
    ) -> Self {
        self.tunnel = change(self.tunnel);
        self
    }

    /// Opens the local port and starts to accept.
    ///
    /// # Errors
    /// [`EfsTunnelError`].
    pub async fn start(self) -> Result<EfsTunnel, EfsTunnelError> {
        let listen = match self.port {
            Port::Given(port) => Listen::Tcp((Ipv4Addr::LOCALHOST, port).into()),
            Port::AnyOf(range) => Listen::Bound(free_port(range)?),
            Port::Open(listener) => Listen::Bound(listener),
        };
        let tunnel = self.tunnel.listen(listen).start().await?;
        let port = tunnel.local_addr().tcp().map_or(0, |address| address.port());
        let prober = Prober::start(self.connector, self.probe_every);
        Ok(EfsTunnel { tunnel, port, options: self.options, renewal: self.renewal, prober })
    }
}

#[derive(Debug)]
enum Port {
    Given(u16),
    AnyOf(RangeInclusive<u16>),
    Open(TcpListener),
}

/// Tries every port of the range, in an order that differs between processes, so that many that start together do not
/// run into each other port by port.
fn free_port(range: RangeInclusive<u16>) -> Result<TcpListener, EfsTunnelError> {
    let mut ports: Vec<u16> = range.clone().collect();
    fastrand::shuffle(&mut ports);
    let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "the range is empty");
    for port in ports {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(EfsTunnelError::NoFreePort { range, source: refused })
}
