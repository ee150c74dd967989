//! A fake ElastiCache (MemoryDB, Redis, Valkey).
//!
//! [`FakeElastiCache`] is the cache: it keeps a journal of who came and what they asked, and can be told to rotate its tokens, to
//! fail over and to misbehave. [`IamRules`] are its judgement of IAM tokens, which needs no connection: code that makes such
//! tokens can be tested with the rules alone.
//!
//! ```
//! use secure_connector_testkit::TestPki;
//! use secure_connector_testkit::redis::{FakeElastiCache, User};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pki = TestPki::new()?;
//! let cache = FakeElastiCache::builder()
//!     .auth_token("an-auth-token-0123456789")
//!     .user(User::new("app", "on ~app:* +@all -@dangerous")?.password("its password"))
//!     .start(&pki)
//!     .await?;
//! // … connect to cache.addr() with pki.root_der() as the only root, then:
//! // let journal = cache.wait_until(|journal| journal.len() > 1).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Limitations
//! The commands are those of [`FakeElastiCache`], and `SET` knows `NX`, `XX`, `EX` and `PX`. Nothing is replicated: all nodes of a
//! shard show the same keys. What the real service answers where open-source servers have no say (an IAM token that is not good,
//! the twelfth hour) is not documented in detail: here it is `WRONGPASS`, and an end of the connection without a word.

mod accounts;
mod cache;
mod command;
mod connection;
mod engine;
mod execute;
mod iam;
mod journal;
mod keyspace;
mod misbehaviour;
mod refusal;
mod session;
mod signature;
mod state;
mod topology;
mod user;
mod wire;
pub use cache::{ElastiCacheBuilder, Encryption, FakeElastiCache, UnknownToken};
pub use engine::Engine;
pub use iam::{IamKey, IamRules, IamService};
pub use journal::{Counters, Event, JournalEntry, Proof};
pub use misbehaviour::Misbehaviour;
pub use refusal::{AuthRefusal, IamRefusal};
pub use topology::Announce;
pub use user::{AccessError, User};
