//! The messages of the Workload API, by
//! <https://github.com/spiffe/go-spiffe/blob/main/proto/spiffe/workload/workload.proto>.

use std::{collections::HashMap, fmt};

use prost::Message;
use zeroize::Zeroize as _;

#[derive(Clone, PartialEq, Message)]
pub(super) struct X509SvidResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) svids: Vec<X509SvidMessage>,
    // Tag 2 is for revocation lists, which nobody sends: <https://github.com/spiffe/spiffe/issues/333>.
    #[prost(map = "string, bytes", tag = "3")]
    pub(super) federated_bundles: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct X509SvidMessage {
    #[prost(string, tag = "1")]
    pub(super) spiffe_id: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) x509_svid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) x509_svid_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) bundle: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) hint: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct X509BundlesResponse {
    #[prost(map = "string, bytes", tag = "2")]
    pub(super) bundles: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct JwtSvidRequest {
    #[prost(string, repeated, tag = "1")]
    pub(super) audience: Vec<String>,
    #[prost(string, tag = "2")]
    pub(super) spiffe_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct JwtSvidResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) svids: Vec<JwtSvidMessage>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct JwtSvidMessage {
    #[prost(string, tag = "1")]
    pub(super) spiffe_id: String,
    #[prost(string, tag = "2")]
    pub(super) svid: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct JwtBundlesResponse {
    #[prost(map = "string, bytes", tag = "1")]
    pub(super) bundles: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct ValidateJwtSvidRequest {
    #[prost(string, tag = "1")]
    pub(super) audience: String,
    #[prost(string, tag = "2")]
    pub(super) svid: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValidateJwtSvidResponse {
    #[prost(string, tag = "1")]
    pub(super) spiffe_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) claims: Option<Struct>,
}

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Struct {
    #[prost(map = "string, message", tag = "1")]
    pub(super) fields: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<Value>,
}

impl Struct {
    /// As the claims of a token have it.
    pub(super) fn into_json(self) -> serde_json::Map<String, serde_json::Value> {
        self.fields.into_iter().map(|(name, value)| (name, value.into_json())).collect()
    }
}

impl Value {
    /// How deep it goes is prost's to limit.
    fn into_json(self) -> serde_json::Value {
        match self.kind {
            None | Some(Kind::Null(_)) => serde_json::Value::Null,
            // Dates are whole numbers, and protobuf has none here.
            #[expect(clippy::cast_possible_truncation, reason = "the range is that of exact whole numbers")]
            Some(Kind::Number(number)) if number.fract() == 0.0 && number.abs() < 9e15 => (number as i64).into(),
            Some(Kind::Number(number)) => number.into(),
            Some(Kind::String(text)) => text.into(),
            Some(Kind::Bool(truth)) => truth.into(),
            Some(Kind::Struct(object)) => object.into_json().into(),
            Some(Kind::List(list)) => list.values.into_iter().map(Self::into_json).collect(),
        }
    }
}

impl Drop for X509SvidMessage {
    fn drop(&mut self) {
        self.x509_svid_key.zeroize();
    }
}

impl Drop for JwtSvidMessage {
    fn drop(&mut self) {
        self.svid.zeroize();
    }
}

impl Drop for ValidateJwtSvidRequest {
    fn drop(&mut self) {
        self.svid.zeroize();
    }
}

impl fmt::Debug for X509SvidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509SvidMessage").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for JwtSvidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidMessage").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for ValidateJwtSvidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateJwtSvidRequest").field("audience", &self.audience).finish_non_exhaustive()
    }
}
