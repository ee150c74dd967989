//! Who we are and whom we trust, at one moment.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use secure_connector::{CurrentIdentity, IdentitySource, IdentityUnavailable};
use tokio::sync::watch;

use crate::{BundleSet, X509Svid};

/// An SVID with the bundles that go with it. Immutable; rotation replaces it as a whole, by one pointer.
#[derive(Debug)]
pub struct Snapshot {
    svid: X509Svid,
    bundles: BundleSet,
    generation: u64,
}

/// What a source offers at the moment.
pub type CurrentSnapshot = Result<Arc<Snapshot>, IdentityUnavailable>;

/// The sending end of a source. Dropping it ends renewal; what was published last stays until it expires.
pub struct SvidPublisher {
    generation: Mutex<u64>,
    snapshots: watch::Sender<CurrentSnapshot>,
    identities: watch::Sender<CurrentIdentity>,
}

/// Where SVIDs and bundles come from. Cheap to clone; every clone sees the same.
#[derive(Clone)]
pub struct SvidSource {
    snapshots: watch::Receiver<CurrentSnapshot>,
    identities: watch::Receiver<CurrentIdentity>,
}

impl Snapshot {
    /// Who we are.
    pub fn svid(&self) -> &X509Svid {
        &self.svid
    }

    /// Whom we trust.
    pub fn bundles(&self) -> &BundleSet {
        &self.bundles
    }

    /// Counts what was published, from 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl SvidPublisher {
    /// A source that waits for its first SVID.
    pub fn new() -> (Self, SvidSource) {
        let pending = || IdentityUnavailable::pending("no SVID was published yet");
        let (snapshots, of_snapshots) = watch::channel(Err(pending()));
        let (identities, of_identities) = watch::channel(Err(pending()));
        let source = SvidSource { snapshots: of_snapshots, identities: of_identities };
        (Self { generation: Mutex::new(0), snapshots, identities }, source)
    }

    /// Publishes, and returns the number of this generation.
    ///
    /// An SVID with the [`identity`](X509Svid::identity) of the one before it (a clone) changes bundles only; then sessions
    /// may be resumed, each judged by the new bundles.
    pub fn publish(&self, svid: X509Svid, bundles: BundleSet) -> u64 {
        // A panic elsewhere leaves at worst a number unused.
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        let identity = svid.identity().clone();
        // Whom we trust comes first: a peer that sees our new SVID may already have a new one itself.
        drop(self.snapshots.send_replace(Ok(Arc::new(Snapshot { svid, bundles, generation: *generation }))));
        drop(self.identities.send_replace(Ok(identity)));
        *generation
    }

    /// Withdraws SVID and bundles: no further connection is made or accepted. `reason` is in every error.
    pub fn withdraw(&self, reason: impl Into<String>) {
        let _generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let unavailable = IdentityUnavailable::failed(reason);
        drop(self.identities.send_replace(Err(unavailable.clone())));
        drop(self.snapshots.send_replace(Err(unavailable)));
    }
}

impl SvidSource {
    /// One SVID and one set of bundles that never change.
    pub fn fixed(svid: X509Svid, bundles: BundleSet) -> Self {
        let (publisher, source) = SvidPublisher::new();
        publisher.publish(svid, bundles);
        source
    }

    /// What there is at the moment.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn snapshot(&self) -> CurrentSnapshot {
        self.snapshots.borrow().clone()
    }

    /// Subscribes to the current snapshot and all later ones.
    pub fn subscribe_snapshots(&self) -> watch::Receiver<CurrentSnapshot> {
        self.snapshots.clone()
    }
}

/// Who we are, for connectors that have names and roots of their own for their peers.
impl IdentitySource for SvidSource {
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity> {
        self.identities.clone()
    }
}

impl fmt::Debug for SvidPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidPublisher").field("current", &*self.snapshots.borrow()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SvidSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidSource").field("current", &*self.snapshots.borrow()).finish_non_exhaustive()
    }
}
