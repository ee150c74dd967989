//! Test doubles for encrypted AWS connections, to test a client without AWS and without the network.
//!
//! | for | there is |
//! |---|---|
//! | certificates, right ones and odd ones | [`TestPki`] |
//! | a TLS server that behaves, and tells what it saw | [`EchoServer`] |
//! | servers that do one thing wrong | [`misbehaving`] |
//! | a network that goes wrong, between a client and any server | [`FaultProxy`] |
//! | an Amazon EFS mount target that checks the IAM client certificate | [`efs::FakeMountTarget`] |
//! | an Amazon ElastiCache cache that checks AUTH tokens, users and IAM tokens | [`redis::FakeElastiCache`] |
//! | a SPIFFE agent: the Workload API with X.509- and JWT-SVIDs | [`spiffe::SpiffeAgent`] |
//! | an NFSv4.1 server in memory, and a client that asks whether it is let in | [`nfs`] |
//! | [`rustls`] configurations made of test certificates | [`rustls_config`] |
//!
//! Every server listens on a free port of 127.0.0.1 unless told otherwise, and ends when its handle is dropped. None reads
//! a file, an environment variable or, unless told to, the network. Secrets given to it appear in no log, error or `Debug`.
//!
//! # Example
//! A mount target that knows one IAM key, and a client that comes without:
//! ```
//! use std::sync::Arc;
//!
//! use secure_connector_testkit::efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, Refusal, Verdict};
//! use secure_connector_testkit::nfs::{HelloOutcome, NfsStatus, nfs_hello};
//! use secure_connector_testkit::{TestPki, TlsVersion, rustls_config};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pki = TestPki::new()?;
//! let rules = AdmissionRules::new("fs-0123456789abcdef0", "us-east-1")
//!     .key(KnownKey::new("AKIAIOSFODNN7EXAMPLE", "its secret", "arn:aws:iam::123456789012:user/alice"))
//!     .admission(Admission::IamOnly);
//! let target = FakeMountTarget::builder(rules).start(&pki).await?;
//!
//! // Here the client under test would connect; this one has no certificate.
//! let client = rustls_config::client_config(&[pki.root_der()], &[TlsVersion::Tls13], None)?;
//! let tcp = tokio::net::TcpStream::connect(target.addr()).await?;
//! let name = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com".try_into()?;
//! let mut tls = tokio_rustls::TlsConnector::from(Arc::clone(&client)).connect(name, tcp).await?;
//!
//! // The handshake succeeds, as with the real service. The refusal comes as an NFS reply,
//! assert!(matches!(nfs_hello(&mut tls).await?, HelloOutcome::Denied { status: NfsStatus::ACCESS, .. }));
//! // and the mount target knows the reason.
//! assert_eq!(target.next_event().await?.verdict, Verdict::Refused(Refusal::AnonymousNotAllowed));
//! # Ok(())
//! # }
//! ```

mod certificate;
mod clock;
mod echo;
pub mod efs;
mod fault_proxy;
mod leaf;
mod listener;
pub mod misbehaving;
pub mod nfs;
mod pki;
pub mod redis;
pub mod rustls_config;
mod server_options;
pub mod spiffe;
mod validity;
pub use certificate::TestCertificate;
pub use clock::Clock;
pub use echo::{EchoServer, SeenConnection};
pub use fault_proxy::{Fault, FaultCounters, FaultProxy, Plan, Script};
pub use leaf::{LeafBuilder, Usage};
pub use listener::TestServer;
pub use pki::{CaOptions, KeyKind, PkiError, TestPki};
pub use server_options::{ClientAuth, Resumption, ServerOptions, TlsVersion};
pub use validity::Validity;
