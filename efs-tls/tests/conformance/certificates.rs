//! Certificates that the mount helper made, renewals that its watchdog made, and what a stock SigV4 signer gives.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use der::{Decode as _, Encode as _};
use efs_tls::{CertificateRequest, ClientInfo, ClientKey, CommonName, EfsCertificate, SignedConnect};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::read;

#[derive(Deserialize)]
pub(crate) struct Issued {
    inputs: Inputs,
    sigv4: Option<Signature>,
    certificate_pem: String,
    certificate_der_sha256: String,
    serial_hex: String,
    not_before: String,
    not_after: String,
    extensions: Vec<ExtensionDer>,
}

#[derive(Deserialize)]
struct Inputs {
    region: String,
    service: String,
    fs_id: String,
    access_point_id: Option<String>,
    common_name: String,
    now_utc: String,
    client_info: Info,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    session_token: Option<String>,
    private_key_file: Option<String>,
}

#[derive(Deserialize)]
struct Info {
    source: String,
    efs_utils_version: String,
}

#[derive(Deserialize)]
pub(crate) struct Signature {
    public_key_sha1_hex: Option<String>,
    canonical_request: String,
    canonical_request_sha256: Option<String>,
    string_to_sign: String,
    signature_hex: String,
}

#[derive(Deserialize, Debug, PartialEq, Clone)]
struct ExtensionDer {
    oid: String,
    critical: bool,
    extension_der_hex: String,
    extn_value_der_hex: String,
}

/// Signs and, where the private key is at hand, makes the certificate anew; reads the given certificate back.
pub(crate) fn issued(folder: &Path, case: &Issued, all_signed: &mut Vec<SignedConnect>) -> Vec<String> {
    let mut differences = Vec::new();
    let mut same = |what: &str, ours: &str, theirs: &str| {
        if ours != theirs {
            differences.push(format!("{what}\n  ours   {ours}\n  theirs {theirs}"));
        }
    };
    let now = humantime::parse_rfc3339(&case.inputs.now_utc).unwrap();
    let credentials = case.inputs.credentials();
    let serial = u64::from_str_radix(case.serial_hex.strip_prefix("serial=").unwrap(), 16).unwrap();
    let request = case.inputs.request().serial(serial);
    let theirs = CertificateDer::from_pem_slice(case.certificate_pem.as_bytes()).unwrap();
    let read = EfsCertificate::from_der(&theirs).unwrap();
    same("what the certificate says", &said(&read), &case.inputs.said());

    let signed = credentials.as_ref().map(|credentials| request.sign(&read.public_key_hash, credentials, now).unwrap());
    assert_eq!(signed.is_some(), case.sigv4.is_some(), "a signature goes with credentials");
    if let (Some(ours), Some(theirs)) = (&signed, &case.sigv4) {
        let hash = hex::encode(Sha256::digest(ours.canonical_request()));
        same("public key hash", &read.public_key_hash.to_string(), theirs.public_key_sha1_hex.as_ref().unwrap());
        same("canonical request", ours.canonical_request(), &theirs.canonical_request);
        same("its hash", &hash, theirs.canonical_request_sha256.as_ref().unwrap());
        same("string to sign", ours.string_to_sign(), &theirs.string_to_sign);
        same("signature", ours.signature(), &theirs.signature_hex);
    }
    if let Some(key) = case.inputs.key(folder) {
        let ours = request.issue(&key, credentials.as_ref(), now).unwrap();
        same("start", &format!("notBefore={}", openssl_time(ours.not_before())), &case.not_before);
        same("end", &format!("notAfter={}", openssl_time(ours.not_after())), &case.not_after);
        same("extensions", &format!("{:#?}", extensions(ours.der())), &format!("{:#?}", case.extensions));
        same("certificate", &hex::encode(ours.der()), &hex::encode(&theirs));
        same("its hash", &hex::encode(Sha256::digest(ours.der())), &case.certificate_der_sha256);
    }
    all_signed.extend(signed);
    differences
}

impl Inputs {
    fn request(&self) -> CertificateRequest {
        let info = ClientInfo::new(&self.client_info.source, &self.client_info.efs_utils_version).unwrap();
        let name = CommonName::from_host_name(&self.common_name);
        let request = CertificateRequest::new(self.fs_id.parse().unwrap(), self.region.parse().unwrap(), name)
            .service(self.service.parse().unwrap())
            .client_info(info);
        match &self.access_point_id {
            Some(access_point) => request.access_point(access_point.parse().unwrap()),
            None => request,
        }
    }

    fn credentials(&self) -> Option<Credentials> {
        let (id, secret) = (self.access_key_id.as_ref()?, self.secret_access_key.as_ref()?);
        Some(Credentials::new(id, secret, self.session_token.clone(), None, "vector"))
    }

    fn key(&self, folder: &Path) -> Option<ClientKey> {
        let pem = std::fs::read(folder.join(self.private_key_file.as_ref()?)).ok()?;
        Some(ClientKey::from_pkcs8_pem(&pem).unwrap())
    }

    fn said(&self) -> String {
        format!(
            "{} {:?} {:?} {:?} {} {}",
            self.fs_id,
            self.access_point_id.as_deref(),
            self.access_key_id.as_deref(),
            self.session_token.as_deref(),
            self.client_info.source,
            self.client_info.efs_utils_version
        )
    }
}

fn said(read: &EfsCertificate) -> String {
    let info = read.client_info.as_ref().unwrap();
    let auth = read.client_auth.as_ref();
    format!(
        "{} {:?} {:?} {:?} {} {}",
        read.file_system,
        read.access_point.as_ref().map(|id| id.as_str()),
        auth.map(|auth| auth.access_key_id.as_str()),
        auth.and_then(|auth| auth.session_token()),
        info.source(),
        info.version()
    )
}

fn extensions(certificate: &[u8]) -> Vec<ExtensionDer> {
    let certificate = x509_cert::Certificate::from_der(certificate).unwrap();
    let extensions = certificate.tbs_certificate().extensions().unwrap().iter();
    let read = extensions.map(|extension| ExtensionDer {
        oid: extension.extn_id.to_string(),
        critical: extension.critical,
        extension_der_hex: hex::encode(extension.to_der().unwrap()),
        extn_value_der_hex: hex::encode(extension.extn_value.as_bytes()),
    });
    read.collect()
}

/// `Mar  5 05:52:08 2024 GMT`
fn openssl_time(time: SystemTime) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (month, day): (usize, u8) = (text[5..7].parse().unwrap(), text[8..10].parse().unwrap());
    format!("{} {day:>2} {} {} GMT", MONTHS[month - 1], &text[11..19], &text[..4])
}

#[derive(Deserialize)]
pub(crate) struct Renewed {
    name: String,
    now_utc: String,
    certificate_pem: String,
    certificate_der_sha256: String,
    text: Vec<String>,
    extensions: Vec<ExtensionDer>,
}

/// A renewal has the inputs of the case that its name ends with. The watchdog puts a space before the two client
/// information strings: it is read without, and the certificate made here has none, and is the same in all else.
pub(crate) fn renewed(folder: &Path, case: &Renewed) -> Vec<String> {
    let theirs = CertificateDer::from_pem_slice(case.certificate_pem.as_bytes()).unwrap();
    assert_eq!(hex::encode(Sha256::digest(&theirs)), case.certificate_der_sha256);
    let renewal = match EfsCertificate::from_der(&theirs) {
        Ok(renewal) => renewal,
        Err(e) => return vec![format!("not read: {e}")],
    };
    let base = format!("{}-", case.name.rsplit('-').next().unwrap());
    let is_base = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(&base);
    let base = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(is_base).unwrap();
    let base: Issued = read(&base);
    let key = base.inputs.key(folder).unwrap();

    let mut differences = Vec::new();
    let mut same = |what: &str, ours: &dyn std::fmt::Debug, theirs: &dyn std::fmt::Debug| {
        if format!("{ours:?}") != format!("{theirs:?}") {
            differences.push(format!("{what}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    };
    same("what the certificate says", &said(&renewal), &base.inputs.said());

    let now = humantime::parse_rfc3339(&case.now_utc).unwrap();
    let serial = case.text.iter().find_map(|line| line.strip_prefix("serial=")).unwrap();
    let request = base.inputs.request().serial(u64::from_str_radix(serial, 16).unwrap());
    let ours = request.issue(&key, base.inputs.credentials().as_ref(), now).unwrap();
    for (name, time) in [("notBefore", ours.not_before()), ("notAfter", ours.not_after())] {
        let line = format!("{name}={}", openssl_time(time));
        same(name, &case.text.contains(&line), &true);
    }
    let our_extensions = extensions(ours.der());
    same("number of extensions", &our_extensions.len(), &case.extensions.len());
    for (ours, theirs) in our_extensions.iter().zip(&case.extensions) {
        let ours = match ours.oid.as_str() {
            "1.3.6.1.4.1.4843.7.4" => with_spaces(&base.inputs.client_info),
            _ => ours.clone(),
        };
        same("extension", &ours, theirs);
    }
    let written = EfsCertificate::from_der(ours.der()).unwrap();
    same("what our renewal says", &said(&written), &said(&renewal));
    differences
}

/// The client information as the watchdog writes it: ` unknown`, ` 3.2.0`.
fn with_spaces(info: &Info) -> ExtensionDer {
    let utf8 = |text: &str| format!("0c{:02x}20{}", text.len() + 1, hex::encode(text));
    let strings = utf8(&info.source) + &utf8(&info.efs_utils_version);
    let value = format!("30{:02x}{strings}", strings.len() / 2);
    let rest = format!("06092b06010401a56b070404{:02x}{value}", value.len() / 2);
    ExtensionDer {
        oid: "1.3.6.1.4.1.4843.7.4".to_owned(),
        critical: false,
        extension_der_hex: format!("30{:02x}{rest}", rest.len() / 2),
        extn_value_der_hex: value,
    }
}

/// What a stock SigV4 signer gives must not be what is given here.
pub(crate) fn stock_sigv4(negative: &Signature, signed: &[SignedConnect]) -> Vec<String> {
    assert!(!signed.is_empty(), "nothing was signed that could differ");
    let clashes = |ours: &&SignedConnect| {
        ours.canonical_request() == negative.canonical_request
            || ours.string_to_sign() == negative.string_to_sign
            || ours.signature() == negative.signature_hex
    };
    signed.iter().filter(clashes).map(|ours| format!("gives the refused signature {}", ours.signature())).collect()
}
