//! The certificate around the extensions (RFC 5280 section 4.1).

use der::asn1::{Any, BitString, SetOfVec, UtcTime};
use der::oid::db::rfc4519::CN;
use der::oid::db::rfc5912::SHA_256_WITH_RSA_ENCRYPTION;
use der::{DateTime, Encode, Sequence, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::Version;
use x509_cert::ext::Extensions;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use zeroize::Zeroizing;

use super::{CertificateError, CertificateRequest, SignedConnect, extensions};
use crate::ClientKey;

/// A v3 certificate in DER whose issuer is its subject. As the mount helper writes it, it has none of the extensions
/// that web PKI asks for: EFS only reads its own.
pub(super) fn self_signed(
    request: &CertificateRequest,
    key: &ClientKey,
    signed: Option<&SignedConnect>,
    not_before: DateTime,
    not_after: DateTime,
) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let algorithm = AlgorithmIdentifierOwned { oid: SHA_256_WITH_RSA_ENCRYPTION, parameters: Some(Any::null()) };
    let name = common_name(request.common_name.as_str())?;
    let to_be_signed = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&request.serial.to_be_bytes())?,
        signature: algorithm.clone(),
        issuer: name.clone(),
        validity: Validity::new(utc_time(not_before)?, utc_time(not_after)?),
        subject: name,
        subject_public_key_info: key.public_key.clone(),
        extensions: extensions::write(request, key, signed)?,
    };
    let signature =
        key.sign(&to_be_signed.to_der()?).map_err(|source| CertificateError::Sign { source: source.into() })?;
    let certificate = Certificate { to_be_signed, algorithm, signature: BitString::from_bytes(&signature)? };
    Ok(Zeroizing::new(certificate.to_der()?))
}

/// `TBSCertificate`, as x509-cert has it, but there the fields are private and its builder wants another kind of key.
#[derive(Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: RdnSequence,
    validity: Validity,
    subject: RdnSequence,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Extensions,
}

#[derive(Sequence)]
struct Certificate {
    to_be_signed: TbsCertificate,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

fn common_name(name: &str) -> der::Result<RdnSequence> {
    let attribute = AttributeTypeAndValue { oid: CN, value: Any::new(Tag::Utf8String, name.as_bytes())? };
    let name = RelativeDistinguishedName::from(SetOfVec::try_from(vec![attribute])?);
    Ok(RdnSequence::from(vec![name]))
}

fn utc_time(time: DateTime) -> der::Result<Time> {
    UtcTime::from_date_time(time).map(Time::from)
}
