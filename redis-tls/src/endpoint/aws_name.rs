//! The grammar of the names of ElastiCache and MemoryDB.
//!
//! AWS describes it by examples only ("Finding connection endpoints" in the guides of both services).

use super::{ClusterMode, EndpointError, EndpointRole, Service};
use crate::Region;
use crate::region::DNS_SUFFIXES;

/// What a name tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AwsName {
    pub(super) service: Service,
    pub(super) cluster: ClusterMode,
    pub(super) role: EndpointRole,
    pub(super) name: String,
    pub(super) region: Option<Region>,
    pub(super) region_code: String,
    /// For a name without TLS, the one with.
    pub(super) tls_host: Option<String>,
}

/// Reads a host in lower case. `None` for one that is not of these services.
pub(super) fn read(host: &str) -> Result<Option<AwsName>, EndpointError> {
    let refused = |service, expected| Err(EndpointError::Shape { host: host.to_owned(), service, expected });
    let split = |suffix| Some((host.strip_suffix(suffix)?.strip_suffix('.')?, suffix));
    let Some((front, suffix)) = DNS_SUFFIXES.into_iter().find_map(split) else {
        let Some(service) = misspelt(host) else { return Ok(None) };
        return refused(service, "its end is none of AWS, such as .amazonaws.com");
    };
    let labels: Vec<&str> = front.split('.').collect();
    let (service, region_code, shape) = match *labels.as_slice() {
        [ref front @ .., region, "cache"] => (Service::ElastiCache, region, elasticache(front)),
        [ref front @ .., "memorydb", region] => (Service::MemoryDb, region, memory_db(front)),
        ["elasticache" | "elasticache-fips", _] => {
            return refused(Service::ElastiCache, "this is the service's API, not a cache");
        }
        ["memory-db" | "memory-db-fips", _] => {
            return refused(Service::MemoryDb, "this is the service's API, not a cluster");
        }
        _ if labels.contains(&"cache") => return refused(Service::ElastiCache, "the region comes right before .cache"),
        _ if labels.contains(&"memorydb") => {
            return refused(Service::MemoryDb, "the region comes right after .memorydb");
        }
        _ => return Ok(None),
    };
    let Some(shape) = shape else {
        let is_memcached = matches!(*labels.as_slice(), [_, _, "cfg", _, "cache"]);
        return match (is_memcached, service) {
            (true, _) => Err(EndpointError::Memcached { host: host.to_owned() }),
            (_, Service::MemoryDb) => refused(service, MEMORY_DB_SHAPES),
            _ => refused(service, ELASTICACHE_SHAPES),
        };
    };
    let region = match service {
        Service::MemoryDb => match region_code.parse::<Region>() {
            Ok(region) => Some(region),
            Err(_) => return refused(service, "the region after .memorydb is written in full, as us-east-1"),
        },
        _ if !is_short_code(region_code) => {
            return refused(service, "the region before .cache is a short code, as use1");
        }
        _ => Region::from_short_code(region_code),
    };
    if region.as_ref().is_some_and(|region| region.dns_suffix() != suffix) {
        return refused(service, "the region is of another partition than the end of the name");
    }
    let tail = match service {
        Service::MemoryDb => format!("memorydb.{region_code}.{suffix}"),
        _ => format!("{region_code}.cache.{suffix}"),
    };
    Ok(Some(AwsName {
        service: if shape.serverless { Service::ElastiCacheServerless } else { service },
        cluster: shape.cluster,
        role: shape.role,
        name: shape.name.to_owned(),
        region,
        region_code: region_code.to_owned(),
        tls_host: shape.tls_front.map(|front| format!("{front}.{tail}")),
    }))
}

const ELASTICACHE_SHAPES: &str = "with TLS it is clustercfg.NAME.HASH.REGION.cache, master.NAME.HASH…, replica.NAME.HASH…, \
                                  NAME-001.NAME.HASH…, NAME-0001-001.NAME.HASH… or NAME-HASH.serverless.REGION.cache";
const MEMORY_DB_SHAPES: &str =
    "with TLS it is clustercfg.NAME.HASH.memorydb.REGION or NAME-0001-001.NAME.HASH.memorydb.REGION";

/// What the labels before region and service tell.
struct Shape<'a> {
    name: &'a str,
    cluster: ClusterMode,
    role: EndpointRole,
    serverless: bool,
    tls_front: Option<String>,
}

fn elasticache<'a>(front: &[&'a str]) -> Option<Shape<'a>> {
    use {ClusterMode as Cluster, EndpointRole as Role};

    match *front {
        [label, "serverless"] => {
            let (name, hash) = label.rsplit_once('-')?;
            let shape = Shape { serverless: true, ..Shape::tls(name, Cluster::Enabled, Role::Unknown) };
            (hash.len() == SERVERLESS_HASH && is_hash(hash)).then_some(shape).filter(Shape::is_named)
        }
        [first, hash, "ng", shard] if is_shard(shard) => {
            let (name, role, front) = match first.strip_suffix("-ro") {
                Some(name) => (name, Role::Reader, "replica"),
                None => (first, Role::Primary, "master"),
            };
            Shape::plaintext(name, Cluster::Disabled, role, hash, front)
        }
        [first, hash, shard] if is_shard(shard) => {
            let (name, cluster) = split_node(first).unwrap_or((first, Cluster::Unknown));
            Shape::plaintext(name, cluster, Role::Node, hash, first)
        }
        [name, hash, "clustercfg"] => Shape::plaintext(name, Cluster::Enabled, Role::Configuration, hash, "clustercfg"),
        [_, _, "cfg"] => None,
        [first, name, hash] if is_hash(hash) => {
            let shape = match first {
                "clustercfg" => Shape::tls(name, Cluster::Enabled, Role::Configuration),
                "master" => Shape::tls(name, Cluster::Disabled, Role::Primary),
                "replica" => Shape::tls(name, Cluster::Disabled, Role::Reader),
                node => Shape::tls(name, node_of(name, node)?, Role::Node),
            };
            Some(shape).filter(Shape::is_named)
        }
        _ => None,
    }
}

fn memory_db<'a>(front: &[&'a str]) -> Option<Shape<'a>> {
    use {ClusterMode as Cluster, EndpointRole as Role};

    // Nodes have a shard in their names; MemoryDB has no clusters without.
    let group =
        |node: &'a str| split_node(node).filter(|(_, cluster)| *cluster == Cluster::Enabled).map(|(name, _)| name);
    match *front {
        [name, hash, "clustercfg"] => Shape::plaintext(name, Cluster::Enabled, Role::Configuration, hash, "clustercfg"),
        [node, hash, shard] if is_shard(shard) => {
            Shape::plaintext(group(node)?, Cluster::Enabled, Role::Node, hash, node)
        }
        ["clustercfg", name, hash] if is_hash(hash) => {
            Some(Shape::tls(name, Cluster::Enabled, Role::Configuration)).filter(Shape::is_named)
        }
        [node, name, hash] if is_hash(hash) && node_of(name, node) == Some(Cluster::Enabled) => {
            Some(Shape::tls(name, Cluster::Enabled, Role::Node)).filter(Shape::is_named)
        }
        _ => None,
    }
}

impl<'a> Shape<'a> {
    fn tls(name: &'a str, cluster: ClusterMode, role: EndpointRole) -> Self {
        Self { name, cluster, role, serverless: false, tls_front: None }
    }

    fn plaintext(name: &'a str, cluster: ClusterMode, role: EndpointRole, hash: &str, front: &str) -> Option<Self> {
        let tls_front = Some(format!("{front}.{name}.{hash}"));
        Some(Self { tls_front, ..Self::tls(name, cluster, role) }).filter(|shape| shape.is_named() && is_hash(hash))
    }

    fn is_named(&self) -> bool {
        crate::iam::is_cache_name(self.name)
    }
}

/// Whether `node` is `NAME-001`, as in a group without shards, or `NAME-0001-001`, as in one with.
fn node_of(name: &str, node: &str) -> Option<ClusterMode> {
    let number = node.strip_prefix(name)?.strip_prefix('-')?;
    match number.split_once('-') {
        None => is_number(number, 3).then_some(ClusterMode::Disabled),
        Some((shard, node)) => (is_shard(shard) && is_number(node, 3)).then_some(ClusterMode::Enabled),
    }
}

/// The same where the name of the group is not told apart. A group called `a-0001` cannot be told from a shard of `a`.
fn split_node(node: &str) -> Option<(&str, ClusterMode)> {
    let (rest, _) = node.rsplit_once('-').filter(|(_, number)| is_number(number, 3))?;
    match rest.rsplit_once('-').filter(|(_, shard)| is_shard(shard)) {
        Some((name, _)) => Some((name, ClusterMode::Enabled)),
        None => Some((rest, ClusterMode::Disabled)),
    }
}

/// A name that is not under AWS and yet speaks of its caches: `….cache.amazonaws.con`.
fn misspelt(host: &str) -> Option<Service> {
    let has = |part| host.contains(part);
    if has(".cache.amazon") {
        Some(Service::ElastiCache)
    } else if has(".memorydb.") && has(".amazon") {
        Some(Service::MemoryDb)
    } else {
        None
    }
}

/// The name of a serverless cache may end like a hash, so that only the length tells where it ends.
const SERVERLESS_HASH: usize = 6;

fn is_hash(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_shard(label: &str) -> bool {
    is_number(label, 4)
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_short_code(text: &str) -> bool {
    let is_alphanumeric = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_alphanumeric
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_digit())
}
