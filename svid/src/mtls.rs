//! Mutual TLS between workloads.

mod acceptor;
mod connector;
mod judge;
mod peeked;
mod stream;

pub use self::acceptor::{AcceptorCounts, Mode, MtlsAcceptor};
pub use self::connector::{MtlsConnector, MtlsConnectorBuilder};
pub use self::stream::{MtlsPeer, MtlsStream, Peer};
