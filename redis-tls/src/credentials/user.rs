//! Users and passwords of a server's access control list.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use crate::parse::text_newtype;
use crate::{IamUser, ParseError};

/// A user of the server's access control list. Not a secret.
///
/// A server takes any name without white space or NUL. Letter case matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(String);

impl Username {
    /// The user that every server has, and as whom a client is who gives a password alone.
    pub const DEFAULT: &str = "default";

    /// Whether it is [`DEFAULT`](Self::DEFAULT).
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl FromStr for Username {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // `ACL SETUSER`: "Usernames can't contain spaces or null characters".
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '\0') {
            return Err(ParseError {
                expected: "the name of a user, without white space, like app-01",
                found: text.to_owned(),
                remedy: "take it from `ACL LIST`, or from `aws elasticache describe-users`",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<&IamUser> for Username {
    fn from(user: &IamUser) -> Self {
        Self(user.as_str().to_owned())
    }
}

text_newtype!(Username);

/// A password of a user. Not `Clone`, hidden in `Debug`, wiped from memory when dropped.
///
/// Any text will do, also none at all: what a server accepts is its own matter.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Keeps `password`.
    pub fn new(password: impl Into<String>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// The password itself, to be sent. Not for logs.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    pub(super) fn into_secret(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_without_white_space() {
        for good in ["default", "iam-user-01", "default.iam-user", "J\u{fc}rgen", "a:b@c/%"] {
            assert_eq!(good.parse::<Username>().unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a\n", "a\0b"] {
            let error = bad.parse::<Username>().unwrap_err();
            assert_eq!(
                (error.expected, error.found.as_str()),
                ("the name of a user, without white space, like app-01", bad)
            );
        }
        assert!("default".parse::<Username>().unwrap().is_default());
        assert!(!"Default".parse::<Username>().unwrap().is_default());
    }
}
