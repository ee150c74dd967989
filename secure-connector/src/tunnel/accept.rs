//! The tunnel's own task: accepts connections and owns theirs.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{LocalPeer, builder::Options, connection, listen::Listener, local::Local, registry::Registry};
use crate::{Backoff, SecureConnector};

const AFTER_ACCEPT_FAILED: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));

/// Serves until a deadline is set and all connections have ended or it has passed, or until the handle, which sets the
/// deadline, is dropped; returns how many connections had not ended.
pub(super) async fn serve<C: SecureConnector + 'static>(
    listener: Listener,
    connector: Arc<C>,
    options: Options,
    registry: Arc<Registry>,
    mut deadline: watch::Receiver<Option<Instant>>,
) -> usize {
    let mut connections = JoinSet::new();
    let mut full = false;
    let mut denied = false;
    loop {
        let (local, peer) = tokio::select! {
            biased;
            _ = deadline.wait_for(Option::is_some) => break,
            accepted = accept(&listener, &registry) => accepted,
        };
        while connections.try_join_next().is_some() {}
        if let Err(uid) = listener.users().admit(&local, peer).await {
            if !denied {
                tracing::warn!(local = %peer, uid, "not an allowed user: resetting this and further ones");
            }
            denied = true;
            registry.denied(peer, uid);
            continue;
        }
        denied = false;
        let entry = registry.open(peer);
        if entry.is_none() && !full {
            tracing::warn!(local = %peer, "too many connections: resetting this and further ones");
        }
        full = entry.is_none();
        if let Some(entry) = entry {
            connections.spawn(connection::carry(Arc::clone(&connector), options, local, entry));
        }
    }
    registry.stopped_accepting();
    drop(listener);
    drain(connections, deadline).await
}

/// The next connection; however `accept` fails, it is tried again.
async fn accept(listener: &Listener, registry: &Registry) -> (Local, LocalPeer) {
    let mut failures = 0;
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => error,
        };
        // accept(2) also reports what befell the connection in the queue.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            continue;
        }
        if failures == 0 {
            tracing::warn!(%error, "cannot accept, trying again");
        }
        registry.accept_failed(&error);
        sleep(AFTER_ACCEPT_FAILED.delay(failures)).await;
        failures = failures.saturating_add(1);
    }
}

async fn drain(mut connections: JoinSet<()>, mut deadline: watch::Receiver<Option<Instant>>) -> usize {
    loop {
        let until = *deadline.borrow_and_update();
        tokio::select! {
            biased;
            ended = connections.join_next() => if ended.is_none() { return 0 },
            () = sleep_until(until.unwrap_or_else(Instant::now)) => break,
            changed = deadline.changed() => if changed.is_err() { break },
        }
    }
    let cut = connections.len();
    connections.shutdown().await;
    cut
}
