//! Takes the place of the stunnel program for TLS clients: the same file, command line and signals.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use clap::Parser;
use efs_tls::{StunnelConfig, StunnelForeground, StunnelImport, StunnelService};
use secure_connector::{Listen, Tunnel, error_chain};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};
use tracing_subscriber::EnvFilter;

/// Runs the TLS clients of a stunnel configuration file, such as the EFS mount helper writes.
///
/// Always stays in the foreground. SIGHUP reads the configuration and its files again: connections that are open go on,
/// and if the new configuration cannot be used, the one before stays in use. SIGUSR1 opens the log file again, SIGUSR2
/// logs the open connections; SIGTERM, SIGINT and SIGQUIT end the program. `-help` lists the options that a
/// configuration file may have.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The configuration file.
    config: PathBuf,
    /// Permits services that do not verify the peer.
    #[arg(long)]
    danger_accept_any_certificate: bool,
    /// Permits services that do not verify the peer's name.
    #[arg(long)]
    danger_accept_any_name: bool,
    /// Permits `OCSPaia = yes`, though no OCSP responder is asked.
    #[arg(long)]
    danger_skip_revocation: bool,
    /// Permits `fips = yes`, though this build is outside the FIPS 140-3 module.
    #[arg(long)]
    danger_without_fips: bool,
    /// Permits `accept` on addresses that other hosts can reach.
    #[arg(long)]
    danger_accept_remote_clients: bool,
}

fn main() -> ExitCode {
    // stunnel's own spelling, by which the mount helper learns what it may write.
    if env::args().skip(1).eq(["-help"]) {
        eprint!("{}", StunnelConfig::help());
        return ExitCode::SUCCESS;
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("efs-stunnel: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new()?;
    let import = options.import();
    let mut config = import.read(&options.config)?;
    for warning in config.warnings() {
        eprintln!("efs-stunnel: {}: {warning}", options.config.display());
    }
    let log = Log::new();
    log.open(&config)?;
    let filter = tracing_subscriber::fmt()
        .with_env_filter(level(&config))
        .with_ansi(false)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .with_filter_reloading();
    let filter_handle = filter.reload_handle();
    filter.init();

    let mut services = Services::default();
    services.replace(&config).await?;
    let _pid_file = config.pid_file().map(PidFile::write).transpose()?;
    if config.foreground() == StunnelForeground::Quiet {
        log.quiet();
    }
    loop {
        match signals.next().await {
            Order::Reload => match reload(&import, &options.config, &mut services, &log).await {
                Ok(new) => {
                    filter_handle.reload(level(&new))?;
                    config = new;
                    tracing::info!("configuration read again");
                }
                Err(error) => {
                    let error = error_chain(error.as_ref());
                    tracing::error!(%error, "configuration not taken; the one before stays in use");
                }
            },
            Order::ReopenLog => {
                if let Err(error) = log.open(&config) {
                    tracing::error!(%error, "the log file cannot be opened again");
                }
            }
            Order::ListConnections => services.log_connections(),
            Order::End => return Ok(()),
        }
    }
}

async fn reload(
    import: &StunnelImport,
    path: &Path,
    services: &mut Services,
    log: &Log,
) -> Result<StunnelConfig, Box<dyn Error>> {
    let config = import.read(path)?;
    services.replace(&config).await?;
    log.open(&config)?;
    for warning in config.warnings() {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(config)
}

impl Options {
    fn import(&self) -> StunnelImport {
        type Permit = fn(StunnelImport) -> StunnelImport;
        let permissions: [(bool, Permit); 5] = [
            (self.danger_accept_any_certificate, StunnelImport::danger_accept_any_certificate),
            (self.danger_accept_any_name, StunnelImport::danger_accept_any_name),
            (self.danger_skip_revocation, StunnelImport::danger_skip_revocation),
            (self.danger_without_fips, StunnelImport::danger_without_fips),
            (self.danger_accept_remote_clients, StunnelImport::danger_accept_remote_clients),
        ];
        let given = permissions.into_iter().filter(|(given, _)| *given);
        given.fold(StunnelImport::new(), |import, (_, permit)| permit(import))
    }
}

/// The services that run.
#[derive(Default)]
struct Services(Vec<Running>);

struct Running {
    service: StunnelService,
    /// Kept for the tunnel of the next configuration, so that no local connection is refused in between. A Unix socket
    /// belongs to its tunnel.
    listener: Option<TcpListener>,
    tunnel: Tunnel,
}

impl Services {
    /// Starts the services of `config` and retires those that run. Whatever can fail is done first, so that an error
    /// leaves them as they are.
    async fn replace(&mut self, config: &StunnelConfig) -> Result<(), Box<dyn Error>> {
        let mut started = Vec::new();
        let mut waiting = Vec::new();
        for service in config.services() {
            let before = self.0.iter().find(|running| running.listens_like(service));
            let (listen, listener) = match before.map(|running| &running.listener) {
                Some(Some(listener)) => with_copy(listener.try_clone()?)?,
                _ => match service.listen()? {
                    Listen::Bound(listener) => with_copy(listener)?,
                    other => (other, None),
                },
            };
            let tunnel = service.tunnel_on(listen).await?;
            match (before, service.accept().unix()) {
                (Some(_), Some(_)) => waiting.push((service.clone(), tunnel)),
                _ => started.push(Running { service: service.clone(), listener, tunnel: tunnel.start().await? }),
            }
        }
        for retired in self.0.drain(..) {
            retired.retire().await;
        }
        self.0 = started;
        for (service, tunnel) in waiting {
            match tunnel.start().await {
                Ok(tunnel) => self.0.push(Running { service, listener: None, tunnel }),
                Err(error) => tracing::error!(service = service.name(), error = %error_chain(&error), "stopped"),
            }
        }
        for Running { service, tunnel, .. } in &self.0 {
            let targets: Vec<_> = service.targets().iter().map(ToString::to_string).collect();
            let (on, targets) = (tunnel.local_addr(), targets.join(" or "));
            tracing::info!(service = service.name(), %on, %targets, "listening");
        }
        Ok(())
    }

    fn log_connections(&self) {
        for running in &self.0 {
            for connection in running.tunnel.connections() {
                let (id, up, down) = (connection.id, connection.bytes_up, connection.bytes_down);
                tracing::info!(service = running.service.name(), id, local = %connection.peer, up, down, "open");
            }
        }
    }
}

impl Running {
    fn listens_like(&self, service: &StunnelService) -> bool {
        let address = |service: &StunnelService| (service.accept().clone(), service.device().map(str::to_owned));
        let any_port = service.accept().tcp().is_some_and(|address| address.port() == 0);
        address(&self.service) == address(service) && (!any_port || self.service.name() == service.name())
    }

    /// Lets the open connections go on, and returns when there can be no new ones: a Unix socket is removed last.
    async fn retire(self) {
        let tunnel = Arc::new(self.tunnel);
        let draining = Arc::clone(&tunnel);
        tokio::spawn(async move { draining.drain(Duration::MAX).await });
        let closed = async {
            while tunnel.status().accepting || tunnel.local_addr().unix().is_some_and(Path::exists) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        if timeout(Duration::from_secs(1), closed).await.is_err() {
            tracing::error!(on = %tunnel.local_addr(), "the listener before does not close");
        }
    }
}

fn with_copy(listener: TcpListener) -> io::Result<(Listen, Option<TcpListener>)> {
    let copy = listener.try_clone()?;
    Ok((Listen::Bound(listener), Some(copy)))
}

/// What a signal asks for.
enum Order {
    Reload,
    ReopenLog,
    ListConnections,
    End,
}

struct Signals {
    hangup: Signal,
    user_1: Signal,
    user_2: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.hangup.recv() => Order::Reload,
            _ = self.user_1.recv() => Order::ReopenLog,
            _ = self.user_2.recv() => Order::ListConnections,
            _ = self.interrupt.recv() => Order::End,
            _ = self.quit.recv() => Order::End,
            _ = self.terminate.recv() => Order::End,
        }
    }
}

/// Standard error, the file of `output`, or both.
#[derive(Clone)]
struct Log(Arc<Mutex<Outputs>>);

struct Outputs {
    /// Lines for a thread to write. `None` to be quiet.
    stderr: Option<SyncSender<Vec<u8>>>,
    file: Option<File>,
}

impl Log {
    fn new() -> Self {
        let (stderr, lines) = sync_channel::<Vec<u8>>(1024);
        // On a thread: the mount helper's watchdog keeps standard error open as a pipe, and never reads it.
        thread::spawn(move || lines.into_iter().for_each(|line| drop(io::stderr().write_all(&line))));
        Self(Arc::new(Mutex::new(Outputs { stderr: Some(stderr), file: None })))
    }

    fn open(&self, config: &StunnelConfig) -> io::Result<()> {
        let open = |path: &Path| File::options().append(true).create(true).open(path);
        let named = |path: &Path| open(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())));
        let file = config.output().map(named).transpose()?;
        self.outputs(|outputs| outputs.file = file);
        Ok(())
    }

    fn quiet(&self) {
        self.outputs(|outputs| outputs.stderr = None);
    }

    fn outputs<T>(&self, act: impl FnOnce(&mut Outputs) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.outputs(|outputs| {
            if let Some(stderr) = &outputs.stderr {
                // A line that nobody makes room for is lost there.
                let _ = stderr.try_send(line.to_vec());
            }
            outputs.file.as_mut().map_or(Ok(()), |file| file.write_all(line)).map(|()| line.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn level(config: &StunnelConfig) -> EnvFilter {
    EnvFilter::default().add_directive(config.log_level().into())
}

/// The file with our process id, for as long as we run.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> io::Result<Self> {
        let written = fs::write(path, format!("{}\n", process::id()));
        written.map_err(|e| io::Error::new(e.kind(), format!("pid = {}: {e}", path.display())))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Whoever removed it before us has done what is wanted.
        let _ = fs::remove_file(&self.0);
    }
}
