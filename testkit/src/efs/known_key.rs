//! The access keys that a mount target knows.

use std::collections::BTreeSet;
use std::fmt;

use zeroize::Zeroizing;

use super::{ClientAction, TokenFault};

/// An access key whose secret the mount target knows, as the real one learns it from IAM.
#[derive(Clone)]
pub struct KnownKey {
    pub(crate) access_key_id: String,
    pub(crate) secret: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
    pub(crate) principal: String,
    pub(crate) client_actions: Option<BTreeSet<ClientAction>>,
}

impl KnownKey {
    /// A permanent key of the principal with this ARN.
    pub fn new(access_key_id: impl Into<String>, secret: impl Into<String>, principal: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret: Zeroizing::new(secret.into()),
            session_token: None,
            principal: principal.into(),
            client_actions: None,
        }
    }

    /// Makes it a temporary key, which goes with this token.
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(Zeroizing::new(token.into()));
        self
    }

    /// What the principal's own, identity-based policies allow it on the file system. Default: not known, so that the
    /// file-system policy alone decides.
    ///
    /// They add to what a [`FileSystemPolicy`](super::FileSystemPolicy) allows, and decide on what it allows to the whole
    /// account. Where the principal is of another account than the file system, both have to allow.
    pub fn client_actions(mut self, actions: impl IntoIterator<Item = ClientAction>) -> Self {
        self.client_actions = Some(actions.into_iter().collect());
        self
    }

    pub(crate) fn fault_of_token(&self, found: Option<&str>) -> Option<TokenFault> {
        match (&self.session_token, found) {
            (None, None) => None,
            (Some(_), None) => Some(TokenFault::Missing),
            (None, Some(_)) => Some(TokenFault::Unexpected),
            (Some(expected), Some(found)) => (expected.as_str() != found).then_some(TokenFault::Different),
        }
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKey")
            .field("access_key_id", &self.access_key_id)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}
