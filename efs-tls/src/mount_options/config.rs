//! The configuration file of the EFS mount helper, as far as it says something to us.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use crate::{AvailabilityZoneId, MountTargetName, Region};

/// `/etc/amazon/efs/efs-utils.conf`: what it says about the host, and what it asks for that is refused here.
///
/// Sections `[mount]`, with `[mount.REGION]` before it; `[mount-watchdog]`; `[client-info]`; and `[DEFAULT]` behind all of
/// them. Keys that are not [read](Self::ignored) concern logs, retries and the watchdog of the mount helper.
///
/// ```
/// use efs_tls::MountHelperConfig;
///
/// let config: MountHelperConfig = "[mount]\nregion = eu-west-1\nlogging_level = INFO".parse()?;
/// assert_eq!(config.region()?.unwrap().as_str(), "eu-west-1");
/// assert_eq!(config.ignored().collect::<Vec<_>>(), ["[mount] logging_level"]);
/// # Ok::<(), efs_tls::MountHelperConfigError>(())
/// ```
///
/// # Differences from the EFS mount helper
/// Values are taken literally, and a line that continues the one before is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountHelperConfig {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

/// What is wrong with a configuration file of the mount helper.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountHelperConfigError {
    /// Not a line of such a file.
    #[error("line {number}: expected [section], key = value or a comment, found {found:?}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// The line.
        found: String,
    },
    /// A key that its section has already.
    #[error("line {number}: {key} is in this section twice: remove one of them")]
    Twice {
        /// Counted from 1.
        number: usize,
        /// The key.
        key: String,
    },
    /// A value of the wrong kind.
    #[error("{key}: expected {expected}, found {found:?}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A value that asks for what is not done here.
    #[error("{key} = {found} is not supported: {remedy}")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What is the case instead, and what to change.
        remedy: &'static str,
    },
}

const READ: [(&str, &[&str]); 3] = [
    (
        "mount",
        &[
            "az_id",
            "dns_name_format",
            "dns_name_suffix",
            "fips_mode_enabled",
            "optimize_readahead",
            "port_range_lower_bound",
            "port_range_upper_bound",
            "region",
            "stunnel_cafile",
            "stunnel_check_cert_hostname",
            "stunnel_check_cert_validity",
        ],
    ),
    (
        "mount-watchdog",
        &[
            "stunnel_health_check_enabled",
            "stunnel_health_check_interval_min",
            "tls_cert_renewal_interval_min",
            "unmount_grace_period_sec",
        ],
    ),
    ("client-info", &["source"]),
];

impl MountHelperConfig {
    /// Where the EFS mount helper has it.
    pub const PATH: &str = "/etc/amazon/efs/efs-utils.conf";

    /// The region of file systems that are mounted without another.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`].
    pub fn region(&self) -> Result<Option<Region>, MountHelperConfigError> {
        self.parsed("mount", "region", "the name of a region, like us-east-1")
    }

    /// The id of our zone, where the instance metadata does not tell it.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`].
    pub fn zone_id(&self) -> Result<Option<AvailabilityZoneId>, MountHelperConfigError> {
        self.parsed("mount", "az_id", "the id of an Availability Zone, like use1-az1")
    }

    /// The file with the trust anchors for `region`.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`] for a path that is not absolute.
    pub fn ca_file(&self, region: &Region) -> Result<Option<PathBuf>, MountHelperConfigError> {
        match self.for_region(region, "stunnel_cafile") {
            Some(found) if !found.starts_with('/') => {
                Err(MountHelperConfigError::value("stunnel_cafile", "an absolute path", found))
            }
            path => Ok(path.map(PathBuf::from)),
        }
    }

    /// The local ports to choose from. The upper bound in the file is not used itself, as in the mount helper.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`].
    pub fn ports(&self) -> Result<RangeInclusive<u16>, MountHelperConfigError> {
        let (lower, upper) = ("port_range_lower_bound", "port_range_upper_bound");
        let first = self.parsed("mount", lower, "a port from 1 to 65535")?.unwrap_or(20049);
        let bound: u16 = self.parsed("mount", upper, "a port from 1 to 65535")?.unwrap_or(21049);
        if first == 0 || bound <= first {
            let expected = "a port above port_range_lower_bound, which is above 0";
            return Err(MountHelperConfigError::value(upper, expected, &bound.to_string()));
        }
        Ok(first..=bound - 1)
    }

    /// How long a tunnel stays after its last mount is gone. Default: 30 s.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`].
    pub fn unmount_grace(&self) -> Result<Duration, MountHelperConfigError> {
        let seconds: Option<u32> = self.parsed("mount-watchdog", "unmount_grace_period_sec", "a number of seconds")?;
        Ok(Duration::from_secs(seconds.unwrap_or(30).into()))
    }

    /// The longest time between two client certificates. Default: 60 min.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`].
    pub fn renewal_interval(&self) -> Result<Duration, MountHelperConfigError> {
        let key = "tls_cert_renewal_interval_min";
        let minutes: Option<u32> = self.parsed("mount-watchdog", key, "a number of minutes")?;
        Ok(Duration::from_secs(60 * u64::from(minutes.unwrap_or(60).max(1))))
    }

    /// How often to ask whether the file system still lets us in; `None` for never. Default: every 5 min.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`].
    pub fn health_check_interval(&self) -> Result<Option<Duration>, MountHelperConfigError> {
        let (enabled, interval) = ("stunnel_health_check_enabled", "stunnel_health_check_interval_min");
        let minutes: Option<u32> = self.parsed("mount-watchdog", interval, "a number of minutes")?;
        let interval = Duration::from_secs(60 * u64::from(minutes.unwrap_or(5).max(1)));
        Ok(self.flag("mount-watchdog", enabled)?.unwrap_or(true).then_some(interval))
    }

    /// Whether the kernel's read-ahead is to be raised to 15 times `rsize`. Default: yes.
    ///
    /// # Errors
    /// [`MountHelperConfigError::Value`].
    pub fn optimize_readahead(&self) -> Result<bool, MountHelperConfigError> {
        Ok(self.flag("mount", "optimize_readahead")?.unwrap_or(true))
    }

    /// Who makes the certificates: [`ClientInfo`](crate::ClientInfo)'s source.
    pub fn client_source(&self) -> Option<&str> {
        self.get("client-info", "source")
    }

    /// The keys that have no meaning here, each with its section.
    pub fn ignored(&self) -> impl Iterator<Item = String> {
        let read = |section: &str, key: &str| {
            let section = if section.starts_with("mount.") { "mount" } else { section };
            READ.iter().any(|(name, keys)| (*name == section || section == "DEFAULT") && keys.contains(&key))
        };
        let keys = self.sections.iter().flat_map(|(section, keys)| keys.keys().map(move |key| (section, key)));
        keys.filter(move |(section, key)| !read(section, key)).map(|(section, key)| format!("[{section}] {key}"))
    }

    /// What would be protected less, or named otherwise, if it were followed or ignored.
    pub(super) fn refuse_unsupported(
        &self,
        target: &MountTargetName,
        no_ocsp: bool,
    ) -> Result<(), MountHelperConfigError> {
        let region = target.region();
        let suffix = target.service().dns_suffix(region.partition());
        let formats = ["{az}.{fs_id}.efs.{region}.{dns_name_suffix}", "{fs_id}.efs.{region}.{dns_name_suffix}"];
        let named =
            "names are those of Amazon EFS in the region; remove it, and use mounttargetip to dial something else";
        let remedies = [
            ("dns_name_format", named),
            ("dns_name_suffix", named),
            ("stunnel_check_cert_hostname", "the name is always verified; write true, or remove it"),
            ("stunnel_check_cert_validity", "no OCSP responder is asked; write false, or mount with noocsp"),
            ("fips_mode_enabled", "this is not the FIPS 140-3 module; write false, or remove it"),
        ];
        let accepts = |key: &str, found: &str| match key {
            "dns_name_format" => formats.contains(&found),
            "dns_name_suffix" => found == suffix,
            "stunnel_check_cert_hostname" => boolean(found) == Some(true),
            "stunnel_check_cert_validity" if no_ocsp => true,
            _ => boolean(found) == Some(false),
        };
        for (key, remedy) in remedies {
            if let Some(found) = self.for_region(region, key).filter(|found| !accepts(key, found)) {
                return Err(MountHelperConfigError::Unsupported { key, found: found.to_owned(), remedy });
            }
        }
        Ok(())
    }

    fn for_region(&self, region: &Region, key: &str) -> Option<&str> {
        let section = self.sections.get(&format!("mount.{region}")).and_then(|keys| keys.get(key));
        section.map(String::as_str).or_else(|| self.get("mount", key))
    }

    fn get(&self, section: &str, key: &str) -> Option<&str> {
        [section, "DEFAULT"].iter().find_map(|section| self.sections.get(*section)?.get(key)).map(String::as_str)
    }

    fn flag(&self, section: &str, key: &'static str) -> Result<Option<bool>, MountHelperConfigError> {
        let Some(found) = self.get(section, key) else { return Ok(None) };
        boolean(found).map(Some).ok_or_else(|| MountHelperConfigError::value(key, "true or false", found))
    }

    fn parsed<T: FromStr>(
        &self,
        section: &str,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, MountHelperConfigError> {
        let Some(found) = self.get(section, key) else { return Ok(None) };
        found.parse().map(Some).map_err(|_| MountHelperConfigError::value(key, expected, found))
    }
}

impl FromStr for MountHelperConfig {
    type Err = MountHelperConfigError;

    fn from_str(text: &str) -> Result<Self, MountHelperConfigError> {
        let mut config = Self::default();
        let mut section = None;
        for (number, line) in (1..).zip(text.lines()) {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let refused = || MountHelperConfigError::Line { number, found: line.to_owned() };
            if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Some(name.to_owned());
                continue;
            }
            // Indented, it would continue the value before.
            let (key, value) =
                line.split_once(['=', ':']).filter(|_| !line.starts_with([' ', '\t'])).ok_or_else(refused)?;
            let (key, name) = (key.trim().to_ascii_lowercase(), section.clone().ok_or_else(refused)?);
            if config.sections.entry(name).or_default().insert(key.clone(), value.trim().to_owned()).is_some() {
                return Err(MountHelperConfigError::Twice { number, key });
            }
        }
        Ok(config)
    }
}

impl MountHelperConfigError {
    fn value(key: &'static str, expected: &'static str, found: &str) -> Self {
        Self::Value { key, expected, found: found.to_owned() }
    }
}

/// As Python's `ConfigParser.getboolean` reads it.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Some(true),
        "0" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}
