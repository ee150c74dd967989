//! redis-rs over our connections, to real servers: renewals, a failover, and a cluster that loses nodes, all under load.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use interop::{NodeNames, RedisCluster, RedisServer};
use redis::{AsyncCommands, aio::ConnectionLike, cmd};
use redis_tls::{
    AuthToken, Candidates, CredentialError, CredentialSource, Credentials, ProtocolChoice, RedisConnector, Refresh,
    redis::RedisClient,
};
use secure_connector::{Dial, PeerVerifier, Resolve, Roots};
use tokio::task::JoinHandle;

const TOKEN: &str = "an-auth-token-0123456789";
/// What a cluster may need to come to terms with a loss.
const TO_RECOVER: Duration = Duration::from_secs(30);

/// The token, to be presented again every two and a half seconds.
#[derive(Debug)]
struct ShortLived;

#[async_trait]
impl CredentialSource for ShortLived {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        Ok(Credentials::token(AuthToken::new(TOKEN).unwrap()).into())
    }

    fn refresh(&self) -> Refresh {
        Refresh::Within(Duration::from_secs(3))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_go_unnoticed_amid_transactions_blocking_commands_and_resp3_subscriptions() {
    let server = RedisServer::builder().password(TOKEN).start().unwrap();
    let load = async |protocol| {
        let client = client(Dial::addresses([server.addr()]), &server.pki().root_pem(), protocol);
        let mut connection = client.multiplexed().await.unwrap();
        // A RESP2 subscriber cannot renew: its connection ends.
        let mut subscriber = match protocol {
            ProtocolChoice::Resp3 => Some(client.pubsub().await.unwrap()),
            _ => None,
        };
        if let Some(subscriber) = &mut subscriber {
            subscriber.subscribe("news").await.unwrap();
        }
        let (key, status) = (format!("{protocol:?}"), connection.auth_status());
        for number in 0_u64.. {
            let (read,): (u64,) =
                redis::pipe().atomic().set(&key, number).ignore().get(&key).query_async(&mut connection).await.unwrap();
            assert_eq!(read, number);
            let none: Option<(String, String)> = connection.blpop("nothing", 0.02).await.unwrap();
            assert_eq!(none, None);
            if let Some(subscriber) = &mut subscriber {
                connection.publish::<_, _, ()>("news", number).await.unwrap();
                let message = subscriber.on_message().next().await.unwrap();
                assert_eq!(message.get_payload::<u64>().unwrap(), number);
            }
            if status.borrow().renewals >= 3 {
                break;
            }
        }
        let totals = client.totals().borrow().clone();
        assert_eq!((totals.failures, totals.given_up), (0, 0), "{totals:?}");
        totals.connections + totals.renewals
    };
    let (resp2, resp3) = tokio::join!(load(ProtocolChoice::Resp2), load(ProtocolChoice::Resp3));
    // The server counts the same. The first `AUTH` of a RESP3 connection is part of its `HELLO`.
    let stats = server.admin(&["INFO", "commandstats"]).unwrap();
    let calls = |command: &str| {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:calls="))).unwrap();
        assert!(line.contains("rejected_calls=0,failed_calls=0"), "{line}");
        line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()
    };
    assert!(calls("auth") >= 9 && calls("auth") + calls("hello") >= resp2 + resp3, "{stats}");
}

/// Leads to where the test says.
#[derive(Debug)]
struct Endpoint(Mutex<SocketAddr>);

#[async_trait]
impl Resolve for Endpoint {
    async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(vec![*self.0.lock().unwrap()])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_fails_when_the_primary_becomes_a_replica() {
    let servers = [(); 2].map(|()| RedisServer::builder().password(TOKEN).start().unwrap());
    let roots = servers.each_ref().map(|server| server.pki().root_pem()).concat();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &roots).unwrap();
    let ca = ca.display().to_string();
    for server in &servers {
        let settings = ["tls-ca-cert-file", &ca, "tls-replication", "yes", "masterauth", TOKEN];
        server.admin(&[&["CONFIG", "SET"], settings.as_slice()].concat()).unwrap();
    }
    let [primary, replica] = servers;
    replica.admin(&["REPLICAOF", "127.0.0.1", &primary.addr().port().to_string()]).unwrap();
    primary.wait_for(&["INFO", "replication"], "state=online").unwrap();

    let endpoint = Arc::new(Endpoint(Mutex::new(primary.addr())));
    let dial = Dial::name_resolved_by("localhost", 6379, endpoint.clone());
    let client = client(dial, &roots, ProtocolChoice::Best);
    let load = Load::start(&client.reconnecting(), Duration::ZERO);
    load.more(200).await;
    primary.admin(&["FAILOVER"]).unwrap();
    // For a while the name leads to the replica: as long as it takes until that is seen.
    replica.wait_for(&["INFO", "replication"], "role:master").unwrap();
    primary.wait_for(&["INFO", "errorstats"], "errorstat_READONLY").unwrap();
    *endpoint.0.lock().unwrap() = replica.addr();
    load.more(200).await;
    let mut connection = client.reconnecting();
    for (key, value) in load.end().await {
        assert_eq!(connection.get::<_, u64>(key).await.unwrap(), value);
    }
    assert_eq!(replica.admin(&["ROLE"]).unwrap().lines().next(), Some("master"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_survives_a_failover_and_the_loss_of_a_node() {
    let mut cluster = RedisCluster::start(TOKEN, 1, NodeNames::Addresses).unwrap();
    let seeds: Vec<_> = cluster.addrs().into_iter().map(|addr| ("localhost", addr.port())).collect();
    let client = client(Dial::addresses([cluster.addrs()[0]]), &cluster.pki().root_pem(), ProtocolChoice::Best);
    let mut connection = client.cluster_from(seeds, |builder| builder.retries(16)).await.unwrap();
    let mut totals = client.totals();
    let load = Load::start(&connection, TO_RECOVER);
    load.more(500).await;
    // All three connections have authenticated again.
    totals.wait_for(|totals| totals.renewals >= 3).await.unwrap();
    // The third replica takes the place of the third primary; then the first primary dies.
    cluster.fail_over_to(5).unwrap();
    load.more(500).await;
    cluster.kill(0).unwrap();
    cluster.wait_for(3, &["ROLE"], "master").unwrap();
    cluster.wait_for(3, &["CLUSTER", "INFO"], "cluster_state:ok").unwrap();
    load.more(2000).await;
    let before = totals.borrow().renewals;
    totals.wait_for(|totals| totals.renewals >= before + 3).await.unwrap();
    for (key, value) in load.end().await {
        let read = insist(&mut connection, cmd("GET").arg(key), TO_RECOVER).await;
        assert_eq!(redis::from_redis_value::<u64>(read).unwrap(), value);
    }
    assert_eq!(totals.borrow().failures, 0);
}

fn client(dial: Dial, roots: &str, protocol: ProtocolChoice) -> RedisClient {
    let roots = Roots::from_pem(roots.as_bytes()).unwrap();
    let peer = PeerVerifier::check_host(roots, ["localhost".parse().unwrap()]).unwrap();
    let connector = RedisConnector::builder(dial, peer).credentials(ShortLived).protocol(protocol);
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    RedisClient::new(connector.build().unwrap()).config(patient)
}

/// Writes without an end, by eight tasks over one connection.
struct Load {
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<(String, u64)>>,
}

impl Load {
    fn start<C: ConnectionLike + Clone + Send + 'static>(connection: &C, patience: Duration) -> Self {
        let (done, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let task = |task| {
            let (mut connection, done, stop) = (connection.clone(), Arc::clone(&done), Arc::clone(&stop));
            tokio::spawn(async move {
                for number in 0_u64.. {
                    let key = format!("key-{task}-{}", number % 50);
                    insist(&mut connection, cmd("SET").arg(&key).arg(number), patience).await;
                    done.fetch_add(1, Relaxed);
                    if stop.load(Relaxed) {
                        return (key, number);
                    }
                }
                unreachable!("there are more numbers than time")
            })
        };
        let tasks = (0..8).map(task).collect();
        Self { done, stop, tasks }
    }

    /// Waits for so many more writes.
    async fn more(&self, count: u64) {
        let target = self.done.load(Relaxed) + count;
        while self.done.load(Relaxed) < target {
            assert!(self.tasks.iter().all(|task| !task.is_finished()), "a write has failed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What each task wrote last.
    async fn end(self) -> Vec<(String, u64)> {
        self.stop.store(true, Relaxed);
        let mut last = Vec::new();
        for task in self.tasks {
            last.push(task.await.unwrap());
        }
        last
    }
}

/// Tries until it succeeds, for so long.
async fn insist(connection: &mut impl ConnectionLike, command: &redis::Cmd, patience: Duration) -> redis::Value {
    let started = Instant::now();
    loop {
        match command.query_async(connection).await {
            Ok(value) => return value,
            Err(error) => assert!(started.elapsed() < patience, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
