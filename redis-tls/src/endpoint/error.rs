//! Why a text is no endpoint, or not one for TLS.

use super::Service;
use crate::ParseError;

/// Why a text is no endpoint of a server over TLS.
///
/// A URL with a password in it is refused without repeating any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// `redis://` and the like.
    #[error("the scheme {found:?} is not for TLS; write rediss://host:port, or host:port alone")]
    Scheme {
        /// What stands before `://`.
        found: String,
    },
    /// `rediss://user:password@host`.
    #[error(
        "the endpoint has an @, so that it may hold a user or a password; write host:port alone and give the \
             credentials to the connector"
    )]
    UserInfo,
    /// A path, a query or a fragment.
    #[error(
        "the endpoint has a path or a query; write host:port alone and give the database and other options to the connector"
    )]
    Extra,
    /// Neither a DNS name nor an address.
    #[error(
        "{found:?} is neither a DNS name nor an IP address; write a host such as \
             clustercfg.NAME.HASH.use1.cache.amazonaws.com, 10.0.0.1 or [fd00::1]"
    )]
    Host {
        /// The host as it was given.
        found: String,
    },
    /// Not a number from 1 to 65535. It is not repeated, since it may be a password without its host.
    #[error("what follows {host:?} and a colon is no port; write a number from 1 to 65535, or nothing for 6379")]
    Port {
        /// The host before it.
        host: String,
    },
    /// The configuration endpoint of Memcached.
    #[error("{host} is an endpoint of Memcached, not of Redis or Valkey; take the endpoint of the other cache")]
    Memcached {
        /// The host as it was given.
        host: String,
    },
    /// A name under ElastiCache or MemoryDB that none of their endpoints has.
    #[error("{host} has not the shape of any endpoint of {}: {expected}; copy it from the console. If it is right, \
             use RedisEndpoint::other", service.title())]
    Shape {
        /// The host as it was given.
        host: String,
        /// Under whose domain it is.
        service: Service,
        /// The shape that it comes closest to.
        expected: &'static str,
    },
    /// A host that is neither of ElastiCache nor of MemoryDB, where IAM is asked for.
    #[error(
        "{host} tells no cache of AWS, which an IAM token has to name; give the service, the name and the region as \
             redis_tls::Cache"
    )]
    NotAws {
        /// The host.
        host: String,
    },
    /// A short code of a region that this crate does not know, where IAM is asked for.
    #[error(
        "{host} is in the region {code:?}, whose full name is not known here; give the service, the name and the region \
             as redis_tls::Cache"
    )]
    UnknownRegion {
        /// The host.
        host: String,
        /// The code before `.cache`.
        code: String,
    },
    /// A name that no cache with IAM can have.
    #[error("the endpoint's cache cannot authenticate by IAM")]
    Name(#[source] ParseError),
    /// The name of an endpoint without encryption in transit.
    #[error(
        "{host} is an endpoint without encryption in transit; switch TransitEncryptionEnabled on and use the endpoint \
             with TLS, of the shape {tls_host}"
    )]
    Plaintext {
        /// The host.
        host: String,
        /// The same endpoint once encryption is on.
        tls_host: String,
    },
}

impl Service {
    const fn title(self) -> &'static str {
        match self {
            Self::ElastiCache => "ElastiCache",
            Self::ElastiCacheServerless => "ElastiCache Serverless",
            Self::MemoryDb => "MemoryDB",
            Self::Other => "AWS",
        }
    }
}
