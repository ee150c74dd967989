//! The mount helper: from the options to `mount.nfs4`.

use std::{
    env, io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use efs_tls::{
    CredentialSource, FindZone, InstanceMetadata, MountHelperConfig, MountHost, MountOptionError, MountOptions,
    MountRequest, MountRequestError, MountSource, ParseError,
};
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::{net::UnixStream, time::timeout};

use crate::{
    credentials::from_environment,
    place::{Place, PlaceError},
    protocol::{Hold, Reply, Request, our_network, receive, send},
    start::{StartError, connect_or_start},
};

const MOUNT_NFS4: &str = "/sbin/mount.nfs4";

/// The arguments that mount(8) gives to a helper.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file system by its id or its DNS name, and the directory in it: fs-0123456789abcdef0:/data.
    source: MountSource,
    /// Where to mount it.
    directory: PathBuf,
    /// The options, separated by commas.
    #[arg(short = 'o', value_name = "OPTIONS", required = true)]
    options: Vec<String>,
    /// Fake: everything but the mount itself.
    #[arg(short)]
    fake: bool,
    /// Does not write /etc/mtab.
    #[arg(short)]
    no_mtab: bool,
    /// Read-only.
    #[arg(short)]
    read_only: bool,
    /// Tolerates options that mount.nfs4 does not know.
    #[arg(short)]
    sloppy: bool,
    /// Says more.
    #[arg(short)]
    verbose: bool,
    /// Read-write.
    #[arg(short = 'w')]
    read_write: bool,
    #[command(flatten)]
    place: Place,
}

/// Why nothing is mounted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error("only root can mount: run it as root")]
    NotRoot,
    #[error("the options of -o")]
    Options(#[from] MountOptionError),
    #[error("the mount that is asked for")]
    Request(#[from] MountRequestError),
    #[error("the variable {name} of the environment")]
    Environment { name: &'static str, source: ParseError },
    #[error("the configuration")]
    Place(#[from] PlaceError),
    #[error("the supervisor")]
    Supervisor(#[from] StartError),
    #[error("talking to the supervisor")]
    Talk(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
    #[error("{MOUNT_NFS4} cannot be run: install the NFS client of your distribution (nfs-common, nfs-utils)")]
    Exec(#[source] io::Error),
}

/// Returns only when nothing could be mounted: this process becomes `mount.nfs4`.
pub(crate) async fn run(arguments: Arguments) -> Result<(), MountError> {
    let options: MountOptions = arguments.options.join(",").parse()?;
    let config = arguments.place.read_config()?;
    let mut request = request(&arguments.source, options, &config).await?;
    if !rustix::process::geteuid().is_root() {
        return Err(MountError::NotRoot);
    }
    let asked = request.tunnel.credentials.take();
    request.tunnel.credentials = asked.map(|source| from_environment(source, |name| env::var(name).ok()));
    let stream = connect_or_start(&arguments.place).await?;
    let port = hold(stream, &request, &arguments).await?;
    let run = Command::new(MOUNT_NFS4)
        .args(request.mount_nfs4_arguments(port, arguments.directory.clone(), arguments.flags()))
        .exec();
    Err(MountError::Exec(run))
}

/// Well above what the supervisor gives a mount to be let in.
const HOLD_LIMIT: Duration = Duration::from_secs(120);

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// Asks the instance metadata only for what nothing else says.
async fn request(
    source: &MountSource,
    options: MountOptions,
    config: &MountHelperConfig,
) -> Result<MountRequest, MountError> {
    let mut host = MountHost::default();
    for name in ["AWS_DEFAULT_REGION", "AWS_REGION"] {
        if let Some(region) = env::var(name).ok().filter(|region| !region.is_empty()) {
            host.environment_region = Some(region.parse().map_err(|source| MountError::Environment { name, source })?);
        }
    }
    match MountRequest::new(source, options.clone(), config, &host) {
        Err(MountRequestError::RegionUnknown | MountRequestError::ZoneUnknown) => {}
        decided => return Ok(decided?),
    }
    const LIMIT: Duration = Duration::from_secs(5);
    match timeout(LIMIT, InstanceMetadata::new().find_zone()).await {
        Ok(Ok(zone)) => {
            host.instance_region = zone.name().map(|name| name.region().clone());
            host.zone_id = zone.id().cloned();
        }
        Ok(Err(error)) => tracing::warn!(%error, "the instance metadata do not say where we are"),
        Err(_) => tracing::warn!("the instance metadata do not answer within {LIMIT:?}"),
    }
    Ok(MountRequest::new(source, options, config, &host)?)
}

/// The port, of a tunnel that stays for as long as this process and `mount.nfs4` after it have the connection open.
async fn hold(mut stream: UnixStream, request: &MountRequest, arguments: &Arguments) -> Result<u16, MountError> {
    let directory = arguments.directory.to_string_lossy().into_owned();
    let hold = Hold {
        tunnel: request.tunnel.clone(),
        port: request.port,
        only_for: (!request.shared).then_some(directory),
        network: our_network()?,
    };
    send(&mut stream, &Request::Hold(Box::new(hold))).await?;
    match timeout(HOLD_LIMIT, receive(&mut stream)).await.map_err(io::Error::from)?? {
        Reply::Ready { port, found, access_key_id } => {
            let ours = env::var(KEY_ID).ok().filter(|_| request.tunnel.credentials == Some(CredentialSource::Default));
            if let Some((ours, theirs)) = ours.zip(access_key_id).filter(|(ours, theirs)| ours != theirs) {
                eprintln!("efs-mount: {KEY_ID} is {ours}, and the supervisor has {theirs} by its own environment");
            }
            if arguments.verbose {
                eprintln!("efs-mount: {found}, port {port}");
            }
            let stream = stream.into_std()?;
            fcntl_setfd(stream.as_fd(), FdFlags::empty()).map_err(io::Error::from)?;
            // Open until the process ends.
            std::mem::forget(stream);
            Ok(port)
        }
        Reply::Refused { error } => Err(MountError::Refused(error)),
        Reply::Status { .. } => Err(MountError::Refused("the supervisor answered something else".to_owned())),
    }
}

impl Arguments {
    fn flags(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.fake, "-f"),
            (self.no_mtab, "-n"),
            (self.read_only, "-r"),
            (self.sloppy, "-s"),
            (self.verbose, "-v"),
            (self.read_write, "-w"),
        ]
        .into_iter()
        .filter_map(|(given, flag)| given.then_some(flag))
    }
}
