//! One connection, from its acceptance to its end.

use std::{future::pending, sync::Arc};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    CloseReason, IdleTimeout,
    builder::Options,
    instant_after,
    local::Local,
    registry::Entry,
    relay::{RelayEnd, relay},
};
use crate::{SecureConnector, SecureStream, error_chain};

/// Connects and relays. When the connection is closed in the books, both of its sides are closed.
pub(super) async fn carry<C: SecureConnector>(connector: Arc<C>, options: Options, local: Local, entry: Entry) {
    let reason = match connect(&*connector, &options, &local, &entry).await {
        Ok(upstream) => {
            entry.connected(upstream.report());
            exchange(upstream, &options, &local, &entry).await
        }
        Err(reason) => reason,
    };
    if matches!(reason, CloseReason::Finished | CloseReason::CloseTimeout) {
        local.end_well();
    } else {
        drop(local);
    }
    entry.close(reason);
}

/// Tries for as long as the hold lasts, trying again helps, and the local side waits.
async fn connect<C: SecureConnector>(
    connector: &C,
    options: &Options,
    local: &Local,
    entry: &Entry,
) -> Result<C::Stream, CloseReason> {
    let (id, peer) = (entry.id, entry.peer);
    let hold_ends = instant_after(options.hold);
    let error = tokio::select! {
        biased;
        connected = connector.connect() => match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        },
        // A local side that has only ended its half is given the benefit of the doubt: it may be waiting to be told
        // something by an upstream that is well.
        () = local.reset_by_peer() => return Err(CloseReason::LocalLeft),
    };
    let retrying = async {
        let mut error = error;
        let mut failures = 0;
        loop {
            let text = entry.connect_failed(&error);
            let delay = options.backoff.delay(failures);
            if !error.is_retryable() || hold_ends.saturating_duration_since(Instant::now()) <= delay {
                return Err(text);
            }
            if failures == 0 {
                tracing::warn!(id, local = %peer, error = %text, "upstream is away, holding the local side");
            }
            entry.retrying(text.clone(), delay);
            sleep(delay).await;
            match timeout_at(hold_ends, connector.connect()).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(next)) => error = next,
                Err(_) => return Err(text),
            }
            failures = failures.saturating_add(1);
        }
    };
    tokio::select! {
        biased;
        connected = retrying => connected.map_err(|error| {
            tracing::warn!(id, local = %peer, %error, "upstream cannot be reached, resetting the local side");
            CloseReason::ConnectFailed { error }
        }),
        () = local.given_up() => Err(CloseReason::LocalLeft),
    }
}

/// Relays until both directions have ended, something breaks, or nothing moves any more. `upstream` is dropped here.
async fn exchange<S: SecureStream>(upstream: S, options: &Options, local: &Local, entry: &Entry) -> CloseReason {
    let idle = async {
        match options.idle_timeout {
            IdleTimeout::After(limit) => entry.progress.idle_for(limit).await,
            IdleTimeout::Never => pending().await,
        }
    };
    let half_closed = async {
        match options.close_timeout {
            IdleTimeout::After(limit) => entry.progress.half_closed_for(limit).await,
            IdleTimeout::Never => pending().await,
        }
    };
    let end = tokio::select! {
        biased;
        end = relay(local, upstream, options.buffer_size, &entry.progress) => end,
        // A relay whose upstream takes nothing does not read the local side and would not notice.
        () = local.reset_by_peer() => return CloseReason::LocalReset,
        () = idle => {
            tracing::info!(id = entry.id, local = %entry.peer, "idle, resetting both sides");
            return CloseReason::Idle;
        }
        () = half_closed => return CloseReason::CloseTimeout,
    };
    match end {
        RelayEnd::Finished => CloseReason::Finished,
        RelayEnd::Unconfirmed => CloseReason::Unconfirmed,
        RelayEnd::Upstream(error) => {
            let error = error_chain(&error);
            tracing::warn!(id = entry.id, local = %entry.peer, %error, "upstream truncated, resetting the local side");
            CloseReason::Truncated { error }
        }
        RelayEnd::Local => CloseReason::LocalReset,
    }
}
