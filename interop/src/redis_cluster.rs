//! A cluster of redis-server nodes that speak TLS only, to clients and to each other.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use secure_connector_testkit::{TestPki, Usage};

use crate::Daemon;
use crate::redis_server::{ADMIN_PASSWORD, redis_cli, wait_for, write_certificate};

/// A running cluster: three primaries with a third of the slots each, and for each of them as many replicas as wanted. The
/// certificate is for `localhost` and 127.0.0.1.
#[derive(Debug)]
pub struct RedisCluster {
    /// The primaries first, then the first replica of each, and so on.
    nodes: Vec<Daemon>,
    pki: TestPki,
}

/// How the nodes name each other to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeNames {
    /// By address.
    #[default]
    Addresses,
    /// As `localhost`.
    HostNames,
}

impl RedisCluster {
    const PRIMARIES: usize = 3;

    /// Starts a cluster whose default user has this password, and waits until it takes commands: about three seconds.
    ///
    /// # Errors
    /// As [`Daemon::start`], or the cluster does not come up within 30 s.
    pub fn start(password: &str, replicas: usize, names: NodeNames) -> Result<Self> {
        let pki = TestPki::new().map_err(Error::other)?;
        let count = Self::PRIMARIES * (1 + replicas);
        let nodes: Result<_> = (0..count).map(|_| start_node(&pki, password, names)).collect();
        let cluster = Self { nodes: nodes?, pki };
        cluster.form()?;
        Ok(cluster)
    }

    /// Where the nodes listen: the primaries first.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Daemon::addr).collect()
    }

    /// The authority of the certificates.
    #[must_use]
    pub fn pki(&self) -> &TestPki {
        &self.pki
    }

    /// Runs a command on one node, with all rights, and returns the reply.
    ///
    /// # Errors
    /// The reply is an error, or there is no such node.
    pub fn admin(&self, node: usize, words: &[&str]) -> Result<String> {
        let node = self.nodes.get(node).ok_or_else(|| Error::other(format!("there is no node {node}")))?;
        let user = ["--user", "admin", "--pass", ADMIN_PASSWORD].map(str::to_owned);
        redis_cli(node.dir(), &user, words)
    }

    /// Kills one node without a warning. Its replica, if it has one, takes over after a second or two.
    ///
    /// # Errors
    /// There is no such node.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        let node = self.nodes.get_mut(node).ok_or_else(|| Error::other(format!("there is no node {node}")))?;
        node.kill();
        Ok(())
    }

    /// Makes a replica the primary of its shard, in agreement with the primary (`CLUSTER FAILOVER`), and waits until the
    /// shard has a replica again: a primary killed earlier than that would have no successor.
    ///
    /// # Errors
    /// It is no replica, or does not become primary within 30 s.
    pub fn fail_over_to(&self, replica: usize) -> Result<()> {
        self.admin(replica, &["CLUSTER", "FAILOVER"])?;
        self.wait_for(replica, &["INFO", "replication"], "role:master")?;
        self.wait_for(replica, &["INFO", "replication"], "state=online")
    }

    /// Waits until the reply of a node to this command holds `text`.
    ///
    /// # Errors
    /// It does not within 30 s, or the reply is an error.
    pub fn wait_for(&self, node: usize, words: &[&str], text: &str) -> Result<()> {
        wait_for(|| self.admin(node, words), text)
    }

    fn form(&self) -> Result<()> {
        const SLOTS: usize = 16_384;
        for primary in 0..Self::PRIMARIES {
            let first = |primary: usize| SLOTS * primary / Self::PRIMARIES;
            let (first, last) = (first(primary).to_string(), (first(primary + 1) - 1).to_string());
            self.admin(primary, &["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
            // Otherwise they would have to agree on it by collisions.
            self.admin(primary, &["CLUSTER", "SET-CONFIG-EPOCH", &(primary + 1).to_string()])?;
        }
        for node in self.nodes.iter().skip(1) {
            let bus = fs::read_to_string(node.dir().join(BUS))?;
            let (ip, port) = (node.addr().ip().to_string(), node.addr().port().to_string());
            self.admin(0, &["CLUSTER", "MEET", &ip, &port, &bus])?;
        }
        let everybody = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in 0..self.nodes.len() {
            self.wait_for(node, &["CLUSTER", "INFO"], &everybody)?;
        }
        for replica in Self::PRIMARIES..self.nodes.len() {
            let primary = self.admin(replica % Self::PRIMARIES, &["CLUSTER", "MYID"])?;
            self.admin(replica, &["CLUSTER", "REPLICATE", &primary])?;
        }
        for node in 0..self.nodes.len() {
            self.wait_for(node, &["CLUSTER", "INFO"], "cluster_state:ok")?;
        }
        for replica in Self::PRIMARIES..self.nodes.len() {
            self.wait_for(replica, &["INFO", "replication"], "master_link_status:up")?;
        }
        Ok(())
    }
}

fn start_node(pki: &TestPki, password: &str, names: NodeNames) -> Result<Daemon> {
    let leaf = pki.leaf().dns("localhost").ip([127, 0, 0, 1]).usage(Usage::ServerAndClient);
    let certificate = leaf.issue().map_err(Error::other)?;
    Daemon::start(|dir, addr| {
        fs::write(dir.join("ca.pem"), pki.root_pem())?;
        let (cert, key) = write_certificate(dir, "server", &certificate)?;
        let bus = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        fs::write(dir.join(BUS), bus.to_string())?;
        let names = match names {
            NodeNames::Addresses => "",
            NodeNames::HostNames => "cluster-announce-hostname localhost\ncluster-preferred-endpoint-type hostname\n",
        };
        let (ip, port, dir_shown) = (addr.ip(), addr.port(), dir.display());
        fs::write(
            dir.join("redis.conf"),
            format!(
                "bind {ip}\nport 0\ntls-port {port}\ndir {dir_shown}\nunixsocket {dir_shown}/redis.sock\nsave \"\"\n\
                 appendonly no\nloglevel warning\ntls-cert-file {cert}\ntls-key-file {key}\n\
                 tls-ca-cert-file {dir_shown}/ca.pem\ntls-auth-clients no\ntls-cluster yes\ntls-replication yes\n\
                 cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 1000\ncluster-port {bus}\n\
                 cluster-allow-replica-migration no\nrepl-diskless-sync-delay 0\nrequirepass {password}\nmasteruser admin\n\
                 masterauth {ADMIN_PASSWORD}\nuser admin on >{ADMIN_PASSWORD} ~* &* +@all\n{names}"
            ),
        )?;
        let mut server = Command::new("redis-server");
        server.arg(dir.join("redis.conf")).current_dir(dir);
        Ok(server)
    })
}

const BUS: &str = "bus-port";
