//! What the EFS mount helper makes of given inputs.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use secure_connector_testkit::efs::{AdmissionRules, KnownKey};
use secure_connector_testkit::{Clock, TestCertificate};
use serde_json::Value;

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/app";

pub(crate) struct Vector(Value);

impl Vector {
    /// By the number that its file name begins with.
    pub(crate) fn case(number: &str) -> Self {
        Self::all().into_iter().find(|vector| vector.name().starts_with(number)).unwrap()
    }

    /// Those with inputs.
    pub(crate) fn all() -> Vec<Self> {
        let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
        let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let mut vectors: Vec<_> =
            json.map(|path| Self(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())).collect();
        vectors.sort_by(|a, b| a.name().cmp(b.name()));
        vectors
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name").unwrap()
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    pub(crate) fn input(&self, field: &str) -> Option<&str> {
        self.0.get("inputs")?.get(field)?.as_str()
    }

    pub(crate) fn now(&self) -> SystemTime {
        let now = self.input("now_utc").or_else(|| self.text("now_utc")).unwrap();
        humantime::parse_rfc3339(now).unwrap()
    }

    pub(crate) fn certificate(&self) -> TestCertificate {
        TestCertificate::from_pem(self.text("certificate_pem").unwrap(), &key_pem()).unwrap()
    }

    /// The rules of the file system mounted, at the time of the mount, with the key that signed.
    pub(crate) fn rules(&self) -> AdmissionRules {
        let mut rules = AdmissionRules::new(self.input("fs_id").unwrap(), self.input("region").unwrap())
            .service(self.input("service").unwrap())
            .clock(Clock::fixed(self.now()));
        if let Some(id) = self.input("access_key_id") {
            rules = rules.key(self.key(id, self.input("secret_access_key").unwrap()));
        }
        rules
    }

    /// The key with this secret, and the vector's session token.
    pub(crate) fn key(&self, id: &str, secret: &str) -> KnownKey {
        let key = KnownKey::new(id, secret, ROLE);
        match self.input("session_token") {
            Some(token) => key.session_token(token),
            None => key,
        }
    }
}

pub(crate) fn key_pem() -> String {
    fs::read_to_string(folder().join("test-rsa3072-key.pem")).unwrap()
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/efs"))
}
