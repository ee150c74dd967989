//! The options of `mount -t efs`, read and judged.

mod config;
mod error;
mod given;
mod request;
mod source;

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use self::given::Given;
pub use self::{
    config::{MountHelperConfig, MountHelperConfigError},
    error::MountOptionError,
    request::{MountHost, MountRequest, MountRequestError, TunnelSpec},
    source::MountSource,
};
use crate::{AccessPointId, AvailabilityZoneName, NfsOption, ParseError, Region};

/// The value of `-o` in `mount -t efs`: the options of the EFS mount helper, and those for the kernel's NFS client.
///
/// ```
/// use efs_tls::{MountOptionError, MountOptions};
///
/// let options: MountOptions = "tls,iam,accesspoint=fsap-0123456789abcdef0,ro".parse()?;
/// assert_eq!(options.access_point.unwrap().as_str(), "fsap-0123456789abcdef0");
///
/// let refused = "iam".parse::<MountOptions>().unwrap_err();
/// assert_eq!(refused.to_string(), "the mount option iam needs tls: add tls, or leave out iam");
/// # Ok::<(), MountOptionError>(())
/// ```
///
/// # Differences from the EFS mount helper
/// - A mount without `tls` is refused: there is nothing here that would carry it.
/// - `ocsp`, `netns` and `verify=0`, `3` or `4` are refused: none of them is done here, and each changes what is protected.
/// - An option that is given twice with different values is refused, and so is an empty or superfluous value.
/// - `rolearn` and `jwtpath` belong together and to `iam`.
/// - `nosharetls` is new: a tunnel that no other mount uses.
/// - `stunnel` and `noocsp` are accepted: they ask for what is the case anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountOptions {
    /// Whose credentials sign the client certificate: `iam` with what goes with it; `None` without `iam`.
    pub credentials: Option<CredentialSource>,
    /// `accesspoint`.
    pub access_point: Option<AccessPointId>,
    /// `region`.
    pub region: Option<Region>,
    /// `az`: the mount target in this zone.
    pub az: Option<AvailabilityZoneName>,
    /// `mounttargetip`.
    pub mount_target_ip: Option<IpAddr>,
    /// `crossaccount`: the mount target's name begins with the id of our zone.
    pub cross_account: bool,
    /// `cafile`, an absolute path.
    pub ca_file: Option<PathBuf>,
    /// `tlsport`: the local port of the tunnel.
    pub tls_port: Option<u16>,
    /// `noocsp`, which takes back `stunnel_check_cert_validity` of the configuration file.
    pub no_ocsp: bool,
    /// `nosharetls`.
    pub no_share: bool,
    /// Everything else, for `mount.nfs4`.
    pub nfs: Vec<NfsOption>,
}

/// Where the credentials of a mount come from. Holds no secret, so that it can be recorded and asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CredentialSource {
    /// The default chain.
    #[default]
    Default,
    /// `awsprofile`: a profile of the shared configuration.
    Profile(String),
    /// `awscredsuri`: a path, beginning with `/`, at the credential endpoint of Amazon ECS.
    ContainerUri(String),
    /// `rolearn` and `jwtpath`: a role that a web identity token may assume.
    WebIdentity {
        /// The role's ARN.
        role_arn: String,
        /// The absolute path of the file with the token.
        token_file: PathBuf,
    },
}

impl CredentialSource {
    /// A role that a web identity token may assume.
    pub fn web_identity(role_arn: impl Into<String>, token_file: impl Into<PathBuf>) -> Self {
        Self::WebIdentity { role_arn: role_arn.into(), token_file: token_file.into() }
    }
}

impl FromStr for MountOptions {
    type Err = MountOptionError;

    fn from_str(text: &str) -> Result<Self, MountOptionError> {
        let given = Given::read(text)?;
        given.refuse_unsupported()?;
        given.check_combinations()?;
        Ok(Self {
            credentials: given.credentials()?,
            access_point: given.parsed("accesspoint")?,
            region: given.parsed("region")?,
            az: given.parsed("az")?,
            mount_target_ip: given.value_as("mounttargetip", "an IP address, like 10.0.1.9", |ip| ip.parse().ok())?,
            cross_account: given.has("crossaccount"),
            ca_file: given.value_as("cafile", "an absolute path", absolute)?,
            tls_port: given.value_as("tlsport", "a port from 1 to 65535", port)?,
            no_ocsp: given.has("noocsp"),
            no_share: given.has("nosharetls"),
            nfs: given.nfs,
        })
    }
}

impl Given<'_> {
    fn credentials(&self) -> Result<Option<CredentialSource>, MountOptionError> {
        if !self.has("iam") {
            return Ok(None);
        }
        let profile = self.value_as("awsprofile", "the name of a profile", |name| Some(name.to_owned()))?;
        let uri = self.value_as("awscredsuri", "a path that begins with /, like /v2/credentials/…", uri_path)?;
        let role_arn = self.value_as("rolearn", "the ARN of an IAM role", role_arn)?;
        let token_file = self.value_as("jwtpath", "an absolute path", absolute)?;
        Ok(Some(match (profile, uri, role_arn.zip(token_file)) {
            (Some(profile), ..) => CredentialSource::Profile(profile),
            (_, Some(uri), _) => CredentialSource::ContainerUri(uri),
            (.., Some((role_arn, token_file))) => CredentialSource::WebIdentity { role_arn, token_file },
            _ => CredentialSource::Default,
        }))
    }

    fn value_as<T>(
        &self,
        option: &'static str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, MountOptionError> {
        let Some(found) = self.value(option) else { return Ok(None) };
        let error = || ParseError { expected, found: found.to_owned(), remedy: "correct the value" };
        read(found).map(Some).ok_or_else(|| MountOptionError::Value { option, source: error() })
    }

    fn parsed<T: FromStr<Err = ParseError>>(&self, option: &'static str) -> Result<Option<T>, MountOptionError> {
        let parsed = self.value(option).map(str::parse).transpose();
        parsed.map_err(|source| MountOptionError::Value { option, source })
    }
}

fn absolute(path: &str) -> Option<PathBuf> {
    (path.starts_with('/') && !path.contains(char::is_control)).then(|| path.into())
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// It becomes the request target of plain HTTP, so nothing in it may end that early.
fn uri_path(text: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_graphic();
    (text.starts_with('/') && !text.starts_with("//") && text.chars().all(is_plain)).then(|| text.to_owned())
}

fn role_arn(text: &str) -> Option<String> {
    let mut parts = text.splitn(6, ':');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_/-".contains(c);
    let is_role = parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts.next().is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()))
        && parts
            .next()
            .and_then(|name| name.strip_prefix("role/"))
            .is_some_and(|name| !name.is_empty() && name.chars().all(is_plain));
    is_role.then(|| text.to_owned())
}
