//! rustis.

use std::time::Duration;

use rustis::{client::Client, commands::StringCommands};
use secure_connector::Dial;
use secure_connector_testkit::redis::FakeElastiCache;

use super::support::{ShortLived, authentications, start, to};

#[tokio::test]
async fn rustis_stays_authenticated_which_it_does_not_do_by_itself() {
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    let source = ShortLived(Duration::from_millis(1500));
    let connector = to(Dial::addresses([cache.addr()]), &pki).credentials(source).build().unwrap();
    let client = Client::connect(redis_tls::rustis::config(connector)).await.unwrap();
    let load = async {
        for number in 0_u64.. {
            client.set("key", number).await.unwrap();
            assert_eq!(client.get::<u64>("key").await.unwrap(), number);
        }
    };
    tokio::select! {
        () = load => unreachable!("it has no end"),
        _ = cache.wait_until(|journal| authentications(journal).first() >= Some(&4)) => {}
    }
    assert_eq!(cache.counters().connections, 1);
}
