//! What is dialled: one target, or several of which the first that answers is taken.

use std::{
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use secure_connector::{Dial, Resolve};

use super::values::Order;

/// The value of a `connect` line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StunnelTarget {
    /// A host name or IP address, and a port.
    Tcp {
        /// The name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// `targets` has at least one member, and a Unix socket is its only one.
pub(super) fn dial(targets: &[StunnelTarget], order: Order, resolver: Arc<dyn Resolve>) -> Dial {
    match targets {
        [StunnelTarget::Unix(path), ..] => Dial::unix(path),
        [StunnelTarget::Tcp { host, port }] if order == Order::AsWritten => {
            Dial::name_resolved_by(host, *port, resolver)
        }
        [] => Dial::addresses([]),
        [StunnelTarget::Tcp { host, port }, ..] => {
            let all = AllTargets { targets: targets.to_vec(), order, turn: AtomicUsize::new(0), resolver };
            Dial::name_resolved_by(host, *port, Arc::new(all))
        }
    }
}

/// Resolves every target, whatever name it is asked for.
#[derive(Debug)]
struct AllTargets {
    targets: Vec<StunnelTarget>,
    order: Order,
    turn: AtomicUsize,
    resolver: Arc<dyn Resolve>,
}

#[async_trait]
impl Resolve for AllTargets {
    /// A name that cannot be resolved is passed over for as long as another one can.
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        let mut failed = None;
        for target in &self.targets {
            let StunnelTarget::Tcp { host, port } = target else { continue };
            match self.resolver.resolve(host, *port).await {
                Ok(found) => addresses.extend(found),
                Err(error) => failed = Some(io::Error::new(error.kind(), format!("{host}: {error}"))),
            }
        }
        match failed {
            Some(error) if addresses.is_empty() => return Err(error),
            Some(error) => tracing::warn!(%error, "a target cannot be resolved"),
            None => {}
        }
        if self.order == Order::RoundRobin && !addresses.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        Ok(addresses)
    }
}

impl fmt::Display for StunnelTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows `a.example` and `b.example`.
    #[derive(Debug)]
    struct TwoNames;

    #[async_trait]
    impl Resolve for TwoNames {
        async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            match host {
                "a.example" => Ok(vec![([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], port).into()]),
                "b.example" => Ok(vec![([10, 0, 0, 3], port).into()]),
                _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            }
        }
    }

    fn targets(hosts: &[&str], order: Order) -> AllTargets {
        let target = |host: &&str| StunnelTarget::Tcp { host: host.to_string(), port: 2049 };
        let targets = hosts.iter().map(target).collect();
        AllTargets { targets, order, turn: AtomicUsize::new(0), resolver: Arc::new(TwoNames) }
    }

    async fn hosts(targets: &AllTargets) -> Vec<u8> {
        let found = targets.resolve("", 0).await.unwrap();
        found.iter().map(|address| address.ip().to_string().bytes().last().unwrap() - b'0').collect()
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_is_passed_over_for_as_long_as_another_is() {
        let some = targets(&["none.example", "b.example", "a.example"], Order::AsWritten);
        assert_eq!([hosts(&some).await, hosts(&some).await], [[3, 1, 2], [3, 1, 2]]);
        let none = targets(&["none.example"], Order::AsWritten).resolve("", 0).await.unwrap_err();
        assert_eq!((none.kind(), none.to_string().as_str()), (io::ErrorKind::NotFound, "none.example: no such name"));
    }

    #[tokio::test]
    async fn round_robin_begins_with_the_next_address_each_time() {
        let all = targets(&["a.example", "b.example"], Order::RoundRobin);
        let turns = [hosts(&all).await, hosts(&all).await, hosts(&all).await, hosts(&all).await];
        assert_eq!(turns, [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]);
    }
}
