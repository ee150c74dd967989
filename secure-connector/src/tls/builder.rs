//! Choices with a default, and the checks on all of them together.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};

use rustls::{ClientConfig, SupportedProtocolVersion, pki_types::ServerName, time_provider::TimeProvider};

use super::{
    config_error::ConfigError,
    connector::Identities,
    connector::TlsConnector,
    generation::Generation,
    names::{Sni, SniName},
    provider,
    verify::PeerVerifier,
};
use crate::{Clock, Dial, IdentitySource, PostQuantum, SystemClock, TcpOptions, Timeouts, TlsVersion};

/// Builds a [`TlsConnector`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TlsConnectorBuilder {
    dial: Dial,
    peer: PeerVerifier,
    sni: Sni,
    identity: Option<Arc<dyn IdentitySource>>,
    alpn: Vec<Vec<u8>>,
    minimum: TlsVersion,
    maximum: TlsVersion,
    post_quantum: PostQuantum,
    timeouts: Timeouts,
    tcp: TcpOptions,
    clock: Arc<dyn Clock>,
}

impl TlsConnectorBuilder {
    pub(super) fn new(dial: Dial, peer: PeerVerifier) -> Self {
        Self {
            dial,
            peer,
            sni: Sni::default(),
            identity: None,
            alpn: Vec::new(),
            minimum: TlsVersion::Tls12,
            maximum: TlsVersion::Tls13,
            post_quantum: PostQuantum::default(),
            timeouts: Timeouts::default(),
            tcp: TcpOptions::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// What is sent as server name. Default: the host name that is dialled, nothing when an address is. A host that
    /// cannot be sent makes [`build`](Self::build) fail: give another name or [`Sni::Off`].
    pub fn sni(mut self, sni: Sni) -> Self {
        self.sni = sni;
        self
    }

    /// Who we are, when the peer asks. The connector keeps the source, and with it its renewal. Default: nobody.
    pub fn identity(mut self, source: impl IdentitySource + 'static) -> Self {
        self.identity = Some(Arc::new(source));
        self
    }

    /// Application protocols to offer, preferred first (RFC 7301), for example `["h2", "http/1.1"]`. Default: none.
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// The lowest version to accept. Default: TLS 1.2, which some AWS endpoints still need.
    pub fn minimum_version(mut self, version: TlsVersion) -> Self {
        self.minimum = version;
        self
    }

    /// The highest version to offer. Default: TLS 1.3.
    pub fn maximum_version(mut self, version: TlsVersion) -> Self {
        self.maximum = version;
        self
    }

    /// Whether to offer post-quantum key exchange. Default: yes, where the cryptography library has it.
    pub fn post_quantum(mut self, post_quantum: PostQuantum) -> Self {
        self.post_quantum = post_quantum;
        self
    }

    /// The deadlines of the stages.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Options of the TCP socket.
    pub fn tcp_options(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// The clock against which certificates are judged. Default: the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the configuration as a whole. Nothing is dialled.
    ///
    /// # Errors
    /// [`ConfigError`]: nothing to dial, no version in the range, an empty or over-long ALPN name; with the feature
    /// `fips`, a configuration outside the validated module.
    pub fn build(self) -> Result<TlsConnector, ConfigError> {
        if self.dial.is_empty() {
            return Err(ConfigError::NothingToDial);
        }
        // "Empty strings MUST NOT be included" (RFC 7301 section 3.1); the length has one octet.
        if let Some(bad) = self.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            return Err(ConfigError::Alpn { length: bad.len() });
        }
        let (server_name, sni) = self.server_name()?;
        let base = self.client_config(sni.is_some())?;
        Ok(TlsConnector {
            server_name,
            sni,
            minimum: self.minimum,
            identities: self.identity.map(|source| Identities { current: source.subscribe(), _source: source }),
            current: Mutex::new(Arc::new(Generation::new(&base, None))),
            base,
            dial: self.dial,
            peer: self.peer,
            timeouts: self.timeouts,
            tcp: self.tcp,
            clock: self.clock,
        })
    }

    fn client_config(&self, send_sni: bool) -> Result<ClientConfig, ConfigError> {
        let versions = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
        let versions: Vec<&SupportedProtocolVersion> = versions
            .into_iter()
            .filter_map(|(version, rustls)| (self.minimum..=self.maximum).contains(&version).then_some(rustls))
            .collect();
        if versions.is_empty() {
            return Err(ConfigError::NoVersion { minimum: self.minimum, maximum: self.maximum });
        }
        let provider = provider::provider(self.post_quantum);
        let verifier = self.peer.handshake_verifier(&provider);
        let builder = ClientConfig::builder_with_details(provider, Arc::new(RustlsClock(self.clock.clone())));
        let mut config = builder
            .with_protocol_versions(&versions)
            .map_err(|source| ConfigError::Provider { source: source.into() })?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.enable_sni = send_sni;
        config.alpn_protocols.clone_from(&self.alpn);
        #[cfg(feature = "fips")]
        if !config.fips() {
            return Err(ConfigError::NotFips);
        }
        Ok(config)
    }

    /// rustls wants a server name in any case: it is the session store's key and, when it is a DNS name, the SNI. "Literal
    /// IPv4 and IPv6 addresses are not permitted" there (RFC 6066 section 3), so an address stands for "none".
    fn server_name(&self) -> Result<(ServerName<'static>, Option<String>), ConfigError> {
        let name: Option<SniName> = match &self.sni {
            Sni::Off => None,
            Sni::Name(name) => Some(name.clone()),
            Sni::FromTarget => self.dial.host_name().map(str::parse).transpose()?,
        };
        Ok(match name {
            Some(name) => (name.server_name(), Some(name.to_string())),
            None => (ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), None),
        })
    }
}

#[derive(Debug)]
pub(super) struct RustlsClock(pub(super) Arc<dyn Clock>);

impl TimeProvider for RustlsClock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let since_epoch = self.0.now().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(rustls::pki_types::UnixTime::since_unix_epoch(since_epoch))
    }
}
