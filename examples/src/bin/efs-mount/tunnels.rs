//! The tunnels that the supervisor holds, and for how long.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex as StdMutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use efs_tls::{
    ClientInfo, EfsConfigError, EfsConnector, EfsTunnel, EfsTunnelError, MountHelperConfig, MountHelperConfigError,
    NFS_PORT, ParseError, Probe, ProbeOptions, TunnelSpec,
};
use secure_connector::{Backoff, Roots, RootsError, SocketActivationError, error_chain};
use tokio::{
    sync::{Mutex, OnceCell},
    time::Instant,
};

use crate::{
    credentials,
    listeners::Listeners,
    mount_table::MountsByPort,
    place::our_uid,
    protocol::{Hold, TunnelReport},
    read_ahead,
    state_file::{Record, StateError, StateFile},
};

/// How long a new mount waits for a failure that may pass.
const ADMISSION_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Tunnels {
    held: Mutex<Vec<Arc<Held>>>,
    mounts: StdMutex<MountsByPort>,
    settings: Settings,
    state: StateFile,
}

/// What all tunnels of the host go by.
#[derive(Debug)]
pub(crate) struct Settings {
    listeners: Listeners,
    renew_every: Duration,
    client_info: ClientInfo,
    grace: Duration,
    probe_every: Option<Duration>,
    optimize_readahead: bool,
}

#[derive(Debug)]
struct Held {
    record: Record,
    running: OnceCell<Running>,
    leases: AtomicUsize,
    /// Whether it was ever let in. One that was not is of no use to a mount, and needs no grace.
    admitted: AtomicBool,
    idle_since: StdMutex<Option<Instant>>,
    error: StdMutex<Option<String>>,
}

#[derive(Debug)]
struct Running {
    connector: Arc<EfsConnector>,
    tunnel: EfsTunnel,
}

/// Keeps a tunnel.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Held>);

/// Why there is no tunnel for a mount.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    #[error("port {port} is that of a tunnel to {target}: give another tlsport, or leave it out to share a tunnel")]
    PortHeld { port: u16, target: String },
    #[error("the CA file {}", path.display())]
    Roots { path: PathBuf, source: RootsError },
    #[error("the connector")]
    Connector(#[from] EfsConfigError),
    #[error("the tunnel")]
    Tunnel(#[from] EfsTunnelError),
    #[error("no port of 127.0.0.1: give another tlsport, or widen port_range_lower_bound and port_range_upper_bound")]
    Listen(#[source] io::Error),
    #[error("the state")]
    State(#[from] StateError),
    #[error("{0}")]
    NotAdmitted(Box<Probe>),
}

impl Settings {
    pub(crate) fn of(config: &MountHelperConfig) -> Result<Self, SettingsError> {
        let default = ClientInfo::default();
        let client_info = match config.client_source() {
            Some(source) => ClientInfo::new(source, default.version())?,
            None => default,
        };
        Ok(Self {
            listeners: Listeners::take_over(config.ports()?)?,
            renew_every: config.renewal_interval()?,
            client_info,
            grace: config.unmount_grace()?,
            probe_every: config.health_check_interval()?,
            optimize_readahead: config.optimize_readahead()?,
        })
    }
}

/// Why the configuration cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the configuration file")]
    Config(#[from] MountHelperConfigError),
    #[error("[client-info] source of the configuration file")]
    Source(#[from] ParseError),
    #[error("the listeners of the supervisor before")]
    Listeners(#[from] SocketActivationError),
}

impl Tunnels {
    /// The tunnels of the supervisor before us, on the same ports: the kernel connects again by itself. Those that are not
    /// in use any more end after the time of grace.
    pub(crate) async fn adopt(state: StateFile, settings: Settings) -> Result<Self, StateError> {
        let records = state.read()?;
        settings.listeners.keep(&records.iter().map(|record| record.port).collect::<Vec<_>>());
        let held = records.into_iter().map(|record| Arc::new(Held::recorded(record))).collect();
        let tunnels = Self { held: Mutex::new(held), mounts: StdMutex::default(), settings, state };
        tunnels.start_missing().await;
        Ok(tunnels)
    }

    /// A tunnel for a mount that is about to be made, once the file system lets us in through it.
    pub(crate) async fn hold(&self, request: Hold) -> Result<(Lease, Probe), HoldError> {
        let lease = self.find_or_start(request).await?;
        let admitted = lease.0.admit(&self.settings).await;
        match admitted {
            Ok(probe) => Ok((lease, probe)),
            Err(error) => {
                drop(lease);
                self.sweep().await;
                Err(error)
            }
        }
    }

    async fn find_or_start(&self, request: Hold) -> Result<Lease, HoldError> {
        let mut held = self.held.lock().await;
        if let Some(found) = held.iter().find(|held| held.record.serves(&request)) {
            return Ok(Lease::of(found));
        }
        let taken = request.port.and_then(|port| held.iter().find(|held| held.record.port == port));
        if let Some(Held { record: Record { tunnel, port, .. }, .. }) = taken.map(Arc::as_ref) {
            return Err(HoldError::PortHeld { port: *port, target: tunnel.target.to_string() });
        }
        let Hold { tunnel, port, only_for, .. } = request;
        let listeners = &self.settings.listeners;
        let port = listeners.open(port).map_err(HoldError::Listen)?;
        let new = Arc::new(Held::unused(Record { tunnel, port, only_for }));
        held.push(Arc::clone(&new));
        let started = match new.running(&self.settings).await {
            Ok(_) => self.record(&held),
            Err(error) => Err(error),
        };
        if let Err(error) = started {
            held.pop();
            listeners.close(port);
            return Err(error);
        }
        tracing::info!(target = %new.record.tunnel.target, port, "tunnel opened");
        Ok(Lease::of(&new))
    }

    fn record(&self, held: &[Arc<Held>]) -> Result<(), HoldError> {
        Ok(self.state.write(held.iter().map(|held| held.record.clone()).collect())?)
    }

    /// What is mounted now.
    pub(crate) async fn set_mounts(&self, mounts: MountsByPort) {
        let before = std::mem::replace(&mut *locked(&self.mounts), mounts.clone());
        if !self.settings.optimize_readahead {
            return;
        }
        for held in self.held.lock().await.iter() {
            let of_port = |mounts: &MountsByPort| mounts.get(&held.record.port).cloned().unwrap_or_default();
            let known = of_port(&before);
            for mounted in of_port(&mounts).iter().filter(|mounted| !known.contains(mounted)) {
                if let Err(error) = read_ahead::raise(mounted, Path::new(read_ahead::BDI)) {
                    tracing::warn!(%error, mount = mounted.at, "the read-ahead stays as it is");
                }
            }
        }
    }

    /// Starts what is recorded and does not run.
    pub(crate) async fn start_missing(&self) {
        let held = self.held.lock().await.clone();
        for held in held.iter().filter(|held| !held.running.initialized()) {
            if let Err(error) = held.running(&self.settings).await {
                let error = error_chain(&error);
                tracing::error!(port = held.record.port, %error, "the tunnel of a mount does not run; tried again");
            }
        }
    }

    /// Ends the tunnels that nobody has used for the time of grace: no mount that we see, no connection (a lazy unmount, a
    /// mount in another namespace), no mount in the making.
    pub(crate) async fn sweep(&self) {
        let mut held = self.held.lock().await;
        let (before, now) = (held.len(), Instant::now());
        let mounts = locked(&self.mounts).clone();
        held.retain(|held| {
            let in_use = mounts.contains_key(&held.record.port) || held.is_connected_or_leased();
            let keep = held.is_kept(in_use, now, self.settings.grace);
            if !keep {
                self.settings.listeners.close(held.record.port);
                tracing::info!(target = %held.record.tunnel.target, port = held.record.port, "tunnel closed");
            }
            keep
        });
        if held.len() == before {
            return;
        }
        if let Err(error) = self.record(&held) {
            // The next supervisor opens tunnels too many, and closes them again.
            tracing::warn!(error = %error_chain(&error), "the state is not recorded");
        }
    }

    pub(crate) async fn report(&self) -> Vec<TunnelReport> {
        let mounts = locked(&self.mounts).clone();
        let at = |port: u16| mounts.get(&port).into_iter().flatten().map(|mounted| mounted.at.clone()).collect();
        let held = self.held.lock().await.clone();
        let report = |held: &Arc<Held>| TunnelReport {
            tunnel: held.record.tunnel.clone(),
            port: held.record.port,
            only_for: held.record.only_for.clone(),
            mounts: at(held.record.port),
            leases: held.leases.load(Relaxed),
            error: locked(&held.error).clone(),
            status: held.running.get().map(|running| serde_json::json!(running.tunnel.status())),
        };
        held.iter().map(report).collect()
    }
}

impl Record {
    fn serves(&self, request: &Hold) -> bool {
        self.tunnel == request.tunnel
            && self.only_for == request.only_for
            && request.port.is_none_or(|port| port == self.port)
    }
}

impl Held {
    fn unused(record: Record) -> Self {
        Self {
            record,
            running: OnceCell::new(),
            leases: AtomicUsize::new(0),
            admitted: AtomicBool::new(false),
            idle_since: StdMutex::new(None),
            error: StdMutex::new(None),
        }
    }

    fn recorded(record: Record) -> Self {
        Self { admitted: AtomicBool::new(true), ..Self::unused(record) }
    }

    async fn running(&self, settings: &Settings) -> Result<&Running, HoldError> {
        let started = self.running.get_or_try_init(|| settings.start(&self.record.tunnel, self.record.port)).await;
        *locked(&self.error) = started.as_ref().err().map(|error| error_chain(error));
        started
    }

    async fn admit(&self, settings: &Settings) -> Result<Probe, HoldError> {
        let probe = admission(&self.running(settings).await?.connector).await;
        if !probe.outcome.is_admitted() {
            return Err(HoldError::NotAdmitted(Box::new(probe)));
        }
        self.admitted.store(true, Relaxed);
        Ok(probe)
    }

    fn is_connected_or_leased(&self) -> bool {
        self.leases.load(Relaxed) > 0
            || self.running.get().is_some_and(|running| running.tunnel.tunnel().status().active > 0)
    }

    fn is_kept(&self, in_use: bool, now: Instant, grace: Duration) -> bool {
        let mut idle_since = locked(&self.idle_since);
        if in_use {
            *idle_since = None;
            return true;
        }
        let idle = now.duration_since(*idle_since.get_or_insert(now));
        self.admitted.load(Relaxed) && idle < grace
    }
}

impl Lease {
    fn of(held: &Arc<Held>) -> Self {
        held.leases.fetch_add(1, Relaxed);
        Self(Arc::clone(held))
    }

    /// Of 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.0.record.port
    }

    pub(crate) fn access_key_id(&self) -> Option<String> {
        self.0.running.get()?.connector.renewal().borrow().access_key_id.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.leases.fetch_sub(1, Relaxed);
    }
}

impl Settings {
    async fn start(&self, spec: &TunnelSpec, port: u16) -> Result<Running, HoldError> {
        // First, so that the port is ours whatever comes next.
        let listener = self.listeners.at(port).map_err(HoldError::Listen)?;
        let connector = Arc::new(self.connector(spec).await?);
        let mut tunnel = EfsTunnel::builder(Arc::clone(&connector)).listener(listener);
        if let Some(interval) = self.probe_every {
            tunnel = tunnel.probe_every(interval);
        }
        // The kernel's NFS client counts as root. Any other user would act with the mount's identity.
        let tunnel = tunnel.configure(|tunnel| tunnel.allow_uids([0, our_uid()])).start().await?;
        Ok(Running { connector, tunnel })
    }

    async fn connector(&self, spec: &TunnelSpec) -> Result<EfsConnector, HoldError> {
        let mut connector = match &spec.credentials {
            Some(source) => {
                EfsConnector::iam(spec.target.clone(), credentials::provider(source, spec.target.region()).await)
            }
            None => EfsConnector::anonymous(spec.target.clone()),
        };
        if let Some(access_point) = &spec.access_point {
            connector = connector.access_point(access_point.clone());
        }
        if let Some(ip) = spec.mount_target_ip {
            connector = connector.mount_target_address(SocketAddr::new(ip, NFS_PORT));
        }
        if let Some(path) = &spec.ca_file {
            let roots = Roots::from_file(path);
            connector = connector.roots(roots.map_err(|source| HoldError::Roots { path: path.clone(), source })?);
        }
        let connector = connector.renew_every(self.renew_every).client_info(self.client_info.clone());
        Ok(connector.build().await?)
    }
}

/// The last probe: the first one that is final, or the one after which there is no time left.
async fn admission(connector: &EfsConnector) -> Probe {
    let pause = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
    let end = Instant::now() + ADMISSION_LIMIT;
    let mut failures = 0;
    loop {
        // A mount is root's.
        let probe = connector.probe_with(&ProbeOptions::default().user(0, 0)).await;
        let delay = pause.delay(failures);
        if !probe.outcome.is_retryable() || Instant::now() + delay > end {
            return probe;
        }
        tracing::info!(target = %connector.target(), outcome = %probe.outcome, "not let in yet");
        tokio::time::sleep(delay).await;
        failures += 1;
    }
}

fn locked<T>(value: &StdMutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
