//! Regions, and the short codes by which names of ElastiCache tell them.

use std::str::FromStr;

use crate::ParseError;
use crate::parse::text_newtype;

/// The name of a region, such as `us-east-1`.
///
/// Any name of the right form is one, so that a region opened tomorrow works today.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);

impl Region {
    /// The region that ElastiCache writes as `code` in its names: `use1` is `us-east-1`.
    ///
    /// AWS publishes no list of these codes. They are the area, the initials of the direction and the number, but for
    /// `apn2`, `apn3` and `cnw1`, so that an unknown one cannot be told by rule. Those of the isolated regions are not public.
    pub fn from_short_code(code: &str) -> Option<Self> {
        SHORT_CODES.iter().find(|(known, _)| *known == code).map(|(_, region)| Self((*region).to_owned()))
    }

    /// The end of the names of AWS in this region's partition.
    pub(crate) fn dns_suffix(&self) -> &'static str {
        let suffixes = [
            ("cn-", "amazonaws.com.cn"),
            ("us-iso-", "c2s.ic.gov"),
            ("us-isob-", "sc2s.sgov.gov"),
            ("us-isof-", "csp.hci.ic.gov"),
            ("eu-isoe-", "cloud.adc-e.uk"),
            ("eusc-", "amazonaws.eu"),
        ];
        let own = suffixes.into_iter().find(|(prefix, _)| self.0.starts_with(prefix));
        own.map_or("amazonaws.com", |(_, suffix)| suffix)
    }
}

/// The ends of the names of AWS in all partitions.
pub(crate) const DNS_SUFFIXES: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "csp.hci.ic.gov",
    "cloud.adc-e.uk",
    "amazonaws.eu",
];

impl FromStr for Region {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_number = |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.rsplit_once('-') {
            Some((name, number)) if is_number(number) && name.contains('-') && name.split('-').all(is_word) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(ParseError {
                expected: "the name of a region, like us-east-1",
                found: text.to_owned(),
                remedy: "write it in lower case and in full, not as use1; see `aws account list-regions`",
            }),
        }
    }
}

text_newtype!(Region);

const SHORT_CODES: &[(&str, &str)] = &[
    ("afs1", "af-south-1"),
    ("ape1", "ap-east-1"),
    ("ape2", "ap-east-2"),
    ("apn2", "ap-northeast-2"),
    ("apn3", "ap-northeast-3"),
    ("apne1", "ap-northeast-1"),
    ("aps1", "ap-south-1"),
    ("aps2", "ap-south-2"),
    ("apse1", "ap-southeast-1"),
    ("apse2", "ap-southeast-2"),
    ("apse3", "ap-southeast-3"),
    ("apse4", "ap-southeast-4"),
    ("apse5", "ap-southeast-5"),
    ("apse6", "ap-southeast-6"),
    ("apse7", "ap-southeast-7"),
    ("cac1", "ca-central-1"),
    ("caw1", "ca-west-1"),
    ("cnn1", "cn-north-1"),
    ("cnw1", "cn-northwest-1"),
    ("euc1", "eu-central-1"),
    ("euc2", "eu-central-2"),
    ("eun1", "eu-north-1"),
    ("eus1", "eu-south-1"),
    ("eus2", "eu-south-2"),
    ("euw1", "eu-west-1"),
    ("euw2", "eu-west-2"),
    ("euw3", "eu-west-3"),
    ("ilc1", "il-central-1"),
    ("mec1", "me-central-1"),
    ("mes1", "me-south-1"),
    ("mxc1", "mx-central-1"),
    ("sae1", "sa-east-1"),
    ("use1", "us-east-1"),
    ("use2", "us-east-2"),
    ("usge1", "us-gov-east-1"),
    ("usgw1", "us-gov-west-1"),
    ("usw1", "us-west-1"),
    ("usw2", "us-west-2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_an_area_a_direction_and_a_number() {
        for good in ["us-east-1", "ap-southeast-12", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"] {
            assert_eq!(good.parse::<Region>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "use1",
            "us-east",
            "east-1",
            "US-EAST-1",
            "us-east-1a",
            "us-east-100",
            "us--1",
            "us-east-1.x",
            "us_east-1",
        ] {
            let error = bad.parse::<Region>().unwrap_err();
            assert_eq!((error.expected, error.found.as_str()), ("the name of a region, like us-east-1", bad));
        }
    }

    #[test]
    fn every_short_code_stands_for_a_region_of_its_own() {
        let mut codes: Vec<_> = SHORT_CODES.iter().map(|(code, _)| code).collect();
        let mut regions: Vec<_> = SHORT_CODES.iter().map(|(_, region)| region).collect();
        codes.dedup();
        regions.sort();
        regions.dedup();
        assert_eq!((codes.len(), regions.len()), (SHORT_CODES.len(), SHORT_CODES.len()));
        for (code, region) in SHORT_CODES {
            assert_eq!(Region::from_short_code(code), Some(region.parse().unwrap()));
        }
        for unknown in ["", "use9", "USE1", "us-east-1", "apne2", "cnnw1"] {
            assert_eq!(Region::from_short_code(unknown), None);
        }
    }

    #[test]
    fn every_partition_has_its_suffix() {
        for (region, suffix) in [
            ("us-east-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            assert_eq!(region.parse::<Region>().unwrap().dns_suffix(), suffix);
            assert!(DNS_SUFFIXES.contains(&suffix));
        }
    }
}
