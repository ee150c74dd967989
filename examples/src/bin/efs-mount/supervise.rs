//! The supervisor: answers the mount helper, watches the mount table, and ends tunnels that nobody uses any more.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use secure_connector::error_chain;
use tokio::{
    io::AsyncReadExt,
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
    time::{interval, sleep, timeout},
};

use crate::{
    listeners,
    mount_table::MountTable,
    place::{Place, PlaceError, our_uid},
    protocol::{Reply, Request, our_network, receive, send},
    state_file::{StateError, StateFile},
    tunnels::{Settings, SettingsError, Tunnels},
};

/// Holds the tunnels of this host's mounts: one process, whatever their number.
///
/// Root (or the user it runs as) talks to it through a socket in the state directory, and only the same users may connect to
/// the tunnels' ports. A tunnel ends when it has no mount, no connection and no mount in the making for
/// unmount_grace_period_sec of the configuration ([mount-watchdog], 30). Mounts are those of the mount namespace it runs in.
/// Which tunnel has which port is recorded: a new supervisor goes on with the same ports, and mounts outlive the old one.
///
/// Read from the configuration: port_range_lower_bound, port_range_upper_bound, optimize_readahead,
/// tls_cert_renewal_interval_min, unmount_grace_period_sec, stunnel_health_check_enabled, stunnel_health_check_interval_min,
/// source.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Leaves the session of whoever started it.
    #[arg(long)]
    detach: bool,
}

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuperviseError {
    #[error("the state directory or the configuration")]
    Place(#[from] PlaceError),
    #[error("a supervisor runs already in {}: ask it by the command status", .0.display())]
    RunsAlready(PathBuf),
    #[error("{}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the recorded tunnels")]
    State(#[from] StateError),
    #[error("the mount table, or the signals")]
    Watch(#[from] io::Error),
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), SuperviseError> {
    let Arguments { place, detach } = arguments;
    if detach {
        // Fails only for the leader of a process group, who has left already.
        let _ = rustix::process::setsid();
    }
    place.secure_state_dir()?;
    let _lock = lock(&place)?;
    let settings = Settings::of(&place.read_config()?)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut table = MountTable::open()?;
    let tunnels = Arc::new(Tunnels::adopt(StateFile::in_dir(&place.state_dir), settings).await?);
    tunnels.set_mounts(MountTable::read()?).await;
    let listener = listen(place.socket())?;
    listeners::notify_ready();
    tracing::info!(socket = %place.socket().display(), "supervising");
    tokio::select! {
        error = watch(&mut table, &tunnels) => error?,
        () = accept(&listener, &tunnels) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// One supervisor for each state directory; the lock ends with the process.
fn lock(place: &Place) -> Result<File, SuperviseError> {
    let path = place.state_dir.join("supervisor.lock");
    let io = |source| SuperviseError::Io { path: path.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SuperviseError::RunsAlready(place.state_dir.clone())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// With the lock held, a socket that is there already is nobody's.
fn listen(path: PathBuf) -> Result<UnixListener, SuperviseError> {
    let opened = || {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        // Nobody else gets through the state directory in the meantime.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    opened().map_err(|source| SuperviseError::Io { path: path.clone(), source })
}

/// Follows the mount table, and gives tunnels up whose time of grace is over.
async fn watch(table: &mut MountTable, tunnels: &Tunnels) -> io::Result<()> {
    const RETRY_TICKS: u32 = 5;
    let mut tick = interval(Duration::from_secs(1));
    for ticks in (0..RETRY_TICKS).cycle() {
        tokio::select! {
            changed = table.changed() => {
                changed?;
                tunnels.set_mounts(MountTable::read()?).await;
            }
            _ = tick.tick() => {}
        }
        if ticks == 0 {
            tunnels.start_missing().await;
        }
        tunnels.sweep().await;
    }
    Ok(())
}

async fn accept(listener: &UnixListener, tunnels: &Arc<Tunnels>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let tunnels = Arc::clone(tunnels);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &tunnels).await {
                        tracing::debug!(%error, "a request ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no request can be accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, tunnels: &Tunnels) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if ![0, our_uid()].contains(&uid) {
        let error = format!("user {uid} may not ask this supervisor: be root");
        return send(&mut stream, &Reply::Refused { error }).await;
    }
    let request = timeout(Duration::from_secs(5), receive(&mut stream)).await?;
    let hold = match request {
        Ok(Request::Hold(hold)) => hold,
        Ok(Request::Status) => return send(&mut stream, &Reply::Status { tunnels: tunnels.report().await }).await,
        Err(error) => {
            let error = format!("not a request of this version: {error}");
            return send(&mut stream, &Reply::Refused { error }).await;
        }
    };
    let network = our_network()?;
    if hold.network != network {
        let error = format!(
            "the mount is in the network namespace {}, and the supervisor in {network}: mount from the same, or run a \
             supervisor there with a --state-dir of its own",
            hold.network
        );
        return send(&mut stream, &Reply::Refused { error }).await;
    }
    match tunnels.hold(*hold).await {
        Ok((lease, probe)) => {
            let (found, access_key_id) = (probe.outcome.to_string(), lease.access_key_id());
            send(&mut stream, &Reply::Ready { port: lease.port(), found, access_key_id }).await?;
            // mount.nfs4 inherits the connection, and does not write to it.
            let _ = stream.read(&mut [0]).await;
            drop(lease);
        }
        Err(error) => send(&mut stream, &Reply::Refused { error: error_chain(&error).to_string() }).await?,
    }
    Ok(())
}
