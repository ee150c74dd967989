//! Test doubles for encrypted AWS connections.

mod certificate;
mod echo;
mod leaf;
mod listener;
pub mod misbehaving;
pub mod nfs;
mod pki;
pub mod rustls_config;
mod server_options;
mod validity;
pub use certificate::TestCertificate;
pub use echo::{EchoServer, SeenConnection};
pub use leaf::{LeafBuilder, Usage};
pub use listener::TestServer;
pub use pki::{CaOptions, KeyKind, PkiError, TestPki};
pub use server_options::{ClientAuth, Resumption, ServerOptions, TlsVersion};
pub use validity::Validity;
