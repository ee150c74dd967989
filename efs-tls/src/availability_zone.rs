//! The two ways to say where in a region a mount target is.

use std::str::FromStr;

use crate::parse::text_newtype;
use crate::{ParseError, Region};

/// The name of an Availability Zone, such as `us-east-1a`.
///
/// The same name means different zones in two accounts: across accounts use the [`AvailabilityZoneId`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AvailabilityZoneName(String, Region);

impl AvailabilityZoneName {
    /// The region the zone is in.
    pub const fn region(&self) -> &Region {
        &self.1
    }
}

impl FromStr for AvailabilityZoneName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match region_of(text) {
            Some(region) => Ok(Self(text.to_owned(), region)),
            None => Err(ParseError {
                expected: "the name of an Availability Zone, like us-east-1a",
                found: text.to_owned(),
                remedy: "take AvailabilityZoneName from `aws efs describe-mount-targets`; an id like use1-az1 is another thing",
            }),
        }
    }
}

/// The id of an Availability Zone, such as `use1-az1`: the same place for every account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AvailabilityZoneId(String);

impl FromStr for AvailabilityZoneId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_id = text
            .rsplit_once("-az")
            .is_some_and(|(place, number)| is_number(number) && place.split('-').all(is_lettered_number));
        if is_id {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError {
            expected: "the id of an Availability Zone, like use1-az1",
            found: text.to_owned(),
            remedy: "take AvailabilityZoneId from `aws efs describe-mount-targets`; a name like us-east-1a is another thing",
        })
    }
}

text_newtype!(AvailabilityZoneName, AvailabilityZoneId);

/// The region of `us-east-1a`, and of the local zone `us-west-2-lax-1a`.
fn region_of(zone: &str) -> Option<Region> {
    let zone = zone.strip_suffix(|letter: char| letter.is_ascii_lowercase())?;
    zone.parse().ok().or_else(|| {
        let (rest, number) = zone.rsplit_once('-')?;
        let (region, city) = rest.rsplit_once('-')?;
        let is_local = is_number(number) && city.len() == 3 && city.bytes().all(|byte| byte.is_ascii_lowercase());
        region.parse().ok().filter(|_| is_local)
    })
}

fn is_number(text: &str) -> bool {
    matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `use1`, `usgw1`, `lax1`.
fn is_lettered_number(text: &str) -> bool {
    let number = text.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
    number.len() < text.len() && is_number(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_name_is_its_region_and_a_letter() {
        for (zone, region) in [
            ("us-east-1a", "us-east-1"),
            ("us-gov-west-1c", "us-gov-west-1"),
            ("eusc-de-east-1b", "eusc-de-east-1"),
            ("us-west-2-lax-1a", "us-west-2"),
        ] {
            let parsed: AvailabilityZoneName = zone.parse().unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.region().as_str()), (zone, region));
        }
        for bad in ["", "a", "us-east-1", "us-east-1A", "us-east-1ab", "use1-az1", "us-west-2-la-1a", "us-east-1a."] {
            let error = bad.parse::<AvailabilityZoneName>().unwrap_err();
            assert_eq!(error.found, bad);
            assert!(error.expected.starts_with("the name of an Availability Zone"), "{error}");
        }
    }

    #[test]
    fn a_zone_id_is_not_a_zone_name() {
        for id in ["use1-az1", "apne1-az4", "usgw1-az2", "cnn1-az1", "usw2-lax1-az1"] {
            assert_eq!(id.parse::<AvailabilityZoneId>().unwrap().to_string(), id);
        }
        for bad in ["", "us-east-1a", "use1-az", "use1-az123", "-az1", "1-az1", "use-az1", "USE1-AZ1", "use1-az1.x"] {
            let error = bad.parse::<AvailabilityZoneId>().unwrap_err();
            assert_eq!(error.found, bad);
            assert!(error.expected.starts_with("the id of an Availability Zone"), "{error}");
        }
    }
}
