//! Holds a tunnel to ElastiCache, MemoryDB or any Redis over TLS, for clients that know neither TLS nor IAM.

use std::{error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use redis_tls::{
    AuthToken, HasCredentials, IamUser, NeedsCredentials, Password, RedisConnector, RedisConnectorBuilder,
    RedisEndpoint, RedisTunnel, Username, default_credentials,
};
use secure_connector::{Dial, Listen, Roots};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

/// A local socket for Redis clients of any language: each connection is carried over TLS, verified, authenticated, and kept
/// so by AUTH before the 12 hours of IAM are over.
///
/// Prints where it listens and then one JSON object a line: its state at intervals. Ends on SIGINT or SIGTERM after open
/// connections have finished.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The endpoint, for example master.sessions.abc123.use1.cache.amazonaws.com.
    endpoint: RedisEndpoint,
    /// Authenticates as this user by IAM, with the AWS credentials of the environment.
    #[arg(long, value_name = "USER", conflicts_with_all = ["user", "secret_file", "anonymous"])]
    iam: Option<IamUser>,
    /// Authenticates as this user of the access control list. Without it, the secret is an AUTH token.
    #[arg(long, requires = "secret_file")]
    user: Option<Username>,
    /// The file with the AUTH token or the user's password; a line break at its end does not count.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Presents no credentials.
    #[arg(long, conflicts_with = "secret_file")]
    anonymous: bool,
    /// The profile of the shared AWS configuration to take credentials from.
    #[arg(long, requires = "iam")]
    profile: Option<String>,
    /// Dials this address instead of the endpoint's name; the name is verified all the same.
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    /// Trusts the certificates of this file (PEM or DER) instead of those of the system and Amazon.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Listens on this Unix socket, for the user of this process only.
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    socket: Option<PathBuf>,
    /// Listens on this port of 127.0.0.1. Default: a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
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
            eprintln!("redis-tunnel: {}", secure_connector::error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listen = match &options.socket {
        Some(path) => Listen::Unix(path.clone()),
        None => Listen::Tcp(([127, 0, 0, 1], options.port).into()),
    };
    let tunnel = RedisTunnel::builder(connector(options).await?).listen(listen).start().await?;
    println!("{}", tunnel.local_addr());
    until_told_to_end(&tunnel, Duration::from_secs(options.status_every)).await?;
    let cut = tunnel.drain(Duration::from_secs(options.drain)).await;
    println!("{}", serde_json::json!({ "state": tunnel.status(), "connections_cut": cut }));
    Ok(())
}

async fn connector(options: &Options) -> Result<RedisConnector, Box<dyn Error>> {
    let mut connector = presenting(options, RedisConnector::from_endpoint(&options.endpoint)?).await?;
    if let Some(address) = options.address {
        connector = connector.dial(Dial::addresses([address]));
    }
    if let Some(file) = &options.ca_file {
        connector = connector.roots(Roots::from_file(file)?);
    }
    Ok(connector.build()?)
}

async fn presenting(
    options: &Options,
    connector: RedisConnectorBuilder<NeedsCredentials>,
) -> Result<RedisConnectorBuilder<HasCredentials>, Box<dyn Error>> {
    if let Some(user) = &options.iam {
        let region = options.endpoint.cache()?.region().clone();
        let provider = default_credentials(&region, options.profile.as_deref()).await;
        return Ok(connector.iam(user.clone(), provider));
    }
    let secret = match (&options.secret_file, options.anonymous) {
        (Some(file), _) => std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?,
        (None, true) => return Ok(connector.anonymous()),
        (None, false) => return Err("say what to authenticate with: --iam, --secret-file or --anonymous".into()),
    };
    let secret = secret.trim_end_matches(['\r', '\n']);
    Ok(match &options.user {
        Some(user) => connector.user(user.clone(), Password::new(secret)),
        None => connector.auth_token(AuthToken::new(secret)?),
    })
}

async fn until_told_to_end(tunnel: &RedisTunnel, every: Duration) -> Result<(), Box<dyn Error>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = tick.tick() => println!("{}", serde_json::json!({ "state": tunnel.status() })),
        }
    }
}
