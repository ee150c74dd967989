//! The same dialogues with real servers and with the testkit's double of them: every reply is the same to the byte.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[expect(dead_code, reason = "the testkit's own tests use all of it")]
#[path = "../../testkit/tests/redis/client.rs"]
mod client;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use client::Client;
use interop::{RedisOptions, RedisProgram, RedisServer};
use secure_connector_testkit::TestPki;
use secure_connector_testkit::redis::{Engine, FakeElastiCache, User};
use tokio::time::timeout;

/// For a reply that is going to come at all.
const LIMIT: Duration = Duration::from_secs(10);
const TOKEN: &str = "an-auth-token-0123456789";
const USERS: &[(&str, &str)] = &[
    ("app", "on >one >two ~app:* &app:* +@all -@admin -@dangerous +client +info"),
    ("ro", "on >pw ~* +@read +ping +subscribe"),
    ("off", "off >pw ~* +@all"),
    ("nopw", "on nopass ~public:* +@read"),
];

/// Requests, each dialogue on a connection of its own. `TOKEN` stands for it.
const DIALOGUES: &[&str] = &[
    "PING; GET a; NONSENSE; NONSENSE a b; HELLO; HELLO 2; HELLO 4; HELLO x; HELLO 3 AUTH; HELLO 3 AUTH default; \
     HELLO 3 AUTH default wrong; HELLO 3 NONSENSE; AUTH; AUTH a b c; AUTH wrong; AUTH default wrong; \
     AUTH off pw; AUTH nobody pw; CLIENT; CLIENT SETNAME; CLIENT NONSENSE; ACL WHOAMI; CLIENT GETNAME; MULTI; \
     RESET; QUIT",
    "AUTH TOKEN; PING; PING hi; PING a b; ECHO hi; ECHO; NONSENSE a; ACL; ACL NONSENSE; ACL WHOAMI x; \
     ACL WHOAMI; CLIENT; CLIENT SETNAME n; CLIENT GETNAME; CLIENT SETNAME; CLIENT GETNAME x; \
     CLIENT SETINFO LIB-NAME x; CLIENT NONSENSE; SELECT 1; SELECT 99; SELECT -1; SELECT x; SELECT; READONLY; \
     READWRITE; ROLE; ROLE x; INFO nonsense; CLUSTER; CLUSTER SLOTS; CLUSTER SHARDS; CLUSTER INFO; \
     CLUSTER KEYSLOT a; CLUSTER NONSENSE; QUIT",
    "AUTH TOKEN; FLUSHALL; SET a 1; GeT a; GET; GET a b; GET b; SET a; SET a 2 XX; SET a 3 NX; SET b 3 XX; \
     SET a 2 NX XX; SET a 2 EX; SET a 2 EX 0; SET a 2 EX x; SET a 2 NONSENSE; SET a 2 EX 100; INCR a; \
     SET s text; INCR s; INCR new; EXISTS a a b; EXISTS; DEL a s b; DEL; DBSIZE; DEL new",
    "AUTH TOKEN; MULTI; MULTI; SET q 1; INCR q; GET q; PING; EXEC; EXEC; DISCARD; MULTI; NONSENSE; SET q 9; \
     EXEC; MULTI; GET; EXEC; MULTI; SET q 9; DISCARD; GET q; WATCH; WATCH q; MULTI; WATCH q; GET q; EXEC; \
     WATCH q; INCR q; MULTI; GET q; EXEC; UNWATCH; MULTI; AUTH TOKEN; AUTH wrong; CLIENT SETNAME x; SELECT 1; \
     EXEC; CLIENT GETNAME; MULTI; EXEC x; EXEC; MULTI; GET q; QUIT",
    "HELLO 3 AUTH default TOKEN SETNAME n; CLIENT GETNAME; HELLO 2; CLIENT GETNAME; \
     HELLO 3 AUTH default wrong SETNAME x; CLIENT GETNAME; HELLO 3; GET nothing; EXISTS nothing; HELLO; MULTI; \
     GET nothing; EXEC; AUTH TOKEN; RESET; GET nothing; AUTH TOKEN; GET nothing",
    "AUTH app three; AUTH app one; AUTH app two; ACL WHOAMI; SET app:1 x; SET foo x; GET foo; MULTI; GET app:1; \
     GET foo; EXEC; FLUSHALL; ROLE; PUBLISH app:1 x; PUBLISH other x; SUBSCRIBE other; PSUBSCRIBE app:*; PING; \
     PUNSUBSCRIBE; PSUBSCRIBE app:1; AUTH wrong; ACL WHOAMI; AUTH ro pw; GET app:1; SET app:1 y; PING; ECHO x; \
     CLIENT GETNAME; ACL WHOAMI; MULTI; EXEC; SUBSCRIBE a; AUTH nopw anything; GET public:1; GET foo; PING; \
     DEL public:1",
    "AUTH TOKEN; SUBSCRIBE a; SUBSCRIBE a; PSUBSCRIBE b*; PING; PING x; GET a; AUTH TOKEN; HELLO 3; MULTI; \
     ACL WHOAMI; SUBSCRIBE; UNSUBSCRIBE a; UNSUBSCRIBE a; PUNSUBSCRIBE; UNSUBSCRIBE; PING; PUBLISH a x; \
     SUBSCRIBE a; QUIT",
    "HELLO 3 AUTH default TOKEN; SUBSCRIBE a; PING; GET a; AUTH TOKEN; AUTH wrong; PUBLISH a x; PUBLISH a y; \
     PUBLISH b y; UNSUBSCRIBE; UNSUBSCRIBE",
];

/// What ends in an error of the protocol, and the end of the connection.
const BROKEN: &[&str] = &["*x\r\n", "*1\r\n:4\r\n", "*1\r\n$x\r\n", "*1\r\n$-1\r\n", "set \"a\r\n", "*1048577\r\n"];

#[tokio::test]
async fn redis_7() {
    compare(with_users(RedisProgram::Debian), Engine::Redis7).await;
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[tokio::test]
async fn redis_5() {
    compare(RedisServer::builder().program(RedisProgram::Redis5).password(TOKEN), Engine::Redis5).await;
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[tokio::test]
async fn redis_6() {
    compare(with_users(RedisProgram::Redis6), Engine::Redis6).await;
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[tokio::test]
async fn valkey_9() {
    compare(with_users(RedisProgram::Valkey9), Engine::Valkey9).await;
}

#[tokio::test]
async fn one_node_of_a_cluster() {
    const DIALOGUE: &str = "AUTH TOKEN; CLUSTER SLOTS; CLUSTER SHARDS; CLUSTER MYID; CLUSTER KEYSLOT {a}b; CLUSTER KEYSLOT {}b; \
         CLUSTER KEYSLOT x{a; SELECT 1; SELECT 0; READONLY; READWRITE; SET a 1; DEL a foo; DEL a {a}b; MULTI; \
         GET a; DEL a foo; EXEC; HELLO 3; CLUSTER SLOTS; CLUSTER SHARDS";
    let bus = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let bus = format!("cluster-port {bus}");
    let real = RedisServer::builder()
        .password(TOKEN)
        .line("cluster-enabled yes")
        .line("tls-cluster yes")
        .line("cluster-announce-ip 127.0.0.1")
        .line(&bus)
        .start()
        .unwrap();
    real.admin(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).unwrap();
    // "It waits some time before it accepts writes" (cluster.c, CLUSTER_WRITABLE_DELAY).
    real.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok").unwrap();
    let pki = TestPki::new().unwrap();
    let double = FakeElastiCache::builder().auth_token(TOKEN).shards(1).start(&pki).await.unwrap();
    let (real, double) = ((real.addr(), real.pki()), (double.addr(), &pki));
    assert_eq!(hold(DIALOGUE, double).await, hold(DIALOGUE, real).await);
}

#[tokio::test]
async fn a_replica_without_its_primary() {
    const DIALOGUE: &str = "AUTH TOKEN; SET a 1; INCR a; GET a; HELLO 2; MULTI; SET a 1; EXEC";
    let real = RedisServer::builder().password(TOKEN).line("replicaof 127.0.0.1 1").start().unwrap();
    let pki = TestPki::new().unwrap();
    let double = FakeElastiCache::builder().auth_token(TOKEN).start(&pki).await.unwrap();
    double.fail_over();
    let (real, double) = ((real.addr(), real.pki()), (double.addr(), &pki));
    assert_eq!(hold(DIALOGUE, double).await, hold(DIALOGUE, real).await);
}

fn with_users(program: RedisProgram) -> RedisOptions {
    let options = RedisServer::builder().program(program).password(TOKEN);
    USERS.iter().fold(options, |options, (name, access)| {
        // Redis 6.0 has no permissions on channels.
        let access = if program == RedisProgram::Redis6 { access.replace("&app:* ", "") } else { (*access).to_owned() };
        options.user(&format!("{name} {access}"))
    })
}

async fn compare(real: RedisOptions, engine: Engine) {
    let real = real.start().unwrap();
    let pki = TestPki::new().unwrap();
    let mut double = FakeElastiCache::builder().engine(engine).auth_token(TOKEN);
    for (name, access) in USERS {
        // Redis 6.0 has no permissions on channels.
        let channels = if engine == Engine::Redis6 { "allchannels" } else { "" };
        double = double.user(User::new(*name, &format!("{access} {channels}")).unwrap());
    }
    let double = double.start(&pki).await.unwrap();
    let (real, double) = ((real.addr(), real.pki()), (double.addr(), &pki));
    let mut differences = Vec::new();
    for dialogue in DIALOGUES {
        let (doubled, real) = (hold(dialogue, double).await, hold(dialogue, real).await);
        differences.extend(doubled.into_iter().zip(real).filter(|(doubled, real)| doubled != real));
    }
    for request in BROKEN {
        let (doubled, real) = (broken(request, double).await, broken(request, real).await);
        differences.extend((doubled != real).then_some((doubled, real)));
    }
    assert!(differences.is_empty(), "{engine:?}, the double first:\n{differences:#?}");
}

/// Requests with their replies. Of the greeting, the number of the connection is left out, of a cluster its ports and ids.
async fn hold(dialogue: &str, (addr, pki): (SocketAddr, &TestPki)) -> Vec<(String, String)> {
    let mut client = Client::tls(addr, pki).await;
    let mut replies = Vec::new();
    for request in dialogue.split("; ") {
        let request = request.replace("TOKEN", TOKEN);
        let reply = timeout(LIMIT, client.ask(&request)).await;
        let mut reply = reply.unwrap_or_else(|_| "no reply".to_owned());
        // It reaches the publisher too: before the reply, or of Valkey after it.
        if request.starts_with("PUBLISH") && (reply.starts_with('>') || reply == ":1\r\n") {
            reply += &timeout(LIMIT, client.reply()).await.unwrap();
        }
        let reply = reply.replace(&addr.port().to_string(), "PORT");
        replies.push((request, without_ids(&reply)));
    }
    replies
}

async fn broken(request: &str, (addr, pki): (SocketAddr, &TestPki)) -> (String, String) {
    let mut client = Client::tls(addr, pki).await;
    client.send_raw(request.as_bytes()).await;
    timeout(LIMIT, async { (client.reply().await, client.reply().await) }).await.unwrap()
}

fn without_ids(reply: &str) -> String {
    let mut before = "";
    let shown = reply.split("\r\n").map(|line| {
        let is_id = line.len() == 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        let after_id = before == "id" && line.starts_with(':');
        before = line;
        if is_id || after_id { "ID" } else { line }
    });
    shown.collect::<Vec<_>>().join("\r\n")
}
