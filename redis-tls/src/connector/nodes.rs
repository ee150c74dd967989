//! The other nodes of a cluster, each with a TLS configuration and a session store of its own: a ticket is of use at the
//! server that issued it only.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use secure_connector::{
    Clock, ConfigError, ConnectError, Dial, IdentitySource, NameError, PeerVerifier, PostQuantum, Sni, TcpOptions,
    Timeouts, TlsConnector, TlsVersion, VerifiedName,
};

/// What the connections to all nodes have in common.
#[derive(Clone)]
pub(super) struct TlsOptions {
    pub(super) sni: Sni,
    pub(super) identity: Option<Arc<dyn IdentitySource>>,
    pub(super) minimum: TlsVersion,
    pub(super) maximum: TlsVersion,
    pub(super) post_quantum: PostQuantum,
    pub(super) timeouts: Timeouts,
    pub(super) tcp: TcpOptions,
    pub(super) clock: Arc<dyn Clock>,
}

/// Where a node is dialled, by the host and the port that the cluster gives.
pub(super) type DialNode = Arc<dyn Fn(&str, u16) -> Dial + Send + Sync>;

pub(super) struct Nodes {
    pub(super) peer: PeerVerifier,
    pub(super) options: TlsOptions,
    pub(super) dial: Option<DialNode>,
    pub(super) known: Mutex<HashMap<(String, u16), Arc<Node>>>,
}

pub(super) struct Node {
    pub(super) tls: TlsConnector,
    pub(super) dial: Dial,
}

impl TlsOptions {
    pub(super) fn connector(&self, dial: Dial, peer: PeerVerifier, sni: Sni) -> Result<TlsConnector, ConfigError> {
        let builder = TlsConnector::builder(dial, peer)
            .sni(sni)
            .minimum_version(self.minimum)
            .maximum_version(self.maximum)
            .post_quantum(self.post_quantum)
            .timeouts(self.timeouts)
            .tcp_options(self.tcp)
            .clock(self.clock.clone());
        match &self.identity {
            Some(identity) => builder.identity(identity.clone()).build(),
            None => builder.build(),
        }
    }
}

impl Nodes {
    /// A panic elsewhere leaves at worst one node too few.
    pub(super) fn get(&self, host: &str, port: u16, seed: &Dial) -> Result<Arc<Node>, ConnectError> {
        let key = (host.to_ascii_lowercase(), port);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = known.get(&key) {
            return Ok(node.clone());
        }
        let node = Arc::new(self.make(host, port, seed)?);
        if known.len() >= NODES {
            known.clear();
        }
        known.insert(key, node.clone());
        Ok(node)
    }

    fn make(&self, host: &str, port: u16, seed: &Dial) -> Result<Node, ConfigError> {
        let dial = match (&self.dial, host, seed.host_name()) {
            (_, "", None) => seed.clone(),
            (Some(dial), host, _) if !host.is_empty() => dial(host, port),
            (_, "", Some(seed)) => Dial::name(seed, port),
            (_, host, _) => Dial::name(host, port),
        };
        let (peer, sni) = match host {
            "" => (self.peer.clone(), self.options.sni.clone()),
            host => (self.peer.clone().or_host(host.parse::<VerifiedName>()?), self.sni_of(host)?),
        };
        Ok(Node { tls: self.options.connector(dial.clone(), peer, sni)?, dial })
    }

    /// A node's own name, where names are sent at all.
    fn sni_of(&self, host: &str) -> Result<Sni, NameError> {
        let sni = &self.options.sni;
        if *sni == Sni::Off || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Ok(sni.clone());
        }
        Ok(Sni::Name(host.parse()?))
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(known.keys()).finish()
    }
}

/// ElastiCache has clusters of at most 500 nodes.
const NODES: usize = 1024;
