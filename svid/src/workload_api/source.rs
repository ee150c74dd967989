//! Sources that live on a stream of the Workload API.

use std::{fmt, sync::Arc, time::Duration, time::SystemTime};

use secure_connector::{CurrentIdentity, IdentitySource, error_chain};
use tokio::{sync::watch, task::AbortHandle, time::timeout};

use super::{
    StartError, WorkloadApi, WorkloadApiError, WorkloadApiStatus, X509Context, decode,
    follow::{Follower, follow},
    message::X509SvidResponse,
};
use crate::{BundleSet, SvidPublisher, SvidSource, X509Svid};

/// SVID and bundles from the Workload API, rotated by the agent: an [`IdentitySource`], and an [`SvidSource`] for mTLS.
///
/// Each message of the agent is the whole state. It is judged as a whole; one that breaks a rule is reported in
/// [`status`](Self::status) and in the log, and what was there before stays in use while it is valid. A stream that ends is opened
/// again: at once, then after the [`Backoff`](secure_connector::Backoff) of the [`WorkloadApi`].
///
/// The background task ends when the value is dropped, or by an error that is final (`InvalidArgument`, `Unimplemented`).
pub struct X509Source {
    svids: SvidSource,
    contexts: watch::Receiver<Option<Arc<X509Context>>>,
    stream: Stream,
}

/// Settings of an [`X509Source`].
#[derive(Clone, Debug)]
#[must_use = "nothing is fetched until it is started"]
pub struct X509SourceBuilder {
    api: WorkloadApi,
    hint: Option<String>,
}

/// Bundles from the Workload API, for those that judge peers and have no SVID of their own.
///
/// As with [`X509Source`], and it ends with it likewise.
pub struct BundleSource {
    bundles: watch::Receiver<BundleSet>,
    stream: Stream,
}

struct Stream {
    status: watch::Receiver<WorkloadApiStatus>,
    task: AbortHandle,
}

impl X509Source {
    pub(super) fn builder(api: WorkloadApi) -> X509SourceBuilder {
        X509SourceBuilder { api, hint: None }
    }

    /// SVID and bundles as one value, for [`MtlsConnector`](crate::MtlsConnector) and [`MtlsAcceptor`](crate::MtlsAcceptor).
    pub fn svids(&self) -> SvidSource {
        self.svids.clone()
    }

    /// All SVIDs and bundles that the agent has for us; `None` before the first and after a withdrawal.
    pub fn contexts(&self) -> watch::Receiver<Option<Arc<X509Context>>> {
        self.contexts.clone()
    }

    /// How the stream fares.
    pub fn status(&self) -> watch::Receiver<WorkloadApiStatus> {
        self.stream.status.clone()
    }
}

impl X509SourceBuilder {
    /// Of several SVIDs, takes the first with this hint. Default: the first of all. An update without it is a withdrawal.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Begins to fetch. Returns at once; connections wait for the first SVID. Needs a tokio runtime.
    pub fn start(self) -> X509Source {
        let (publisher, svids) = SvidPublisher::new();
        let (contexts_tx, contexts) = watch::channel(None);
        let follower =
            Svids { api: self.api.clone(), hint: self.hint, publisher, current: None, contexts: contexts_tx };
        X509Source { svids, contexts, stream: Stream::open(self.api, "/SpiffeWorkloadAPI/FetchX509SVID", follower) }
    }

    /// Begins to fetch, and waits until the first SVID is there, whatever fails meanwhile.
    ///
    /// # Errors
    /// [`StartError`] when the time is up, or at once when an error is final.
    pub async fn start_within(self, limit: Duration) -> Result<X509Source, StartError> {
        let source = self.start();
        let started = source.stream.started(|status| status.ended);
        let outcome = timeout(limit, started).await;
        outcome.unwrap_or_else(|_| Err(source.stream.failed(Some(limit))))?;
        Ok(source)
    }

    /// Begins to fetch. The first failure, or the first update that is refused, ends it. The time is limited by
    /// [`answer_within`](super::WorkloadApiBuilder::answer_within).
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_or_fail(self) -> Result<X509Source, StartError> {
        let source = self.start();
        source.stream.started(|status| status.last_error.is_some()).await?;
        Ok(source)
    }
}

impl BundleSource {
    pub(super) fn start(
        api: WorkloadApi,
        path: &'static str,
        read: fn(&[u8]) -> Result<BundleSet, WorkloadApiError>,
    ) -> Self {
        let (sender, bundles) = watch::channel(BundleSet::default());
        Self { bundles, stream: Stream::open(api, path, Bundles { read, bundles: sender }) }
    }

    /// The bundles, now and whenever they change. Empty before the first answer and after a withdrawal.
    pub fn bundles(&self) -> watch::Receiver<BundleSet> {
        self.bundles.clone()
    }

    /// How the stream fares.
    pub fn status(&self) -> watch::Receiver<WorkloadApiStatus> {
        self.stream.status.clone()
    }
}

impl Stream {
    fn open(api: WorkloadApi, path: &'static str, follower: impl Follower + 'static) -> Self {
        let (sender, status) = watch::channel(WorkloadApiStatus::default());
        Self { status, task: tokio::spawn(follow(api, path, follower, sender)).abort_handle() }
    }

    async fn started(&self, failed: impl Fn(&WorkloadApiStatus) -> bool) -> Result<(), StartError> {
        let mut status = self.status.clone();
        // Ends with an error when the task has ended, which then has said why.
        let settled = status.wait_for(|status| status.updates > 0 || failed(status)).await;
        if settled.is_ok_and(|status| status.updates > 0) { Ok(()) } else { Err(self.failed(None)) }
    }

    fn failed(&self, within: Option<Duration>) -> StartError {
        StartError { within, source: self.status.borrow().last_error.clone() }
    }
}

struct Svids {
    api: WorkloadApi,
    hint: Option<String>,
    publisher: SvidPublisher,
    /// What was published last and not withdrawn.
    current: Option<X509Svid>,
    contexts: watch::Sender<Option<Arc<X509Context>>>,
}

impl Follower for Svids {
    fn take(&mut self, message: &[u8]) -> Result<Option<SystemTime>, WorkloadApiError> {
        let response: X509SvidResponse = decode(message)?;
        let context = X509Context::judge(response, self.api.settings.clock.now())?;
        let svid = context.choose(self.hint.as_deref())?.clone();
        // The same SVID stays the same value: bundles may change without an end to the resumption of sessions.
        let svid = self.current.take().filter(|current| same(current, &svid)).unwrap_or(svid);
        let not_after = svid.not_after();
        tracing::info!(id = %svid.id(), bundles = context.bundles().iter().len(), "X.509-SVID received");
        // Whoever waits for the context then connects with what is in it.
        self.publisher.publish(svid.clone(), context.bundles().clone());
        drop(self.contexts.send_replace(Some(Arc::new(context))));
        self.current = Some(svid);
        Ok(Some(not_after))
    }

    /// Before the first SVID there is nothing to take back: whoever connects goes on waiting.
    fn withdraw(&mut self, reason: &WorkloadApiError) {
        if self.current.take().is_some() {
            self.publisher.withdraw(error_chain(reason));
            drop(self.contexts.send_replace(None));
        }
    }

    /// What there is stays until it expires; who waits for the first waits in vain.
    fn end(&mut self, reason: &WorkloadApiError) {
        if self.current.is_none() {
            self.publisher.withdraw(error_chain(reason));
        }
    }
}

fn same(one: &X509Svid, other: &X509Svid) -> bool {
    one.hint() == other.hint() && one.identity().chain().eq(other.identity().chain())
}

struct Bundles {
    read: fn(&[u8]) -> Result<BundleSet, WorkloadApiError>,
    bundles: watch::Sender<BundleSet>,
}

impl Follower for Bundles {
    fn take(&mut self, message: &[u8]) -> Result<Option<SystemTime>, WorkloadApiError> {
        let new = (self.read)(message)?;
        self.bundles.send_if_modified(|bundles| std::mem::replace(bundles, new) != *bundles);
        Ok(None)
    }

    fn withdraw(&mut self, _: &WorkloadApiError) {
        drop(self.bundles.send_replace(BundleSet::default()));
    }

    fn end(&mut self, _: &WorkloadApiError) {}
}

impl IdentitySource for X509Source {
    fn subscribe(&self) -> watch::Receiver<CurrentIdentity> {
        self.svids.subscribe()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for X509Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Source")
            .field("svids", &self.svids)
            .field("status", &*self.stream.status.borrow())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BundleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleSource")
            .field("bundles", &*self.bundles.borrow())
            .field("status", &*self.stream.status.borrow())
            .finish_non_exhaustive()
    }
}
