//! Certificates for servers and clients, right ones and odd ones.

use std::net::IpAddr;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use crate::pki::common_name_only;
use crate::{KeyKind, PkiError, TestCertificate, TestPki, Validity};

/// A certificate about to be issued.
///
/// Without further calls it is a P-256 server certificate without any name. Every name given is one entry of the subject
/// alternative name extension; without any, the extension is left out.
///
/// ```
/// # use secure_connector_testkit::{TestPki, Usage, Validity};
/// # use std::time::SystemTime;
/// # let pki = TestPki::new()?;
/// let good = pki.leaf().dns("*.efs.us-east-1.amazonaws.com").issue()?;
/// let common_name_only = pki.leaf().common_name("localhost").issue()?;
/// let expired = pki.leaf().dns("localhost").validity(Validity::expired(SystemTime::now())).issue()?;
/// let for_clients_only = pki.leaf().dns("localhost").usage(Usage::Client).issue()?;
/// let authority_as_server = pki.leaf().dns("localhost").authority().issue()?;
/// let self_signed = pki.leaf().dns("localhost").self_signed()?;
/// let of_an_unknown_root = TestPki::new()?.leaf().dns("localhost").issue()?;
/// # Ok::<(), secure_connector_testkit::PkiError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is issued before `issue` or `self_signed`"]
pub struct LeafBuilder<'a> {
    issuer: &'a TestPki,
    names: Vec<Name>,
    common_name: Option<String>,
    key: KeyKind,
    validity: Validity,
    usage: Usage,
    is_ca: IsCa,
    extensions: Vec<CustomExtension>,
}

impl<'a> LeafBuilder<'a> {
    pub(crate) fn new(issuer: &'a TestPki) -> Self {
        Self {
            issuer,
            names: Vec::new(),
            common_name: None,
            key: KeyKind::default(),
            validity: Validity::default(),
            usage: Usage::default(),
            is_ca: IsCa::NoCa,
            extensions: Vec::new(),
        }
    }

    /// Adds a dNSName, written as given: wildcards and malformed names too, as long as they are ASCII.
    pub fn dns(mut self, name: impl Into<String>) -> Self {
        self.names.push(Name::Dns(name.into()));
        self
    }

    /// Adds an iPAddress.
    pub fn ip(mut self, address: impl Into<IpAddr>) -> Self {
        self.names.push(Name::Ip(address.into()));
        self
    }

    /// Adds a uniformResourceIdentifier.
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.names.push(Name::Uri(uri.into()));
        self
    }

    /// Sets the subject's common name (UTF8String). Default: an empty subject.
    pub fn common_name(mut self, name: impl Into<String>) -> Self {
        self.common_name = Some(name.into());
        self
    }

    /// Sets the kind of key. Default: P-256.
    pub fn key(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    /// Sets the dates.
    pub fn validity(mut self, validity: Validity) -> Self {
        self.validity = validity;
        self
    }

    /// Sets the extended key usage. Default: [`Usage::Server`].
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Adds basicConstraints with `CA:TRUE`, as `openssl req -x509` does: an authority used as an end entity.
    pub fn authority(mut self) -> Self {
        self.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }

    /// Adds a non-critical extension: the arcs of its identifier, and the DER inside its `extnValue`.
    pub fn extension(mut self, oid: &[u64], der: impl Into<Vec<u8>>) -> Self {
        self.extensions.push(CustomExtension::from_oid_content(oid, der.into()));
        self
    }

    /// Issues the certificate, with the issuer's chain below the root.
    ///
    /// # Errors
    /// [`PkiError::Name`] for a name that is not ASCII, [`PkiError::Generate`] when the key cannot be made.
    pub fn issue(self) -> Result<TestCertificate, PkiError> {
        let issuer = self.issuer;
        let (key, mut params) = self.key_and_params()?;
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &issuer.authority).map_err(PkiError::generate)?;
        Ok(certificate(&leaf, &issuer.intermediates, &key))
    }

    /// Signs the certificate with its own key: the issuer plays no part.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn self_signed(self) -> Result<TestCertificate, PkiError> {
        let (key, params) = self.key_and_params()?;
        let leaf = params.self_signed(&key).map_err(PkiError::generate)?;
        Ok(certificate(&leaf, &[], &key))
    }

    fn key_and_params(self) -> Result<(KeyPair, CertificateParams), PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.common_name.map_or_else(DistinguishedName::new, common_name_only);
        params.subject_alt_names = self.names.into_iter().map(Name::encode).collect::<Result<_, _>>()?;
        params.not_before = self.validity.not_before.into();
        params.not_after = self.validity.not_after.into();
        params.is_ca = self.is_ca;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.usage.purposes();
        params.custom_extensions = self.extensions;
        Ok((self.key.generate()?, params))
    }
}

/// What a certificate may be used for (extended key usage, RFC 5280 section 4.2.1.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Usage {
    /// serverAuth.
    #[default]
    Server,
    /// clientAuth.
    Client,
    /// Both.
    ServerAndClient,
    /// The extension is left out: any purpose.
    Unrestricted,
}

impl Usage {
    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Self::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Self::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Self::ServerAndClient => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Self::Unrestricted => Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
enum Name {
    Dns(String),
    Ip(IpAddr),
    Uri(String),
}

impl Name {
    fn encode(self) -> Result<SanType, PkiError> {
        let ascii = |name: String| {
            Ia5String::try_from(name.as_str()).map_err(|source| PkiError::Name { name, source: Box::new(source) })
        };
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(ascii(name)?),
            Self::Ip(address) => SanType::IpAddress(address),
            Self::Uri(uri) => SanType::URI(ascii(uri)?),
        })
    }
}

fn certificate(leaf: &Certificate, intermediates: &[Vec<u8>], key: &KeyPair) -> TestCertificate {
    let mut chain = vec![leaf.der().to_vec()];
    chain.extend_from_slice(intermediates);
    TestCertificate::new(chain, key.serialize_der())
}
