//! Says whether an Amazon EFS file system lets us in, and if not, what stands in the way.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use efs_tls::{EfsConnector, Probe, ProbeKind, ProbeOptions};
use examples::efs_options::EfsOptions;
use secure_connector::{Backoff, error_chain};

/// Asks an Amazon EFS file system whether it lets us in, without mounting it and without root; for people, and for the
/// health checks of containers.
///
/// Exit codes: 0 admitted; 1 denied, by policy or because of the access point; 2 the options make no sense; 3 it could not be
/// told, because of the network, the credentials, a certificate, the clock or a server that is busy or another.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    efs: EfsOptions,
    /// Asks in the name of this user and group instead of our own; a mount itself is made as 0:0.
    #[arg(long, value_name = "UID:GID", value_parser = user)]
    user: Option<(u32, u32)>,
    /// Seconds that one probe may take.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Probes again while the failure may pass, for so many seconds.
    #[arg(long, default_value_t = 0)]
    wait: u64,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let connector = match options.efs.connector().await {
        Ok(connector) => connector,
        Err(error) => {
            eprintln!("{}", error_chain(error.as_ref()));
            return ExitCode::from(2);
        }
    };
    let probe = probe(&connector, &options).await;
    if options.json {
        println!("{}", serde_json::json!(probe));
    } else {
        println!("{probe}");
    }
    ExitCode::from(match probe.outcome.kind() {
        ProbeKind::Admitted => 0,
        ProbeKind::Denied | ProbeKind::AccessPoint => 1,
        _ => 3,
    })
}

/// The last probe: the first one that is final, or the one after which there is no time to wait.
async fn probe(connector: &EfsConnector, options: &Options) -> Probe {
    let mut settings = ProbeOptions::default().limit(Duration::from_secs(options.timeout));
    if let Some((uid, gid)) = options.user {
        settings = settings.user(uid, gid);
    }
    let (started, wait) = (Instant::now(), Duration::from_secs(options.wait));
    let pause = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
    let mut failures = 0;
    loop {
        let probe = connector.probe_with(&settings).await;
        let delay = pause.delay(failures);
        if !probe.outcome.is_retryable() || started.elapsed() + delay > wait {
            return probe;
        }
        tokio::time::sleep(delay).await;
        failures += 1;
    }
}

fn user(text: &str) -> Result<(u32, u32), String> {
    let number =
        |text: &str| text.parse().map_err(|error| format!("{text:?} is no number of a user or group: {error}"));
    let (uid, gid) = text.split_once(':').ok_or("expected a user and a group by number, for example 1000:1000")?;
    Ok((number(uid)?, number(gid)?))
}
