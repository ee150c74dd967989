//! A zone by all that is known of it.

use std::fmt;

use crate::{AvailabilityZoneId, AvailabilityZoneName};

/// An Availability Zone, by its name, its id, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AvailabilityZone {
    name: Option<AvailabilityZoneName>,
    id: Option<AvailabilityZoneId>,
}

impl AvailabilityZone {
    /// What is known of a zone, if anything is.
    pub fn of(name: Option<AvailabilityZoneName>, id: Option<AvailabilityZoneId>) -> Option<Self> {
        (name.is_some() || id.is_some()).then_some(Self { name, id })
    }

    /// Its name in our account.
    pub const fn name(&self) -> Option<&AvailabilityZoneName> {
        self.name.as_ref()
    }

    /// Its id.
    pub const fn id(&self) -> Option<&AvailabilityZoneId> {
        self.id.as_ref()
    }

    /// Whether both are known to be the same place. Ids decide; names, which mean something else in another account, only
    /// where an id is missing.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.name.is_some() && self.name == other.name,
        }
    }
}

impl From<AvailabilityZoneName> for AvailabilityZone {
    fn from(name: AvailabilityZoneName) -> Self {
        Self { name: Some(name), id: None }
    }
}

impl From<AvailabilityZoneId> for AvailabilityZone {
    fn from(id: AvailabilityZoneId) -> Self {
        Self { name: None, id: Some(id) }
    }
}

impl From<(AvailabilityZoneName, AvailabilityZoneId)> for AvailabilityZone {
    fn from((name, id): (AvailabilityZoneName, AvailabilityZoneId)) -> Self {
        Self { name: Some(name), id: Some(id) }
    }
}

impl fmt::Display for AvailabilityZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.id, &self.name) {
            (Some(id), Some(name)) => write!(f, "{id} ({name})"),
            (Some(id), None) => id.fmt(f),
            (None, Some(name)) => name.fmt(f),
            (None, None) => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, id: &str) -> AvailabilityZone {
        AvailabilityZone::of(name.parse().ok(), id.parse().ok()).unwrap()
    }

    #[test]
    fn ids_decide_and_names_only_where_an_id_is_missing() {
        for (ours, theirs, same) in [
            (zone("us-east-1a", "use1-az1"), zone("us-east-1b", "use1-az1"), true),
            (zone("us-east-1a", "use1-az1"), zone("us-east-1a", "use1-az2"), false),
            (zone("us-east-1a", ""), zone("us-east-1a", "use1-az2"), true),
            (zone("us-east-1a", ""), zone("us-east-1b", ""), false),
            (zone("", "use1-az1"), zone("", "use1-az1"), true),
            (zone("us-east-1a", ""), zone("", "use1-az1"), false),
        ] {
            assert_eq!((ours.is_same(&theirs), theirs.is_same(&ours)), (same, same), "{ours} {theirs}");
        }
        assert_eq!(AvailabilityZone::of(None, None), None);
    }

    #[test]
    fn a_zone_is_shown_by_what_is_known_of_it() {
        let shown = [zone("us-east-1a", "use1-az1"), zone("", "use1-az1"), zone("us-east-1a", "")];
        assert_eq!(shown.map(|zone| zone.to_string()), ["use1-az1 (us-east-1a)", "use1-az1", "us-east-1a"]);
    }
}
