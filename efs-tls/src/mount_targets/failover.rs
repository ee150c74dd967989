//! Connects to the first target, in their order, that works.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secure_connector::{
    ConnectError, CurrentIdentity, Resolve, Socket, Stage, TargetAttempt, Timeouts, TlsConnector, TlsStream,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    MountTargets,
    health::Health,
    look_up::LookUp,
    order::{because, order},
};
use crate::MountTargetName;

/// One file system's mount targets, and what became of each.
#[derive(Debug)]
pub(crate) struct Failover {
    file_system: MountTargetName,
    look_up: LookUp,
    resolver: Arc<dyn Resolve>,
    timeouts: Timeouts,
    health: Mutex<Health>,
    seed: u64,
}

/// How long one target may take while there are others to try. Between zones of a region a connection takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

impl Failover {
    pub(crate) fn new(file_system: MountTargetName, targets: MountTargets, timeouts: Timeouts) -> Self {
        let MountTargets { find, zone, refresh, resolver } = targets;
        let look_up = LookUp::new(find, zone, refresh);
        Self { file_system, look_up, resolver, timeouts, health: Mutex::default(), seed: fastrand::u64(..) }
    }

    /// Tries every target in its turn within the total limit.
    pub(crate) async fn connect(
        &self,
        tls: &TlsConnector,
        identity: watch::Receiver<CurrentIdentity>,
    ) -> Result<TlsStream<Socket>, ConnectError> {
        let (total, called) = (self.timeouts.of(Stage::Total), Instant::now());
        // That we have no certificate yet is not the target's doing and must not count against it.
        let identity = first_identity(identity, self.timeouts.of(Stage::Identity));
        let look_up = self.look_up.current(&self.file_system, self.timeouts.of(Stage::Dns));
        let ready = async { tokio::join!(look_up, identity) };
        let Ok((known, identity)) = timeout(total, ready).await else {
            return Err(ConnectError::Timeout { stage: Stage::Total, limit: total });
        };
        identity?;
        let now = Instant::now();
        let candidates = order(&known, self.seed, |target| {
            let target = target.dial(&self.file_system, &self.resolver).to_string();
            self.health().set_aside(&target, now).map(str::to_owned)
        });
        let mut attempts = Vec::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let reason = because(candidate, &candidates, &known, &attempts);
            let dial = candidate.target.dial(&self.file_system, &self.resolver).because(reason.clone());
            let (target, started) = (dial.to_string(), Instant::now());
            self.health().trying(&target, started);
            let limit = share(total.saturating_sub(called.elapsed()), candidates.len() - index);
            match tls.connect_to(&dial, limit).await {
                Ok(stream) => {
                    self.health().works(&target);
                    return Ok(stream);
                }
                Err(error) if is_about_us(&error) => return Err(error),
                Err(error) => {
                    self.health().failed(&target, &error, started, Instant::now());
                    attempts.push(TargetAttempt::new(target, reason, error));
                }
            }
        }
        self.look_up.doubt();
        Err(ConnectError::NoTarget { attempts })
    }

    /// A panic elsewhere leaves at worst one entry unwritten.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a target gets of the time `left` when it is one of `targets` to try: the last one gets all.
fn share(left: Duration, targets: usize) -> Duration {
    if targets <= 1 { left } else { PATIENCE.min(left / u32::try_from(targets).unwrap_or(u32::MAX)) }
}

async fn first_identity(mut identity: watch::Receiver<CurrentIdentity>, limit: Duration) -> Result<(), ConnectError> {
    let settled = identity.wait_for(|current| !matches!(current, Err(unavailable) if unavailable.pending));
    if timeout(limit, settled).await.is_ok() {
        // What it settled to, the connector looks at itself.
        return Ok(());
    }
    identity.borrow().clone().map(drop).map_err(ConnectError::NoIdentity)
}

/// Whether another target would only repeat the error. One whose certificate is wrong may be an address that now belongs
/// to somebody else; the next target has to prove itself all the same.
fn is_about_us(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::Config { .. }
            | ConnectError::NoIdentity(_)
            | ConnectError::Auth { .. }
            | ConnectError::Timeout { stage: Stage::Identity | Stage::Auth, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_gets_an_equal_share_but_no_more_than_5_s_and_the_last_one_all() {
        let second = Duration::from_secs(1);
        for (left, targets, expected) in [(30, 3, 5), (9, 3, 3), (30, 1, 30), (0, 2, 0)] {
            assert_eq!(share(left * second, targets), expected * second);
        }
    }
}
