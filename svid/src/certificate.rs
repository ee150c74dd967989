//! What of a certificate the SPIFFE rules are about. Strict DER, nothing copied but lists.

use std::time::{Duration, SystemTime};

use der::{
    Decode as _, Sequence, Tag,
    asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, UtcTime},
};
use rustls::pki_types::alg_id;

use crate::x509::X509SvidError;

/// A certificate with the extensions that are judged.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    /// Its place in what was presented; leaf = 0.
    pub(crate) index: usize,
    pub(crate) empty_subject: bool,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    pub(crate) key: SubjectPublicKey<'a>,
    /// URIs of the subject alternative name, as they are.
    pub(crate) uris: Vec<&'a [u8]>,
    pub(crate) san_critical: bool,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    /// `None`: no extension, that is, any purpose.
    pub(crate) purposes: Option<Vec<ObjectIdentifier>>,
    pub(crate) name_constraints: Option<&'a [u8]>,
    pub(crate) unknown_critical: Option<ObjectIdentifier>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct SubjectPublicKey<'a> {
    pub(crate) algorithm: AnyRef<'a>,
    pub(crate) key: BitStringRef<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct BasicConstraints {
    #[asn1(default = "Default::default")]
    pub(crate) ca: bool,
    #[asn1(optional = "true")]
    pub(crate) path_length: Option<u32>,
}

/// RFC 5280 section 4.2.1.3, first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    pub(crate) critical: bool,
    bits: u8,
}

impl KeyUsage {
    pub(crate) fn digital_signature(self) -> bool {
        self.bits & 0x80 != 0
    }

    pub(crate) fn key_cert_sign(self) -> bool {
        self.bits & 0x04 != 0
    }

    pub(crate) fn crl_sign(self) -> bool {
        self.bits & 0x02 != 0
    }
}

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

impl<'a> Certificate<'a> {
    pub(crate) fn read(der: &'a [u8], index: usize) -> Result<Self, X509SvidError> {
        let signed = Signed::from_der(der)
            .map_err(|source| X509SvidError::NotDer { certificate: index, source: Box::new(source) })?;
        let tbs = signed.tbs;
        let mut certificate = Self {
            index,
            empty_subject: tbs.subject.value().is_empty(),
            not_before: tbs.validity.not_before.system_time(),
            not_after: tbs.validity.not_after.system_time(),
            key: tbs.subject_public_key,
            uris: Vec::new(),
            san_critical: false,
            basic_constraints: None,
            key_usage: None,
            purposes: None,
            name_constraints: None,
            unknown_critical: None,
        };
        let extensions = tbs.extensions.unwrap_or_default();
        for (position, extension) in extensions.iter().enumerate() {
            let malformed = |source: Option<der::Error>| X509SvidError::Extension {
                certificate: index,
                extension: extension.id.to_string(),
                source: source.map(Into::into),
            };
            // "A certificate MUST NOT include more than one instance of a particular extension."
            if extensions.iter().take(position).any(|before| before.id == extension.id) {
                return Err(malformed(None));
            }
            certificate.take(extension).map_err(|e| malformed(Some(e)))?;
        }
        Ok(certificate)
    }

    pub(crate) fn is_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|constraints| constraints.ca)
    }

    /// Modulus and exponent of an RSA key, big-endian.
    pub(crate) fn rsa_key(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.key.algorithm.value() != alg_id::RSA_ENCRYPTION.as_ref() {
            return None;
        }
        let key = RsaPublicKey::from_der(self.key.key.as_bytes()?).ok()?;
        Some((key.modulus.value(), key.exponent.value()))
    }

    /// `Some(bits)` of an RSA key.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        let mut modulus = self.rsa_key()?.0.iter().skip_while(|byte| **byte == 0);
        let first = modulus.next()?;
        Some(8 * modulus.count() + 8 - first.leading_zeros() as usize)
    }

    fn take(&mut self, extension: &Extension<'a>) -> der::Result<()> {
        let value = extension.value.as_bytes();
        match extension.id {
            SUBJECT_ALT_NAME => {
                self.san_critical = extension.critical;
                self.uris = uris(value)?;
            }
            BASIC_CONSTRAINTS => self.basic_constraints = Some(BasicConstraints::from_der(value)?),
            KEY_USAGE => {
                let bits = BitStringRef::from_der(value)?.raw_bytes().first().copied().unwrap_or_default();
                self.key_usage = Some(KeyUsage { critical: extension.critical, bits });
            }
            EXTENDED_KEY_USAGE => self.purposes = Some(Vec::from_der(value)?),
            NAME_CONSTRAINTS => self.name_constraints = Some(value),
            // webpki reads it where it matters.
            CRL_DISTRIBUTION_POINTS => {}
            id if extension.critical => self.unknown_critical = self.unknown_critical.or(Some(id)),
            _ => {}
        }
        Ok(())
    }
}

/// `uniformResourceIdentifier [6] IA5String` among `GeneralNames` (RFC 5280 section 4.2.1.6).
fn uris(general_names: &[u8]) -> der::Result<Vec<&[u8]>> {
    let names = Vec::<AnyRef<'_>>::from_der(general_names)?;
    let mut uris = Vec::new();
    for name in names {
        match der::Tagged::tag(&name) {
            Tag::ContextSpecific { constructed: false, number } if number.value() == 6 => uris.push(name.value()),
            Tag::ContextSpecific { number, .. } if number.value() <= 8 && number.value() != 6 => {}
            other => return Err(other.unexpected_error(None).into()),
        }
    }
    Ok(uris)
}

#[derive(Sequence)]
struct Signed<'a> {
    tbs: Tbs<'a>,
    signature_algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

#[derive(Sequence)]
struct Tbs<'a> {
    #[asn1(context_specific = "0", default = "Default::default")]
    version: u8,
    serial: AnyRef<'a>,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    validity: Validity,
    subject: AnyRef<'a>,
    subject_public_key: SubjectPublicKey<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    issuer_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    subject_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "3", optional = "true")]
    extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
struct Validity {
    not_before: Time,
    not_after: Time,
}

#[derive(Clone, Copy, der::Choice)]
pub(crate) enum Time {
    #[asn1(type = "UTCTime")]
    Utc(UtcTime),
    #[asn1(type = "GeneralizedTime")]
    Generalized(GeneralizedTime),
}

impl Time {
    pub(crate) fn system_time(self) -> SystemTime {
        let since_epoch = match self {
            Self::Utc(time) => time.to_unix_duration(),
            Self::Generalized(time) => time.to_unix_duration(),
        };
        SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
    }
}

#[derive(Clone, Sequence)]
struct Extension<'a> {
    id: ObjectIdentifier,
    #[asn1(default = "Default::default")]
    critical: bool,
    value: &'a OctetStringRef,
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: AnyRef<'a>,
    exponent: AnyRef<'a>,
}
