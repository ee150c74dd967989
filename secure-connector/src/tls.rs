//! TLS by rustls: who is dialled, what is sent, what is verified, which sessions are resumed.

pub(crate) mod certificate;
pub(crate) mod provider;

pub use provider::PostQuantum;
