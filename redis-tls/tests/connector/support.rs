//! What the tests of the connector share.

use redis_tls::{
    AuthToken, Credentials, HandshakeError, NeedsCredentials, Password, RedisConnector, RedisConnectorBuilder,
};
use secure_connector::{ConnectError, Dial, PeerVerifier, Roots};
use secure_connector_testkit::{
    TestPki,
    redis::{ElastiCacheBuilder, FakeElastiCache},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) const TOKEN: &str = "an-auth-token-0123456789";
pub(crate) const NEXT_TOKEN: &str = "the-next-token-0123456789";
pub(crate) const PASSWORD: &str = "the password of app";

pub(crate) async fn start(builder: ElastiCacheBuilder) -> (TestPki, FakeElastiCache) {
    let pki = TestPki::new().unwrap();
    let cache = builder.start(&pki).await.unwrap();
    (pki, cache)
}

pub(crate) fn peer(pki: &TestPki) -> PeerVerifier {
    PeerVerifier::check_host(Roots::from_der(pki.root_der()).unwrap(), ["localhost".parse().unwrap()]).unwrap()
}

pub(crate) fn to(cache: &FakeElastiCache, pki: &TestPki) -> RedisConnectorBuilder<NeedsCredentials> {
    RedisConnector::builder(Dial::addresses([cache.addr()]), peer(pki))
}

pub(crate) fn token() -> AuthToken {
    AuthToken::new(TOKEN).unwrap()
}

pub(crate) fn app() -> Credentials {
    Credentials::user("app".parse().unwrap(), Password::new(PASSWORD))
}

/// Sends one command in a line and reads one reply of one line.
pub(crate) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), command: &str) -> String {
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n") {
        reply.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(reply).unwrap().trim_end().to_owned()
}

/// The handshake's error, with no secret in what is told of it.
#[track_caller]
pub(crate) fn refused(error: &ConnectError) -> &HandshakeError {
    let told = format!("{error} {error:?} {} {}", error.explain(), redis_tls::explain(error));
    for secret in [TOKEN, NEXT_TOKEN, PASSWORD] {
        assert!(!told.contains(secret), "{told}");
    }
    HandshakeError::of(error).unwrap_or_else(|| panic!("{error:?}"))
}
