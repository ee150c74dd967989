//! Holds a tunnel to an Amazon EFS file system, prints the command to mount it, and its state as JSON lines.

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser;
use efs_tls::{EfsTunnel, NfsOption};
use examples::efs_options::EfsOptions;
use secure_connector::TunnelEvent;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};

/// A TLS tunnel to an Amazon EFS mount target for the kernel's NFS client: no stunnel, no mount helper, no root.
///
/// Prints the mount command (to be run as root) and then one JSON object a line: the state at intervals, and the security
/// report of each new connection. Ends on SIGINT or SIGTERM after open connections have finished.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    efs: EfsOptions,
    /// The local port. Default: a free one from 20049 to 21048.
    #[arg(long)]
    port: Option<u16>,
    /// A further NFS mount option, for example ro or rsize=65536; may be repeated.
    #[arg(short = 'o', value_name = "OPTION")]
    mount_option: Vec<NfsOption>,
    /// Where the file system is going to be mounted, for the printed command.
    #[arg(long, default_value = "/mnt/efs")]
    mount_point: String,
    /// Seconds between two lines of state.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    status_every: u64,
    /// Seconds that open connections get to finish at the end.
    #[arg(long, default_value_t = 10)]
    drain: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("efs-tunnel: {}", secure_connector::error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let tunnel = start(options).await?;
    println!("{}", tunnel.mount_command(&options.mount_point));
    watch(&tunnel, Duration::from_secs(options.status_every)).await?;
    let cut = tunnel.drain(Duration::from_secs(options.drain)).await;
    println!("{}", serde_json::json!({ "state": tunnel.status(), "connections_cut": cut }));
    Ok(())
}

async fn start(options: &Options) -> Result<EfsTunnel, Box<dyn Error>> {
    let tunnel = EfsTunnel::builder(options.efs.connector().await?);
    let tunnel = options.mount_option.iter().cloned().fold(tunnel, |tunnel, option| tunnel.mount_option(option));
    let tunnel = match options.port {
        Some(port) => tunnel.port(port),
        None => tunnel,
    };
    Ok(tunnel.start().await?)
}

/// Until the first signal to end.
async fn watch(tunnel: &EfsTunnel, every: Duration) -> Result<(), Box<dyn Error>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut events = tunnel.tunnel().events();
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = tick.tick() => println!("{}", serde_json::json!({ "state": tunnel.status() })),
            event = events.recv() => match event {
                Ok(event) => print_event(&event),
                Err(RecvError::Lagged(missed)) => println!("{}", serde_json::json!({ "events_missed": missed })),
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

fn print_event(event: &TunnelEvent) {
    println!("{}", serde_json::json!({ "event": event }));
}
