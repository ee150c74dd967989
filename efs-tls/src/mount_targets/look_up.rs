//! The list of targets and our zone: looked up when due, kept in between, and what stands in for a list that cannot be had.

use std::{sync::Arc, time::Duration};

use secure_connector::{Backoff, error_chain};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{AvailabilityZone, FindMountTargets, FindMountTargetsError, FindZone, MountTarget};
use crate::MountTargetName;

/// Looks up one file system's targets. One look-up is under way at a time; callers that come meanwhile get its result.
#[derive(Debug)]
pub(super) struct LookUp {
    find: Arc<dyn FindMountTargets>,
    zone: Option<Arc<dyn FindZone>>,
    refresh: Duration,
    kept: Mutex<Option<Kept>>,
}

/// What a connection goes by. There is at least one target.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) targets: Arc<[MountTarget]>,
    /// Our zone, or why it is not known.
    pub(super) zone: Result<AvailabilityZone, String>,
    /// What is wrong with the list, if anything is.
    pub(super) flaw: Option<String>,
}

#[derive(Debug)]
struct Kept {
    known: Known,
    /// The last list that a look-up had, and when.
    found: Option<(Arc<[MountTarget]>, Instant)>,
    /// Look-ups that failed since.
    failures: u32,
    /// The last look-up, whatever came of it, and how long to go without another.
    looked_up: Instant,
    good_for: Duration,
}

/// On an EC2 instance the answer comes from the host itself; elsewhere none may ever come.
const ZONE_LIMIT: Duration = Duration::from_secs(1);
/// Between look-ups that fail.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
/// Between look-ups whose targets do not work, so that clients that reconnect in a hurry do not exhaust the API's quota.
const AGAIN_IN_DOUBT: Duration = Duration::from_secs(10);

impl LookUp {
    pub(super) fn new(find: Arc<dyn FindMountTargets>, zone: Option<Arc<dyn FindZone>>, refresh: Duration) -> Self {
        Self { find, zone, refresh, kept: Mutex::default() }
    }

    /// What is known now, looked up within `limit` if that is due.
    pub(super) async fn current(&self, file_system: &MountTargetName, limit: Duration) -> Known {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.looked_up.elapsed() < kept.good_for) {
            return kept.known.clone();
        }
        let zone = kept.as_ref().and_then(|kept| kept.known.zone.as_ref().ok());
        let (found, zone) = tokio::join!(self.find(file_system, limit), self.our_zone(zone, limit));
        let new = keep(kept.take(), found, zone, self.refresh, Instant::now());
        kept.insert(new).known.clone()
    }

    /// Nothing in the list works: the next connection looks again, unless another one does so already.
    pub(super) fn doubt(&self) {
        let Ok(mut kept) = self.kept.try_lock() else { return };
        if let Some(kept) = &mut *kept {
            kept.good_for = kept.good_for.min(AGAIN_IN_DOUBT);
        }
    }

    async fn find(
        &self,
        file_system: &MountTargetName,
        limit: Duration,
    ) -> Result<Vec<MountTarget>, FindMountTargetsError> {
        match timeout(limit, self.find.find(file_system)).await {
            Ok(Ok(none)) if none.is_empty() => Err(FindMountTargetsError::NoneAvailable { others: Vec::new() }),
            Ok(found) => found,
            Err(_) => Err(FindMountTargetsError::TimedOut { limit }),
        }
    }

    /// A process does not move to another zone, so what was found once stays.
    async fn our_zone(&self, before: Option<&AvailabilityZone>, limit: Duration) -> Result<AvailabilityZone, String> {
        let limit = limit.min(ZONE_LIMIT);
        match (before, &self.zone) {
            (Some(zone), _) => Ok(zone.clone()),
            (None, None) => Err("not given".to_owned()),
            (None, Some(find)) => match timeout(limit, find.find_zone()).await {
                Ok(found) => found.map_err(|error| error_chain(&*error)),
                Err(_) => Err(format!("no answer within {limit:?}")),
            },
        }
    }
}

fn keep(
    before: Option<Kept>,
    found: Result<Vec<MountTarget>, FindMountTargetsError>,
    zone: Result<AvailabilityZone, String>,
    refresh: Duration,
    now: Instant,
) -> Kept {
    let error = match found {
        Ok(targets) => {
            let targets: Arc<[MountTarget]> = targets.into();
            let known = Known { targets: targets.clone(), zone, flaw: None };
            return Kept { known, found: Some((targets, now)), failures: 0, looked_up: now, good_for: refresh };
        }
        Err(error) => error_chain(&error),
    };
    tracing::warn!(%error, "mount targets not looked up");
    let (found, failures) = before.map_or((None, 0), |before| (before.found, before.failures));
    let (targets, flaw) = match &found {
        Some((targets, at)) => {
            let age = (now - *at).as_secs();
            let with_own_name = targets.iter().cloned().chain([MountTarget::own_name()]).collect();
            (with_own_name, format!("the targets are those of {age} s ago, as the look-up fails: {error}"))
        }
        None => ([MountTarget::own_name()].into(), format!("the mount targets cannot be looked up: {error}")),
    };
    Kept {
        known: Known { targets, zone, flaw: Some(flaw) },
        found,
        failures: failures.saturating_add(1),
        looked_up: now,
        good_for: AGAIN.delay(failures),
    }
}
