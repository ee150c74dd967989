//! The conditions of a statement.

use super::Request;
use super::wildcard::{arn_matches, matches};

/// One condition key under one operator; one of the values must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) key: Key,
    pub(super) values: Vec<String>,
}

impl Condition {
    /// A key that the request does not have matches nothing.
    pub(super) fn holds(&self, request: &Request<'_>) -> bool {
        let found = match self.key {
            Key::SecureTransport => Some(request.secure_transport.to_string()),
            Key::AccessedViaMountTarget => Some(true.to_string()),
            Key::AccessPointArn => request.access_point_arn.clone(),
        };
        found.is_some_and(|found| self.values.iter().any(|value| self.operator.compares(value, &found)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Bool,
    StringEquals,
    StringLike,
    /// `ArnEquals`, which is the same, or `ArnLike`.
    ArnLike,
}

impl Operator {
    pub(super) const NAMES: &[&str] = &["Bool", "StringEquals", "StringLike", "ArnEquals", "ArnLike"];

    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "Bool" => Self::Bool,
            "StringEquals" => Self::StringEquals,
            "StringLike" => Self::StringLike,
            "ArnEquals" | "ArnLike" => Self::ArnLike,
            _ => return None,
        })
    }

    /// The names of the keys that it can be used with.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Bool => &["aws:SecureTransport", "elasticfilesystem:AccessedViaMountTarget"],
            _ => &["elasticfilesystem:AccessPointArn"],
        }
    }

    /// The key of this name, if it is one of [`keys`](Self::keys). Names of keys are not case-sensitive.
    pub(super) fn key(self, name: &str) -> Option<Key> {
        let known = self.keys().iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some(match *known {
            "aws:SecureTransport" => Key::SecureTransport,
            "elasticfilesystem:AccessedViaMountTarget" => Key::AccessedViaMountTarget,
            _ => Key::AccessPointArn,
        })
    }

    /// What a value must be, if this is none.
    pub(super) fn fault_of(self, value: &str) -> Option<&'static str> {
        match self {
            Self::Bool => (!matches!(value, "true" | "false")).then_some("true or false"),
            Self::ArnLike => (value.splitn(6, ':').count() != 6).then_some("an ARN, which has six parts"),
            Self::StringEquals | Self::StringLike => None,
        }
    }

    fn compares(self, value: &str, found: &str) -> bool {
        match self {
            Self::Bool | Self::StringEquals => value == found,
            Self::StringLike => matches(value, found),
            Self::ArnLike => arn_matches(value, found),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    SecureTransport,
    AccessedViaMountTarget,
    AccessPointArn,
}
