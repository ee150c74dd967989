//! What to present to the server, and where it comes from.

mod rotating;
mod source;
mod user;

use std::{fmt, sync::Arc, time::SystemTime};

use secure_connector::Rfc3339;
use zeroize::Zeroizing;

use crate::{AuthToken, IamToken, IamUser};

pub use rotating::{RotatingCredentials, RotationStatus, SecretStatus};
pub use source::{CredentialError, CredentialSource, Refresh, StaticCredentials};
pub use user::{Password, Username};

/// What a client presents in `AUTH` or `HELLO`: nothing, an AUTH token, or a user and its password.
///
/// Not `Clone`; shared as `Arc<Credentials>`. `Debug` and the label have no secret in them.
pub struct Credentials {
    user: Option<Username>,
    secret: Option<Arc<Zeroizing<String>>>,
    label: String,
    expires: Option<SystemTime>,
}

impl Credentials {
    /// Nothing: `AUTH` is not sent. For servers whose default user has no password.
    pub fn none() -> Self {
        Self { user: None, secret: None, label: "no credentials".to_owned(), expires: None }
    }

    /// The AUTH token of an ElastiCache group. It belongs to the user `default` where the server knows users.
    pub fn token(token: AuthToken) -> Self {
        Self::new(None, token.into_secret(), "AUTH token".to_owned())
    }

    /// A user of the server's access control list and one of its passwords.
    pub fn user(user: Username, password: Password) -> Self {
        let label = format!("password of user {user}");
        Self::new(Some(user), password.into_secret(), label)
    }

    /// The token of an IAM-enabled user. It expires, but connections that it opened do not.
    pub(crate) fn iam(user: &IamUser, token: IamToken) -> Self {
        let (token, label, end) = token.into_parts();
        Self::new(Some(Username::from(user)), token, format!("{label}, user {user}")).expiring_at(end)
    }

    fn new(user: Option<Username>, secret: Zeroizing<String>, label: String) -> Self {
        Self { user, secret: Some(Arc::new(secret)), label, expires: None }
    }

    /// Says what these credentials are, for logs and reports: `AUTH token #2 (current)`. Never a secret.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The server stops accepting them at `end`. Connections that are authenticated by then stay so.
    #[must_use]
    pub fn expiring_at(mut self, end: SystemTime) -> Self {
        self.expires = Some(end);
        self
    }

    /// The user to name. `None` with a secret means the user `default`, and the form `AUTH <secret>` is right too.
    pub fn username(&self) -> Option<&Username> {
        self.user.as_ref()
    }

    /// The token or password, to be sent; `None` when there is nothing to present. Not for logs.
    pub fn expose_secret(&self) -> Option<&str> {
        self.secret.as_deref().map(|secret| secret.as_str())
    }

    /// What they are, without secrets.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// When the server stops accepting them; `None` for those that stay.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    fn has_secret_of(&self, other: &Self) -> bool {
        match (&self.secret, &other.secret) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        }
    }

    /// The same under another label; the secret is shared, not copied.
    fn relabelled(&self, label: String) -> Self {
        Self { user: self.user.clone(), secret: self.secret.clone(), label, expires: self.expires }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("label", &self.label)
            .field("user", &self.user)
            .field("secret", &self.secret.as_ref().map(|_| "[hidden]"))
            .field("expires", &self.expires.map(|end| Rfc3339(end).to_string()))
            .finish()
    }
}

/// One or more credentials in the order to try them: the next one follows when the server refuses one.
///
/// More than one is for the time between two secrets, when a server may know only the old or already only the new.
#[derive(Clone, Debug)]
pub struct Candidates {
    first: Arc<Credentials>,
    others: Vec<Arc<Credentials>>,
}

impl Candidates {
    /// Only these.
    pub fn new(only: impl Into<Arc<Credentials>>) -> Self {
        Self { first: only.into(), others: Vec::new() }
    }

    /// And these, if all before were refused.
    #[must_use]
    pub fn or(mut self, next: impl Into<Arc<Credentials>>) -> Self {
        self.others.push(next.into());
        self
    }

    /// Those to try first.
    pub fn first(&self) -> &Arc<Credentials> {
        &self.first
    }

    /// All, in the order to try them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Credentials>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl<C: Into<Arc<Credentials>>> From<C> for Candidates {
    fn from(only: C) -> Self {
        Self::new(only)
    }
}
