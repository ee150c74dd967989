//! Runs the vectors of `tests/vectors`, or of the folder in `CONFORMANCE_VECTORS` or its sub-folder `efs`: what the EFS
//! mount helper 3.2.0 wrote for given inputs. Every value is compared, certificates byte for byte.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use der::{Decode as _, Encode as _};
use efs_tls::{
    CertificateRequest, ClientInfo, ClientKey, CommonName, EfsCertificate, MountTargetName, NfsMountOptions, NfsOption,
    NfsOptionError, Region, SignedConnect,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Cases that are known to fail, with the reason. One that starts to pass fails the run, so that the list stays true.
const KNOWN: &[(&str, &str)] = &[];

#[test]
fn every_vector_holds() {
    let folder = folder();
    let report = run(&folder, KNOWN);
    // Written past the capture of libtest, so that the counts are seen when all is well.
    write!(std::io::stdout(), "\nvectors of {}\n{}", folder.display(), report.counts()).unwrap();
    report.verdict().unwrap_or_else(|failures| panic!("{failures}"));
}

fn folder() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let folder = std::env::var_os("CONFORMANCE_VECTORS").map_or(own, PathBuf::from);
    Some(folder.join("efs")).filter(|sub| sub.is_dir()).unwrap_or(folder)
}

fn run(folder: &Path, known: &[(&str, &str)]) -> Report {
    let mut report = Report::new(known);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut signed = Vec::new();
    let mut negatives = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        if name == "dns-names" {
            for row in read::<Vec<BTreeMap<String, Value>>>(file) {
                report.add("names", &format!("{name}/{}", row["region"].as_str().unwrap()), || dns_names(&row));
            }
        } else if name == "nfs-options" {
            for (index, row) in read::<Vec<NfsRow>>(file).iter().enumerate() {
                report.add("NFS options", &format!("{name}/{index}"), || nfs_options(row));
            }
        } else if name.starts_with("negative-") {
            negatives.push((name, file));
        } else if name.starts_with(|digit: char| digit.is_ascii_digit()) {
            let is_issued = read::<Value>(file).get("inputs").is_some();
            if is_issued {
                report.add("certificates", name, || issued(folder, &read(file), &mut signed));
            } else {
                report.add("renewals", name, || renewed(folder, &read(file)));
            }
        }
    }
    for (name, file) in negatives {
        report.add("negatives", name, || stock_sigv4(&read(file), &signed));
    }
    report
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

// --- certificates ---

#[derive(Deserialize)]
struct Issued {
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
struct Signature {
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
fn issued(folder: &Path, case: &Issued, all_signed: &mut Vec<SignedConnect>) -> Vec<String> {
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

// --- renewals ---

#[derive(Deserialize)]
struct Renewed {
    name: String,
    now_utc: String,
    certificate_pem: String,
    certificate_der_sha256: String,
    text: Vec<String>,
    extensions: Vec<ExtensionDer>,
}

/// A renewal has the inputs of the case that its name ends with. The watchdog puts a space before the two client
/// information strings: it is read without, and the certificate made here has none, and is the same in all else.
fn renewed(folder: &Path, case: &Renewed) -> Vec<String> {
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
fn stock_sigv4(negative: &Signature, signed: &[SignedConnect]) -> Vec<String> {
    assert!(!signed.is_empty(), "nothing was signed that could differ");
    let clashes = |ours: &&SignedConnect| {
        ours.canonical_request() == negative.canonical_request
            || ours.string_to_sign() == negative.string_to_sign
            || ours.signature() == negative.signature_hex
    };
    signed.iter().filter(clashes).map(|ours| format!("gives the refused signature {}", ours.signature())).collect()
}

// --- names ---

fn dns_names(row: &BTreeMap<String, Value>) -> Vec<String> {
    let region: Region = row["region"].as_str().unwrap().parse().unwrap();
    let mut differences = Vec::new();
    let names = row.iter().filter(|(key, _)| key.starts_with("efs_") || key.starts_with("s3files_"));
    for (key, value) in names {
        let theirs = value.as_str().or_else(|| value.get(0)?.as_str()).unwrap();
        let (zone, verified) = theirs.split_at(theirs.find("fs-").unwrap());
        let file_system = verified.split('.').next().unwrap().parse().unwrap();
        let zone = zone.trim_end_matches('.');
        let name = if key == "efs_regional" || key.starts_with("efs_mounttargetip_") {
            MountTargetName::regional(file_system, region.clone())
        } else if key == "efs_az" {
            MountTargetName::one_zone(file_system, zone.parse().unwrap())
        } else if let Some(zone) = key.strip_prefix("efs_crossaccount_azid_") {
            MountTargetName::cross_account(file_system, region.clone(), zone.parse().unwrap())
        } else if let Some(zone) = key.strip_prefix("s3files_azid_") {
            MountTargetName::s3_files(file_system, region.clone(), zone.parse().unwrap())
        } else {
            panic!("unknown column {key}")
        };
        for (what, ours, theirs) in [
            ("dialled", name.dns_name(), theirs),
            ("verified", name.verified_name(), verified),
            ("read back", theirs.parse::<MountTargetName>().unwrap().to_string(), theirs),
        ] {
            if ours != theirs {
                differences.push(format!("{key}, {what}: ours {ours}, theirs {theirs}"));
            }
        }
    }
    let sts = format!("https://sts.{region}.{}/", region.partition().dns_suffix());
    if row.get("sts_endpoint").is_some_and(|theirs| *theirs != sts) {
        differences.push(format!("sts_endpoint: ours {sts}"));
    }
    differences
}

// --- NFS options ---

#[derive(Deserialize)]
struct NfsRow {
    #[serde(deserialize_with = "in_order")]
    options: Vec<(String, Value)>,
    nfs_o: String,
}

fn nfs_options(row: &NfsRow) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let port = row.options.iter().find(|(name, _)| name == "tlsport").map(|(_, port)| text(port)).unwrap();
    let mut options = NfsMountOptions::new(port.parse().unwrap());
    for (name, value) in &row.options {
        let option = if value.is_null() { name.clone() } else { format!("{name}={}", text(value)) };
        match option.parse::<NfsOption>() {
            Ok(option) => options = options.with(option),
            Err(NfsOptionError::NotForNfs { .. }) => {}
            Err(e) => return vec![e.to_string()],
        }
    }
    let ours = options.to_string();
    if ours == row.nfs_o { vec![] } else { vec![format!("ours {ours}, theirs {}", row.nfs_o)] }
}

/// The order of the options matters, and the map of serde_json sorts them.
fn in_order<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Value)>, D::Error> {
    struct Entries;
    impl<'de> serde::de::Visitor<'de> for Entries {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_map(Entries)
}

// --- the count ---

struct Report {
    known: BTreeMap<String, String>,
    kinds: BTreeMap<&'static str, [usize; 3]>,
    failures: Vec<String>,
}

impl Report {
    fn new(known: &[(&str, &str)]) -> Self {
        let known = known.iter().map(|(case, reason)| (case.to_string(), reason.to_string())).collect();
        Self { known, kinds: BTreeMap::new(), failures: Vec::new() }
    }

    /// Counts a case as passed if `check` finds no difference. A panic is one.
    fn add(&mut self, kind: &'static str, case: &str, check: impl FnOnce() -> Vec<String>) {
        let differences =
            catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| vec!["panicked, see above".to_owned()]);
        let [passed, failed, known] = self.kinds.entry(kind).or_default();
        match (differences.is_empty(), self.known.get(case)) {
            (true, None) => *passed += 1,
            (false, Some(_)) => *known += 1,
            (false, None) => {
                *failed += 1;
                self.failures.extend(differences.iter().map(|difference| format!("{case}: {difference}")));
            }
            (true, Some(reason)) => {
                *failed += 1;
                self.failures.push(format!("{case}: passes, though known to fail ({reason}); take it off the list"));
            }
        }
    }

    fn counts(&self) -> String {
        let line = |(kind, [passed, failed, known]): (&&str, &[usize; 3])| {
            format!("{kind:<12} passed {passed:>3}  failed {failed:>3}  known {known:>3}\n")
        };
        self.kinds.iter().map(line).collect()
    }

    fn verdict(&self) -> Result<(), String> {
        if self.kinds.is_empty() {
            return Err("the folder holds no case".to_owned());
        }
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("\n")) }
    }
}

// --- the runner itself ---

/// A folder with case 08 alone, whose certificate hash is replaced if `with` is given.
fn one_case(with: Option<&str>) -> tempfile::TempDir {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let folder = tempfile::tempdir().unwrap();
    let mut case: Value = read(&own.join("08-tls-only-us-east-1.json"));
    if let Some(hash) = with {
        case["certificate_der_sha256"] = hash.into();
    }
    std::fs::write(folder.path().join("08.json"), case.to_string()).unwrap();
    std::fs::copy(own.join("test-rsa3072-key.pem"), folder.path().join("test-rsa3072-key.pem")).unwrap();
    folder
}

#[test]
fn a_value_that_differs_fails_the_run() {
    let report = run(one_case(Some("00")).path(), &[]);
    assert_eq!(report.counts(), "certificates passed   0  failed   1  known   0\n");
    let failure = report.verdict().unwrap_err();
    assert!(failure.starts_with("08: its hash\n") && failure.ends_with("theirs 00"), "{failure}");
    assert_eq!(run(one_case(None).path(), &[]).verdict(), Ok(()));
}

#[test]
fn a_known_failure_is_counted_and_one_that_passes_fails_the_run() {
    let known = &[("08", "an example")];
    let report = run(one_case(Some("00")).path(), known);
    assert_eq!(report.counts(), "certificates passed   0  failed   0  known   1\n");
    assert_eq!(report.verdict(), Ok(()));
    let report = run(one_case(None).path(), known);
    let failure = "08: passes, though known to fail (an example); take it off the list";
    assert_eq!(report.verdict(), Err(failure.to_owned()));
}

#[test]
fn a_folder_without_cases_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &[]).verdict(), Err("the folder holds no case".to_owned()));
}
