//! What the tests have in common.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis_tls::{
    AuthToken, Candidates, CredentialError, CredentialSource, Credentials, HasCredentials, NeedsCredentials,
    RedisConnector, RedisConnectorBuilder, Refresh,
};
use secure_connector::{Dial, PeerVerifier, Roots};
use secure_connector_testkit::{
    TestPki,
    redis::{ElastiCacheBuilder, Event, FakeElastiCache, JournalEntry},
};

pub(crate) const TOKEN: &str = "an-auth-token-0123456789";

pub(crate) async fn start(builder: ElastiCacheBuilder) -> (TestPki, Arc<FakeElastiCache>) {
    let pki = TestPki::new().unwrap();
    let cache = builder.auth_token(TOKEN).start(&pki).await.unwrap();
    (pki, Arc::new(cache))
}

pub(crate) fn to(dial: Dial, pki: &TestPki) -> RedisConnectorBuilder<NeedsCredentials> {
    let roots = Roots::from_der(pki.root_der()).unwrap();
    RedisConnector::builder(dial, PeerVerifier::check_host(roots, ["localhost".parse().unwrap()]).unwrap())
}

pub(crate) fn connector(cache: &FakeElastiCache, pki: &TestPki) -> RedisConnectorBuilder<HasCredentials> {
    to(Dial::addresses([cache.addr()]), pki).auth_token(AuthToken::new(TOKEN).unwrap())
}

/// The token, to be presented again and again.
#[derive(Debug)]
pub(crate) struct ShortLived(pub(crate) Duration);

#[async_trait]
impl CredentialSource for ShortLived {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        Ok(Credentials::token(AuthToken::new(TOKEN).unwrap()).into())
    }

    fn refresh(&self) -> Refresh {
        Refresh::Within(self.0)
    }
}

/// How often each connection authenticated, in the order of their numbers.
pub(crate) fn authentications(journal: &[JournalEntry]) -> Vec<usize> {
    let mut counts = std::collections::BTreeMap::new();
    for entry in journal {
        if let Event::Authenticated { .. } = entry.event {
            *counts.entry(entry.connection).or_insert(0) += 1;
        }
    }
    counts.into_values().collect()
}
