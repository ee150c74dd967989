//! What stands in the certificate of an EFS client, and whether it is one at all.
//!
//! Written from the protocol, and not from the code that makes such certificates: it is there to check that code.

use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::alg_id;
use sha1::{Digest, Sha1};

use super::der::{BOOLEAN, Fault, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, SET, context, dotted};
use super::{Part, Refusal};

/// A certificate of the right shape, signed with its own key. Whether it is any good here and now is not decided.
pub(crate) struct ClientCertificate {
    pub(crate) common_name: String,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    /// SHA-1 of the contents of the `subjectPublicKey` BIT STRING, lower-case hexadecimal.
    pub(crate) public_key_hash: String,
    pub(crate) access_point: Option<String>,
    pub(crate) client_auth: Option<ClientAuth>,
    pub(crate) file_system: String,
    pub(crate) source: String,
    pub(crate) client_version: String,
}

/// EfsClientAuth: the proof of an IAM identity.
pub(crate) struct ClientAuth {
    pub(crate) access_key_id: String,
    /// 64 lower-case hexadecimal digits.
    pub(crate) signature: String,
    pub(crate) signed_at: SystemTime,
    pub(crate) session_token: Option<String>,
}

impl ClientCertificate {
    pub(crate) fn read(der: &[u8]) -> Result<Self, Refusal> {
        let fields = Reader::new(der).all(Fields::read).map_err(malformed(Part::Certificate))?;
        fields.check_signature()?;
        let common_name = common_name(fields.tbs.subject).map_err(malformed(Part::Subject))?;
        fields.check_extension_list()?;

        let public_key_hash = hex::encode(Sha1::digest(fields.tbs.public_key));
        let key_identifier = fields.extension(KEY_IDENTIFIER, Part::SubjectKeyIdentifier, |value| {
            value.value(OCTET_STRING).map(hex::encode)
        })?;
        if key_identifier.as_ref() != Some(&public_key_hash) {
            return Err(Refusal::SubjectKeyIdentifier {
                expected: public_key_hash,
                found: key_identifier.unwrap_or_default(),
            });
        }
        let access_point = fields.extension(ACCESS_POINT, Part::AccessPointId, access_point_id)?;
        let client_auth = fields.extension(CLIENT_AUTH, Part::EfsClientAuth, client_auth)?;
        let file_system =
            fields.extension(FILE_SYSTEM, Part::FileSystemId, |value| value.utf8_string().map(str::to_owned))?;
        let client_info = fields.extension(CLIENT_INFO, Part::EfsClientInfo, client_info)?;
        let (source, client_version) = client_info.unwrap_or_default();
        Ok(Self {
            common_name,
            not_before: fields.tbs.not_before,
            not_after: fields.tbs.not_after,
            public_key_hash,
            access_point,
            client_auth,
            file_system: file_system.unwrap_or_default(),
            source,
            client_version,
        })
    }
}

/// A version 3 certificate (RFC 5280 section 4.1), as far as EFS's has its fields.
struct Fields<'a> {
    tbs: TbsFields<'a>,
    /// The DER of `tbs`.
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

struct TbsFields<'a> {
    algorithm: &'a [u8],
    issuer: &'a [u8],
    not_before: SystemTime,
    not_after: SystemTime,
    subject: &'a [u8],
    public_key: &'a [u8],
    extensions: Vec<Extension<'a>>,
}

struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(input: &mut Reader<'a>) -> Result<Self, Fault> {
        input.within(SEQUENCE, |certificate| {
            Ok(Self {
                signed: certificate.clone().whole_value(SEQUENCE)?,
                tbs: certificate.within(SEQUENCE, TbsFields::read)?,
                algorithm: certificate.value(SEQUENCE)?,
                signature: certificate.bit_string()?,
            })
        })
    }

    fn check_signature(&self) -> Result<(), Refusal> {
        for algorithm in [self.tbs.algorithm, self.algorithm] {
            if algorithm != alg_id::RSA_PKCS1_SHA256.as_ref() {
                let found = Reader::new(algorithm).value(OBJECT_IDENTIFIER).map(dotted);
                return Err(Refusal::SignatureAlgorithm { found: found.unwrap_or_else(|_| hex::encode(algorithm)) });
            }
        }
        if self.tbs.issuer != self.tbs.subject {
            return Err(Refusal::IssuerIsNotSubject);
        }
        default_provider()
            .signature_verification_algorithms
            .all
            .iter()
            .find(|algorithm| algorithm.signature_alg_id() == alg_id::RSA_PKCS1_SHA256)
            .and_then(|algorithm| algorithm.verify_signature(self.tbs.public_key, self.signed, self.signature).ok())
            .ok_or(Refusal::SelfSignature)
    }

    fn check_extension_list(&self) -> Result<(), Refusal> {
        let found: Vec<_> = self.tbs.extensions.iter().map(|extension| extension.oid).collect();
        let optional = [ACCESS_POINT, CLIENT_AUTH];
        let expected: Vec<_> = [KEY_IDENTIFIER, ACCESS_POINT, CLIENT_AUTH, FILE_SYSTEM, CLIENT_INFO]
            .into_iter()
            .filter(|oid| !optional.contains(oid) || found.contains(oid))
            .collect();
        if found != expected {
            let names = |oids: Vec<&[u8]>| oids.into_iter().map(dotted).collect();
            return Err(Refusal::Extensions { expected: names(expected), found: names(found) });
        }
        match self.tbs.extensions.iter().find(|extension| extension.critical) {
            Some(critical) => Err(Refusal::CriticalExtension { oid: dotted(critical.oid) }),
            None => Ok(()),
        }
    }

    /// What `read` makes of the whole value of an extension, if there is one.
    fn extension<T>(
        &self,
        oid: &[u8],
        part: Part,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Refusal> {
        let extension = self.tbs.extensions.iter().find(|extension| extension.oid == oid);
        extension.map(|extension| Reader::new(extension.value).all(read)).transpose().map_err(malformed(part))
    }
}

impl<'a> TbsFields<'a> {
    fn read(tbs: &mut Reader<'a>) -> Result<Self, Fault> {
        if tbs.optional(context(0))? != Some(VERSION_3) {
            return Err("it is not of version 3");
        }
        tbs.value(INTEGER)?; // the serial number, which counts from 0
        let algorithm = tbs.value(SEQUENCE)?;
        let issuer = tbs.value(SEQUENCE)?;
        let (not_before, not_after) =
            tbs.within(SEQUENCE, |validity| Ok((validity.utc_time()?, validity.utc_time()?)))?;
        let subject = tbs.value(SEQUENCE)?;
        let public_key = tbs.within(SEQUENCE, |info| match info.value(SEQUENCE)? {
            algorithm if algorithm == alg_id::RSA_ENCRYPTION.as_ref() => info.bit_string(),
            _ => Err("the public key is not an RSA key"),
        })?;
        let extensions = tbs.within(context(3), |explicit| explicit.within(SEQUENCE, Extension::read_all))?;
        Ok(Self { algorithm, issuer, not_before, not_after, subject, public_key, extensions })
    }
}

impl<'a> Extension<'a> {
    fn read_all(input: &mut Reader<'a>) -> Result<Vec<Self>, Fault> {
        let mut extensions = Vec::new();
        while !input.is_at_end() {
            extensions.push(input.within(SEQUENCE, Self::read)?);
        }
        Ok(extensions)
    }

    fn read(input: &mut Reader<'a>) -> Result<Self, Fault> {
        let oid = input.value(OBJECT_IDENTIFIER)?;
        let critical = match input.optional(BOOLEAN)? {
            None => false,
            Some([0xff]) => true,
            Some(_) => return Err("a BOOLEAN is not TRUE: FALSE, the default, is left out"),
        };
        Ok(Self { oid, critical, value: input.value(OCTET_STRING)? })
    }
}

/// A name of one common name, a UTF8String of 1 to 64 characters (RFC 5280 appendix A.1, ub-common-name).
fn common_name(name: &[u8]) -> Result<String, Fault> {
    let attribute = |attribute: &mut Reader<'_>| match attribute.value(OBJECT_IDENTIFIER)? {
        COMMON_NAME => attribute.utf8_string().map(str::to_owned),
        _ => Err("it has an attribute other than the common name"),
    };
    let name = Reader::new(name).all(|set| set.within(SET, |sequence| sequence.within(SEQUENCE, attribute)))?;
    if (1..=64).contains(&name.chars().count()) { Ok(name) } else { Err("it is not of 1 to 64 characters") }
}

/// `AccessPointId ::= UTF8String`
fn access_point_id(value: &mut Reader<'_>) -> Result<String, Fault> {
    let id = value.utf8_string()?;
    match id.strip_prefix("fsap-") {
        Some(digits) if is_lower_hex(digits, 17) => Ok(id.to_owned()),
        _ => Err("it is not fsap- and 17 lower-case hexadecimal digits"),
    }
}

/// ```text
/// EfsClientAuth ::= SEQUENCE {
///     accessKeyId    UTF8String,
///     signature      OCTET STRING,      -- the hexadecimal digits, not the bytes they stand for
///     sigv4DateTime  UTCTime,
///     sessionToken   [0] EXPLICIT UTF8String OPTIONAL }
/// ```
fn client_auth(value: &mut Reader<'_>) -> Result<ClientAuth, Fault> {
    value.within(SEQUENCE, |auth| {
        let access_key_id = auth.utf8_string()?.to_owned();
        let signature = auth.value(OCTET_STRING)?;
        let signature = std::str::from_utf8(signature)
            .ok()
            .filter(|digits| is_lower_hex(digits, 64))
            .ok_or("the signature is not 64 lower-case hexadecimal digits")?;
        let signed_at = auth.utc_time()?;
        let session_token = match auth.optional(context(0))? {
            None => None,
            Some(explicit) => Some(Reader::new(explicit).all(|token| token.utf8_string().map(str::to_owned))?),
        };
        Ok(ClientAuth { access_key_id, signature: signature.to_owned(), signed_at, session_token })
    })
}

/// `EfsClientInfo ::= SEQUENCE { source UTF8String, efsUtilsVersion UTF8String }`
fn client_info(value: &mut Reader<'_>) -> Result<(String, String), Fault> {
    let (source, version) = value.within(SEQUENCE, |info| Ok((info.utf8_string()?, info.utf8_string()?)))?;
    if !(1..=100).contains(&source.chars().count()) {
        return Err("the source is not of 1 to 100 characters");
    }
    Ok((source.to_owned(), version.to_owned()))
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn malformed(part: Part) -> impl Fn(Fault) -> Refusal {
    move |why| Refusal::Malformed { part, why }
}

/// `INTEGER 2`
const VERSION_3: &[u8] = &[INTEGER, 1, 2];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.14
const KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
/// 1.3.6.1.4.1.4843.7.1 and so on
const ACCESS_POINT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xa5, 0x6b, 0x07, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xa5, 0x6b, 0x07, 0x02];
const FILE_SYSTEM: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xa5, 0x6b, 0x07, 0x03];
const CLIENT_INFO: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xa5, 0x6b, 0x07, 0x04];
