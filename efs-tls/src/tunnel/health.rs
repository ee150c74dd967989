//! Whether the file system behind a tunnel lets us in, asked at intervals.

use std::{sync::Arc, time::Duration, time::SystemTime};

use secure_connector::Clock;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{EfsConnector, Probe, ProbeKind, ProbeOptions};

/// What the latest probe of a tunnel's file system found.
///
/// A probe is one TLS connection of its own and some NFS requests. `df` or `stat` on the mount would ask through the kernel,
/// and wait for as long as the mount hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct EfsTunnelHealth {
    /// The kind of outcome; [`ProbeKind::Admitted`] is health.
    pub kind: ProbeKind,
    /// The outcome in a line.
    pub outcome: String,
    /// When the probe ended.
    #[cfg_attr(feature = "serde", serde(serialize_with = "rfc3339"))]
    pub at: SystemTime,
    /// Since when the kind of outcome has been the same.
    #[cfg_attr(feature = "serde", serde(serialize_with = "rfc3339"))]
    pub since: SystemTime,
    /// How long the probe took.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub took: Duration,
}

impl EfsTunnelHealth {
    /// Whether the file system lets us in.
    pub fn is_healthy(&self) -> bool {
        self.kind == ProbeKind::Admitted
    }

    fn after(before: Option<&Self>, probe: &Probe, at: SystemTime) -> Self {
        let kind = probe.outcome.kind();
        let since = before.filter(|before| before.kind == kind).map_or(at, |before| before.since);
        Self { kind, outcome: probe.outcome.to_string(), at, since, took: probe.took }
    }
}

/// Probes while it lives.
#[derive(Debug)]
pub(super) struct Prober {
    pub(super) health: watch::Receiver<Option<EfsTunnelHealth>>,
    task: Option<AbortHandle>,
}

impl Prober {
    /// Probes at once, and then `every` so often; never, if that is `None`.
    pub(super) fn start(connector: Arc<EfsConnector>, every: Option<Duration>) -> Self {
        let (tx, health) = watch::channel(None);
        let task = every.map(|every| tokio::spawn(probe(connector, every, tx)).abort_handle());
        Self { health, task }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn probe(connector: Arc<EfsConnector>, every: Duration, health: watch::Sender<Option<EfsTunnelHealth>>) {
    // A mount is root's.
    let options = ProbeOptions::default().user(0, 0);
    let mut ticks = interval(every.max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let probe = connector.probe_with(&options).await;
        let now = EfsTunnelHealth::after(health.borrow().as_ref(), &probe, connector.clock.now());
        if health.borrow().as_ref().is_none_or(|before| before.kind != now.kind) {
            match now.is_healthy() {
                true => tracing::info!(outcome = now.outcome, "the file system lets us in"),
                false => tracing::warn!(outcome = now.outcome, "the file system does not let us in"),
            }
        }
        health.send_replace(Some(now));
    }
}

#[cfg(feature = "serde")]
fn rfc3339<S: serde::Serializer>(time: &SystemTime, s: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&secure_connector::Rfc3339(*time), s)
}

#[cfg(feature = "serde")]
fn seconds<S: serde::Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(duration.as_secs_f64())
}
