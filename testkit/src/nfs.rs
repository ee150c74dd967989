//! A little NFSv4.1 (RFC 8881): enough of a server to mount, list and read a tree in memory, and enough of a client to ask
//! a server whether it would let us in.
//!
//! ```
//! use secure_connector_testkit::nfs::{HelloOutcome, InMemoryNfs, nfs_hello};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let (mut client, server) = tokio::io::duplex(64 * 1024);
//! tokio::spawn(async move { InMemoryNfs::default().serve(server).await });
//! assert!(matches!(nfs_hello(&mut client).await?, HelloOutcome::Admitted { .. }));
//! # Ok(())
//! # }
//! ```

mod attributes;
mod compound;
mod hello;
mod numbers;
mod operations;
mod record;
mod rights;
mod rpc;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod tree;
mod xdr;
pub use hello::{HelloOutcome, nfs_hello};
pub use numbers::{NfsStatus, Operation};
pub use rights::{NOBODY, Rights};
pub use server::{Denial, InMemoryNfs};
