//! Where a cache is reached, and what its name tells.

mod aws_name;
mod error;

use std::{fmt, net::IpAddr, str::FromStr};

use crate::Region;

use self::aws_name::AwsName;
pub use self::error::EndpointError;

/// Host and port of a server, and what is known of it from the name alone.
///
/// Names of ElastiCache and MemoryDB tell the service, the cache, the region, the role of the endpoint, whether it is a
/// cluster, and whether it speaks TLS. A name under one of these services that fits no known shape is refused: it is a
/// misspelling, or the endpoint of something else. Any other host is [`Service::Other`].
///
/// ```
/// use redis_tls::{EndpointRole, InTransitEncryption, RedisEndpoint, Service};
/// let endpoint: RedisEndpoint = "clustercfg.sessions.abc123.use1.cache.amazonaws.com".parse()?;
/// assert_eq!(endpoint.service(), Service::ElastiCache);
/// assert_eq!(endpoint.encryption(), InTransitEncryption::Tls);
/// assert_eq!(endpoint.role(), EndpointRole::Configuration);
/// assert_eq!(endpoint.name(), Some("sessions"));
/// assert_eq!(endpoint.region().unwrap().as_str(), "us-east-1");
/// assert_eq!(endpoint.to_string(), "clustercfg.sessions.abc123.use1.cache.amazonaws.com:6379");
/// # Ok::<(), redis_tls::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedisEndpoint {
    host: String,
    port: u16,
    aws: Option<AwsName>,
}

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Service {
    /// A node-based cache of Amazon ElastiCache.
    ElastiCache,
    /// A serverless cache of Amazon ElastiCache.
    ElastiCacheServerless,
    /// Amazon MemoryDB.
    MemoryDb,
    /// Any other server.
    Other,
}

/// Whether the keys are spread over shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ClusterMode {
    /// They are: the client has to follow the slots.
    Enabled,
    /// One primary has them all.
    Disabled,
    /// The name does not tell.
    Unknown,
}

/// Whether the endpoint speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InTransitEncryption {
    /// It does.
    Tls,
    /// Its name is that of an endpoint without encryption in transit.
    Plaintext,
    /// The name does not tell.
    Unknown,
}

/// Which of the servers an endpoint leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointRole {
    /// Any node of a cluster, to learn the others from.
    Configuration,
    /// The one that writes go to.
    Primary,
    /// Replicas: reads only, and slightly behind.
    Reader,
    /// One node, whatever its role is today.
    Node,
    /// The name does not tell.
    Unknown,
}

impl RedisEndpoint {
    /// The port of Redis, of Valkey, and of the primary side of a serverless cache.
    pub const DEFAULT_PORT: u16 = 6379;

    /// The port of the reader side of a serverless cache.
    pub const SERVERLESS_READER_PORT: u16 = 6380;

    /// `host` as any server's, though it may look like one of AWS: for shapes of names that this crate does not know yet,
    /// and for an endpoint that speaks TLS under the name of one that does not (`TransitEncryptionMode=preferred`).
    ///
    /// # Errors
    /// [`EndpointError::Host`] when it is neither a DNS name nor an IP address.
    pub fn other(host: &str, port: u16) -> Result<Self, EndpointError> {
        Ok(Self { host: normalised(host)?, port, aws: None })
    }

    /// The same host at another port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The host in lower case: a DNS name, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whose server it is.
    pub fn service(&self) -> Service {
        self.aws.as_ref().map_or(Service::Other, |aws| aws.service)
    }

    /// Whether the keys are spread over shards.
    pub fn cluster(&self) -> ClusterMode {
        self.aws.as_ref().map_or(ClusterMode::Unknown, |aws| aws.cluster)
    }

    /// Whether the endpoint speaks TLS.
    pub fn encryption(&self) -> InTransitEncryption {
        match &self.aws {
            None => InTransitEncryption::Unknown,
            Some(AwsName { tls_host: None, .. }) => InTransitEncryption::Tls,
            Some(AwsName { tls_host: Some(_), .. }) => InTransitEncryption::Plaintext,
        }
    }

    /// Which of the servers it leads to. Of a serverless cache the port decides.
    pub fn role(&self) -> EndpointRole {
        match (&self.aws, self.port) {
            (Some(AwsName { service: Service::ElastiCacheServerless, .. }), port) => match port {
                Self::DEFAULT_PORT => EndpointRole::Primary,
                Self::SERVERLESS_READER_PORT => EndpointRole::Reader,
                _ => EndpointRole::Unknown,
            },
            (Some(aws), _) => aws.role,
            (None, _) => EndpointRole::Unknown,
        }
    }

    /// The replication group, serverless cache or MemoryDB cluster, in lower case as IAM tokens are signed for it.
    pub fn name(&self) -> Option<&str> {
        self.aws.as_ref().map(|aws| aws.name.as_str())
    }

    /// The region, when the name tells it. `None` under AWS means a [short code](Self::region_code) unknown to this crate.
    pub fn region(&self) -> Option<&Region> {
        self.aws.as_ref()?.region.as_ref()
    }

    /// The region as the name has it: `use1`, or `us-east-1` in names of MemoryDB.
    pub fn region_code(&self) -> Option<&str> {
        self.aws.as_ref().map(|aws| aws.region_code.as_str())
    }

    /// Refuses an endpoint whose name says that it does not speak TLS: a TLS handshake with it would hang, not fail.
    ///
    /// # Errors
    /// [`EndpointError::Plaintext`] with the shape of the endpoint that does.
    pub fn require_tls(&self) -> Result<(), EndpointError> {
        match self.aws.as_ref().and_then(|aws| aws.tls_host.clone()) {
            Some(tls_host) => Err(EndpointError::Plaintext { host: self.host.clone(), tls_host }),
            None => Ok(()),
        }
    }
}

impl FromStr for RedisEndpoint {
    type Err = EndpointError;

    /// Reads `host`, `host:port` or `rediss://host:port` (also `valkeys://`). An IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        // First of all: what follows repeats parts of the text, and here it has a secret in it.
        if text.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let authority = match text.split_once("://") {
            Some((scheme, rest)) if ["rediss", "valkeys"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls)) => {
                rest.strip_suffix('/').unwrap_or(rest)
            }
            Some((scheme, _)) => return Err(EndpointError::Scheme { found: scheme.to_owned() }),
            None => text,
        };
        if authority.contains(['/', '?', '#']) {
            return Err(EndpointError::Extra);
        }
        let (host, port) = split_port(authority)?;
        let host = normalised(host)?;
        let aws = aws_name::read(&host)?;
        Ok(Self { host, port, aws })
    }
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, u16), EndpointError> {
    let (host, port) = match authority.rsplit_once(':') {
        // Without brackets it cannot be told where an IPv6 address ends.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') && !authority.ends_with(']') => {
            return Err(EndpointError::Host { found: authority.to_owned() });
        }
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let Some(port) = port else { return Ok((host, RedisEndpoint::DEFAULT_PORT)) };
    // `parse` alone would take a sign.
    match port.parse() {
        Ok(number) if number != 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok((host, number)),
        _ => Err(EndpointError::Port { host: host.to_owned() }),
    }
}

/// The host in lower case, without brackets and without a final dot.
fn normalised(text: &str) -> Result<String, EndpointError> {
    let error = || EndpointError::Host { found: text.to_owned() };
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().map(|address| address.to_string()).map_err(|_| error());
    }
    if let Ok(address @ IpAddr::V4(_)) = text.parse() {
        return Ok(address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    // RFC 1035 section 2.3.4; underscores occur in private zones.
    let is_label = |label: &str| {
        matches!(label.len(), 1..=63)
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // "The last label is not all-numeric" tells a name from a mistyped address (RFC 3696 section 2).
    let ends_in_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() > 253 || !name.split('.').all(is_label) || ends_in_number {
        return Err(error());
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
