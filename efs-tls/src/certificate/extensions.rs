//! The extensions by which a certificate speaks to EFS, written and read.

use std::fmt;
use std::time::SystemTime;

use der::asn1::{ObjectIdentifier, OctetString, OctetStringRef, UtcTime, Utf8StringRef};
use der::oid::db::rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER;
use der::{Decode, Encode, Sequence};
use x509_cert::ext::{Extension, Extensions};
use zeroize::Zeroizing;

use super::{CertificateRequest, ClientInfo, SignedConnect};
use crate::{AccessPointId, ClientKey, FileSystemId, ParseError, PublicKeyHash};

const ACCESS_POINT_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.4843.7.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.4843.7.2");
const FILE_SYSTEM_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.4843.7.3");
const CLIENT_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.4843.7.4");

/// All extensions, in the order of the EFS mount helper.
pub(super) fn write(
    request: &CertificateRequest,
    key: &ClientKey,
    signed: Option<&SignedConnect>,
) -> der::Result<Extensions> {
    let hash = key.public_key_hash();
    let mut extensions = vec![extension(ID_CE_SUBJECT_KEY_IDENTIFIER, &OctetStringRef::new(hash.as_bytes())?)?];
    if let Some(access_point) = &request.access_point {
        extensions.push(extension(ACCESS_POINT_ID, &Utf8StringRef::new(access_point.as_str())?)?);
    }
    if let Some(signed) = signed {
        let auth = ClientAuthDer {
            access_key_id: Utf8StringRef::new(signed.access_key_id())?,
            signature: OctetStringRef::new(signed.signature().as_bytes())?,
            sigv4_date_time: UtcTime::from_date_time(signed.signed_at)?,
            session_token: signed.session_token.as_deref().map(Utf8StringRef::new).transpose()?,
        };
        extensions.push(extension(CLIENT_AUTH, &auth)?);
    }
    extensions.push(extension(FILE_SYSTEM_ID, &Utf8StringRef::new(request.file_system.as_str())?)?);
    let info = ClientInfoDer {
        source: Utf8StringRef::new(request.client_info.source())?,
        efs_utils_version: Utf8StringRef::new(request.client_info.version())?,
    };
    extensions.push(extension(CLIENT_INFO, &info)?);
    Ok(extensions)
}

fn extension(extn_id: ObjectIdentifier, value: &impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id, critical: false, extn_value: OctetString::new(value.to_der()?)? })
}

#[derive(Sequence)]
struct ClientAuthDer<'a> {
    access_key_id: Utf8StringRef<'a>,
    /// The 64 hexadecimal digits as ASCII, not the 32 bytes that they stand for.
    signature: &'a OctetStringRef,
    /// The instant of `X-Amz-Date`.
    sigv4_date_time: UtcTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    session_token: Option<Utf8StringRef<'a>>,
}

#[derive(Sequence)]
struct ClientInfoDer<'a> {
    source: Utf8StringRef<'a>,
    efs_utils_version: Utf8StringRef<'a>,
}

/// What a client certificate says to EFS, made by this crate or by the EFS mount helper.
///
/// Nothing is verified: neither the certificate's own signature nor the IAM signature, for which
/// [`CertificateRequest::sign`] is there.
#[derive(Debug)]
#[non_exhaustive]
pub struct EfsCertificate {
    /// The hash of the certificate's public key, computed and not taken from an extension.
    pub public_key_hash: PublicKeyHash,
    /// The file system to be mounted.
    pub file_system: FileSystemId,
    /// The access point to enter by, if any.
    pub access_point: Option<AccessPointId>,
    /// The IAM signature; `None` for an anonymous client.
    pub client_auth: Option<ClientAuth>,
    /// The software that made the certificate. Old mount helpers did not say.
    pub client_info: Option<ClientInfo>,
}

impl EfsCertificate {
    /// Reads an X.509 certificate in DER.
    ///
    /// The watchdog of the EFS mount helper puts a space before both client-information strings of certificates that it
    /// renews; it is dropped.
    ///
    /// # Errors
    /// [`EfsCertificateError`], one variant per reason.
    pub fn from_der(der: &[u8]) -> Result<Self, EfsCertificateError> {
        let certificate = x509_cert::Certificate::from_der(der)
            .map_err(|e| EfsCertificateError::NotACertificate { source: e.into() })?;
        let certificate = certificate.tbs_certificate();
        let extensions = certificate.extensions().map_or(&[][..], Vec::as_slice);
        let client_info = read::<ClientInfoDer<'_>>(extensions, CLIENT_INFO)?
            .map(|info| ClientInfo::new(without_space(info.source), without_space(info.efs_utils_version)))
            .transpose()
            .map_err(|source| EfsCertificateError::Value { source })?;
        Ok(Self {
            public_key_hash: PublicKeyHash::of(certificate.subject_public_key_info()),
            file_system: read_id(extensions, FILE_SYSTEM_ID)?.ok_or(EfsCertificateError::NoFileSystem)?,
            access_point: read_id(extensions, ACCESS_POINT_ID)?,
            client_auth: read::<ClientAuthDer<'_>>(extensions, CLIENT_AUTH)?.map(ClientAuth::from),
            client_info,
        })
    }
}

/// The IAM signature of a client certificate.
#[non_exhaustive]
pub struct ClientAuth {
    /// The id of the access key that signed.
    pub access_key_id: String,
    /// The signature as it stands: 64 lower-case hexadecimal digits if it is well-formed.
    pub signature: Vec<u8>,
    /// When it was signed, to the second.
    pub signed_at: SystemTime,
    session_token: Option<Zeroizing<String>>,
}

impl ClientAuth {
    /// The session token of temporary credentials. Not for logs.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref().map(String::as_str)
    }
}

impl From<ClientAuthDer<'_>> for ClientAuth {
    fn from(auth: ClientAuthDer<'_>) -> Self {
        Self {
            access_key_id: auth.access_key_id.as_str().to_owned(),
            signature: auth.signature.as_bytes().to_vec(),
            signed_at: auth.sigv4_date_time.to_system_time(),
            session_token: auth.session_token.map(|token| Zeroizing::new(token.as_str().to_owned())),
        }
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth")
            .field("access_key_id", &self.access_key_id)
            .field("signature", &String::from_utf8_lossy(&self.signature))
            .field("signed_at", &self.signed_at)
            .field("session_token", &self.session_token.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

/// Why a certificate says nothing that EFS would understand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EfsCertificateError {
    /// Not an X.509 certificate.
    #[error("expected one X.509 certificate in DER, found something else")]
    NotACertificate {
        /// The decoder's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The extension with the file system is missing.
    #[error("the certificate names no file system: extension {FILE_SYSTEM_ID} is missing")]
    NoFileSystem,
    /// An extension occurs more than once (RFC 5280 section 4.2).
    #[error("extension {oid} occurs more than once in the certificate")]
    Repeated {
        /// Its object identifier.
        oid: String,
    },
    /// An extension is not of the type that EFS gives it.
    #[error("extension {oid} of the certificate is malformed")]
    Malformed {
        /// Its object identifier.
        oid: String,
        /// The decoder's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value in an extension is not a valid one.
    #[error("an extension of the certificate has an invalid value")]
    Value {
        /// What is wrong with it.
        source: ParseError,
    },
}

fn read_id<T: std::str::FromStr<Err = ParseError>>(
    extensions: &[Extension],
    oid: ObjectIdentifier,
) -> Result<Option<T>, EfsCertificateError> {
    read::<Utf8StringRef<'_>>(extensions, oid)?
        .map(|text| text.as_str().parse())
        .transpose()
        .map_err(|source| EfsCertificateError::Value { source })
}

fn read<'a, T: Decode<'a, Error = der::Error>>(
    extensions: &'a [Extension],
    oid: ObjectIdentifier,
) -> Result<Option<T>, EfsCertificateError> {
    let mut found = extensions.iter().filter(|extension| extension.extn_id == oid);
    let Some(extension) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(EfsCertificateError::Repeated { oid: oid.to_string() });
    }
    T::from_der(extension.extn_value.as_bytes())
        .map(Some)
        .map_err(|e| EfsCertificateError::Malformed { oid: oid.to_string(), source: e.into() })
}

fn without_space(text: Utf8StringRef<'_>) -> &str {
    let text = text.as_str();
    text.strip_prefix(' ').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::CommonName;
    use super::*;

    /// A certificate with `from` replaced by `to` in its DER: nothing here checks its own signature.
    #[track_caller]
    fn read_with(from: &[u8], to: &[u8]) -> Result<EfsCertificate, EfsCertificateError> {
        assert_eq!(from.len(), to.len());
        let key = ClientKey::from_pkcs8_pem(include_bytes!("../../tests/keys/rsa-2048.pem")).unwrap();
        let (file_system, region) = ("fs-0123456789abcdef0".parse().unwrap(), "us-east-1".parse().unwrap());
        let request = CertificateRequest::new(file_system, region, CommonName::from_host_name("host"));
        let certificate = request.issue(&key, None, UNIX_EPOCH + Duration::from_secs(1_709_618_828)).unwrap();
        let mut der = certificate.der().to_vec();
        let place = der.windows(from.len()).position(|window| window == from).unwrap();
        der[place..place + to.len()].copy_from_slice(to);
        EfsCertificate::from_der(&der)
    }

    const FILE_SYSTEM: &[u8] = b"\x04\x01\xa5\x6b\x07\x03\x04\x16\x0c\x14fs-";

    #[test]
    fn what_was_written_is_read() {
        let read = read_with(b"fs-0", b"fs-0").unwrap();
        assert_eq!(read.file_system.as_str(), "fs-0123456789abcdef0");
        assert!(read.access_point.is_none() && read.client_auth.is_none());
        assert_eq!(read.client_info, Some(ClientInfo::default()));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        let error = EfsCertificate::from_der(b"0\x03\x02\x01\x00").unwrap_err();
        assert!(matches!(error, EfsCertificateError::NotACertificate { .. }), "{error}");
    }

    #[test]
    fn a_certificate_without_a_file_system_is_refused() {
        let error = read_with(FILE_SYSTEM, b"\x04\x01\xa5\x6b\x07\x09\x04\x16\x0c\x14fs-").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the certificate names no file system: extension 1.3.6.1.4.1.4843.7.3 is missing"
        );
    }

    #[test]
    fn an_extension_that_occurs_twice_is_refused() {
        let error = read_with(b"\x04\x01\xa5\x6b\x07\x04\x04", b"\x04\x01\xa5\x6b\x07\x03\x04").unwrap_err();
        assert_eq!(error.to_string(), "extension 1.3.6.1.4.1.4843.7.3 occurs more than once in the certificate");
    }

    #[test]
    fn an_extension_of_another_type_is_refused() {
        let error = read_with(FILE_SYSTEM, b"\x04\x01\xa5\x6b\x07\x03\x04\x16\x13\x14fs-").unwrap_err();
        assert!(
            matches!(&error, EfsCertificateError::Malformed { oid, .. } if oid == "1.3.6.1.4.1.4843.7.3"),
            "{error}"
        );
    }

    #[test]
    fn an_extension_with_an_invalid_value_is_refused() {
        let error = read_with(b"fs-0", b"fs-X").unwrap_err();
        assert!(
            matches!(&error, EfsCertificateError::Value { source } if source.found == "fs-X123456789abcdef0"),
            "{error}"
        );
    }

    #[test]
    fn the_space_that_the_watchdog_puts_before_client_information_is_dropped() {
        // "unknown" becomes " nknown" in place.
        let info = read_with(b"unknown", b" nknown").unwrap().client_info.unwrap();
        assert_eq!((info.source(), info.version()), ("nknown", "3.2.0"));
    }
}
