//! The identifiers of what is mounted.

use std::str::FromStr;

use crate::ParseError;
use crate::parse::text_newtype;

/// The id of a file system: `fs-` and 17 lower-case hexadecimal digits, or 8 for one made before 2018.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSystemId(String);

impl FromStr for FileSystemId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.strip_prefix("fs-") {
            Some(digits) if is_lower_hex(digits) && matches!(digits.len(), 8 | 17) => Ok(Self(text.to_owned())),
            _ => Err(ParseError {
                expected: "a file system id: fs- and 8 or 17 lower-case hexadecimal digits, like fs-0123456789abcdef0",
                found: text.to_owned(),
                remedy: "take FileSystemId from `aws efs describe-file-systems`, without its ARN or DNS name around it",
            }),
        }
    }
}

/// The id of an access point: `fsap-` and 17 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessPointId(String);

impl FromStr for AccessPointId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.strip_prefix("fsap-") {
            Some(digits) if is_lower_hex(digits) && digits.len() == 17 => Ok(Self(text.to_owned())),
            _ => Err(ParseError {
                expected: "an access point id: fsap- and 17 lower-case hexadecimal digits, like fsap-0123456789abcdef0",
                found: text.to_owned(),
                remedy: "take AccessPointId from `aws efs describe-access-points`, without its ARN around it",
            }),
        }
    }
}

text_newtype!(FileSystemId, AccessPointId);

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_system_id_has_8_or_17_lower_case_digits() {
        for good in ["fs-01234567", "fs-0123456789abcdef0"] {
            assert_eq!(good.parse::<FileSystemId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "fs-",
            "fs-0123456",
            "fs-012345678",
            "fs-0123456789ABCDEF0",
            "fs-0123456789abcdef01",
            "fs-0123456g",
            "fsap-0123456789abcdef0",
            " fs-01234567",
            "fs-01234567.efs.us-east-1.amazonaws.com",
        ] {
            let error = bad.parse::<FileSystemId>().unwrap_err();
            assert_eq!(error.found, bad);
            assert!(error.expected.starts_with("a file system id"), "{error}");
        }
    }

    #[test]
    fn an_access_point_id_has_17_lower_case_digits() {
        let good = "fsap-0123456789abcdef0";
        assert_eq!(good.parse::<AccessPointId>().unwrap().as_str(), good);
        for bad in ["", "fsap-01234567", "fsap-0123456789abcdeF0", "fs-0123456789abcdef0", "fsap-0123456789abcdef0\n"] {
            let error = bad.parse::<AccessPointId>().unwrap_err();
            assert_eq!(error.found, bad);
            assert!(error.expected.starts_with("an access point id"), "{error}");
        }
    }

    #[test]
    fn the_error_says_what_was_expected_what_was_found_and_what_to_change() {
        assert_eq!(
            "fs-1\n".parse::<FileSystemId>().unwrap_err().to_string(),
            "expected a file system id: fs- and 8 or 17 lower-case hexadecimal digits, like fs-0123456789abcdef0, \
             found \"fs-1\\n\"; take FileSystemId from `aws efs describe-file-systems`, without its ARN or DNS name \
             around it"
        );
    }

    proptest! {
        #[test]
        fn what_parses_displays_as_it_was_written(text in "fs-([0-9a-f]{8}|[0-9a-f]{17})") {
            prop_assert_eq!(text.parse::<FileSystemId>().unwrap().to_string(), text);
        }

        #[test]
        fn nothing_else_parses(text in "(fs|fsap|FS)?-?[0-9a-fA-Fg]{0,18}") {
            let digits = text.strip_prefix("fs-").unwrap_or("");
            let valid = matches!(digits.len(), 8 | 17) && !digits.contains(|c| !"0123456789abcdef".contains(c));
            prop_assert_eq!(text.parse::<FileSystemId>().is_ok(), valid);
        }
    }
}
