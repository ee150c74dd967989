//! Mounts Amazon EFS file systems through TLS tunnels that one process per host holds: in the place of the EFS mount
//! helper, its watchdog and its proxies.

mod container_credentials;
mod credentials;
mod listeners;
mod mount;
mod mount_table;
mod place;
mod protocol;
mod read_ahead;
mod start;
mod state_file;
mod status;
mod supervise;
mod tunnels;

use std::{env, error::Error, ffi::OsStr, path::Path, process::ExitCode};

use clap::Parser;

/// Mounts an Amazon EFS file system over TLS.
///
/// Does what `mount -t efs` does with amazon-efs-utils:
///
/// 1. Reads the options, with the region from region=, AWS_REGION, AWS_DEFAULT_REGION, the configuration file or the
///    instance metadata.
/// 2. Asks the supervisor of this host for a tunnel on 127.0.0.1. Starts one if none runs: the systemd unit
///    efs-mount.service where it is installed, else `efs-mount supervise` in the background.
/// 3. Waits up to 30 s until the file system lets us in through the tunnel, or says why it does not.
/// 4. Becomes /sbin/mount.nfs4 127.0.0.1:PATH DIRECTORY -o …,port=PORT.
///
/// Linked as /sbin/mount.efs it is what `mount -t efs` and /etc/fstab call. Mounts of the same file system with the same
/// access point, credentials, mount target and CA file share a tunnel, unless nosharetls or another tlsport is given.
///
/// Options: tls (has to be there), iam, accesspoint=, region=, az=, mounttargetip=, crossaccount, cafile=, tlsport=,
/// awsprofile=, awscredsuri=, rolearn= with jwtpath=, noocsp, verify=2, nosharetls; all others are for mount.nfs4.
/// Refused: ocsp, netns, capath, verify=0, 3 and 4, the options of S3 Files, and mounts without tls.
///
/// Read from the configuration: region, az_id, stunnel_cafile, dns_name_format, dns_name_suffix,
/// stunnel_check_cert_hostname, stunnel_check_cert_validity, fips_mode_enabled; values that would weaken or rename what is
/// verified are refused.
///
/// Commands of their own:
///   efs-mount supervise   holds the tunnels of this host's mounts
///   efs-mount status      prints the tunnels, the mounts they carry, and the state of their certificates
///
/// Exit codes: those of mount.nfs4; 2 the command line makes no sense; 32 nothing was mounted.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Mount {
    #[command(flatten)]
    arguments: mount::Arguments,
}

#[derive(Debug, Parser)]
#[command(name = "efs-mount supervise", version)]
struct Supervise {
    #[command(flatten)]
    arguments: supervise::Arguments,
}

#[derive(Debug, Parser)]
#[command(name = "efs-mount status", version)]
struct Status {
    #[command(flatten)]
    arguments: status::Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::builder()
                .with_default_directive(tracing::Level::INFO.into())
                .from_env_lossy(),
        )
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("efs-mount: {}", secure_connector::error_chain(error.as_ref()));
            // mount(8): "32 mount failure".
            ExitCode::from(32)
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut words = env::args_os();
    let is_mount_helper = words.next().is_some_and(|name| Path::new(&name).file_name() == Some("mount.efs".as_ref()));
    let command = words.next().filter(|_| !is_mount_helper);
    let rest = || env::args_os().skip(1);
    match command.as_deref().and_then(OsStr::to_str) {
        Some("supervise") => Ok(supervise::run(Supervise::parse_from(rest()).arguments).await?),
        Some("status") => Ok(status::run(Status::parse_from(rest()).arguments).await?),
        _ => Ok(mount::run(Mount::parse().arguments).await?),
    }
}
