use EndpointRole::{Configuration, Node, Primary, Reader};
use InTransitEncryption::{Plaintext, Tls};
use Service::{ElastiCache, ElastiCacheServerless, MemoryDb};

use super::*;

fn parsed(text: &str) -> RedisEndpoint {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A name, and the service, cluster mode, encryption, role, cache and region that it tells.
type Row = (&'static str, Service, ClusterMode, InTransitEncryption, EndpointRole, &'static str, Option<&'static str>);

const ON: ClusterMode = ClusterMode::Enabled;
const OFF: ClusterMode = ClusterMode::Disabled;

#[rustfmt::skip]
const NAMES: &[Row] = &[
    // ElastiCache with TLS.
    ("clustercfg.my-shards.abc123.use1.cache.amazonaws.com", ElastiCache, ON, Tls, Configuration, "my-shards", Some("us-east-1")),
    ("master.my-group.abc123.cac1.cache.amazonaws.com", ElastiCache, OFF, Tls, Primary, "my-group", Some("ca-central-1")),
    ("replica.my-group.abc123.euc1.cache.amazonaws.com", ElastiCache, OFF, Tls, Reader, "my-group", Some("eu-central-1")),
    ("my-group-001.my-group.abc123.apn2.cache.amazonaws.com", ElastiCache, OFF, Tls, Node, "my-group", Some("ap-northeast-2")),
    ("my-shards-0001-002.my-shards.abc123.use1.cache.amazonaws.com", ElastiCache, ON, Tls, Node, "my-shards", Some("us-east-1")),
    ("a-0001-001.a-0001.abc123.use1.cache.amazonaws.com", ElastiCache, OFF, Tls, Node, "a-0001", Some("us-east-1")),
    ("clustercfg.clustercfg.abc123.use1.cache.amazonaws.com", ElastiCache, ON, Tls, Configuration, "clustercfg", Some("us-east-1")),
    ("CLUSTERCFG.My-Shards.ABC123.USE1.cache.amazonaws.com.", ElastiCache, ON, Tls, Configuration, "my-shards", Some("us-east-1")),
    // Without.
    ("my-shards.abc123.clustercfg.use2.cache.amazonaws.com", ElastiCache, ON, Plaintext, Configuration, "my-shards", Some("us-east-2")),
    ("my-group.abc123.ng.0001.use1.cache.amazonaws.com", ElastiCache, OFF, Plaintext, Primary, "my-group", Some("us-east-1")),
    ("my-group-ro.abc123.ng.0001.use1.cache.amazonaws.com", ElastiCache, OFF, Plaintext, Reader, "my-group", Some("us-east-1")),
    ("my-group-001.abc123.0001.use1.cache.amazonaws.com", ElastiCache, OFF, Plaintext, Node, "my-group", Some("us-east-1")),
    ("my-shards-0001-001.abc123.0001.use1.cache.amazonaws.com", ElastiCache, ON, Plaintext, Node, "my-shards", Some("us-east-1")),
    ("single.abc123.0001.apne1.cache.amazonaws.com", ElastiCache, ClusterMode::Unknown, Plaintext, Node, "single", Some("ap-northeast-1")),
    // Serverless.
    ("my-cache-abc123.serverless.mes1.cache.amazonaws.com", ElastiCacheServerless, ON, Tls, Primary, "my-cache", Some("me-south-1")),
    ("my-cache-abc123.serverless.mes1.cache.amazonaws.com:6380", ElastiCacheServerless, ON, Tls, Reader, "my-cache", Some("me-south-1")),
    ("c-000000.serverless.usw2.cache.amazonaws.com:7000", ElastiCacheServerless, ON, Tls, EndpointRole::Unknown, "c", Some("us-west-2")),
    // MemoryDB.
    ("clustercfg.my-db.abc123.memorydb.us-east-1.amazonaws.com", MemoryDb, ON, Tls, Configuration, "my-db", Some("us-east-1")),
    ("my-db-0002-001.my-db.abc123.memorydb.ap-southeast-9.amazonaws.com", MemoryDb, ON, Tls, Node, "my-db", Some("ap-southeast-9")),
    ("my-db.abc123.clustercfg.memorydb.us-east-1.amazonaws.com", MemoryDb, ON, Plaintext, Configuration, "my-db", Some("us-east-1")),
    ("my-db-0002-001.abc123.0002.memorydb.us-east-1.amazonaws.com", MemoryDb, ON, Plaintext, Node, "my-db", Some("us-east-1")),
    // Other partitions.
    ("clustercfg.my-shards.abc123.cnn1.cache.amazonaws.com.cn", ElastiCache, ON, Tls, Configuration, "my-shards", Some("cn-north-1")),
    ("my-group.abc123.ng.0001.cnw1.cache.amazonaws.com.cn", ElastiCache, OFF, Plaintext, Primary, "my-group", Some("cn-northwest-1")),
    ("clustercfg.my-db.abc123.memorydb.cn-north-1.amazonaws.com.cn", MemoryDb, ON, Tls, Configuration, "my-db", Some("cn-north-1")),
    ("master.my-group.abc123.usgw1.cache.amazonaws.com", ElastiCache, OFF, Tls, Primary, "my-group", Some("us-gov-west-1")),
    ("clustercfg.my-db.abc123.memorydb.us-gov-east-1.amazonaws.com", MemoryDb, ON, Tls, Configuration, "my-db", Some("us-gov-east-1")),
    ("clustercfg.my-db.abc123.memorydb.us-iso-east-1.c2s.ic.gov", MemoryDb, ON, Tls, Configuration, "my-db", Some("us-iso-east-1")),
    ("master.my-group.abc123.usie1.cache.c2s.ic.gov", ElastiCache, OFF, Tls, Primary, "my-group", None),
    ("my-cache-abc123.serverless.usibe1.cache.sc2s.sgov.gov", ElastiCacheServerless, ON, Tls, Primary, "my-cache", None),
    // A region that is not known yet.
    ("master.my-group.abc123.xyz9.cache.amazonaws.com", ElastiCache, OFF, Tls, Primary, "my-group", None),
];

#[test]
fn a_name_of_aws_tells_what_it_leads_to() {
    for &(text, service, cluster, encryption, role, name, region) in NAMES {
        let endpoint = parsed(text);
        let found = (endpoint.service(), endpoint.cluster(), endpoint.encryption(), endpoint.role());
        assert_eq!(found, (service, cluster, encryption, role), "{text}");
        let found = (endpoint.name(), endpoint.region().map(Region::as_str));
        assert_eq!(found, (Some(name), region), "{text}");
        assert_eq!(parsed(&endpoint.to_string()), endpoint, "{text}");
        assert_eq!(parsed(&format!("rediss://{endpoint}/")), endpoint, "{text}");
    }
}

#[test]
fn every_endpoint_without_tls_names_the_one_with_it() {
    for (plaintext, tls) in [
        (
            "my-shards.abc123.clustercfg.use2.cache.amazonaws.com",
            "clustercfg.my-shards.abc123.use2.cache.amazonaws.com",
        ),
        ("my-group.abc123.ng.0001.cnw1.cache.amazonaws.com.cn", "master.my-group.abc123.cnw1.cache.amazonaws.com.cn"),
        ("my-group-ro.abc123.ng.0001.use1.cache.amazonaws.com", "replica.my-group.abc123.use1.cache.amazonaws.com"),
        ("my-group-001.abc123.0001.use1.cache.amazonaws.com", "my-group-001.my-group.abc123.use1.cache.amazonaws.com"),
        ("my-s-0001-001.abc123.0001.use1.cache.amazonaws.com", "my-s-0001-001.my-s.abc123.use1.cache.amazonaws.com"),
        (
            "db.abc123.clustercfg.memorydb.us-east-1.amazonaws.com",
            "clustercfg.db.abc123.memorydb.us-east-1.amazonaws.com",
        ),
    ] {
        let refused = parsed(plaintext).require_tls().unwrap_err();
        assert_eq!(refused, EndpointError::Plaintext { host: plaintext.to_owned(), tls_host: tls.to_owned() });
        assert_eq!(parsed(tls).require_tls(), Ok(()));
        assert_eq!(parsed(tls).role(), parsed(plaintext).role());
    }
    for &(text, .., encryption, _, _, _) in NAMES {
        assert_eq!(parsed(text).require_tls().is_err(), encryption == Plaintext, "{text}");
    }
    assert_eq!(parsed("redis.example.com").require_tls(), Ok(()));
}

#[test]
fn a_name_under_aws_of_no_known_shape_is_refused() {
    for (host, service, expected) in [
        ("clustrcfg.my-shards.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("my-group.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("my-group.abc123.ng.1.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("other-001.my-group.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("my-group-1.my-group.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("my-group-01-001.my-group.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("master.my--group.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("master.1group.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("master.group-.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("master.my-group.abc-12.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("my-cache.serverless.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("my-cache-abc12.serverless.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        ("a.master.my-group.abc123.use1.cache.amazonaws.com", ElastiCache, "with TLS it is"),
        (
            "master.my-group.abc123.us-east-1.cache.amazonaws.com",
            ElastiCache,
            "the region before .cache is a short code",
        ),
        ("master.my-group.abc123.cache.use1.amazonaws.com", ElastiCache, "the region comes right before .cache"),
        ("master.my-group.abc123.use1.cache.amazonaws.co", ElastiCache, "its end is none of AWS"),
        ("master.my-group.abc123.cnn1.cache.amazonaws.com", ElastiCache, "the region is of another partition"),
        ("master.my-group.abc123.use1.cache.amazonaws.com.cn", ElastiCache, "the region is of another partition"),
        ("elasticache.us-east-1.amazonaws.com", ElastiCache, "this is the service's API"),
        (
            "clustercfg.my-db.abc123.memorydb.use1.amazonaws.com",
            MemoryDb,
            "the region after .memorydb is written in full",
        ),
        (
            "clustercfg.my-db.abc123.us-east-1.memorydb.amazonaws.com",
            MemoryDb,
            "the region comes right after .memorydb",
        ),
        ("clustercfg.my-db.abc123.memorydb.us-east-1.amazonaws.con", MemoryDb, "its end is none of AWS"),
        (
            "clustercfg.my-db.abc123.memorydb.us-iso-east-1.amazonaws.com",
            MemoryDb,
            "the region is of another partition",
        ),
        ("master.my-db.abc123.memorydb.us-east-1.amazonaws.com", MemoryDb, "with TLS it is"),
        ("my-db-001.my-db.abc123.memorydb.us-east-1.amazonaws.com", MemoryDb, "with TLS it is"),
        ("my-db-001.abc123.0001.memorydb.us-east-1.amazonaws.com", MemoryDb, "with TLS it is"),
        ("memorydb.us-east-1.amazonaws.com", MemoryDb, "with TLS it is"),
        ("memory-db.us-east-1.amazonaws.com", MemoryDb, "this is the service's API"),
    ] {
        match host.parse::<RedisEndpoint>() {
            Err(EndpointError::Shape { host: found, service: whose, expected: text }) => {
                assert_eq!((found.as_str(), whose), (host, service));
                assert!(text.starts_with(expected), "{host}: {text}");
            }
            other => panic!("{host}: {other:?}"),
        }
        assert_eq!(RedisEndpoint::other(host, 6379).unwrap().service(), Service::Other);
    }
    let memcached = "my-cache.abc123.cfg.use1.cache.amazonaws.com".to_owned();
    assert_eq!(memcached.parse::<RedisEndpoint>(), Err(EndpointError::Memcached { host: memcached }));
}

#[test]
fn any_other_host_is_taken_as_it_is() {
    for (text, host, port, shown) in [
        ("localhost", "localhost", 6379, "localhost:6379"),
        ("Redis.Example.com:7000", "redis.example.com", 7000, "redis.example.com:7000"),
        ("redis.example.com.", "redis.example.com", 6379, "redis.example.com:6379"),
        ("rediss://cache.example.com", "cache.example.com", 6379, "cache.example.com:6379"),
        ("VALKEYS://my_host:1/", "my_host", 1, "my_host:1"),
        ("10.0.0.1:65535", "10.0.0.1", 65535, "10.0.0.1:65535"),
        ("[fd00::0:1]", "fd00::1", 6379, "[fd00::1]:6379"),
        ("rediss://[::1]:6380", "::1", 6380, "[::1]:6380"),
        (
            "ec2-1-2-3-4.compute-1.amazonaws.com",
            "ec2-1-2-3-4.compute-1.amazonaws.com",
            6379,
            "ec2-1-2-3-4.compute-1.amazonaws.com:6379",
        ),
    ] {
        let endpoint = parsed(text);
        assert_eq!((endpoint.host(), endpoint.port(), endpoint.to_string().as_str()), (host, port, shown));
        assert_eq!(endpoint.service(), Service::Other);
        assert_eq!((endpoint.cluster(), endpoint.encryption()), (ClusterMode::Unknown, InTransitEncryption::Unknown));
        assert_eq!((endpoint.role(), endpoint.name(), endpoint.region()), (EndpointRole::Unknown, None, None));
        assert_eq!(parsed(&endpoint.to_string()), endpoint);
    }
    assert_eq!(parsed("localhost").with_port(1).to_string(), "localhost:1");
}

#[test]
fn what_is_no_host_and_port_is_refused() {
    let host = |found: &str| EndpointError::Host { found: found.to_owned() };
    let port = |host: &str| EndpointError::Port { host: host.to_owned() };
    for (text, error) in [
        ("", host("")),
        (".", host(".")),
        (":6379", host("")),
        ("a..b", host("a..b")),
        (".a", host(".a")),
        ("a b", host("a b")),
        ("a\n", host("a\n")),
        ("m\u{fc}nchen.example", host("m\u{fc}nchen.example")),
        ("*.example.com", host("*.example.com")),
        ("10.0.0.256", host("10.0.0.256")),
        ("10.0.0", host("10.0.0")),
        ("[::1", host("[::1")),
        ("::1", host("::1")),
        ("fd00::1:6379", host("fd00::1:6379")),
        ("[10.0.0.1]", host("[10.0.0.1]")),
        ("localhost:", port("localhost")),
        ("localhost:0", port("localhost")),
        ("localhost:+1", port("localhost")),
        ("localhost:65536", port("localhost")),
        ("default:hunter2", port("default")),
        ("redis://localhost", EndpointError::Scheme { found: "redis".to_owned() }),
        ("https://localhost", EndpointError::Scheme { found: "https".to_owned() }),
        ("rediss://localhost/0", EndpointError::Extra),
        ("localhost?protocol=resp3", EndpointError::Extra),
        ("localhost#insecure", EndpointError::Extra),
        ("rediss://user:hunter2@localhost", EndpointError::UserInfo),
        ("redis://:hunter/2@localhost", EndpointError::UserInfo),
    ] {
        let refused = text.parse::<RedisEndpoint>().unwrap_err();
        assert_eq!(refused, error, "{text:?}");
        assert!(!format!("{refused} {refused:?}").contains("hunter"), "{refused}");
    }
    let long = "a.".repeat(126) + "b";
    assert_eq!(parsed(&long).host(), long);
    assert_eq!(format!("{long}b").parse::<RedisEndpoint>(), Err(host(&format!("{long}b"))));
    let label = "a".repeat(63);
    assert_eq!(parsed(&label).host(), label);
    assert_eq!(format!("a{label}").parse::<RedisEndpoint>(), Err(host(&format!("a{label}"))));
}

#[test]
fn the_errors_say_what_to_change() {
    let shown = |text: &str| text.parse::<RedisEndpoint>().unwrap_err().to_string();
    assert_eq!(
        shown("redis://localhost"),
        "the scheme \"redis\" is not for TLS; write rediss://host:port, or host:port alone"
    );
    assert_eq!(
        shown("elasticache.us-east-1.amazonaws.com"),
        "elasticache.us-east-1.amazonaws.com has not the shape of any endpoint of ElastiCache: this is the service's API, \
         not a cache; copy it from the console. If it is right, use RedisEndpoint::other"
    );
    assert_eq!(
        parsed("a.abc123.ng.0001.use1.cache.amazonaws.com").require_tls().unwrap_err().to_string(),
        "a.abc123.ng.0001.use1.cache.amazonaws.com is an endpoint without encryption in transit; switch \
         TransitEncryptionEnabled on and use the endpoint with TLS, of the shape master.a.abc123.use1.cache.amazonaws.com"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_what_is_taken_is_written_so_that_it_is_taken_again(
        text in "(clustercfg|master|a-001|[ -~]{0,8})?\\.?([a-z-]{0,5}\\.){0,4}(0001|use1|cache|memorydb)?\\.?(us-east-1\\.)?(amazonaws\\.com)?(:[0-9]{0,5})?"
    ) {
        if let Ok(endpoint) = text.parse::<RedisEndpoint>() {
            proptest::prop_assert_eq!(endpoint.to_string().parse::<RedisEndpoint>(), Ok(endpoint));
        }
    }
}
