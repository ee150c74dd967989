//! TLS by rustls: who is dialled, what is sent, what is verified, which sessions are resumed.

mod acceptor;
mod builder;
pub(crate) mod certificate;
mod config_error;
mod connector;
mod diagnose;
mod distinguished_name;
mod first_bytes;
mod generation;
mod handshake;
mod judged;
mod names;
pub(crate) mod pem;
mod pin;
pub(crate) mod provider;
mod roots;
mod sessions;
mod stream;
mod verify;

pub use acceptor::TlsAcceptor;
pub use builder::TlsConnectorBuilder;
pub use config_error::ConfigError;
pub use connector::TlsConnector;
pub use names::{NameError, Sni, SniName, VerifiedName};
pub use pin::{PinError, SpkiPin};
pub use provider::PostQuantum;
pub use roots::{Roots, RootsError};
pub use stream::TlsStream;
pub use verify::{JudgePeer, PeerVerifier, VerifiedPeer};
