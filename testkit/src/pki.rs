//! A certificate authority for tests.

use std::error::Error;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize,
};
use sha2::{Digest, Sha256};

use crate::certificate::{CERTIFICATE, to_pem};
use crate::{LeafBuilder, Validity};

/// A certificate authority: a root, or an intermediate below one.
///
/// Every authority has a name of its own, so a certificate of one is an *unknown issuer* to those who trust another.
///
/// ```
/// use secure_connector_testkit::{CaOptions, TestPki};
///
/// let root = TestPki::new()?;
/// let intermediate = root.intermediate(CaOptions::default())?;
/// let server = intermediate.leaf().dns("localhost").issue()?;
/// assert_eq!(server.chain_der().len(), 2); // leaf and intermediate; the root is what the client trusts
/// # Ok::<(), secure_connector_testkit::PkiError>(())
/// ```
#[derive(Debug)]
pub struct TestPki {
    pub(crate) authority: CertifiedIssuer<'static, KeyPair>,
    /// From this authority up to, but without, the root. Empty for a root.
    pub(crate) intermediates: Vec<Vec<u8>>,
    root: Vec<u8>,
}

impl TestPki {
    /// A root with a P-256 key and the default [`Validity`].
    ///
    /// # Errors
    /// [`PkiError::Generate`] when the system gives no randomness.
    pub fn new() -> Result<Self, PkiError> {
        Self::root(CaOptions::default())
    }

    /// A root as `options` say.
    ///
    /// # Errors
    /// [`PkiError::Generate`] when the key cannot be made or a date is beyond the year 9999.
    pub fn root(options: CaOptions) -> Result<Self, PkiError> {
        let key = options.key.generate()?;
        let authority = CertifiedIssuer::self_signed(options.params("root", &key), key).map_err(PkiError::generate)?;
        Ok(Self { root: authority.der().to_vec(), authority, intermediates: Vec::new() })
    }

    /// An intermediate authority issued by this one. What it issues carries the chain up to the root.
    ///
    /// # Errors
    /// [`PkiError::Generate`] as for [`root`](Self::root).
    pub fn intermediate(&self, options: CaOptions) -> Result<Self, PkiError> {
        let key = options.key.generate()?;
        let authority = CertifiedIssuer::signed_by(options.params("intermediate", &key), key, &self.authority)
            .map_err(PkiError::generate)?;
        let mut intermediates = vec![authority.der().to_vec()];
        intermediates.extend_from_slice(&self.intermediates);
        Ok(Self { authority, intermediates, root: self.root.clone() })
    }

    /// Begins a certificate issued by this authority.
    pub fn leaf(&self) -> LeafBuilder<'_> {
        LeafBuilder::new(self)
    }

    /// The root above everything this authority issues (for a root: itself), DER.
    pub fn root_der(&self) -> &[u8] {
        &self.root
    }

    /// [`root_der`](Self::root_der) as PEM, for a CA file.
    pub fn root_pem(&self) -> String {
        to_pem(CERTIFICATE, &self.root)
    }

    /// The certificate of this very authority, DER.
    pub fn authority_der(&self) -> &[u8] {
        self.authority.der()
    }
}

/// What a root or an intermediate is to be like.
#[derive(Clone, Debug, Default)]
pub struct CaOptions {
    common_name: Option<String>,
    key: KeyKind,
    validity: Validity,
}

impl CaOptions {
    /// The subject's common name. Default: "Test root" or "Test intermediate" and a part of the key's hash.
    pub fn common_name(mut self, name: impl Into<String>) -> Self {
        self.common_name = Some(name.into());
        self
    }

    /// The key. Default: P-256.
    pub fn key(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    /// The dates. [`Validity::expired`] makes an expired root or intermediate.
    pub fn validity(mut self, validity: Validity) -> Self {
        self.validity = validity;
        self
    }

    fn params(self, kind: &str, key: &KeyPair) -> CertificateParams {
        let name = self.common_name.unwrap_or_else(|| {
            let unique = hex::encode(Sha256::digest(key.der_bytes()));
            format!("Test {kind} {unique:.8}")
        });
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name_only(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = self.validity.not_before.into();
        params.not_after = self.validity.not_after.into();
        params.use_authority_key_identifier_extension = true;
        params
    }
}

/// The kind of a key pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on P-256: quick to make.
    #[default]
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits: what the EFS mount helper makes. Takes up to a second.
    Rsa3072,
}

impl KeyKind {
    pub(crate) fn generate(self) -> Result<KeyPair, PkiError> {
        match self {
            Self::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
            Self::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            Self::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
        }
        .map_err(PkiError::generate)
    }
}

pub(crate) fn common_name_only(name: String) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// Why a test certificate, or a TLS configuration with one, could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The name cannot stand in a certificate.
    #[error("{name:?} cannot be a subject alternative name: it must be ASCII (write a host name as its A-label)")]
    Name {
        /// The name as given.
        name: String,
        /// What the encoder said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Key generation, encoding or signing failed.
    #[error("cannot make the key or certificate")]
    Generate {
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The text is not the PEM that is needed.
    #[error("expected {expected} in the PEM text")]
    Pem {
        /// What was looked for.
        expected: &'static str,
        /// The parser's error, when the text is no PEM at all.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The TLS library refused the certificate, key, root or set of versions.
    #[error("no TLS configuration can be made of the certificate and options")]
    Tls {
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl PkiError {
    pub(crate) fn generate(source: rcgen::Error) -> Self {
        Self::Generate { source: Box::new(source) }
    }

    pub(crate) fn tls(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Tls { source: Box::new(source) }
    }
}
