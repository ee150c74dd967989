//! A connection to the supervisor, which is started if there is none.

use std::{
    env,
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use crate::place::{Place, PlaceError};

const UNIT: &str = "efs-mount.service";

/// Why there is no supervisor to talk to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the state directory")]
    Place(#[from] PlaceError),
    #[error("the supervisor's socket {}", path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("the supervisor cannot be started")]
    Spawn(#[source] io::Error),
    #[error("the supervisor did not answer within {limit:?}: see {log}")]
    Silent { limit: Duration, log: String },
}

pub(crate) async fn connect_or_start(place: &Place) -> Result<UnixStream, StartError> {
    const LIMIT: Duration = Duration::from_secs(10);
    place.secure_state_dir()?;
    if let Some(stream) = connect(&place.socket()).await? {
        return Ok(stream);
    }
    let log = start(place).map_err(StartError::Spawn)?;
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        sleep(Duration::from_millis(20)).await;
        if let Some(stream) = connect(&place.socket()).await? {
            return Ok(stream);
        }
    }
    Err(StartError::Silent { limit: LIMIT, log })
}

/// `None` where nobody listens.
pub(crate) async fn connect(socket: &Path) -> Result<Option<UnixStream>, StartError> {
    match UnixStream::connect(socket).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(source) => Err(StartError::Socket { path: socket.to_owned(), source }),
    }
}

/// Where its log is.
fn start(place: &Place) -> io::Result<String> {
    // sd_booted(3): the directory exists where systemd is the service manager.
    if place.is_default() && Path::new("/run/systemd/system").is_dir() {
        let started = Command::new("systemctl").args(["--quiet", "start", UNIT]).stderr(Stdio::null()).status();
        if started.is_ok_and(|status| status.success()) {
            return Ok(format!("journalctl -u {UNIT}"));
        }
    }
    let log = place.state_dir.join("supervisor.log");
    let output = File::options().create(true).append(true).open(&log)?;
    // A process group of its own: what ends the mount command does not end it.
    Command::new(env::current_exe()?)
        .arg0("efs-mount")
        .args(["supervise", "--detach", "--state-dir"])
        .arg(&place.state_dir)
        .arg("--config")
        .arg(&place.config)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()?;
    Ok(log.display().to_string())
}
