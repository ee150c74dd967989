//! Options for `mount.nfs4`, so that the kernel mounts a file system through a tunnel on this host.

use std::fmt;
use std::str::FromStr;

/// The options of an NFS mount through a local tunnel, in the order in which the EFS mount helper writes them.
///
/// Options that are given come first, in the order given. The defaults that they leave open follow: NFS 4.1, 1 MiB reads
/// and writes, `hard`, 60 s before a retry, 2 retries, `noresvport`. The tunnel's port is last.
/// ```
/// use efs_tls::NfsMountOptions;
///
/// let options = NfsMountOptions::new(20049).with("rsize=65536".parse()?).with("ro".parse()?);
/// assert_eq!(
///     options.mount_command("/mnt/my files"),
///     "mount -t nfs4 -o rsize=65536,ro,nfsvers=4.1,wsize=1048576,hard,timeo=600,retrans=2,noresvport,port=20049 \
///      127.0.0.1:/ '/mnt/my files'"
/// );
/// # Ok::<(), efs_tls::NfsOptionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NfsMountOptions {
    port: u16,
    given: Vec<NfsOption>,
}

impl NfsMountOptions {
    /// The defaults, through the tunnel that listens at `port` of 127.0.0.1.
    pub const fn new(port: u16) -> Self {
        Self { port, given: Vec::new() }
    }

    /// Adds an option. Given again, the new value takes the place of the old one.
    #[must_use]
    pub fn with(mut self, option: NfsOption) -> Self {
        match self.given.iter_mut().find(|given| given.name == option.name) {
            Some(given) => *given = option,
            None => self.given.push(option),
        }
        self
    }

    /// The command that mounts the root of the file system, or of the access point, at `mount_point`. It is quoted for
    /// a POSIX shell and has to be run as root.
    pub fn mount_command(&self, mount_point: &str) -> String {
        format!("mount -t nfs4 -o {self} 127.0.0.1:/ {}", shell_word(mount_point))
    }

    fn gives(&self, names: &[&str]) -> bool {
        self.given.iter().any(|given| names.contains(&given.name.as_str()))
    }
}

/// The value of `-o`. It has no character that a shell would take for something else.
impl fmt::Display for NfsMountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for option in &self.given {
            write!(f, "{option},")?;
        }
        for (default, answers_to) in DEFAULTS {
            if !self.gives(answers_to) {
                write!(f, "{default},")?;
            }
        }
        write!(f, "port={}", self.port)
    }
}

/// Each default, and the names of the options that replace it.
const DEFAULTS: [(&str, &[&str]); 7] = [
    ("nfsvers=4.1", &["nfsvers", "vers", "minorversion", "v4", "v4.0", "v4.1", "v4.2"]),
    ("rsize=1048576", &["rsize"]),
    ("wsize=1048576", &["wsize"]),
    ("hard", &["hard", "soft"]),
    ("timeo=600", &["timeo"]),
    ("retrans=2", &["retrans"]),
    ("noresvport", &["noresvport", "resvport"]),
];

/// One option for `mount.nfs4`: `name` or `name=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NfsOption {
    name: String,
    value: Option<String>,
}

impl FromStr for NfsOption {
    type Err = NfsOptionError;

    fn from_str(text: &str) -> Result<Self, NfsOptionError> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let is_plain = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c) || more.contains(c))
        };
        if !is_plain(name, "") || !value.is_none_or(|value| is_plain(value, "/:@%+=")) {
            return Err(NfsOptionError::Malformed { found: text.to_owned() });
        }
        if name == "port" {
            return Err(NfsOptionError::TunnelPort);
        }
        if MOUNT_HELPER_OPTIONS.contains(&name) {
            return Err(NfsOptionError::NotForNfs { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), value: value.map(str::to_owned) })
    }
}

impl fmt::Display for NfsOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What the EFS mount helper takes out of the options before `mount.nfs4` sees them.
const MOUNT_HELPER_OPTIONS: [&str; 23] = [
    "accesspoint",
    "awscredsuri",
    "awsprofile",
    "az",
    "azid",
    "cafile",
    "capath",
    "crossaccount",
    "iam",
    "jwtpath",
    "mounttargetip",
    "netns",
    "nodirects3read",
    "noocsp",
    "nos3readcache",
    "notls",
    "ocsp",
    "region",
    "rolearn",
    "stunnel",
    "tls",
    "tlsport",
    "verify",
];

/// Why a text is no option for `mount.nfs4`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NfsOptionError {
    /// Not `name` or `name=value`.
    #[error(
        "expected one mount option, name or name=value, of letters, digits and _.-/:@%+=, found {found:?}; \
         give one option at a time, without commas, spaces and quotes"
    )]
    Malformed {
        /// The text as it was given.
        found: String,
    },
    /// An option of the EFS mount helper, which `mount.nfs4` does not know.
    #[error("the mount option {name} is one of the EFS mount helper's; set it on the connector and leave it out here")]
    NotForNfs {
        /// The name of the option.
        name: String,
    },
    /// `port` is where the tunnel listens.
    #[error("the mount option port is the tunnel's; give it to NfsMountOptions::new and leave it out here")]
    TunnelPort,
}

/// `text` as one word of a POSIX shell that `mount` does not take for an option.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-/:@%+=,".contains(c);
    let dash = if text.starts_with('-') { "./" } else { "" };
    if !text.is_empty() && text.chars().all(is_plain) {
        return format!("{dash}{text}");
    }
    // Inside single quotes nothing is special but the closing one (POSIX.1-2024 XCU 2.2.2).
    format!("'{dash}{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_given_come_first_and_replace_the_defaults() {
        let options = NfsMountOptions::new(1)
            .with("soft".parse().unwrap())
            .with("vers=4.0".parse().unwrap())
            .with("_netdev".parse().unwrap())
            .with("vers=4.2".parse().unwrap());
        assert_eq!(
            options.to_string(),
            "soft,vers=4.2,_netdev,rsize=1048576,wsize=1048576,timeo=600,retrans=2,noresvport,port=1"
        );
    }

    #[test]
    fn an_option_is_one_plain_name_or_name_and_value() {
        for good in ["ro", "_netdev", "x-systemd.automount", "rsize=65536", "sec=sys", "lookupcache=pos"] {
            assert_eq!(good.parse::<NfsOption>().unwrap().to_string(), good);
        }
        for bad in ["", "=", "=1", "rsize=", "ro,soft", "ro soft", "a='b'", "ro;reboot", "a=$(b)", "a=\n"] {
            assert_eq!(bad.parse::<NfsOption>(), Err(NfsOptionError::Malformed { found: bad.to_owned() }));
        }
    }

    #[test]
    fn options_that_are_not_for_nfs_are_refused_by_name() {
        assert_eq!("port=2049".parse::<NfsOption>(), Err(NfsOptionError::TunnelPort));
        for name in ["tls", "iam", "accesspoint", "tlsport"] {
            let refused = Err(NfsOptionError::NotForNfs { name: name.to_owned() });
            assert_eq!(name.parse::<NfsOption>(), refused);
            assert_eq!(format!("{name}=x").parse::<NfsOption>(), refused);
        }
    }

    #[test]
    fn a_mount_point_that_looks_like_an_option_is_made_a_path() {
        let command = NfsMountOptions::new(1).mount_command("-o suid");
        assert!(command.ends_with(" 127.0.0.1:/ './-o suid'"), "{command}");
        let command = NfsMountOptions::new(1).mount_command("/mnt/efs");
        assert!(command.ends_with(" 127.0.0.1:/ /mnt/efs"), "{command}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_the_mount_point_back_as_it_was(text in "/[^\0]{0,20}") {
            let script = format!("printf %s {}", shell_word(&text));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
