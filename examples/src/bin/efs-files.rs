//! Lists, reads and writes the files of an Amazon EFS file system without a mount: no root, no kernel NFS.
//!
//! An NFSv4.1 client in user space (`nfs-rs`) over an [`EfsTunnel`] of this process, on a loopback port of its own.

use std::{
    error::Error,
    fs::Permissions,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::{Parser, Subcommand};
use efs_tls::{EfsConnector, EfsTunnel, Probe, ProbeKind, ProbeOptions};
use examples::efs_options::EfsOptions;
use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use nfs_rs::{Attr, BufferedFile, Mount, Nfs4ErrorCode, NfsError, OPEN_READ, parse_url_and_mount, write_all};
use secure_connector::error_chain;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, stdout},
    signal::ctrl_c,
};
use tracing_subscriber::EnvFilter;

/// Lists, reads and writes files of an Amazon EFS file system without a mount: no root, no kernel NFS.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not connected, 4 denied, 5 no such file, 130 interrupted. Copies appear
/// under their name when they are whole. While the program runs, this host's users could reach the file system through
/// its loopback port: it admits one connection at a time, which is its own.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    efs: EfsOptions,
    /// The user and group to act as. Default: those of this process. An access point may set others.
    #[arg(long, value_name = "UID:GID", value_parser = user)]
    user: Option<(u32, u32)>,
    /// Prints JSON, one object a line.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists a directory, or one file.
    Ls {
        #[arg(default_value = "/")]
        path: String,
    },
    /// Writes a file to the standard output.
    Cat { path: String },
    /// Copies a file of the file system to a local one.
    Get {
        path: String,
        local: PathBuf,
        /// Prints the SHA-256 of what was copied.
        #[arg(long)]
        sha256: bool,
    },
    /// Copies a local file to the file system.
    Put {
        local: PathBuf,
        path: String,
        /// Prints the SHA-256 of what was copied.
        #[arg(long)]
        sha256: bool,
    },
}

fn user(text: &str) -> Result<(u32, u32), String> {
    let (uid, gid) = text.split_once(':').ok_or("expected UID:GID, for example 1000:1000")?;
    let number = |id: &str| id.parse().map_err(|e| format!("{id:?}: {e}"));
    Ok((number(uid)?, number(gid)?))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(io::stderr).init();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("efs-files: {}", error_chain(&failure));
            failure.exit_code()
        }
    }
}

async fn run(options: &Options) -> Result<(), Failure> {
    let connector = Arc::new(options.efs.connector().await.map_err(Failure::Start)?);
    let tunnel = EfsTunnel::builder(connector.clone())
        .port(0)
        .configure(|tunnel| tunnel.hold(Duration::ZERO).max_connections(1))
        .start()
        .await
        .map_err(|error| Failure::Start(error.into()))?;
    let files = Files { mount: mount(&connector, &tunnel, options.user).await?, json: options.json };
    let outcome = match &options.command {
        Command::Ls { path } => files.list(path).await,
        Command::Cat { path } => files.cat(path).await,
        Command::Get { path, local, sha256 } => files.get(path, local, *sha256).await,
        Command::Put { local, path, sha256 } => files.put(local, path, *sha256).await,
    };
    let unmounted = files.mount.umount().await.map_err(at("/"));
    tunnel.drain(Duration::from_secs(1)).await;
    outcome.and(unmounted)
}

/// Opens an NFS session. If that fails, a probe says why: NFS itself has no words for it.
async fn mount(
    connector: &EfsConnector,
    tunnel: &EfsTunnel,
    user: Option<(u32, u32)>,
) -> Result<Arc<dyn Mount>, Failure> {
    let url = format!("nfs://127.0.0.1/?version=4.1&noresvport=true&nfsport={}", tunnel.port());
    let (url, probe) = match user {
        Some((uid, gid)) => (format!("{url}&uid={uid}&gid={gid}"), ProbeOptions::default().user(uid, gid)),
        None => (url, ProbeOptions::default()),
    };
    let source = match parse_url_and_mount(&url).await {
        Ok(mount) => return Ok(mount.into()),
        Err(source) => source,
    };
    let probe = connector.probe_with(&probe).await;
    Err(if probe.outcome.is_admitted() { at("/")(source) } else { Failure::NotLetIn(Box::new(probe)) })
}

struct Files {
    mount: Arc<dyn Mount>,
    json: bool,
}

/// What is read or written at once; the NFS client splits it into requests and keeps up to eight under way.
const CHUNK: u32 = 8 << 20;

impl Files {
    async fn list(&self, path: &str) -> Result<(), Failure> {
        let attributes = self.mount.getattr_path(path).await.map_err(at(path))?;
        if kind(&attributes) != "directory" {
            return self.print_entry(path, Some(&attributes));
        }
        let entries = self.mount.readdirplus_path(path).await.map_err(at(path))?;
        let mut entries: Vec<_> = entries.try_collect().await.map_err(at(path))?;
        entries.sort_unstable_by(|a, b| a.file_name.cmp(&b.file_name));
        entries.iter().try_for_each(|entry| self.print_entry(&entry.file_name, entry.attr.as_ref()))
    }

    async fn cat(&self, path: &str) -> Result<(), Failure> {
        let mut out = stdout();
        self.receive(path, &mut out, Path::new("standard output"), &mut Progress::hidden()).await
    }

    async fn get(&self, path: &str, local: &Path, sha256: bool) -> Result<(), Failure> {
        let here = |source| Failure::Local { path: local.to_owned(), source };
        let size = self.mount.getattr_path(path).await.map_err(at(path))?.filesize;
        let folder = local.parent().unwrap_or(local);
        // Less the umask, as for any new file.
        let permissions = Permissions::from_mode(0o666);
        let part = tempfile::Builder::new().permissions(permissions).tempfile_in(folder).map_err(here)?;
        let mut file = File::from_std(part.reopen().map_err(here)?);
        let mut progress = Progress::new(size, sha256);
        self.receive(path, &mut file, local, &mut progress).await?;
        part.persist(local).map_err(|e| here(e.error))?;
        self.print_copied(path, &local.to_string_lossy(), progress)
    }

    async fn receive(
        &self,
        path: &str,
        to: &mut (impl AsyncWrite + Unpin),
        local: &Path,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let here = |source| Failure::Local { path: local.to_owned(), source };
        let handle = self.mount.open_path(path, OPEN_READ).await.map_err(at(path))?.fh;
        let file = BufferedFile::new(self.mount.clone(), handle);
        let copied = until_interrupted(async {
            loop {
                let chunk = file.read_at(progress.bytes, CHUNK).await.map_err(at(path))?;
                if chunk.is_empty() {
                    return to.flush().await.map_err(here);
                }
                to.write_all(&chunk).await.map_err(here)?;
                progress.add(&chunk);
            }
        })
        .await;
        let closed = file.close().await.map_err(at(path));
        copied.and(closed)
    }

    async fn put(&self, local: &Path, path: &str, sha256: bool) -> Result<(), Failure> {
        let here = |source| Failure::Local { path: local.to_owned(), source };
        let mut file = File::open(local).await.map_err(here)?;
        let metadata = file.metadata().await.map_err(here)?;
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let part = format!("{directory}/.efs-files-{:016x}.part", fastrand::u64(..));
        let mode = metadata.permissions().mode() & 0o777;
        let handle = self.mount.create_path(&part, Some(mode)).await.map_err(at(path))?.fh;
        let mut progress = Progress::new(metadata.len(), sha256);
        let copied = until_interrupted(async {
            loop {
                let mut chunk = Vec::new();
                (&mut file).take(CHUNK.into()).read_to_end(&mut chunk).await.map_err(here)?;
                if chunk.is_empty() {
                    return Ok(());
                }
                let chunk = Bytes::from(chunk);
                write_all(&*self.mount, handle.clone(), progress.bytes, chunk.clone()).await.map_err(at(path))?;
                progress.add(&chunk);
            }
        })
        .await;
        let closed = self.mount.close(handle).await.map_err(at(path));
        let renamed = match copied.and(closed) {
            Ok(()) => self.mount.rename_path(&part, path).await.map_err(at(path)),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = renamed {
            let _gone = self.mount.remove_path(&part).await;
            return Err(failure);
        }
        self.print_copied(&local.to_string_lossy(), path, progress)
    }

    fn print_entry(&self, name: &str, attributes: Option<&Attr>) -> Result<(), Failure> {
        let Some(attributes) = attributes else {
            return print(if self.json { json!({ "name": name }).to_string() } else { printable(name) });
        };
        let (kind, size, mode) = (kind(attributes), attributes.filesize, format!("{:04o}", attributes.file_mode));
        let modified = humantime::format_rfc3339_seconds(attributes.mtime.to_system_time()).to_string();
        print(if self.json {
            let owner = [&attributes.owner, &attributes.owner_group];
            json!({ "name": name, "type": kind, "size": size, "mode": mode, "owner": owner, "modified": modified })
                .to_string()
        } else {
            format!("{kind:9} {mode} {size:>15} {modified} {}", printable(name))
        })
    }

    fn print_copied(&self, from: &str, to: &str, progress: Progress) -> Result<(), Failure> {
        let Progress { bar, bytes, sha256, started } = progress;
        bar.finish_and_clear();
        let (seconds, sha256) = (started.elapsed().as_secs_f64(), sha256.map(|hash| hex::encode(hash.finalize())));
        print(if self.json {
            json!({ "from": from, "to": to, "bytes": bytes, "sha256": sha256, "seconds": seconds }).to_string()
        } else {
            let sum = sha256.map(|sum| format!(", SHA-256 {sum}")).unwrap_or_default();
            format!("{} -> {}: {bytes} bytes in {seconds:.1} s{sum}", printable(from), printable(to))
        })
    }
}

/// A bar on the standard error if that is a terminal, and what the report wants to know.
struct Progress {
    bar: ProgressBar,
    bytes: u64,
    sha256: Option<Sha256>,
    started: Instant,
}

impl Progress {
    fn new(size: u64, sha256: bool) -> Self {
        let style = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(style).expect("the template is a constant");
        let bar = ProgressBar::new(size).with_style(style);
        Self { bar, bytes: 0, sha256: sha256.then(Sha256::new), started: Instant::now() }
    }

    fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), ..Self::new(0, false) }
    }

    fn add(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.bar.set_position(self.bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(chunk);
        }
    }
}

/// The file types of NFSv4 (RFC 8881 section 3.3.1, `nfs_ftype4`).
fn kind(attributes: &Attr) -> &'static str {
    match attributes.type_ {
        1 => "file",
        2 => "directory",
        5 => "symlink",
        _ => "other",
    }
}

/// A name may hold what a terminal obeys.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
}

fn print(line: String) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(|source| Failure::Local { path: "standard output".into(), source })
}

/// The first SIGINT ends a copy, and leaves what was begun to be taken away.
async fn until_interrupted(copy: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        copied = copy => copied,
        _ = ctrl_c() => Err(Failure::Interrupted),
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the tunnel cannot be started")]
    Start(#[source] Box<dyn Error>),
    #[error("{}: {}", .0.outcome, .0.explain())]
    NotLetIn(Box<Probe>),
    #[error("{path} on the file system")]
    Remote { path: String, source: NfsError },
    #[error("{}", path.display())]
    Local { path: PathBuf, source: io::Error },
    #[error("interrupted")]
    Interrupted,
}

fn at(path: &str) -> impl Fn(NfsError) -> Failure {
    move |source| Failure::Remote { path: path.into(), source }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NotLetIn(probe) => match probe.outcome.kind() {
                ProbeKind::Denied | ProbeKind::AccessPoint => 4,
                _ => 3,
            },
            Self::Remote { source, .. } if source.is_connection_lost() => 3,
            Self::Remote { source, .. } if source.is_not_found() => 5,
            Self::Remote {
                source:
                    NfsError::Nfs4(
                        Nfs4ErrorCode::NFS4ERR_ACCESS | Nfs4ErrorCode::NFS4ERR_PERM | Nfs4ErrorCode::NFS4ERR_ROFS,
                    ),
                ..
            } => 4,
            Self::Interrupted => 130,
            Self::Start(_) | Self::Remote { .. } | Self::Local { .. } => 1,
        })
    }
}
