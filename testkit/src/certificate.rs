//! A certificate chain with its private key, as DER and as PEM.

use std::fmt;

use pem::{EncodeConfig, LineEnding, Pem};
use zeroize::Zeroizing;

use crate::PkiError;

/// A certificate, the intermediates to send with it, and its private key.
///
/// Made by [`LeafBuilder::issue`](crate::LeafBuilder::issue) or read by [`from_pem`](Self::from_pem).
/// `Debug` never shows the key.
#[derive(Clone)]
pub struct TestCertificate {
    chain: Vec<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl TestCertificate {
    /// Reads a chain (leaf first) and an unencrypted PKCS#8 key.
    ///
    /// # Errors
    /// [`PkiError::Pem`] when there is no `CERTIFICATE` block, or no `PRIVATE KEY` block, or when either text is not PEM.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, PkiError> {
        let unreadable = |error| PkiError::Pem { expected: "PEM blocks", source: Some(Box::new(error)) };
        let chain: Vec<_> = pem::parse_many(chain)
            .map_err(unreadable)?
            .into_iter()
            .filter(|block| block.tag() == CERTIFICATE)
            .map(Pem::into_contents)
            .collect();
        if chain.is_empty() {
            return Err(PkiError::Pem { expected: "a CERTIFICATE block", source: None });
        }
        let key = pem::parse_many(key)
            .map_err(unreadable)?
            .into_iter()
            .find(|block| block.tag() == PRIVATE_KEY)
            .ok_or(PkiError::Pem { expected: "a PRIVATE KEY block (PKCS#8)", source: None })?;
        Ok(Self::new(chain, key.into_contents()))
    }

    /// `chain` is leaf first and holds at least the leaf.
    pub(crate) fn new(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Self {
        Self { chain, key: Zeroizing::new(key) }
    }

    /// The certificate itself, DER.
    pub fn leaf_der(&self) -> &[u8] {
        self.chain.first().map_or(&[], Vec::as_slice)
    }

    /// The certificate and its intermediates, DER, leaf first, without the root.
    pub fn chain_der(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// [`chain_der`](Self::chain_der) as PEM.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|der| to_pem(CERTIFICATE, der)).collect()
    }

    /// The private key, PKCS#8 DER.
    pub fn key_der(&self) -> &[u8] {
        &self.key
    }

    /// The private key, PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(to_pem(PRIVATE_KEY, &self.key))
    }

    /// The same certificate as a server shows it that forgot to install its intermediates.
    pub fn without_intermediates(mut self) -> Self {
        self.chain.truncate(1);
        self
    }
}

impl fmt::Debug for TestCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCertificate")
            .field("chain", &self.chain.iter().map(hex::encode).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

pub(crate) fn to_pem(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";
