//! An identity kept in PEM files that somebody else replaces.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use tokio::{sync::watch, task::AbortHandle, time};
use zeroize::Zeroizing;

use super::{CurrentIdentity, Identity, IdentityError, IdentitySource};
use crate::Rfc3339;

/// A certificate chain and its key in two PEM files (or one), read again when their content changes.
///
/// The two files are one value: a new certificate beside the old key, as seen while somebody replaces them one after the
/// other, is not published; the earlier identity stays until both belong together. Content is compared, not time stamps,
/// so symbolic-link swaps (Kubernetes secrets) and files restored with old dates are seen too.
///
/// The background task ends when the value is dropped; the last identity stays with those who subscribed.
pub struct PemFiles {
    identity: watch::Receiver<CurrentIdentity>,
    status: watch::Receiver<PemFilesStatus>,
    reload: Arc<tokio::sync::Notify>,
    task: AbortHandle,
}

/// The state of a [`PemFiles`] source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PemFilesStatus {
    /// End of validity of the published identity.
    pub not_after: SystemTime,
    /// How many times a new identity was published; 1 after the first.
    pub published: u64,
    /// Why the files' present content is not in use; `None` when it is.
    pub last_error: Option<String>,
}

/// Why the files do not make an identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemFilesError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The files hold an identity that cannot be used now, and the earlier one can.
    #[error("the new certificate is valid from {} to {} only; the earlier one stays in use", Rfc3339(*not_before), Rfc3339(*not_after))]
    NotCurrent {
        /// First second of validity.
        not_before: SystemTime,
        /// Last second of validity.
        not_after: SystemTime,
    },
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    Stopped,
    /// The files were read and do not make an identity.
    #[error("{} and {} do not make an identity", chain.display(), key.display())]
    Identity {
        /// The file of the chain.
        chain: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        source: IdentityError,
    },
}

impl PemFiles {
    /// How often the files are read when nothing else is said.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

    /// Reads the files once and then every `interval`, at most ten times a second. Both paths may name the same file. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`PemFilesError`] when the first reading fails. Later failures keep the last good identity and are seen in
    /// [`status`](Self::status).
    pub async fn open(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        interval: Duration,
    ) -> Result<Self, PemFilesError> {
        let (chain, key) = (chain.into(), key.into());
        let files = Pair::read(&chain, &key).await?;
        let first = files.identity(&chain, &key)?;
        let status = PemFilesStatus { not_after: first.certificate().not_after, published: 1, last_error: None };
        let (identity_tx, identity) = watch::channel(Ok(Arc::new(first)));
        let (status_tx, status) = watch::channel(status);
        let reload = Arc::new(tokio::sync::Notify::new());
        let follow = follow(chain, key, interval, files.digest, identity_tx, status_tx, reload.clone());
        let task = tokio::spawn(follow).abort_handle();
        Ok(Self { identity, status, reload, task })
    }

    /// The state, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<PemFilesStatus> {
        self.status.clone()
    }

    /// Reads the files at once instead of at the next interval (what `SIGHUP` means to most servers).
    pub fn reload(&self) {
        self.reload.notify_one();
    }
}

impl IdentitySource for PemFiles {
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity> {
        self.identity.clone()
    }
}

impl Drop for PemFiles {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for PemFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFiles").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

/// Reading again and again without a pause helps nobody.
const SHORTEST: Duration = Duration::from_millis(100);

async fn follow(
    chain: PathBuf,
    key: PathBuf,
    interval: Duration,
    mut published: [u8; 32],
    identity: watch::Sender<CurrentIdentity>,
    status: watch::Sender<PemFilesStatus>,
    reload: Arc<tokio::sync::Notify>,
) {
    loop {
        tokio::select! {
            () = time::sleep(interval.max(SHORTEST)) => {}
            () = reload.notified() => {}
        }
        let new = match Pair::read(&chain, &key).await {
            Ok(files) if files.digest == published => Ok(None),
            Ok(files) => files.identity(&chain, &key).map(|identity| Some((files.digest, identity))),
            Err(e) => Err(e),
        };
        let new = new.and_then(|new| match new {
            Some((_, new)) if !may_replace(&identity.borrow(), &new) => {
                Err(PemFilesError::NotCurrent { not_before: new.certificate().not_before, not_after: new.not_after() })
            }
            new => Ok(new),
        });
        match new {
            Ok(None) => {
                status.send_if_modified(|s| s.last_error.take().is_some());
            }
            Ok(Some((digest, new))) => {
                published = digest;
                tracing::info!(chain = %chain.display(), not_after = ?new.certificate().not_after, "identity reloaded");
                status.send_modify(|s| {
                    s.not_after = new.certificate().not_after;
                    s.published += 1;
                    s.last_error = None;
                });
                drop(identity.send_replace(Ok(Arc::new(new))));
            }
            Err(e) => {
                let text = crate::error_chain(&e);
                let changed = status.send_if_modified(|s| {
                    let changed = s.last_error.as_ref() != Some(&text);
                    s.last_error = Some(text.clone());
                    changed
                });
                if changed {
                    tracing::warn!(error = %text, "identity files not taken; the earlier identity stays in use");
                }
            }
        }
    }
}

/// An identity that can be used is not given up for one that cannot.
fn may_replace(present: &CurrentIdentity, new: &Identity) -> bool {
    let now = SystemTime::now();
    new.is_current(now) || !present.as_ref().is_ok_and(|present| present.is_current(now))
}

/// Both files' content, read one after the other.
struct Pair {
    /// The same file as the key's, perhaps.
    chain: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    digest: [u8; 32],
}

impl Pair {
    async fn read(chain: &Path, key: &Path) -> Result<Self, PemFilesError> {
        let paths = (chain.to_owned(), key.to_owned());
        let read = move || {
            let read = |path: &Path| {
                std::fs::read(path)
                    .map(Zeroizing::new)
                    .map_err(|source| PemFilesError::Read { path: path.to_owned(), source })
            };
            let (chain, key) = (read(&paths.0)?, read(&paths.1)?);
            let digest = Sha256::new().chain_update(&*chain).chain_update([0]).chain_update(&*key).finalize().into();
            Ok(Self { chain, key, digest })
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(PemFilesError::Stopped))
    }

    fn identity(&self, chain: &Path, key: &Path) -> Result<Identity, PemFilesError> {
        Identity::from_pem(&self.chain, &self.key).map_err(|source| PemFilesError::Identity {
            chain: chain.to_owned(),
            key: key.to_owned(),
            source,
        })
    }
}
