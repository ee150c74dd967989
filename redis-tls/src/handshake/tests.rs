use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use tokio::io::DuplexStream;

use super::*;
use crate::{AuthToken, Candidates, CredentialError, Password, ServerMode, StaticCredentials, resp::read_reply};

const SECRET: &str = "correct-horse-battery";
const NEXT: &str = "staple-horse-battery";

fn token(secret: &str) -> Credentials {
    Credentials::token(AuthToken::new(secret).unwrap()).labelled(format!("token {}", &secret[..6]))
}

fn user(name: &str) -> Credentials {
    Credentials::user(name.parse().unwrap(), Password::new(SECRET))
}

fn only(credentials: Credentials) -> StaticCredentials {
    StaticCredentials::new(credentials)
}

const HELLO_7: &str = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:5\r\n\
                       $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

/// Redis 7 whose default user has the password [`SECRET`], and which knows the user `app`.
fn redis_7(words: &[&str]) -> String {
    match words {
        ["PING"] => "-NOAUTH Authentication required.\r\n".into(),
        ["HELLO", "3", "AUTH", "default" | "app", SECRET, ..] => HELLO_7.into(),
        ["HELLO", "3", "AUTH", ..] | ["AUTH", ..] => {
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n".into()
        }
        ["HELLO", ..] => "-NOAUTH HELLO must be called with the client already authenticated\r\n".into(),
        ["CLIENT", "SETINFO", ..] => "-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n".into(),
        _ => "+OK\r\n".into(),
    }
}

/// Redis 5, which repeats what it does not know.
fn redis_5(words: &[&str]) -> String {
    match words {
        ["AUTH", SECRET] => "+OK\r\n".into(),
        ["AUTH", _] => "-ERR invalid password\r\n".into(),
        ["AUTH", ..] => "-ERR wrong number of arguments for 'auth' command\r\n".into(),
        ["HELLO", arguments @ ..] => {
            format!("-ERR unknown command `HELLO`, with args beginning with: `{}`, \r\n", arguments.join("`, `"))
        }
        ["PING"] => "-NOAUTH Authentication required.\r\n".into(),
        _ => "+OK\r\n".into(),
    }
}

/// Every command that came in, and in how many rounds: a server answers when it has read all there is.
#[derive(Default)]
struct Seen {
    commands: Vec<String>,
    rounds: usize,
}

async fn serve(mut io: DuplexStream, mut answer: impl FnMut(&[&str]) -> String) -> Seen {
    let (mut seen, mut buffer) = (Seen::default(), Vec::with_capacity(64 * 1024));
    while !matches!(io.read_buf(&mut buffer).await, Ok(0) | Err(_)) {
        let (mut answers, mut at) = (String::new(), 0);
        while let Ok(Some((Reply::List(words), length))) = read_reply(&buffer[at..]) {
            let words: Vec<&str> = words.iter().map(|word| word.text().unwrap()).collect();
            answers += &answer(&words);
            seen.commands.push(words.join(" "));
            at += length;
        }
        buffer.drain(..at);
        seen.rounds += 1;
        if io.write_all(answers.as_bytes()).await.is_err() {
            break;
        }
    }
    seen
}

async fn shake(
    wishes: Wishes,
    source: impl CredentialSource,
    answer: impl FnMut(&[&str]) -> String,
) -> (Result<Shaken, ConnectError>, Seen) {
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let client = async {
        let shaken = handshake(&mut ours, &wishes, &source).await;
        drop(ours);
        shaken
    };
    tokio::join!(client, serve(theirs, answer))
}

#[track_caller]
fn failed(shaken: Result<Shaken, ConnectError>) -> HandshakeError {
    let error = shaken.map(|_| ()).unwrap_err();
    let told = format!("{error} {error:?} {}", crate::explain(&error));
    assert!(!told.contains(SECRET) && !told.contains(NEXT), "{told}");
    let ConnectError::Auth { source: Some(source), retryable, .. } = error else { panic!("{error:?}") };
    let error = *source.downcast::<HandshakeError>().unwrap();
    assert_eq!(error.is_retryable(), retryable);
    error
}

fn tried(credentials: &[Credentials]) -> Vec<RefusedCredentials> {
    credentials.iter().map(RefusedCredentials::new).collect()
}

#[tokio::test]
async fn everything_is_asked_for_in_one_round_trip() {
    let wishes = Wishes {
        client_name: Some("billing-7".parse().unwrap()),
        database: 3,
        read_from_replica: true,
        ping: true,
        ask_whether_open: true,
        ..Wishes::default()
    };
    let (shaken, seen) = shake(wishes, only(token(SECRET)), redis_7).await;
    // The last PING is answered NOAUTH by this simple server, which knows no state.
    assert!(matches!(failed(shaken), HandshakeError::AuthenticationRequired));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        seen.commands,
        [
            "PING",
            &format!("HELLO 3 AUTH default {SECRET} SETNAME billing-7"),
            "CLIENT SETINFO LIB-NAME redis-tls",
            &format!("CLIENT SETINFO LIB-VER {version}"),
            "SELECT 3",
            "READONLY",
            "PING",
        ]
    );
    assert_eq!(seen.rounds, 1);
}

#[tokio::test]
async fn the_server_introduces_itself_and_the_user_is_named() {
    let (shaken, seen) = shake(Wishes::default(), only(user("app")), redis_7).await;
    let shaken = shaken.ok().unwrap();
    assert_eq!(seen.commands[0], format!("HELLO 3 AUTH app {SECRET}"));
    let server = shaken.server;
    assert_eq!((server.product.as_deref(), server.version.as_deref()), (Some("redis"), Some("7.0.15")));
    assert_eq!((server.protocol, server.mode), (Protocol::Resp3, Some(ServerMode::Standalone)));
    assert_eq!((server.role, server.connection_id), (Some(ServerRole::Primary), Some(5)));
    assert_eq!((shaken.credentials.label(), shaken.open), ("password of user app", None));
}

#[tokio::test]
async fn a_server_before_redis_6_gets_the_password_alone() {
    for credentials in [token(SECRET), user("default")] {
        let named = credentials.username().is_some();
        let (shaken, seen) = shake(Wishes::default(), only(credentials), redis_5).await;
        assert_eq!(shaken.ok().unwrap().server, ServerInfo::speaking(Protocol::Resp2));
        let auths: Vec<&String> = seen.commands.iter().filter(|command| command.starts_with("AUTH")).collect();
        let (with_user, alone) = (format!("AUTH default {SECRET}"), format!("AUTH {SECRET}"));
        assert_eq!(auths, if named { vec![&with_user, &alone] } else { vec![&alone] });
    }
    let (shaken, _) = shake(Wishes::default(), only(user("app")), redis_5).await;
    let HandshakeError::NoUsers { user } = failed(shaken) else { panic!() };
    assert_eq!(user, "app");
}

#[tokio::test]
async fn what_an_old_server_repeats_goes_nowhere() {
    let (shaken, _) = shake(Wishes::default(), only(token(NEXT)), redis_5).await;
    let HandshakeError::WrongPassword { tried: found } = failed(shaken) else { panic!() };
    assert_eq!(found, tried(&[token(NEXT)]));
    let resp3 = Wishes { protocol: ProtocolChoice::Resp3, ..Wishes::default() };
    let (shaken, _) = shake(resp3, only(token(SECRET)), redis_5).await;
    let error = failed(shaken);
    assert!(matches!(error, HandshakeError::ProtocolUnsupported { wanted: Protocol::Resp3 }), "{error:?}");
}

#[tokio::test]
async fn a_server_without_the_wanted_version_is_spoken_to_in_resp2() {
    let noproto = |words: &[&str]| match words {
        ["HELLO", ..] => "-NOPROTO unsupported protocol version\r\n".into(),
        ["AUTH", "app", SECRET] => "+OK\r\n".into(),
        ["CLIENT", "SETNAME", "n"] => "-NOPERM this user has no permissions\r\n".into(),
        _ => "-ERR what\r\n".to_owned(),
    };
    let wishes = Wishes { client_name: Some("n".parse().unwrap()), ..Wishes::default() };
    let (shaken, seen) = shake(wishes, only(user("app")), noproto).await;
    assert_eq!(shaken.ok().unwrap().server, ServerInfo::speaking(Protocol::Resp2));
    assert_eq!(seen.rounds, 2);
}

/// Keeps what it is told.
#[derive(Debug)]
struct Listening(Candidates, Mutex<Vec<String>>);

#[async_trait]
impl CredentialSource for &Listening {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        Ok(self.0.clone())
    }

    fn accepted(&self, credentials: &Credentials) {
        self.1.lock().unwrap().push(format!("accepted {}", credentials.label()));
    }

    fn refused(&self, credentials: &Credentials) {
        self.1.lock().unwrap().push(format!("refused {}", credentials.label()));
    }
}

#[tokio::test]
async fn candidates_are_tried_in_order_and_the_source_hears_of_each() {
    for (server, rounds) in [(redis_7 as fn(&[&str]) -> String, 2), (redis_5, 3)] {
        let source = Listening(
            Candidates::new(token(NEXT)).or(token(SECRET)).or(token("never-come-to-token")),
            Mutex::default(),
        );
        let (shaken, seen) = shake(Wishes::default(), &source, server).await;
        let shaken = shaken.ok().unwrap();
        assert_eq!((shaken.credentials.label(), shaken.refused), ("token correc", tried(&[token(NEXT)])));
        assert_eq!(*source.1.lock().unwrap(), ["refused token staple", "accepted token correc"]);
        assert_eq!(seen.rounds, rounds, "HELLO is not tried again where it is unknown");
    }
    let (shaken, _) =
        shake(Wishes::default(), only_two(), |words| redis_7(words).replace("%7", "-WRONGPASS no\r\n%7")).await;
    let error = failed(shaken);
    assert_eq!(error.to_string(), "the server refused token staple, then token never-");
    assert!(error.explain().contains("1. the token is another one"), "{}", error.explain());
}

fn only_two() -> StaticCredentials {
    StaticCredentials::new(Candidates::new(token(NEXT)).or(token("never-accepted-token")))
}

#[tokio::test]
async fn a_server_that_serves_everybody_is_found_out() {
    let asking = || Wishes { ask_whether_open: true, ..Wishes::default() };
    for (answer, open) in [
        ("+PONG", Some(true)),
        ("-NOAUTH Authentication required.", Some(false)),
        ("-LOADING Redis is loading the dataset in memory", Some(true)),
        ("-NOPERM this user has no permissions to run the 'ping' command", None),
    ] {
        let server = |words: &[&str]| match words {
            ["PING"] => format!("{answer}\r\n"),
            words => redis_7(words),
        };
        let (shaken, _) = shake(asking(), only(token(SECRET)), server).await;
        assert_eq!(shaken.ok().unwrap().open, open, "{answer}");
    }
}

#[tokio::test]
async fn without_credentials_the_server_has_to_answer_a_ping() {
    let open = |words: &[&str]| match words {
        ["HELLO", "3"] => HELLO_7.to_owned(),
        ["PING"] => "+PONG\r\n".into(),
        _ => "+OK\r\n".into(),
    };
    let (shaken, seen) = shake(Wishes::default(), only(Credentials::none()), open).await;
    assert_eq!(shaken.ok().unwrap().server.protocol, Protocol::Resp3);
    assert!(!seen.commands.iter().any(|command| command.contains("AUTH")), "{:?}", seen.commands);
    for server in [redis_7 as fn(&[&str]) -> String, redis_5] {
        let (shaken, _) = shake(Wishes::default(), only(Credentials::none()), server).await;
        let error = failed(shaken);
        assert!(matches!(error, HandshakeError::AuthenticationRequired), "{error:?}");
    }
}

/// Redis 7 that answers `command` by `answer`.
fn answering(command: &str, answer: &str) -> impl FnMut(&[&str]) -> String {
    move |words| if words[0] == command { format!("{answer}\r\n") } else { redis_7(words) }
}

#[tokio::test]
async fn every_failure_has_its_type() {
    let wishes = || Wishes { database: 3, read_from_replica: true, ping: true, ..Wishes::default() };
    for (command, answer, expected, retryable) in [
        ("HELLO", "-LOADING Redis is loading", "Loading", true),
        ("HELLO", "-ERR AUTH <password> called without any password configured", "NoPasswordSet", false),
        ("HELLO", "-DENIED Redis is running in protected mode", "ProtectedMode", false),
        ("HELLO", "-ERR max number of clients reached", "TooManyClients", true),
        ("HELLO", "%0", "Malformed { what: \"HELLO is answered without a protocol version\" }", false),
        ("HELLO", "HTTP/1.1 400 Bad Request", "NotRedis", false),
        ("SELECT", "-ERR SELECT is not allowed in cluster mode", "DatabaseInCluster { database: 3 }", false),
        ("SELECT", "-ERR DB index is out of range", "NoSuchDatabase { database: 3 }", false),
        ("SELECT", "-NOPERM no", "NoPermission { command: \"SELECT\" }", false),
        ("SELECT", "-BUSY Redis is busy", "Refused { command: \"SELECT\", code: \"BUSY\" }", true),
        ("SELECT", "-correct-horse-battery", "Refused { command: \"SELECT\", code: \"unknown\" }", false),
        ("READONLY", "-ERR This instance has cluster support disabled", "ClusterDisabled", false),
        ("PING", "-LOADING Redis is loading the dataset in memory", "Loading", true),
        ("PING", "-MASTERDOWN Link with MASTER is down", "PrimaryDown", true),
        ("PING", "-MISCONF cannot save", "Refused { command: \"PING\", code: \"MISCONF\" }", false),
    ] {
        let (shaken, _) = shake(wishes(), only(token(SECRET)), answering(command, answer)).await;
        let error = failed(shaken);
        assert_eq!((format!("{error:?}").as_str(), error.is_retryable()), (expected, retryable), "{command} {answer}");
        assert!(error.explain().len() > 30, "{}", error.explain());
    }
    let (shaken, _) = shake(wishes(), only(token(SECRET)), answering("PING", "-NOPERM no permissions")).await;
    assert!(shaken.is_ok(), "a server that says who may ping works");
}

#[tokio::test]
async fn the_role_that_is_asked_for_is_insisted_on() {
    let replica = |words: &[&str]| redis_7(words).replace("$6\r\nmaster", "$7\r\nreplica");
    let old = |role: &'static str| {
        move |words: &[&str]| match words {
            ["ROLE"] => format!("*3\r\n$6\r\n{role}\r\n:0\r\n*0\r\n"),
            words => redis_5(words),
        }
    };
    let wishes = |role| Wishes { role: Some(role), ..Wishes::default() };
    let found = async |role, server: &mut dyn FnMut(&[&str]) -> String| {
        shake(wishes(role), only(token(SECRET)), server).await.0
    };
    assert!(found(ServerRole::Replica, &mut { replica }).await.is_ok());
    assert!(found(ServerRole::Primary, &mut redis_7).await.is_ok());
    assert!(found(ServerRole::Primary, &mut old("master")).await.is_ok());
    for error in [
        failed(found(ServerRole::Primary, &mut { replica }).await),
        failed(
            found(ServerRole::Primary, &mut |words: &[&str]| {
                if words == ["ROLE"] { "*1\r\n$5\r\nslave\r\n".into() } else { redis_5(words) }
            })
            .await,
        ),
    ] {
        let HandshakeError::WrongRole { wanted, found } = error else { panic!("{error:?}") };
        assert_eq!((wanted, found), (ServerRole::Primary, ServerRole::Replica));
    }
}

#[tokio::test]
async fn what_comes_after_the_last_answer_is_kept_and_pushes_before_it_are_passed_over() {
    let server = |words: &[&str]| match words {
        ["HELLO", ..] => format!(">2\r\n+a\r\n+b\r\n{}", redis_7(words)),
        ["CLIENT", "SETINFO", "LIB-VER", _] => "+OK\r\n>2\r\n$10\r\ninvalidate\r\n*0\r\n+half".into(),
        words => redis_7(words),
    };
    let (shaken, _) = shake(Wishes::default(), only(token(SECRET)), server).await;
    assert_eq!(shaken.ok().unwrap().left_over, b">2\r\n$10\r\ninvalidate\r\n*0\r\n+half");
}

#[tokio::test]
async fn a_server_that_says_why_and_closes_is_heard() {
    let (mut ours, mut theirs) = tokio::io::duplex(1024);
    theirs.write_all(b"-ERR max number of clients reached\r\n").await.unwrap();
    drop(theirs);
    let error = failed(handshake(&mut ours, &Wishes::default(), &only(token(SECRET))).await);
    assert!(matches!(error, HandshakeError::TooManyClients), "{error:?}");
    let (mut ours, mut theirs) = tokio::io::duplex(1024);
    let closing = async {
        theirs.read_u8().await.unwrap();
        drop(theirs);
    };
    let (shaken, ()) =
        tokio::join!(async { handshake(&mut ours, &Wishes::default(), &only(token(SECRET))).await }, closing);
    let error = failed(shaken);
    assert!(matches!(error, HandshakeError::Closed), "{error:?}");
}

#[tokio::test]
async fn a_source_without_credentials_is_the_reason() {
    #[derive(Debug)]
    struct Dry;

    #[async_trait]
    impl CredentialSource for Dry {
        async fn credentials(&self) -> Result<Candidates, CredentialError> {
            Err(CredentialError::Malformed { part: "session token" })
        }
    }

    let (shaken, seen) = shake(Wishes::default(), Dry, redis_7).await;
    let error = failed(shaken);
    assert!(matches!(error, HandshakeError::Credentials(CredentialError::Malformed { .. })), "{error:?}");
    assert_eq!(seen.commands.len(), 0);
}

proptest! {
    /// A server may answer what it likes: there is no panic, no endless loop, and no secret in what is told.
    #[test]
    fn arbitrary_answers_do_no_harm(
        answers in prop::collection::vec(prop_oneof![
            Just(HELLO_7.to_owned()),
            Just("+OK\r\n".to_owned()),
            Just("-NOAUTH x\r\n".to_owned()),
            Just(format!("-{SECRET} {NEXT}\r\n")),
            Just(format!("-ERR unknown command `HELLO`, with args beginning with: `{SECRET}`\r\n")),
            Just(format!("%2\r\n+proto\r\n:3\r\n+version\r\n+{SECRET} x\r\n")),
            "[-+:$*%>_][-a-z0-9]{0,5}\r\n",
            "\\PC{0,20}",
        ], 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let mut answers = answers.into_iter();
        let shaken = runtime.block_on(async {
            let shaking = shake(
                Wishes { ping: true, database: 1, ask_whether_open: true, ..Wishes::default() },
                StaticCredentials::new(Candidates::new(token(NEXT)).or(user("app"))),
                |_| answers.next().unwrap_or_default(),
            );
            // Half a reply is waited for; the connector has a limit for that.
            tokio::time::timeout(std::time::Duration::from_secs(1), shaking).await.map(|(shaken, _)| shaken)
        });
        let Ok(shaken) = shaken else { return Ok(()) };
        let told = match &shaken {
            Ok(shaken) => format!("{} {:?}", shaken.server, shaken.server),
            Err(error) => format!("{error} {error:?} {}", crate::explain(error)),
        };
        prop_assert!(!told.contains(SECRET) && !told.contains(NEXT), "{}", told);
    }
}
