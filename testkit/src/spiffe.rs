//! A SPIFFE agent: the server side of the Workload API.
//!
//! [`SpiffeAgent`] issues X.509-SVIDs and JWT-SVIDs from an authority of its own, to whoever asks. It rotates, withdraws,
//! federates, falls silent and sends [`Garbage`] when it is told to, and counts who came.
//!
//! ```
//! use secure_connector_testkit::spiffe::SpiffeAgent;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let agent = SpiffeAgent::builder("example.org").workload("/ns/prod/sa/web").start().await?;
//! println!("SPIFFE_ENDPOINT_SOCKET={}", agent.address());
//! agent.rotate()?; // every client that is connected gets a new SVID now
//! agent.withdraw(); // and none at all now
//! # Ok(())
//! # }
//! ```
//!
//! # Clients
//! Over a Unix socket, clients built on gRPC's C core (Python, C++, Ruby) name the socket's path as authority,
//! percent-encoded, which HTTP/2 servers in Rust refuse with `PROTOCOL_ERROR`. This one lets them in.
//!
//! # Limitations
//! - Nobody is attested: every caller gets every identity.
//! - `ValidateJWTSVID` knows the tokens that this agent has issued, and no others.
//! - There are no WIT-SVIDs: those calls are answered `UNIMPLEMENTED`, as the standard demands.

mod agent;
mod answers;
mod authority;
mod builder;
mod call;
mod garbage;
mod jwt;
mod messages;
mod state;
pub use agent::{AgentCounters, AgentError, SpiffeAgent};
pub use builder::SpiffeAgentBuilder;
pub use garbage::Garbage;
pub use state::TrustBundle;
