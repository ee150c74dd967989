//! TLS below the handshake: one configuration for the connector's life, and any identity.

use std::sync::Arc;

use crate::support::{TOKEN, start, to, token};
use secure_connector::{Identity, SecureConnector, SecureStream, StaticIdentity};
use secure_connector_testkit::{ClientAuth, Resumption, ServerOptions, TestPki, Usage, redis::FakeElastiCache};

/// Each connection spends one ticket and earns one at least: OpenSSL issues two after a full handshake and one after a
/// resumed one.
#[tokio::test]
async fn nearly_all_of_many_dials_at_once_resume() {
    for resumption in [Resumption::SessionCache, Resumption::Tickets] {
        let options = ServerOptions::default().resumption(resumption);
        let (pki, cache) = start(FakeElastiCache::builder().auth_token(TOKEN).tls(options)).await;
        let connector = Arc::new(to(&cache, &pki).auth_token(token()).build().unwrap());
        let (mut resumed, mut dials) = (0, 0);
        for round in 0..9 {
            let wave: Vec<_> = (0..32)
                .map(|_| {
                    let connector = connector.clone();
                    tokio::spawn(async move { connector.connect().await.unwrap() })
                })
                .collect();
            for dial in wave {
                let stream = dial.await.unwrap();
                // The first wave finds no tickets.
                if round > 0 {
                    dials += 1;
                    resumed += u32::from(stream.report().tls.as_ref().unwrap().resumed);
                }
            }
        }
        assert!(resumed * 100 >= dials * 95, "{resumed} of {dials} resumed");
    }
}

#[tokio::test]
async fn a_client_certificate_is_presented_and_reported_beside_the_user() {
    let pki = TestPki::new().unwrap();
    let options = ServerOptions::default().client_auth(ClientAuth::RequireFrom(pki.root_der().to_vec()));
    let cache = FakeElastiCache::builder().auth_token(TOKEN).tls(options.clone()).start(&pki).await.unwrap();
    let client = pki.leaf().common_name("billing").usage(Usage::Client).issue().unwrap();
    let identity =
        || StaticIdentity::new(Identity::from_pem(client.chain_pem().as_bytes(), client.key_pem().as_bytes()).unwrap());
    let connector = to(&cache, &pki).auth_token(token()).identity(identity()).build().unwrap();
    let stream = connector.connect().await.unwrap();
    assert_eq!(stream.report().identity.as_ref().unwrap().subject, "CN=billing");
    assert_eq!(stream.report().authenticated_as.as_ref().unwrap().principal, "default");
    // The certificate takes the place of a password.
    let cache = FakeElastiCache::builder().tls(options).start(&pki).await.unwrap();
    let connector = to(&cache, &pki).anonymous().identity(identity()).build().unwrap();
    assert_eq!(connector.connect().await.unwrap().report().warnings, []);
}
