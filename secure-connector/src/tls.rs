//! TLS by rustls: who is dialled, what is sent, what is verified, which sessions are resumed.

pub(crate) mod certificate;
mod diagnose;
mod first_bytes;
mod generation;
pub(crate) mod provider;
mod sessions;
mod stream;

pub use provider::PostQuantum;
pub use stream::TlsStream;
