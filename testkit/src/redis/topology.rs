//! The nodes of a cache, and which keys are on which.

use std::net::SocketAddr;

use sha2::{Digest, Sha256};

use super::engine::Engine;
use super::wire::Reply;

/// The nodes, by shard; the nodes of a shard stand one after the other.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) nodes: Vec<Node>,
    pub(crate) cluster: ClusterMode,
    pub(crate) announce: Announce,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) addr: SocketAddr,
    pub(crate) shard: usize,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Replica,
}

/// Whether keys are divided among shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClusterMode {
    #[default]
    Off,
    On,
}

/// How the nodes of a cluster name each other to clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Announce {
    /// By address, as Redis does by default.
    #[default]
    Address,
    /// By this host name, the same for all, as on ElastiCache Serverless.
    Host(String),
    /// Not at all: the client is to use the name that it has. Redis calls it `unknown-endpoint`.
    Nothing,
}

impl Topology {
    pub(crate) fn role(&self, node: usize) -> Role {
        self.nodes.get(node).map_or(Role::Primary, |node| node.role)
    }

    pub(crate) fn addr(&self, node: usize) -> Option<SocketAddr> {
        self.nodes.get(node).map(|node| node.addr)
    }

    pub(crate) fn shard(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |node| node.shard)
    }

    pub(crate) fn primary(&self, shard: usize) -> Option<&Node> {
        self.nodes.iter().find(|node| node.shard == shard && node.role == Role::Primary)
    }

    pub(crate) fn replicas(&self, shard: usize) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.shard == shard && node.role == Role::Replica)
    }

    /// Makes the next node of the shard its primary; without another, its only one a replica of nobody.
    pub(crate) fn fail_over(&mut self, shard: usize) {
        let mut nodes: Vec<_> = self.nodes.iter_mut().filter(|node| node.shard == shard).collect();
        let count = nodes.len();
        let old = nodes.iter().position(|node| node.role == Role::Primary);
        for (position, node) in nodes.iter_mut().enumerate() {
            let next = old.is_some_and(|old| count > 1 && position == (old + 1) % count);
            node.role = if next { Role::Primary } else { Role::Replica };
        }
    }

    /// The shard of a slot, and the slots of a shard: as even as `redis-cli --cluster create` makes it.
    pub(crate) fn shard_of(&self, slot: u16) -> usize {
        (0..self.shards()).find(|shard| self.slots(*shard).1 >= slot).unwrap_or_default()
    }

    /// `-MOVED`, if the node is not the one for it.
    pub(crate) fn moved(&self, slot: u16) -> Option<String> {
        let primary = self.primary(self.shard_of(slot))?;
        let host = match &self.announce {
            Announce::Address => primary.addr.ip().to_string(),
            Announce::Host(host) => host.clone(),
            Announce::Nothing => String::new(),
        };
        Some(format!("MOVED {slot} {host}:{}", primary.addr.port()))
    }

    pub(crate) fn slots_reply(&self, engine: Engine) -> Reply {
        let shard = |shard| {
            let (first, last) = self.slots(shard);
            let nodes = self.primary(shard).into_iter().chain(self.replicas(shard));
            let slots = [first, last].map(|slot| Reply::Integer(slot.into()));
            Reply::Array(slots.into_iter().chain(nodes.map(|node| self.node_reply(node, engine))).collect())
        };
        Reply::Array((0..self.shards()).map(shard).collect())
    }

    pub(crate) fn shards_reply(&self) -> Reply {
        let text = |text: &str| Reply::bulk(text);
        let node = |node: &Node| {
            Reply::Map(vec![
                (text("id"), Reply::bulk(node_id(node.addr))),
                (text("tls-port"), Reply::Integer(node.addr.port().into())),
                (text("ip"), Reply::bulk(node.addr.ip().to_string())),
                (text("endpoint"), self.endpoint_reply(node)),
                (text("role"), text(if node.role == Role::Primary { "master" } else { "replica" })),
                (text("replication-offset"), Reply::Integer(0)),
                (text("health"), text("online")),
            ])
        };
        let shard = |shard| {
            let (first, last) = self.slots(shard);
            let slots = [first, last].map(|slot| Reply::Integer(slot.into())).to_vec();
            let nodes = self.nodes.iter().filter(|node| node.shard == shard).map(node).collect();
            Reply::Map(vec![(text("slots"), Reply::Array(slots)), (text("nodes"), Reply::Array(nodes))])
        };
        Reply::Array((0..self.shards()).map(shard).collect())
    }

    pub(crate) fn info_reply(&self) -> Reply {
        let (nodes, shards) = (self.nodes.len(), self.shards());
        Reply::Text(format!(
            "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\ncluster_slots_pfail:0\r\n\
             cluster_slots_fail:0\r\ncluster_known_nodes:{nodes}\r\ncluster_size:{shards}\r\n"
        ))
    }

    fn node_reply(&self, node: &Node, engine: Engine) -> Reply {
        let mut reply = vec![self.endpoint_reply(node), Reply::Integer(node.addr.port().into())];
        reply.push(Reply::bulk(node_id(node.addr)));
        if matches!(engine, Engine::Redis7 | Engine::Valkey9) {
            let ip = (Reply::bulk("ip"), Reply::bulk(node.addr.ip().to_string()));
            reply.push(Reply::Map(if self.announce == Announce::Address { vec![] } else { vec![ip] }));
        }
        Reply::Array(reply)
    }

    fn endpoint_reply(&self, node: &Node) -> Reply {
        match &self.announce {
            Announce::Address => Reply::bulk(node.addr.ip().to_string()),
            Announce::Host(host) => Reply::bulk(host.as_str()),
            Announce::Nothing => Reply::Null,
        }
    }

    /// First and last.
    fn slots(&self, shard: usize) -> (u16, u16) {
        let first =
            |shard: usize| u16::try_from((SLOTS * shard + self.shards() / 2) / self.shards()).unwrap_or(u16::MAX);
        (first(shard), first(shard + 1) - 1)
    }

    fn shards(&self) -> usize {
        self.nodes.iter().map(|node| node.shard + 1).max().unwrap_or(1)
    }
}

/// Forty hexadecimal digits, the same as long as the address is.
pub(crate) fn node_id(addr: SocketAddr) -> String {
    let mut id = hex::encode(Sha256::digest(addr.to_string()));
    id.truncate(40);
    id
}

/// The slot of a key: of the part in braces, where there is one that is not empty (Redis cluster specification, "Hash tags").
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}').filter(|close| *close > 0)?;
        rest.get(..close)
    });
    crc16(tag.unwrap_or(key)) % 16_384
}

/// CRC-16/XMODEM (Redis cluster specification, appendix A).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}

const SLOTS: usize = 16_384;
