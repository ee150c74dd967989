//! What is answered to each call.

use std::collections::HashMap;

use prost::Message;

use super::jwt::{Issued, seconds};
use super::messages::{
    JwtBundlesResponse, JwtSvid, JwtSvidRequest, JwtSvidResponse, Kind, List, Struct, ValidateJwtSvidRequest,
    ValidateJwtSvidResponse, Value, X509BundlesResponse, X509SvidResponse,
};
use super::state::{Mood, State, Workload};

/// What is done in one state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Message(Vec<u8>),
    Status(Status),
    Nothing,
}

/// How a call ends (gRPC over HTTP/2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) message: String,
}

pub(super) const OK: u32 = 0;
pub(super) const INVALID_ARGUMENT: u32 = 3;
pub(super) const PERMISSION_DENIED: u32 = 7;
pub(super) const UNIMPLEMENTED: u32 = 12;
pub(super) const INTERNAL: u32 = 13;
pub(super) const UNAVAILABLE: u32 = 14;

impl Status {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl State {
    pub(super) fn x509_svids(&self) -> Answer {
        self.in_this_mood(|| self.garbage.clone().unwrap_or_else(|| self.x509_response().encode_to_vec()))
    }

    pub(super) fn x509_bundles(&self) -> Answer {
        let own = self.bundle();
        let bundles = self.federated.values().chain([&own]);
        let bundles = bundles.map(|bundle| (bundle.id(), bundle.x509_roots.concat())).collect();
        self.in_this_mood(|| X509BundlesResponse { bundles }.encode_to_vec())
    }

    pub(super) fn jwt_bundles(&self) -> Answer {
        let own = self.bundle();
        let bundles = self.federated.values().chain([&own]);
        let bundles = bundles.map(|bundle| (bundle.id(), bundle.jwks.clone().into_bytes())).collect();
        self.in_this_mood(|| JwtBundlesResponse { bundles }.encode_to_vec())
    }

    pub(super) fn x509_response(&self) -> X509SvidResponse {
        let federated = self.federated.values();
        X509SvidResponse {
            svids: self.svids.clone(),
            federated_bundles: federated.map(|bundle| (bundle.id(), bundle.x509_roots.concat())).collect(),
        }
    }

    pub(super) fn jwt_svids(&mut self, request: JwtSvidRequest) -> Answer {
        if request.audience.iter().all(String::is_empty) {
            return Answer::Status(Status::new(INVALID_ARGUMENT, "audience must be specified"));
        }
        let wanted = |workload: &&Workload| {
            request.spiffe_id.is_empty() || self.settings.id(&workload.path) == request.spiffe_id
        };
        let workloads: Vec<_> = self.settings.workloads.iter().filter(wanted).cloned().collect();
        if workloads.is_empty() {
            return Answer::Status(Status::new(PERMISSION_DENIED, "no identity issued"));
        }
        let mut svids = Vec::new();
        for Workload { path, hint } in workloads {
            match self.issue_token(&path, request.audience.clone()) {
                Ok(svid) => svids.push(JwtSvid { spiffe_id: self.settings.id(&path), svid, hint }),
                Err(error) => return Answer::Status(Status::new(INTERNAL, error.to_string())),
            }
        }
        self.in_this_mood(|| JwtSvidResponse { svids }.encode_to_vec())
    }

    pub(super) fn validate(&self, request: &ValidateJwtSvidRequest) -> Answer {
        let invalid = |message| Answer::Status(Status::new(INVALID_ARGUMENT, message));
        let Some(token) = self.tokens.get(&request.svid) else {
            return invalid("the token was not issued here");
        };
        if !token.audience.contains(&request.audience) {
            return invalid("the token is for another audience");
        }
        if token.expires <= seconds(self.settings.clock.now()) {
            return invalid("the token has expired");
        }
        let response = ValidateJwtSvidResponse { spiffe_id: token.id.clone(), claims: Some(claims(token)) };
        self.in_this_mood(|| response.encode_to_vec())
    }

    fn in_this_mood(&self, message: impl FnOnce() -> Vec<u8>) -> Answer {
        match &self.mood {
            Mood::Serving => Answer::Message(message()),
            Mood::Silent => Answer::Nothing,
            Mood::Refusing { code, message } => Answer::Status(Status::new(*code, message)),
        }
    }
}

impl super::TrustBundle {
    fn id(&self) -> String {
        format!("spiffe://{}", self.trust_domain)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a date; protobuf has no other numbers here")]
fn claims(token: &Issued) -> Struct {
    let audience = token.audience.iter().map(|name| Kind::String(name.clone()).into()).collect();
    let fields: [(&str, Value); 4] = [
        ("sub", Kind::String(token.id.clone()).into()),
        ("aud", Kind::List(List { values: audience }).into()),
        ("iat", Kind::Number(token.issued as f64).into()),
        ("exp", Kind::Number(token.expires as f64).into()),
    ];
    Struct { fields: HashMap::from(fields.map(|(name, value)| (name.to_owned(), value))) }
}
