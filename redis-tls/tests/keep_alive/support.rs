//! Time that passes only in the test, credentials, and a connection with both ends.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use redis_tls::{
    Authenticated, Candidates, CredentialError, CredentialSource, Credentials, KeepAlive, KeptAlive, Password,
    Protocol, Refresh,
};
use secure_connector::Clock;
use tokio::{io::DuplexStream, time::Instant};

use super::server::KEEPER;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Follows the runtime's time, which a test moves.
#[derive(Debug)]
pub(super) struct TestClock(Instant);

impl TestClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }

    pub(super) fn start() -> SystemTime {
        SystemTime::UNIX_EPOCH + 500_000 * HOUR
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        Self::start() + self.0.elapsed()
    }
}

/// Numbered secrets of one user, good for a while.
#[derive(Debug)]
pub(super) struct Tokens {
    clock: Arc<TestClock>,
    given: AtomicUsize,
    pub(super) lifetime: Option<Duration>,
    pub(super) validity: Duration,
    /// Fails the next so many times.
    pub(super) failures: AtomicUsize,
    pub(super) verdicts: Mutex<Vec<&'static str>>,
    pub(super) candidates: usize,
}

impl Tokens {
    pub(super) fn new(clock: &Arc<TestClock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            given: AtomicUsize::new(0),
            lifetime: Some(12 * HOUR),
            validity: 15 * MINUTE,
            failures: AtomicUsize::new(0),
            verdicts: Mutex::default(),
            candidates: 1,
        }
    }

    pub(super) fn given(&self) -> usize {
        self.given.load(SeqCst)
    }
}

#[async_trait]
impl CredentialSource for Tokens {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        tokio::task::yield_now().await;
        if self.failures.load(SeqCst) > 0 {
            self.failures.fetch_sub(1, SeqCst);
            return Err(CredentialError::Timeout { limit: MINUTE });
        }
        let given = || {
            let number = self.given.fetch_add(1, SeqCst) + 1;
            Credentials::user(KEEPER.parse().unwrap(), Password::new(format!("secret-{number}")))
                .labelled(format!("token #{number}"))
                .expiring_at(self.clock.now() + self.validity)
        };
        Ok((1..self.candidates).fold(Candidates::new(given()), |all, _| all.or(given())))
    }

    fn refresh(&self) -> Refresh {
        self.lifetime.map_or(Refresh::Never, Refresh::Within)
    }

    fn accepted(&self, _: &Credentials) {
        self.verdicts.lock().unwrap().push("accepted");
    }

    fn refused(&self, _: &Credentials) {
        self.verdicts.lock().unwrap().push("refused");
    }
}

/// A connection that was authenticated just now, and the server's end of it.
pub(super) fn connect(tokens: &Arc<Tokens>, buffer: usize) -> (KeptAlive<DuplexStream>, DuplexStream, KeepAlive) {
    let (near, far) = tokio::io::duplex(buffer);
    let keeper = KeepAlive::new(Arc::clone(tokens) as Arc<dyn CredentialSource>).clock(tokens.clock.clone());
    let since = Authenticated { credentials: "token #0".to_owned(), at: tokens.clock.now(), protocol: Protocol::Resp2 };
    (keeper.keep(near, since), far, keeper)
}

/// `words` as a command.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    bytes.into_bytes()
}
