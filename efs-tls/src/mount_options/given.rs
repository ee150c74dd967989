//! The options as they are given, and which of them go together.

use std::collections::BTreeMap;

use super::MountOptionError;
use crate::NfsOption;

/// The mount helper's options by their names, and the others.
#[derive(Debug, Default)]
pub(super) struct Given<'t> {
    ours: BTreeMap<&'static str, &'t str>,
    pub(super) nfs: Vec<NfsOption>,
}

const FLAGS: [&str; 10] = [
    "crossaccount",
    "iam",
    "nodirects3read",
    "noocsp",
    "nos3readcache",
    "nosharetls",
    "notls",
    "ocsp",
    "stunnel",
    "tls",
];

const WITH_VALUE: [&str; 14] = [
    "accesspoint",
    "awscredsuri",
    "awsprofile",
    "az",
    "azid",
    "cafile",
    "capath",
    "jwtpath",
    "mounttargetip",
    "netns",
    "region",
    "rolearn",
    "tlsport",
    "verify",
];

/// Each option, and the one it needs.
const NEEDS: [(&str, &str); 8] = [
    ("iam", "tls"),
    ("accesspoint", "tls"),
    ("awsprofile", "iam"),
    ("awscredsuri", "iam"),
    ("rolearn", "iam"),
    ("jwtpath", "iam"),
    ("rolearn", "jwtpath"),
    ("jwtpath", "rolearn"),
];

const EXCLUSIVE: [(&str, &str); 7] = [
    ("tls", "notls"),
    ("ocsp", "noocsp"),
    ("awsprofile", "awscredsuri"),
    ("awsprofile", "rolearn"),
    ("awscredsuri", "rolearn"),
    ("crossaccount", "mounttargetip"),
    ("crossaccount", "az"),
];

impl<'t> Given<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, MountOptionError> {
        let mut given = Self::default();
        // mount(8) leaves empty places where it took options out.
        for option in text.split(',').filter(|option| !option.is_empty()) {
            given.add(option)?;
        }
        Ok(given)
    }

    fn add(&mut self, option: &'t str) -> Result<(), MountOptionError> {
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let known = |names: &[&'static str]| names.iter().find(|known| **known == name).copied();
        let (name, value) = match (known(&FLAGS), known(&WITH_VALUE), value) {
            (Some(option), _, None) => (option, ""),
            (Some(option), _, Some(found)) => {
                return Err(MountOptionError::TakesNoValue { option, found: found.to_owned() });
            }
            (None, Some(option), Some(value)) if !value.is_empty() => (option, value),
            (None, Some(option), _) => return Err(MountOptionError::NeedsValue { option }),
            (None, None, _) => {
                self.nfs.push(option.parse()?);
                return Ok(());
            }
        };
        match self.ours.insert(name, value) {
            Some(first) if first != value => {
                let (first, second) = (first.to_owned(), value.to_owned());
                Err(MountOptionError::GivenTwice { option: name, first, second })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.ours.contains_key(option)
    }

    pub(super) fn value(&self, option: &str) -> Option<&'t str> {
        self.ours.get(option).copied()
    }

    pub(super) fn check_combinations(&self) -> Result<(), MountOptionError> {
        for (one, other) in EXCLUSIVE {
            if self.has(one) && self.has(other) {
                return Err(MountOptionError::Exclusive { one, other });
            }
        }
        for (option, needed) in NEEDS {
            if self.has(option) && !self.has(needed) {
                return Err(MountOptionError::Needs { option, needed });
            }
        }
        if self.has("tls") { Ok(()) } else { Err(MountOptionError::NotEncrypted) }
    }

    /// What exists in the EFS mount helper and cannot be had here.
    pub(super) fn refuse_unsupported(&self) -> Result<(), MountOptionError> {
        const S3_FILES: &str = "it is for Amazon S3 Files; leave it out";
        let refusals = [
            ("ocsp", "no OCSP responder is asked; leave it out, or write noocsp"),
            (
                "netns",
                "run a supervisor and the mount inside that network namespace (nsenter --net=…), and leave it out",
            ),
            ("capath", "put the certificates into one file and give it as cafile"),
            ("azid", S3_FILES),
            ("nodirects3read", S3_FILES),
            ("nos3readcache", S3_FILES),
        ];
        for (option, remedy) in refusals {
            if self.has(option) && !(option == "ocsp" && self.has("noocsp")) {
                return Err(MountOptionError::Unsupported { option: option.to_owned(), remedy });
            }
        }
        let remedy = match self.value("verify") {
            // For a client, stunnel's levels 1 and 2 are the same: a server always presents a certificate.
            None | Some("1" | "2") => return Ok(()),
            Some("0") => "the mount target is always verified; for a private CA, give its certificate as cafile",
            Some("3" | "4") => {
                "the chain and the name are verified, and nothing is pinned; write verify=2, or leave it out"
            }
            Some(_) => "expected 0 to 4 as stunnel has them; write verify=2, or leave it out",
        };
        Err(MountOptionError::Unsupported {
            option: format!("verify={}", self.value("verify").unwrap_or_default()),
            remedy,
        })
    }
}
