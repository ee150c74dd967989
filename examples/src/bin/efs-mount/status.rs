//! What the supervisor holds, for people and for programs.

use std::{fmt, io};

use serde_json::Value;

use crate::{
    place::Place,
    protocol::{Reply, Request, TunnelReport, receive, send},
    start::{StartError, connect},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    #[error("no supervisor runs in {}", .0.display())]
    NoSupervisor(std::path::PathBuf),
    #[error("the supervisor")]
    Connect(#[from] StartError),
    #[error("talking to the supervisor")]
    Talk(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), StatusError> {
    let no_supervisor = || StatusError::NoSupervisor(arguments.place.state_dir.clone());
    let mut stream = connect(&arguments.place.socket()).await?.ok_or_else(no_supervisor)?;
    send(&mut stream, &Request::Status).await?;
    match receive(&mut stream).await? {
        Reply::Status { tunnels } if arguments.json => println!("{}", serde_json::json!({ "tunnels": tunnels })),
        Reply::Status { tunnels } => tunnels.iter().for_each(|tunnel| println!("{tunnel}")),
        Reply::Refused { error } => return Err(StatusError::Refused(error)),
        Reply::Ready { .. } => return Err(StatusError::Refused("the supervisor answered something else".to_owned())),
    }
    Ok(())
}

impl fmt::Display for TunnelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "127.0.0.1:{} to {}", self.port, self.tunnel.target)?;
        if let Some(access_point) = &self.tunnel.access_point {
            write!(f, " through {access_point}")?;
        }
        match self.mounts.as_slice() {
            [] if self.leases > 0 => write!(f, "\n  being mounted")?,
            [] => write!(f, "\n  not mounted")?,
            mounts => write!(f, "\n  mounted on {}", mounts.join(", "))?,
        }
        if let Some(error) = &self.error {
            write!(f, "\n  DOES NOT RUN: {error}")?;
        }
        let Some(status) = &self.status else { return Ok(()) };
        let at = |pointer: &str| status.pointer(pointer).filter(|value| !value.is_null());
        let text = |pointer: &str| {
            at(pointer).map_or_else(String::new, |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        let (active, up, down) = (text("/tunnel/active"), text("/tunnel/bytes_up"), text("/tunnel/bytes_down"));
        write!(f, "\n  connections: {active}, bytes up: {up}, down: {down}")?;
        write!(f, "\n  certificate until {}", text("/renewal/not_after"))?;
        if at("/renewal/access_key_id").is_some() {
            write!(f, " of {}", text("/renewal/access_key_id"))?;
        }
        if at("/health").is_some() {
            write!(f, "\n  health: {}, since {}", text("/health/outcome"), text("/health/since"))?;
        }
        for (what, pointer) in [("renewal fails", "/renewal/last_error"), ("last error", "/tunnel/last_error/error")] {
            if at(pointer).is_some() {
                write!(f, "\n  {what}: {}", text(pointer))?;
            }
        }
        Ok(())
    }
}
