//! Says what stands between us and a Redis or Valkey server, on ElastiCache, MemoryDB or anywhere else.

use std::{error::Error, io::Read, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser};
use redis_tls::{
    AuthToken, Credentials, IamUser, Password, ProtocolChoice, RedisConnector, RedisConnectorBuilder, RedisEndpoint,
    Severity, StaticCredentials, Username, default_credentials,
};
use secure_connector::{Dial, PemFiles, Roots, Stage, Timeouts, error_chain};

/// Looks at a Redis or Valkey server step by step: name, port, TLS, certificate, plaintext beside it, authentication, user,
/// role, clock. Changes nothing.
///
/// A secret comes from a file, from standard input, or from the environment (REDIS_AUTH_TOKEN, REDIS_PASSWORD), never from
/// the command line, where every process of this machine could read it.
///
/// Exit codes: 0 connections come about; 1 a problem stands in the way, or with --strict there is a warning; 2 the options
/// make no sense; 3 the server was not reached.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The server: host, host:port or rediss://host:port. Names of ElastiCache and MemoryDB tell the rest.
    endpoint: RedisEndpoint,
    #[command(flatten)]
    who: Who,
    /// Reads the secret from this file instead of the environment; `-` is standard input. One line break at its end is cut.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The profile of the shared AWS configuration to take credentials from.
    #[arg(long, requires = "iam_user")]
    profile: Option<String>,
    /// Dials this address instead of the endpoint's name, such as a tunnel's end; the name is verified all the same.
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    /// Trusts the certificates of this file (PEM or DER) instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Presents this certificate chain (PEM), for servers that ask for one.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The key of --cert-file (PEM).
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Speaks RESP2, for clients that know nothing else.
    #[arg(long)]
    resp2: bool,
    /// Seconds that one step may take.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Exits with 1 for warnings too.
    #[arg(long)]
    strict: bool,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Who we are. Default: the AUTH token of REDIS_AUTH_TOKEN or --secret-file.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Who {
    /// Presents the password of this user: that of REDIS_PASSWORD or --secret-file.
    #[arg(long, value_name = "NAME")]
    user: Option<Username>,
    /// Presents an IAM token of this user, signed with the AWS credentials that the AWS tools would find.
    #[arg(long, value_name = "NAME")]
    iam_user: Option<IamUser>,
    /// Presents the secret as a password without the rules of AUTH tokens, for servers outside ElastiCache.
    #[arg(long)]
    password_only: bool,
    /// Presents nothing.
    #[arg(long)]
    anonymous: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let connector = match connector(&options).await {
        Ok(connector) => connector,
        Err(error) => {
            eprintln!("{}", error_chain(error.as_ref()));
            return ExitCode::from(2);
        }
    };
    let diagnosis = connector.doctor().await;
    if options.json {
        println!("{}", serde_json::json!(diagnosis));
    } else {
        println!("{diagnosis}");
    }
    ExitCode::from(match diagnosis.worst() {
        Severity::Problem if diagnosis.reached() => 1,
        Severity::Problem => 3,
        Severity::Warning if options.strict => 1,
        _ => 0,
    })
}

async fn connector(options: &Options) -> Result<RedisConnector, Box<dyn Error>> {
    let mut builder = authenticated(options).await?;
    if let Some(address) = options.address {
        builder = builder.dial(Dial::addresses([address]));
    }
    if let Some(ca_file) = &options.ca_file {
        builder = builder.roots(Roots::from_file(ca_file)?);
    }
    if let (Some(chain), Some(key)) = (&options.cert_file, &options.key_file) {
        builder = builder.identity(PemFiles::open(chain, key, Duration::from_secs(60)).await?);
    }
    if options.resp2 {
        builder = builder.protocol(ProtocolChoice::Resp2);
    }
    let limit = Duration::from_secs(options.timeout);
    let stages = [Stage::Identity, Stage::Dns, Stage::Tcp, Stage::Tls, Stage::Auth];
    let timeouts = stages.into_iter().fold(Timeouts::default(), |timeouts, stage| timeouts.with(stage, limit));
    Ok(builder.timeouts(timeouts.with(Stage::Total, limit * 5)).build()?)
}

async fn authenticated(options: &Options) -> Result<RedisConnectorBuilder, Box<dyn Error>> {
    let builder = RedisConnector::from_endpoint(&options.endpoint)?;
    let who = &options.who;
    if who.anonymous {
        return Ok(builder.anonymous());
    }
    if let Some(user) = &who.iam_user {
        let cache = options.endpoint.cache()?;
        let provider = default_credentials(cache.region(), options.profile.as_deref()).await;
        return Ok(builder.iam(user.clone(), provider));
    }
    if let Some(user) = &who.user {
        return Ok(builder.user(user.clone(), Password::new(secret(options, "REDIS_PASSWORD")?)));
    }
    if who.password_only {
        let default = Username::DEFAULT.parse()?;
        let password = Credentials::user(default, Password::new(secret(options, "REDIS_PASSWORD")?));
        return Ok(builder.credentials(StaticCredentials::new(password.labelled("the password"))));
    }
    let token = AuthToken::new(secret(options, "REDIS_AUTH_TOKEN")?)?;
    for warning in token.warnings() {
        eprintln!("{warning}");
    }
    Ok(builder.auth_token(token))
}

fn secret(options: &Options, variable: &str) -> Result<String, Box<dyn Error>> {
    let text = match &options.secret_file {
        None => {
            return std::env::var(variable).map_err(|_| {
                format!("no secret: set {variable}, or give --secret-file, --iam-user or --anonymous").into()
            });
        }
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
