//! What a token is for: a cache, and a user of it.

use std::str::FromStr;

use crate::parse::text_newtype;
use crate::{EndpointError, ParseError, RedisEndpoint, Region, Service};

/// A cache as IAM knows it: its service, name and region. To be had from [`RedisEndpoint::cache`], or told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cache {
    kind: Kind,
    name: CacheName,
    region: Region,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    ReplicationGroup,
    Serverless,
    MemoryDb,
}

impl Cache {
    /// A node-based cache of ElastiCache, by its replication group id.
    pub fn replication_group(name: CacheName, region: Region) -> Self {
        Self { kind: Kind::ReplicationGroup, name, region }
    }

    /// A serverless cache of ElastiCache, by its name.
    pub fn serverless(name: CacheName, region: Region) -> Self {
        Self { kind: Kind::Serverless, name, region }
    }

    /// A cluster of MemoryDB, by its name.
    pub fn memory_db(name: CacheName, region: Region) -> Self {
        Self { kind: Kind::MemoryDb, name, region }
    }

    /// The service it belongs to.
    pub fn service(&self) -> Service {
        match self.kind {
            Kind::ReplicationGroup => Service::ElastiCache,
            Kind::Serverless => Service::ElastiCacheServerless,
            Kind::MemoryDb => Service::MemoryDb,
        }
    }

    /// Its name.
    pub fn name(&self) -> &CacheName {
        &self.name
    }

    /// Its region.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The service in the credential scope: `elasticache` or `memorydb`.
    pub fn signing_name(&self) -> &'static str {
        match self.kind {
            Kind::ReplicationGroup | Kind::Serverless => "elasticache",
            Kind::MemoryDb => "memorydb",
        }
    }

    /// `ServerlessCache` for those; a token for any other cache is refused when it names a type.
    pub(super) fn resource_type(&self) -> Option<&'static str> {
        (self.kind == Kind::Serverless).then_some("ServerlessCache")
    }
}

impl RedisEndpoint {
    /// The cache behind this endpoint, for IAM.
    ///
    /// # Errors
    /// [`EndpointError::NotAws`] when the host is not one of ElastiCache or MemoryDB, [`EndpointError::UnknownRegion`] when
    /// its region is unknown to this crate, [`EndpointError::Plaintext`] when it has no TLS, without which there is no IAM;
    /// [`EndpointError::Name`] when the name is longer than AWS allows.
    pub fn cache(&self) -> Result<Cache, EndpointError> {
        self.require_tls()?;
        let host = || self.host().to_owned();
        let make = match self.service() {
            Service::ElastiCache => Cache::replication_group,
            Service::ElastiCacheServerless => Cache::serverless,
            Service::MemoryDb => Cache::memory_db,
            Service::Other => return Err(EndpointError::NotAws { host: host() }),
        };
        let name = self.name().unwrap_or_default().parse().map_err(EndpointError::Name)?;
        let Some(region) = self.region() else {
            let code = self.region_code().unwrap_or_default().to_owned();
            return Err(EndpointError::UnknownRegion { host: host(), code });
        };
        Ok(make(name, region.clone()))
    }
}

/// The name of a replication group, a serverless cache or a MemoryDB cluster.
///
/// 1 to 40 letters, digits and hyphens; a letter first, no hyphen last, no two in a row. AWS keeps names in lower case and
/// expects tokens to be signed so; other letters are taken in either case and lowered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheName(String);

impl FromStr for CacheName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > 40 || !is_cache_name(text) {
            return Err(ParseError {
                expected: "the name of a cache: 1 to 40 letters, digits and single hyphens, a letter first, like sessions-01",
                found: text.to_owned(),
                remedy: "take the replication group id, the name of the serverless cache or that of the MemoryDB cluster, \
                         not the endpoint",
            });
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// Whether AWS could have a cache of this name, but for its length.
pub(crate) fn is_cache_name(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.split('-').all(is_part)
}

/// A user that authenticates by IAM. Its user id and its user name are the same, as AWS demands for such users.
///
/// Letters, digits and hyphens, a letter first; `default.` may precede it, as in the ready-made `default.iam-user`. AWS keeps
/// ids in lower case; they are taken in either case and lowered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IamUser(String);

impl FromStr for IamUser {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let lower = text.to_ascii_lowercase();
        let id = lower.strip_prefix("default.").unwrap_or(&lower);
        let is_valid = id.starts_with(|first: char| first.is_ascii_alphabetic())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match is_valid {
            true => Ok(Self(lower)),
            false => Err(ParseError {
                expected: "the id of an IAM-enabled user: letters, digits and hyphens, a letter first, like iam-user-01",
                found: text.to_owned(),
                remedy: "take UserId from `aws elasticache describe-users`, or the name from `aws memorydb describe-users`, \
                         not the ARN",
            }),
        }
    }
}

text_newtype!(CacheName, IamUser);
