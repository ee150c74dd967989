//! What the connector's tests share.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use secure_connector::{Clock, PeerVerifier, Roots};
use secure_connector_testkit::{EchoServer, ServerOptions, TestCertificate, TestPki};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";

/// An echo server for [`NAME`] under a new root.
pub(crate) async fn start(options: &ServerOptions) -> (TestPki, EchoServer) {
    let pki = TestPki::new().unwrap();
    let certificate = pki.leaf().dns(NAME).issue().unwrap();
    let server = EchoServer::start(&certificate, options).await.unwrap();
    (pki, server)
}

pub(crate) fn roots(pki: &TestPki) -> Roots {
    Roots::from_der(pki.root_der()).unwrap()
}

pub(crate) fn localhost_peer(pki: &TestPki) -> PeerVerifier {
    PeerVerifier::check_host(roots(pki), [NAME.parse().unwrap()]).unwrap()
}

pub(crate) fn identity(certificate: &TestCertificate) -> secure_connector::Identity {
    secure_connector::Identity::from_pem(certificate.chain_pem().as_bytes(), certificate.key_pem().as_bytes()).unwrap()
}

/// Sends something and reads it back, which also brings in the session tickets of TLS 1.3.
pub(crate) async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<SystemTime>);

impl TestClock {
    pub(crate) fn at(now: SystemTime) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(Mutex::new(now)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

/// Shared with the connector that it drives.
#[derive(Clone, Debug)]
pub(crate) struct SharedClock(pub(crate) std::sync::Arc<TestClock>);

impl Clock for SharedClock {
    fn now(&self) -> SystemTime {
        *self.0.0.lock().unwrap()
    }
}
