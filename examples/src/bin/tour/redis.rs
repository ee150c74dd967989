//! Reaching an ElastiCache cache that admits IAM users over TLS only.
//!
//! A fake cache on the loopback judges the IAM token as the real one has to: signature, age, cache, user. Everything that a
//! connection needs is read from the endpoint's name.

use std::{error::Error, time::Duration};

use aws_credential_types::Credentials;
use redis_tls::{RedisConnector, RedisEndpoint, RedisTunnel};
use secure_connector::{Dial, Listen, Roots, SecureConnector, SecureStream};
use secure_connector_testkit::{
    TestPki,
    redis::{FakeElastiCache, IamKey, IamRules, IamService, User},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, heading};

const ENDPOINT: &str = "master.orders.abc123.use1.cache.amazonaws.com:6379";
const WITHOUT_TLS: &str = "orders.abc123.ng.0001.use1.cache.amazonaws.com:6379";

pub(crate) async fn tour(pki: &TestPki) -> Result<(), Box<dyn Error>> {
    let cache = start_cache(pki).await?;

    heading("Redis 1. An endpoint without encryption in transit is refused before anything is sent");
    match WITHOUT_TLS.parse::<RedisEndpoint>()?.require_tls() {
        Err(error) => println!("{error}"),
        Ok(_) => return Err("a refusal was expected".into()),
    }

    heading("Redis 2. A user that the cache does not know");
    match connector("app-stranger", pki, &cache)?.connect().await {
        Err(error) => println!("{error}\n{}", redis_tls::explain(&error)),
        Ok(_) => return Err("a refusal was expected".into()),
    }

    heading("Redis 3. IAM: cache, region and service are read from the endpoint, and the token is signed");
    let connector = connector("app", pki, &cache)?;
    let stream = connector.connect().await?;
    println!("{}\n{:?}", stream.report(), stream.server());

    heading("Redis 4. The same behind a Unix socket, for any client: TLS, AUTH and re-AUTH are done");
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("redis.sock");
    let tunnel = RedisTunnel::builder(connector).listen(Listen::Unix(socket.clone())).start().await?;
    let mut client = UnixStream::connect(&socket).await?;
    for (command, expected) in
        [("ACL WHOAMI", "$3\r\napp\r\n"), ("SET greeting hello", "+OK\r\n"), ("GET greeting", "$5\r\nhello\r\n")]
    {
        client.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut reply = vec![0; expected.len()];
        client.read_exact(&mut reply).await?;
        println!("{command:20} {}", reply.escape_ascii());
        if reply != expected.as_bytes() {
            return Err("another reply was expected".into());
        }
    }
    drop(client);
    tunnel.drain(Duration::from_secs(1)).await;
    println!("{}", serde_json::to_string_pretty(&tunnel.status())?);
    Ok(())
}

async fn start_cache(pki: &TestPki) -> Result<FakeElastiCache, Box<dyn Error>> {
    let rules = IamRules::new(IamService::ElastiCache, "orders", "us-east-1")
        .key(IamKey::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let cache = FakeElastiCache::builder()
        .certificate_name(ENDPOINT.trim_end_matches(":6379"))
        .user(User::new("default", "off")?)
        .user(User::new("app", "on ~* +@all")?.iam())
        .iam(rules);
    Ok(cache.start(pki).await?)
}

/// The stand-in has its own CA and address; nothing else differs from the real service.
fn connector(user: &str, pki: &TestPki, cache: &FakeElastiCache) -> Result<RedisConnector, Box<dyn Error>> {
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "tour");
    let connector = RedisConnector::from_endpoint(&ENDPOINT.parse()?)?
        .iam(user.parse()?, credentials)
        .roots(Roots::from_der(pki.root_der())?)
        .dial(Dial::addresses([cache.addr()]));
    Ok(connector.build()?)
}
