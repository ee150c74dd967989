//! Client certificates made from scratch, to get one thing wrong at a time.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, Issuer, KeyPair, SerialNumber,
    SignatureAlgorithm,
};
use sha2::{Digest, Sha256};

use crate::vectors::{Vector, key_pem};

pub(crate) const KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
pub(crate) const ACCESS_POINT: &[u64] = &[1, 3, 6, 1, 4, 1, 4843, 7, 1];
pub(crate) const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 4, 1, 4843, 7, 2];
pub(crate) const FILE_SYSTEM: &[u64] = &[1, 3, 6, 1, 4, 1, 4843, 7, 3];
pub(crate) const CLIENT_INFO: &[u64] = &[1, 3, 6, 1, 4, 1, 4843, 7, 4];

/// What goes into a certificate; right in everything to begin with.
pub(crate) struct Forged {
    pub(crate) common_name: DnValue,
    pub(crate) issuer: Option<&'static str>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    pub(crate) algorithm: &'static SignatureAlgorithm,
    /// Identifier, critical or not, value.
    pub(crate) extensions: Vec<(&'static [u64], bool, Vec<u8>)>,
}

impl Forged {
    /// The certificate of case 03: IAM with a session token, and an access point.
    pub(crate) fn case_03() -> Self {
        let case = Vector::case("03");
        let now = case.now();
        let signature = case.text("signature_hex").unwrap();
        let extensions = vec![
            (KEY_IDENTIFIER, false, octets(&hex::decode("ba8e2c1d31faad4cddd423d5a75201b6bb0bd6e7").unwrap())),
            (ACCESS_POINT, false, utf8(case.input("access_point_id").unwrap())),
            (CLIENT_AUTH, false, client_auth(signature, "240305060708Z", case.input("session_token"))),
            (FILE_SYSTEM, false, utf8(case.input("fs_id").unwrap())),
            (CLIENT_INFO, false, sequence(&[utf8("unknown"), utf8("3.2.0")])),
        ];
        Self {
            common_name: case.input("common_name").unwrap().into(),
            issuer: None,
            not_before: now - Duration::from_secs(15 * 60),
            not_after: now + Duration::from_secs(3 * 60 * 60),
            algorithm: &rcgen::PKCS_RSA_SHA256,
            extensions,
        }
    }

    /// With another value of an extension.
    pub(crate) fn with(mut self, oid: &[u64], value: Vec<u8>) -> Self {
        self.extensions.iter_mut().find(|extension| extension.0 == oid).unwrap().2 = value;
        self
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&key_pem(), self.algorithm).unwrap();
        let mut params = named(self.common_name.clone());
        params.serial_number = Some(SerialNumber::from_slice(&[0]));
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
        params.custom_extensions = self
            .extensions
            .iter()
            .map(|(oid, critical, value)| {
                let mut extension = CustomExtension::from_oid_content(oid, value.clone());
                extension.set_criticality(*critical);
                extension
            })
            .collect();
        let certificate = match self.issuer {
            None => params.self_signed(&key),
            Some(name) => params.signed_by(&key, &Issuer::new(named(name.into()), &key)),
        };
        certificate.unwrap().der().to_vec()
    }
}

/// EfsClientAuth of the key of case 03.
pub(crate) fn client_auth(signature: &str, signed_at: &str, token: Option<&str>) -> Vec<u8> {
    let mut fields = vec![utf8("ASIAIOSFODNN7EXAMPLE"), octets(signature.as_bytes()), tlv(0x17, signed_at.as_bytes())];
    fields.extend(token.map(|token| tlv(0xa0, &utf8(token))));
    sequence(&fields)
}

/// EfsClientAuth of case 03, signed anew at another time (`YYYYMMDD`, `HHMMSS`).
pub(crate) fn client_auth_signed_at(date: &str, time: &str) -> Vec<u8> {
    let case = Vector::case("03");
    let request = case
        .text("canonical_request")
        .unwrap()
        .replace("20240305T060708Z", &format!("{date}T{time}Z"))
        .replace("20240305", date);
    let string_to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}T{time}Z\n{date}/us-east-1/elasticfilesystem/aws4_request\n{}",
        hex::encode(Sha256::digest(request))
    );
    let day = humantime::parse_rfc3339(&format!("{}-{}-{}T00:00:00Z", &date[..4], &date[4..6], &date[6..])).unwrap();
    let key = generate_signing_key(case.input("secret_access_key").unwrap(), day, "us-east-1", "elasticfilesystem");
    let signature = calculate_signature(key, string_to_sign.as_bytes());
    client_auth(&signature, &format!("{}{time}Z", &date[2..]), case.input("session_token"))
}

pub(crate) fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

pub(crate) fn octets(octets: &[u8]) -> Vec<u8> {
    tlv(0x04, octets)
}

pub(crate) fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &fields.concat())
}

pub(crate) fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).unwrap();
    let header = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    [&header, contents].concat()
}

fn named(common_name: DnValue) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
