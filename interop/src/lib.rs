//! Starts the real peers that the tests and the benchmark talk to: nfs-ganesha with libnfs, stunnel, OpenSSL, haproxy.
//!
//! Every peer has its own folder, configuration and free loopback port, and is killed when its value is dropped. When a
//! test panics, the log of each peer that it started is printed.

mod daemon;
mod ganesha;
mod haproxy;
mod libnfs;
mod openssl;
mod pem_files;
pub mod plain;
mod redis_cluster;
mod redis_server;
mod stunnel;

pub use daemon::{Daemon, run};
pub use ganesha::{ExportAccess, Ganesha};
pub use haproxy::haproxy;
pub use libnfs::Libnfs;
pub use openssl::{s_client, s_server};
pub use pem_files::PemFiles;
pub use redis_cluster::{NodeNames, RedisCluster};
pub use redis_server::{RedisOptions, RedisProgram, RedisServer};
pub use stunnel::stunnel;
