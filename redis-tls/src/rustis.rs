//! Hand-over to rustis: its standalone client over our connections, which are encrypted, verified, authenticated, and kept
//! so. rustis by itself authenticates at the beginning of a connection only.
//!
//! rustis begins every connection with `HELLO 3`: the server has to be Redis 6 or later, or Valkey.

use std::sync::Arc;

use ::rustis::client::{Config, CustomTransport, ServerConfig, TransportReader, TransportWriter};
use secure_connector::SecureConnector;

use crate::{KeptAliveConnector, RedisConnector};

/// A configuration whose connections are made by `connector`; everything else can be set as usual. No credentials belong
/// into it.
///
/// ```
/// # async fn example(connector: redis_tls::RedisConnector) -> rustis::Result<()> {
/// use rustis::{client::Client, commands::StringCommands};
///
/// let client = Client::connect(redis_tls::rustis::config(connector)).await?;
/// client.set("key", "value").await?;
/// # Ok(())
/// # }
/// ```
pub fn config(connector: impl Into<Arc<RedisConnector>>) -> Config {
    let mut config = Config::default();
    config.server = ServerConfig::Custom(transport(KeptAliveConnector::new(connector)));
    config
}

/// What a configuration of one's own takes as `ServerConfig::Custom`.
pub fn transport(connector: KeptAliveConnector) -> CustomTransport {
    CustomTransport::new(move || {
        let connector = connector.clone();
        async move {
            let stream = connector.connect().await.map_err(std::io::Error::from)?;
            let (reader, writer) = tokio::io::split(stream);
            Ok((Box::new(reader) as TransportReader, Box::new(writer) as TransportWriter))
        }
    })
}
