//! In which order targets are tried, and why each has its turn when it has.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
};

use secure_connector::{TargetAttempt, error_chain};

use super::{MountTarget, look_up::Known};

/// A target in its turn.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) target: &'a MountTarget,
    standing: Standing,
    /// Its place if none were set aside.
    rank: usize,
    /// Why it is not tried before others.
    set_aside: Option<String>,
}

/// How near a target is, nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    SameZone,
    /// Another zone than ours, or one of which that is not known.
    Elsewhere,
    OwnName,
}

/// The targets in the order in which to try them: nearest first, equally near ones by lot, those set aside last.
///
/// The lot is a hash under `seed`: for one seed, the order among targets stays when others come and go.
pub(super) fn order(
    known: &Known,
    seed: u64,
    set_aside: impl Fn(&MountTarget) -> Option<String>,
) -> Vec<Candidate<'_>> {
    let standing = |target: &MountTarget| match (&known.zone, target.zone()) {
        _ if target.is_own_name() => Standing::OwnName,
        (Ok(ours), Some(theirs)) if ours.is_same(theirs) => Standing::SameZone,
        _ => Standing::Elsewhere,
    };
    let mut targets: Vec<_> = known.targets.iter().map(|target| (standing(target), target)).collect();
    targets.sort_by_cached_key(|&(standing, target)| (standing, lot(seed, target)));
    let mut candidates: Vec<_> = (targets.into_iter().enumerate())
        .map(|(rank, (standing, target))| Candidate { target, standing, rank, set_aside: set_aside(target) })
        .collect();
    candidates.sort_by_key(|candidate| candidate.set_aside.is_some());
    candidates
}

fn lot(seed: u64, target: &MountTarget) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, target).hash(&mut hasher);
    hasher.finish()
}

/// Why `candidate` is tried now: what speaks for it, what has spoken against those that would have come before it, and what
/// is wrong with the list.
pub(super) fn because(
    candidate: &Candidate<'_>,
    candidates: &[Candidate<'_>],
    known: &Known,
    attempts: &[TargetAttempt],
) -> String {
    let mut reason = standing_reason(candidate, candidates, known);
    for TargetAttempt { target, error, .. } in attempts {
        let _ = write!(reason, "; {target} has just failed: {}", error_chain(error));
    }
    // Those that failed in this call are not listed again.
    let set_aside = candidates.iter().skip(attempts.len());
    for other in set_aside.filter(|other| other.rank < candidate.rank) {
        if let Some(error) = &other.set_aside {
            let _ = write!(reason, "; the one in {} is set aside: {error}", place(other.target));
        }
    }
    if let Some(flaw) = &known.flaw {
        let _ = write!(reason, "; {flaw}");
    }
    reason
}

fn standing_reason(candidate: &Candidate<'_>, candidates: &[Candidate<'_>], known: &Known) -> String {
    let place = place(candidate.target);
    let peers = candidates.iter().filter(|other| other.standing == candidate.standing).count();
    let lot = match peers {
        1 => "the only one".to_owned(),
        peers => format!("one of {peers} by lot"),
    };
    match (candidate.standing, &known.zone) {
        (Standing::SameZone, _) => format!("same availability zone {place}"),
        (Standing::OwnName, _) => "the file system's DNS name".to_owned(),
        (Standing::Elsewhere, Ok(ours)) => {
            let any_same = candidates.iter().any(|other| other.standing == Standing::SameZone);
            let which = if any_same {
                "outside our availability zone"
            } else {
                "no target known to be in our availability zone"
            };
            format!("{which} {ours}: {place}, {lot}")
        }
        (Standing::Elsewhere, Err(why)) => format!("our availability zone is unknown ({why}): {place}, {lot}"),
    }
}

fn place(target: &MountTarget) -> String {
    target.zone().map_or_else(|| "an unknown zone".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{AvailabilityZoneId, mount_targets::AvailabilityZone};

    fn zone(n: u8) -> AvailabilityZoneId {
        format!("use1-az{n}").parse().unwrap()
    }

    fn known(ours: Result<AvailabilityZone, String>, zones: &[u8]) -> Known {
        let targets = zones.iter().map(|n| MountTarget::cross_account(zone(*n)));
        Known { targets: targets.chain([MountTarget::own_name()]).collect(), zone: ours, flaw: None }
    }

    /// The zones in their order, and 0 for the target without one.
    fn zones(candidates: &[Candidate<'_>]) -> Vec<u8> {
        let number = |candidate: &Candidate<'_>| match candidate.target.zone() {
            Some(zone) => zone.to_string().bytes().last().unwrap() - b'0',
            None => 0,
        };
        candidates.iter().map(number).collect()
    }

    #[test]
    fn our_zone_is_first_and_the_own_name_last_and_the_lot_decides_between() {
        let known = known(Ok(zone(3).into()), &[1, 2, 3, 4]);
        let mut second = BTreeMap::new();
        for seed in 0..300 {
            let order = zones(&order(&known, seed, |_| None));
            assert_eq!((order[0], order[4]), (3, 0));
            *second.entry(order[1]).or_insert(0) += 1;
        }
        assert_eq!(second.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
        assert!(second.values().all(|times| (70..130).contains(times)), "{second:?}");
    }

    #[test]
    fn the_order_stays_when_other_targets_come_and_go() {
        for seed in 0..100 {
            let mut all = zones(&order(&known(Err("lost".into()), &[1, 2, 3, 4, 5]), seed, |_| None));
            let fewer = zones(&order(&known(Err("lost".into()), &[5, 3, 1]), seed, |_| None));
            all.retain(|zone| ![2, 4].contains(zone));
            assert_eq!(all, fewer);
        }
    }

    #[test]
    fn those_set_aside_are_last_in_the_same_order() {
        let known = known(Ok(zone(1).into()), &[1, 2, 3]);
        for seed in 0..20 {
            let others = zones(&order(&known, seed, |_| None))[1..3].to_vec();
            let aside = |target: &MountTarget| target.zone().is_some().then(|| "refused".to_owned());
            assert_eq!(zones(&order(&known, seed, aside)), [0, 1, others[0], others[1]]);
        }
    }

    #[test]
    fn a_zone_that_is_known_by_its_name_only_is_not_taken_for_one_known_by_its_id() {
        let ours: AvailabilityZone = "us-east-1a".parse::<crate::AvailabilityZoneName>().unwrap().into();
        let known = known(Ok(ours), &[1]);
        let candidates = order(&known, 0, |_| None);
        let reason = because(&candidates[0], &candidates, &known, &[]);
        assert_eq!(reason, "no target known to be in our availability zone us-east-1a: use1-az1, the only one");
    }
}
