//! Who is known, and what proves it.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::user::DEFAULT;
use super::{AuthRefusal, IamRefusal, IamRules, IamService, Proof, User};

/// The users of a cache, the default one among them.
#[derive(Debug)]
pub(crate) struct Accounts {
    users: BTreeMap<String, User>,
    iam: Option<IamRules>,
    anonymous: Anonymous,
}

/// Whether commands are taken from those who did not authenticate, besides where the default user needs no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anonymous {
    Refused,
    /// After the first `ROTATE` on a cache without a token.
    Admitted,
}

impl Accounts {
    pub(crate) fn new(iam: Option<IamRules>) -> Self {
        let default = (DEFAULT.to_owned(), User::default_user());
        Self { users: BTreeMap::from([default]), iam, anonymous: Anonymous::Refused }
    }

    pub(crate) fn set_user(&mut self, user: User) {
        self.users.insert(user.name.clone(), user);
    }

    pub(crate) fn remove_user(&mut self, name: &str) {
        self.users.remove(name);
    }

    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// The strategy `ROTATE`: adds a token, as one more to the one or two there are.
    pub(crate) fn rotate_token(&mut self, token: String) {
        let default = self.users.entry(DEFAULT.to_owned()).or_insert_with(User::default_user);
        if default.needs_no_password() {
            self.anonymous = Anonymous::Admitted;
        }
        default.add_password(token);
    }

    /// The strategy `SET`: leaves one token of those there are. Whether there was this one.
    pub(crate) fn set_token(&mut self, token: &str) -> bool {
        let kept = self.users.get_mut(DEFAULT).is_some_and(|default| default.keep_password(token));
        if kept {
            self.anonymous = Anonymous::Refused;
        }
        kept
    }

    /// Whom a new connection acts as.
    pub(crate) fn anonymous(&self) -> Option<&'static str> {
        let default = self.users.get(DEFAULT).filter(|default| default.is_on())?;
        (default.needs_no_password() || self.anonymous == Anonymous::Admitted).then_some(DEFAULT)
    }

    /// `name`: `None` for `AUTH` with a password alone.
    pub(crate) fn authenticate(&self, name: Option<&str>, secret: &[u8]) -> Result<Proof, AuthRefusal> {
        let user = self.users.get(name.unwrap_or(DEFAULT)).ok_or(AuthRefusal::UnknownUser)?;
        if name.is_none() && user.needs_no_password() {
            return Err(AuthRefusal::NoPasswordSet);
        }
        if !user.is_on() {
            return Err(AuthRefusal::UserOff);
        }
        if user.needs_no_password() {
            return Ok(Proof::NoPassword);
        }
        if user.uses_iam() {
            let token = std::str::from_utf8(secret).map_err(|_| AuthRefusal::Iam(IamRefusal::NotAToken))?;
            // A cache without IAM has no name that a token could be for.
            let rules = self.iam.as_ref().ok_or(AuthRefusal::WrongPassword)?;
            let access_key_id = rules.judge(&user.name, token).map_err(AuthRefusal::Iam)?;
            return Ok(Proof::Iam { access_key_id });
        }
        let position = user.position_of(secret).ok_or(AuthRefusal::WrongPassword)?;
        Ok(Proof::Password { position })
    }
}

impl AuthRefusal {
    /// All that the client is told.
    pub(crate) fn told(&self, engine: Engine) -> &'static str {
        match self {
            Self::NoPasswordSet => engine.no_password_set(),
            _ => engine.wrong_password(),
        }
    }
}

impl IamRules {
    pub(crate) fn is_serverless(&self) -> bool {
        self.service() == IamService::ElastiCacheServerless
    }
}
