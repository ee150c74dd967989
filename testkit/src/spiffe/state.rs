//! What the agent has issued, and how it behaves at the moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::jwt::{Issued, JwtKey};
use super::messages;
use crate::{CaOptions, Clock, PkiError, TestPki, Usage, Validity};

/// The keys of one trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests make bundles of their own, wrong ones too")]
pub struct TrustBundle {
    /// Its name, without `spiffe://`.
    pub trust_domain: String,
    /// X.509 roots, DER, newest last.
    pub x509_roots: Vec<Vec<u8>>,
    /// The JWK set with the keys that sign JWT-SVIDs.
    pub jwks: String,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    /// Newest last; all are in the bundle.
    authorities: Vec<Arc<TestPki>>,
    jwt_keys: Vec<JwtKey>,
    pub(super) svids: Vec<messages::X509Svid>,
    pub(super) federated: BTreeMap<String, TrustBundle>,
    pub(super) tokens: HashMap<String, Issued>,
    pub(super) mood: Mood,
    /// Sent instead of the SVIDs.
    pub(super) garbage: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) trust_domain: String,
    pub(super) workloads: Vec<Workload>,
    pub(super) lifetime: Duration,
    pub(super) jwt_lifetime: Duration,
    pub(super) clock: Clock,
}

#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) path: String,
    pub(super) hint: String,
}

#[derive(Clone, Debug)]
pub(super) enum Mood {
    Serving,
    Silent,
    Refusing { code: u32, message: String },
}

impl State {
    pub(super) fn new(settings: Settings) -> Result<Self, PkiError> {
        let mut state = Self {
            settings,
            authorities: Vec::new(),
            jwt_keys: Vec::new(),
            svids: Vec::new(),
            federated: BTreeMap::new(),
            tokens: HashMap::new(),
            mood: Mood::Serving,
            garbage: None,
        };
        state.add_authority()?;
        state.rotate()?;
        Ok(state)
    }

    pub(super) fn add_authority(&mut self) -> Result<(), PkiError> {
        self.authorities.push(Arc::new(TestPki::root(CaOptions::default())?));
        self.jwt_keys.push(JwtKey::generate(format!("key-{}", self.jwt_keys.len()))?);
        Ok(())
    }

    pub(super) fn drop_old_authorities(&mut self) {
        self.authorities.drain(..self.authorities.len() - 1);
        self.jwt_keys.drain(..self.jwt_keys.len() - 1);
    }

    /// New SVIDs for all workloads.
    pub(super) fn rotate(&mut self) -> Result<(), PkiError> {
        // SPIRE dates them back by as much, for clocks that differ.
        let now = self.settings.clock.now();
        let validity = Validity::between(now - Duration::from_secs(10), now + self.settings.lifetime);
        self.svids = self.issue(validity)?;
        self.garbage = None;
        Ok(())
    }

    pub(super) fn issue(&self, validity: Validity) -> Result<Vec<messages::X509Svid>, PkiError> {
        let bundle = self.bundle().x509_roots.concat();
        let issue = |workload: &Workload| {
            let spiffe_id = self.settings.id(&workload.path);
            let leaf = self.authority().leaf().uri(&spiffe_id).common_name(&workload.path).validity(validity);
            let leaf = leaf.extension(BASIC_CONSTRAINTS, NO_AUTHORITY).usage(Usage::ServerAndClient);
            let certificate = leaf.issue()?;
            Ok(messages::X509Svid {
                spiffe_id,
                x509_svid: certificate.chain_der().concat(),
                x509_svid_key: certificate.key_der().to_vec(),
                bundle: bundle.clone(),
                hint: workload.hint.clone(),
            })
        };
        self.settings.workloads.iter().map(issue).collect()
    }

    pub(super) fn issue_token(&mut self, path: &str, audience: Vec<String>) -> Result<String, PkiError> {
        let Settings { clock, jwt_lifetime, .. } = &self.settings;
        let issued = Issued::new(self.settings.id(path), audience, clock.now(), *jwt_lifetime);
        #[expect(clippy::expect_used, reason = "there is one from the start, and the newest is never dropped")]
        let token = self.jwt_keys.last().expect("there is a key").sign(&issued)?;
        self.tokens.insert(token.clone(), issued);
        Ok(token)
    }

    #[expect(clippy::expect_used, reason = "there is one from the start, and the newest is never dropped")]
    pub(super) fn authority(&self) -> &Arc<TestPki> {
        self.authorities.last().expect("there is an authority")
    }

    pub(super) fn bundle(&self) -> TrustBundle {
        let keys: Vec<_> = self.jwt_keys.iter().map(JwtKey::jwk).collect();
        TrustBundle {
            trust_domain: self.settings.trust_domain.clone(),
            x509_roots: self.authorities.iter().map(|authority| authority.root_der().to_vec()).collect(),
            jwks: json!({ "keys": keys }).to_string(),
        }
    }
}

impl Settings {
    pub(super) fn id(&self, path: &str) -> String {
        format!("spiffe://{}{path}", self.trust_domain)
    }
}

/// Py-spiffe refuses leaves that do not say that they are none; SPIRE's do.
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const NO_AUTHORITY: [u8; 2] = [0x30, 0];
