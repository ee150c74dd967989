//! What a client says about itself.

use std::fmt;

use crate::ParseError;

/// The subject of the certificate: the name of the host, of 1 to 64 characters (`ub-common-name`, RFC 5280 appendix A.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommonName(String);

impl CommonName {
    /// The name of this host.
    pub fn of_this_host() -> Self {
        Self::from_host_name(&gethostname::gethostname().to_string_lossy())
    }

    /// The first 64 characters of `name` that are not control characters, or `unknown` if there is none.
    pub fn from_host_name(name: &str) -> Self {
        let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        Self(if name.is_empty() { "unknown".to_owned() } else { name })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The software that made the certificate, as it tells EFS.
///
/// The default is what the EFS mount helper 3.2.0 sends, whose protocol this crate follows: source `unknown`, version
/// `3.2.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientInfo {
    source: String,
    version: String,
}

impl ClientInfo {
    /// `source` is free text of 1 to 100 characters; `version` is the version of the EFS mount helper whose protocol is
    /// followed.
    ///
    /// # Errors
    /// [`ParseError`] when one of them is empty, longer than 100 characters or has a control character.
    pub fn new(source: &str, version: &str) -> Result<Self, ParseError> {
        for text in [source, version] {
            if !(1..=100).contains(&text.chars().count()) || text.contains(char::is_control) {
                return Err(ParseError {
                    expected: "1 to 100 characters of client information",
                    found: text.to_owned(),
                    remedy: "name the software briefly, without control characters",
                });
            }
        }
        Ok(Self { source: source.to_owned(), version: version.to_owned() })
    }

    /// Who made the certificate, such as `unknown` or `k8s.io/aws-efs-csi-driver`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The version of the EFS mount helper whose protocol is followed.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Default for ClientInfo {
    fn default() -> Self {
        Self { source: "unknown".to_owned(), version: "3.2.0".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_cut_at_64_characters() {
        assert_eq!(CommonName::from_host_name("ip-10-0-0-1.ec2.internal").as_str(), "ip-10-0-0-1.ec2.internal");
        assert_eq!(CommonName::from_host_name(&"\u{fc}".repeat(65)).as_str(), "\u{fc}".repeat(64));
        assert_eq!(CommonName::from_host_name("a\nb\0").as_str(), "ab");
        assert_eq!(CommonName::from_host_name("").as_str(), "unknown");
        assert!(!CommonName::of_this_host().as_str().is_empty());
    }

    #[test]
    fn client_information_has_1_to_100_characters() {
        let longest = "x".repeat(100);
        assert_eq!(ClientInfo::new(&longest, "1").unwrap().source(), longest);
        for bad in ["", "a\n", &"x".repeat(101)] {
            for error in [ClientInfo::new(bad, "1").unwrap_err(), ClientInfo::new("a", bad).unwrap_err()] {
                assert_eq!((error.expected, error.found.as_str()), ("1 to 100 characters of client information", bad));
            }
        }
    }
}
