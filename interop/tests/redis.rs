//! redis-tls against real servers: Debian's redis-server with TLS, and those of other versions behind stunnel.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interop::{RedisProgram, RedisServer};
use redis_tls::{
    AuthToken, ClientName, Credentials, HandshakeError, NeedsCredentials, Password, Protocol, RedisConnector,
    RedisConnectorBuilder, RedisStream, RotatingCredentials, ServerMode, ServerRole,
};
use secure_connector::{
    ConnectError, Dial, Identity, PeerVerifier, Roots, SecureConnector, SecureStream, StaticIdentity, TlsFailure,
    Warning,
};
use secure_connector_testkit::TestPki;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TOKEN: &str = "an-auth-token-0123456789";
const NEXT_TOKEN: &str = "the-next-token-0123456789";

#[tokio::test]
async fn a_token_a_user_or_nothing_is_presented_and_the_server_introduces_itself() {
    let server = RedisServer::builder().password(TOKEN).user("app on >one ~* +@all").start().unwrap();
    let name: ClientName = "billing-7".parse().unwrap();
    let mut stream = to(&server).auth_token(token(TOKEN)).client_name(name).build().unwrap().connect().await.unwrap();
    assert_eq!(
        (ask(&mut stream, "ACL WHOAMI").await, ask(&mut stream, "CLIENT GETNAME").await),
        ("default".into(), "billing-7".into())
    );
    let info = stream.server();
    assert_eq!((info.product.as_deref(), info.protocol), (Some("redis"), Protocol::Resp3));
    assert_eq!((info.mode, info.role), (Some(ServerMode::Standalone), Some(ServerRole::Primary)));
    assert!(server.admin(&["INFO", "server"]).unwrap().contains(info.version.as_deref().unwrap()));

    let mut stream =
        to(&server).user(user("app"), Password::new("one")).database(3).build().unwrap().connect().await.unwrap();
    assert_eq!(ask(&mut stream, "ACL WHOAMI").await, "app");
    assert!(
        server
            .admin(&["CLIENT", "LIST"])
            .unwrap()
            .lines()
            .any(|line| line.contains(" db=3 ") && line.contains("user=app"))
    );

    let open = RedisServer::builder().start().unwrap();
    let mut stream = to(&open).anonymous().ping().build().unwrap().connect().await.unwrap();
    assert_eq!(ask(&mut stream, "SET a b").await, "OK");
    assert!(stream.report().warnings.contains(&Warning::AuthenticationOptional), "{:?}", stream.report().warnings);
}

#[tokio::test]
async fn each_refusal_is_an_error_of_its_own() {
    let server =
        RedisServer::builder().password(TOKEN).user("off off >pw +@all").user("few on >pw +get").start().unwrap();
    let error = refused(to(&server).auth_token(token(NEXT_TOKEN)).build().unwrap()).await;
    assert!(matches!(handshake(&error), HandshakeError::WrongPassword { tried } if tried.len() == 1), "{error:?}");
    let error = refused(to(&server).user(user("off"), Password::new("pw")).build().unwrap()).await;
    let HandshakeError::WrongPassword { tried } = handshake(&error) else { panic!("{error:?}") };
    assert_eq!(tried[0].user.as_deref(), Some("off"));
    let error = refused(to(&server).anonymous().ping().build().unwrap()).await;
    assert!(matches!(handshake(&error), HandshakeError::AuthenticationRequired), "{error:?}");
    let error = refused(to(&server).user(user("few"), Password::new("pw")).database(1).build().unwrap()).await;
    assert!(matches!(handshake(&error), HandshakeError::NoPermission { command: "SELECT" }), "{error:?}");
    let error = refused(to(&server).auth_token(token(TOKEN)).database(99).build().unwrap()).await;
    assert!(matches!(handshake(&error), HandshakeError::NoSuchDatabase { database: 99 }), "{error:?}");
    let error = refused(to(&server).auth_token(token(TOKEN)).require_role(ServerRole::Replica).build().unwrap()).await;
    let wrong = HandshakeError::WrongRole { wanted: ServerRole::Replica, found: ServerRole::Primary };
    assert_eq!(handshake(&error).to_string(), wrong.to_string());
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_wanted() {
    let server = RedisServer::builder().password(TOKEN).client_certificates().start().unwrap();
    let shown = server.client_certificate().unwrap();
    let identity = Identity::from_pem(shown.chain_pem().as_bytes(), shown.key_pem().as_bytes()).unwrap();
    let connector = to(&server).auth_token(token(TOKEN)).identity(StaticIdentity::new(identity)).build().unwrap();
    assert_eq!(ask(&mut connector.connect().await.unwrap(), "PING").await, "PONG");
    let error = refused(to(&server).auth_token(token(TOKEN)).build().unwrap()).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_password_is_replaced_under_load_and_no_connection_fails() {
    let server = RedisServer::builder().password(TOKEN).start().unwrap();
    let source = Arc::new(RotatingCredentials::new(Credentials::token(token(TOKEN))));
    let connector = to(&server).credentials(Arc::clone(&source)).build().unwrap();
    let load = Load::start(connector, 8);
    load.more(50).await;
    let admin = |rule: String| server.admin(&["ACL", "SETUSER", "default", &rule]).unwrap();
    source.stage(Credentials::token(token(NEXT_TOKEN)));
    load.more(50).await;
    admin(format!(">{NEXT_TOKEN}"));
    load.more(50).await;
    admin(format!("<{TOKEN}"));
    load.more(50).await;
    let status = source.status();
    assert!(status.borrow().next.as_ref().unwrap().accepted > 0);
    source.promote();
    load.more(50).await;
    load.end().await;
}

#[tokio::test]
async fn a_server_certificate_is_replaced_under_load_and_no_connection_fails() {
    let server = RedisServer::builder().password(TOKEN).start().unwrap();
    let connector = to(&server).auth_token(token(TOKEN)).build().unwrap();
    let mut standing = connector.connect().await.unwrap();
    let load = Load::start(connector, 8);
    for _ in 0..3 {
        load.more(40).await;
        server.replace_certificate(&server.pki().leaf().dns("localhost").issue().unwrap()).unwrap();
    }
    load.more(40).await;
    assert_eq!(ask(&mut standing, "PING").await, "PONG");
    load.end().await;
    // What makes the test one: a certificate of somebody else is refused.
    server.replace_certificate(&TestPki::new().unwrap().leaf().dns("localhost").issue().unwrap()).unwrap();
    let error = refused(to(&server).auth_token(token(TOKEN)).build().unwrap()).await;
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_a_slow_one_at_once() {
    let mut servers = vec![RedisServer::builder().plaintext().password(TOKEN).start().unwrap()];
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        for program in [RedisProgram::Redis5, RedisProgram::Redis6, RedisProgram::Valkey9] {
            servers.push(RedisServer::builder().plaintext().program(program).password(TOKEN).start().unwrap());
        }
    }
    for server in &servers {
        let start = Instant::now();
        let error = refused(to(server).auth_token(token(TOKEN)).build().unwrap()).await;
        let took = start.elapsed();
        let reason = TlsFailure::NotTls { looks_like: Some("Redis") };
        assert!(matches!(&error, ConnectError::Tls { reason: found, .. } if *found == reason), "{error:?}");
        // Thirty milliseconds; the rest is for a busy machine.
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[tokio::test]
async fn older_and_newer_servers_are_spoken_to_in_what_they_know() {
    for (program, protocol, version) in [
        (RedisProgram::Redis5, Protocol::Resp2, None),
        (RedisProgram::Redis6, Protocol::Resp3, Some("6.0.9")),
        (RedisProgram::Valkey9, Protocol::Resp3, Some("9.1.2")),
    ] {
        let server = RedisServer::builder().program(program).password(TOKEN).start().unwrap();
        let connector = to(&server).auth_token(token(TOKEN)).client_name("n".parse().unwrap()).build().unwrap();
        let mut stream = connector.connect().await.unwrap();
        assert_eq!((stream.server().protocol, stream.server().version.as_deref()), (protocol, version), "{program:?}");
        assert_eq!(ask(&mut stream, "CLIENT GETNAME").await, "n");
        let error = refused(to(&server).auth_token(token(NEXT_TOKEN)).build().unwrap()).await;
        assert!(matches!(handshake(&error), HandshakeError::WrongPassword { .. }), "{program:?} {error:?}");
        let error = refused(to(&server).user(user("app"), Password::new(NEXT_TOKEN)).build().unwrap()).await;
        match program {
            RedisProgram::Redis5 => {
                assert!(matches!(handshake(&error), HandshakeError::NoUsers { user } if user == "app"), "{error:?}");
            }
            _ => assert!(matches!(handshake(&error), HandshakeError::WrongPassword { .. }), "{error:?}"),
        }
    }
    let open = RedisServer::builder().program(RedisProgram::Redis5).start().unwrap();
    let error = refused(to(&open).auth_token(token(TOKEN)).build().unwrap()).await;
    assert!(matches!(handshake(&error), HandshakeError::NoPasswordSet), "{error:?}");
}

#[tokio::test]
async fn of_connections_made_thirty_two_at_once_nearly_all_resume() {
    let server = RedisServer::builder().password(TOKEN).start().unwrap();
    let connector = Arc::new(to(&server).auth_token(token(TOKEN)).build().unwrap());
    // So that there are tickets.
    let first: Vec<_> = (0..32).map(|_| dial(&connector)).collect();
    for stream in first {
        ask(&mut stream.await.unwrap(), "PING").await;
    }
    let (mut all, mut resumed) = (0, 0);
    for _ in 0..8 {
        let wave: Vec<_> = (0..32).map(|_| dial(&connector)).collect();
        for stream in wave {
            let mut stream = stream.await.unwrap();
            // The tickets come with the first bytes after the handshake.
            assert_eq!(ask(&mut stream, "PING").await, "PONG");
            all += 1;
            resumed += u32::from(stream.report().tls.as_ref().unwrap().resumed);
        }
    }
    assert!(resumed * 100 >= all * 95, "{resumed} of {all}");
}

/// Connections made, used and closed without an end, by so many tasks.
struct Load {
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(connector: RedisConnector, tasks: usize) -> Self {
        let (done, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let connector = Arc::new(connector);
        let task = |_| {
            let (connector, done, stop) = (Arc::clone(&connector), Arc::clone(&done), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = connector.connect().await.unwrap();
                    assert_eq!(ask(&mut stream, "PING").await, "PONG");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = (0..tasks).map(task).collect();
        Self { done, stop, tasks }
    }

    /// Waits for so many more connections.
    async fn more(&self, count: u64) {
        let target = self.done.load(Ordering::Relaxed) + count;
        while self.done.load(Ordering::Relaxed) < target {
            assert!(self.tasks.iter().all(|task| !task.is_finished()), "a connection has failed");
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

fn dial(connector: &Arc<RedisConnector>) -> impl Future<Output = Result<RedisStream, ConnectError>> + use<> {
    let connector = Arc::clone(connector);
    let task = tokio::spawn(async move { connector.connect().await });
    async { task.await.unwrap() }
}

fn to(server: &RedisServer) -> RedisConnectorBuilder<NeedsCredentials> {
    let roots = Roots::from_der(server.pki().root_der()).unwrap();
    let peer = PeerVerifier::check_host(roots, ["localhost".parse().unwrap()]).unwrap();
    RedisConnector::builder(Dial::addresses([server.addr()]), peer)
}

fn token(text: &str) -> AuthToken {
    AuthToken::new(text).unwrap()
}

fn user(name: &str) -> redis_tls::Username {
    name.parse().unwrap()
}

/// The error, in which there is no secret.
async fn refused(connector: RedisConnector) -> ConnectError {
    let error = connector.connect().await.unwrap_err();
    let told = format!("{error} {error:?} {}", redis_tls::explain(&error));
    assert!(![TOKEN, NEXT_TOKEN].iter().any(|secret| told.contains(secret)), "{told}");
    error
}

#[track_caller]
fn handshake(error: &ConnectError) -> &HandshakeError {
    HandshakeError::of(error).unwrap_or_else(|| panic!("{error:?}"))
}

/// One command, and its reply if it is a line or a word.
async fn ask(stream: &mut RedisStream, command: &str) -> String {
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let first = line(stream).await;
    if first.starts_with('$') { line(stream).await } else { first.trim_start_matches('+').to_owned() }
}

async fn line(stream: &mut RedisStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}
