//! Whom a statement is about.

use crate::efs::{Principal, arn};

/// One value of the element `Principal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PrincipalPattern {
    /// `*`: anonymous clients too.
    Anyone,
    /// An account's id.
    Account(String),
    /// The ARN of a user, a role, or a session of a role.
    Arn(String),
}

/// How a principal is meant; the first is worth more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    /// Itself, or as everybody.
    Name,
    /// As one of its account, on which the account has the last word.
    Account,
}

impl PrincipalPattern {
    /// `None` for what is neither `*`, an account, nor the ARN of a user, a role or a session.
    pub(super) fn read(value: &str) -> Option<Self> {
        let is_account = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        if value == "*" {
            return Some(Self::Anyone);
        }
        if is_account(value) {
            return Some(Self::Account(value.to_owned()));
        }
        let account = arn::account(value).filter(|id| is_account(id))?;
        // IAM takes no wildcard within a principal's ARN.
        let is_plain = value.starts_with("arn:") && !value.contains(['*', '?']);
        let service = arn::service(value).filter(|_| is_plain)?;
        match (service, arn::resource(value)?.split_once('/')) {
            ("iam", None) if value.ends_with(":root") => Some(Self::Account(account.to_owned())),
            ("iam", Some(("user" | "role", name))) | ("sts", Some(("assumed-role" | "federated-user", name))) => {
                (!name.is_empty()).then(|| Self::Arn(value.to_owned()))
            }
            _ => None,
        }
    }

    pub(super) fn matches(&self, principal: &Principal) -> Option<Match> {
        let (how, matches) = match (self, principal) {
            (Self::Anyone, _) => (Match::Name, true),
            (Self::Account(id), Principal::Iam { arn, .. }) => (Match::Account, arn::account(arn) == Some(id)),
            (Self::Arn(pattern), Principal::Iam { arn, .. }) => (Match::Name, names(pattern, arn)),
            (_, Principal::Anonymous) => return None,
        };
        matches.then_some(how)
    }
}

fn names(pattern: &str, arn: &str) -> bool {
    pattern == arn || arn::role(pattern).is_some_and(|role| arn::role_of_session(arn) == Some(role))
}
