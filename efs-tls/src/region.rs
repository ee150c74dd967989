//! Regions, and the partition of AWS each belongs to.

use std::str::FromStr;

use crate::ParseError;
use crate::parse::text_newtype;

/// A separate AWS: own accounts, own ARNs, own DNS suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Partition {
    /// `aws`: the commercial regions.
    Aws,
    /// `aws-us-gov`: GovCloud (US). Its names end like the commercial ones.
    AwsUsGov,
    /// `aws-cn`: China.
    AwsCn,
    /// `aws-iso`: US isolated, Top Secret.
    AwsIso,
    /// `aws-iso-b`: US isolated, Secret.
    AwsIsoB,
    /// `aws-iso-e`: Europe isolated.
    AwsIsoE,
    /// `aws-iso-f`: US isolated, further customers.
    AwsIsoF,
    /// `aws-eusc`: European Sovereign Cloud.
    AwsEusc,
}

impl Partition {
    /// The name inside ARNs, such as `aws-us-gov`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsUsGov => "aws-us-gov",
            Self::AwsCn => "aws-cn",
            Self::AwsIso => "aws-iso",
            Self::AwsIsoB => "aws-iso-b",
            Self::AwsIsoE => "aws-iso-e",
            Self::AwsIsoF => "aws-iso-f",
            Self::AwsEusc => "aws-eusc",
        }
    }

    /// The end of the names of service endpoints, such as `amazonaws.com`.
    pub const fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
            Self::AwsIso => "c2s.ic.gov",
            Self::AwsIsoB => "sc2s.sgov.gov",
            Self::AwsIsoE => "cloud.adc-e.uk",
            Self::AwsIsoF => "csp.hci.ic.gov",
            Self::AwsEusc => "amazonaws.eu",
        }
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a region, such as `us-east-1`.
///
/// The partition follows from the form of the name and not from a list of regions, so that a region opened tomorrow
/// works today: `xx-direction-n` with a two-letter area is commercial, as the AWS SDKs also take it. A name of the
/// isolated form with an unknown partition (`us-isox-…`) is refused, since its DNS suffix cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String, Partition);

impl Region {
    /// The partition the region belongs to.
    pub const fn partition(&self) -> Partition {
        self.1
    }
}

impl FromStr for Region {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match partition_of(text) {
            Some(partition) => Ok(Self(text.to_owned(), partition)),
            None => Err(ParseError {
                expected: "the name of a region, like us-east-1",
                found: text.to_owned(),
                remedy: "write the region in lower case and without the letter of a zone; see `aws account list-regions`",
            }),
        }
    }
}

text_newtype!(Region);

/// The partition of a well-formed region name.
fn partition_of(region: &str) -> Option<Partition> {
    let (name, number) = region.rsplit_once('-')?;
    if !matches!(number.len(), 1 | 2) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let labels: Vec<&str> = name.split('-').collect();
    let is_word = |label: &&str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase());
    if !labels.iter().all(is_word) {
        return None;
    }
    Some(match *labels.as_slice() {
        ["us", "gov", _] => Partition::AwsUsGov,
        ["us", "iso", _] => Partition::AwsIso,
        ["us", "isob", _] => Partition::AwsIsoB,
        ["us", "isof", _] => Partition::AwsIsoF,
        ["eu", "isoe", _] => Partition::AwsIsoE,
        ["eusc", _, _] => Partition::AwsEusc,
        ["cn", _] => Partition::AwsCn,
        [area, _] if area.len() == 2 => Partition::Aws,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_region_decides_its_partition() {
        for (region, partition, suffix) in [
            ("us-east-1", "aws", "amazonaws.com"),
            ("ap-southeast-7", "aws", "amazonaws.com"),
            ("mx-central-1", "aws", "amazonaws.com"),
            ("zz-central-12", "aws", "amazonaws.com"),
            ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
            ("cn-northwest-1", "aws-cn", "amazonaws.com.cn"),
            ("us-iso-west-1", "aws-iso", "c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
        ] {
            let parsed: Region = region.parse().unwrap();
            assert_eq!(parsed.to_string(), region);
            assert_eq!((parsed.partition().as_str(), parsed.partition().dns_suffix()), (partition, suffix));
        }
    }

    #[test]
    fn what_is_no_region_is_refused() {
        for bad in [
            "",
            "us-east",
            "us-east-1a",
            "US-EAST-1",
            "us_east_1",
            "us-east-100",
            "us--1",
            "-east-1",
            "aws-global",
            "fips-us-east-1",
            "us-isox-east-1",
            "eu-isob-west-1",
            "us-east-1.evil",
            "use1-az1",
            "us-east-\u{661}",
            "use-east-1",
        ] {
            assert_eq!(
                bad.parse::<Region>().unwrap_err(),
                ParseError {
                    expected: "the name of a region, like us-east-1",
                    found: bad.to_owned(),
                    remedy: "write the region in lower case and without the letter of a zone; \
                             see `aws account list-regions`",
                }
            );
        }
    }
}
