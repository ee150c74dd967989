//! File-system policies: what a client may do.

mod condition;
mod document;
mod error;
mod json;
mod principal;
mod wildcard;

use std::collections::BTreeSet;
use std::fmt;

use condition::Condition;
pub use error::PolicyError;
use principal::{Match, PrincipalPattern};
use wildcard::arn_matches;

use super::{Principal, arn};
use crate::nfs::Rights;

/// A file-system policy, read from the JSON that `PutFileSystemPolicy` takes.
///
/// ```
/// use secure_connector_testkit::efs::{AdmissionRules, FileSystemPolicy};
///
/// # fn main() -> Result<(), secure_connector_testkit::efs::PolicyError> {
/// let policy: FileSystemPolicy = r#"{
///     "Version": "2012-10-17",
///     "Statement": [
///         {
///             "Effect": "Allow",
///             "Principal": { "AWS": "arn:aws:iam::123456789012:role/batch" },
///             "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
///         },
///         {
///             "Sid": "TlsOnly",
///             "Effect": "Deny",
///             "Principal": "*",
///             "Action": "*",
///             "Condition": { "Bool": { "aws:SecureTransport": "false" } }
///         }
///     ]
/// }"#
/// .parse()?;
/// let rules = AdmissionRules::new("fs-0123456789abcdef0", "us-east-1").policy(policy);
/// # Ok(())
/// # }
/// ```
///
/// A statement that denies wins over those that allow; what no statement allows is not allowed, except by the
/// [client actions](super::KnownKey::client_actions) of the key itself. A principal is a user, a role, a session of a role,
/// or an account; naming a role names its sessions. What an account is allowed, a principal of it may do as far as its
/// client actions go, and wholly if they are not given.
///
/// # Limitations
/// Known are the elements `Sid`, `Effect`, `Principal` (`AWS` only), `Action`, `Resource` and `Condition`; the actions of
/// clients; and, of the condition keys that EFS enforces, `aws:SecureTransport`, `elasticfilesystem:AccessedViaMountTarget`
/// (always true here) and `elasticfilesystem:AccessPointArn`, with `Bool`, `StringEquals`, `StringLike`, `ArnEquals` and
/// `ArnLike`. All else is a [`PolicyError`]: a policy that is half understood would let the wrong clients in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystemPolicy {
    statements: Vec<Statement>,
}

impl FileSystemPolicy {
    /// Allows everything to these principals, and nothing to others.
    pub(crate) fn for_principals<'a>(arns: impl Iterator<Item = &'a str>) -> Self {
        let statement = Statement {
            name: "IamOnly".to_owned(),
            effect: Effect::Allow,
            principals: arns.map(|arn| PrincipalPattern::Arn(arn.to_owned())).collect(),
            actions: ClientAction::ALL.into(),
            resources: vec!["*".to_owned()],
            conditions: Vec::new(),
        };
        Self { statements: vec![statement] }
    }

    pub(crate) fn decide(&self, action: ClientAction, request: &Request<'_>) -> Decision {
        let mut by_name = false;
        let mut by_account = false;
        for statement in &self.statements {
            match (statement.applies(action, request), statement.effect) {
                (None, _) => {}
                (Some(_), Effect::Deny) => return Decision::DeniedBy(statement.name.clone()),
                (Some(Match::Name), Effect::Allow) => by_name = true,
                (Some(Match::Account), Effect::Allow) => by_account = true,
            }
        }
        let own_actions = request.own_actions.map(|actions| actions.contains(&action));
        let is_local = request.principal.account() == Some(request.account);
        // Within an account either side may allow; across accounts both have to (IAM User Guide, "Policy evaluation
        // logic" and "Cross-account policy evaluation logic").
        let allowed = match own_actions {
            None => by_name || by_account,
            Some(true) => is_local || by_name || by_account,
            Some(false) => is_local && by_name,
        };
        if allowed { Decision::Allowed } else { Decision::NotAllowed }
    }
}

/// Something that a client does, and that a policy allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ClientAction {
    /// `elasticfilesystem:ClientMount`: to mount, and to read.
    Mount,
    /// `elasticfilesystem:ClientWrite`: to write.
    Write,
    /// `elasticfilesystem:ClientRootAccess`: to be user 0.
    RootAccess,
}

impl ClientAction {
    /// Every client action.
    pub const ALL: [Self; 3] = [Self::Mount, Self::Write, Self::RootAccess];

    /// The name in a policy, such as `elasticfilesystem:ClientMount`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mount => "elasticfilesystem:ClientMount",
            Self::Write => "elasticfilesystem:ClientWrite",
            Self::RootAccess => "elasticfilesystem:ClientRootAccess",
        }
    }
}

impl fmt::Display for ClientAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client may do. Without `mount` the rest is of no use to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permissions {
    /// `elasticfilesystem:ClientMount`
    pub mount: bool,
    /// `elasticfilesystem:ClientWrite`
    pub write: bool,
    /// `elasticfilesystem:ClientRootAccess`
    pub root_access: bool,
}

impl Permissions {
    /// What a file system without a policy grants to everybody.
    pub const ALL: Self = Self { mount: true, write: true, root_access: true };

    /// None, apart from these.
    pub fn only(actions: impl IntoIterator<Item = ClientAction>) -> Self {
        let mut permissions = Self::default();
        for action in actions {
            match action {
                ClientAction::Mount => permissions.mount = true,
                ClientAction::Write => permissions.write = true,
                ClientAction::RootAccess => permissions.root_access = true,
            }
        }
        permissions
    }

    /// What they come to for a client that has mounted.
    pub(crate) fn rights(self) -> Rights {
        let rights = if self.write { Rights::default() } else { Rights::default().read_only() };
        if self.root_access { rights } else { rights.squash_root() }
    }
}

/// A client that asks for something.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) principal: &'a Principal,
    /// What the principal's own policies allow, if that is known.
    pub(crate) own_actions: Option<&'a BTreeSet<ClientAction>>,
    /// The account of the file system.
    pub(crate) account: &'a str,
    pub(crate) file_system_arn: String,
    pub(crate) access_point_arn: Option<String>,
    pub(crate) secure_transport: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    /// By the statement of this name.
    DeniedBy(String),
    NotAllowed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    /// The `Sid`, or the place in the document.
    name: String,
    effect: Effect,
    principals: Vec<PrincipalPattern>,
    actions: BTreeSet<ClientAction>,
    resources: Vec<String>,
    /// All of them must hold.
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

impl Statement {
    /// How the principal is meant, if the statement is about this request.
    fn applies(&self, action: ClientAction, request: &Request<'_>) -> Option<Match> {
        let applies = self.actions.contains(&action)
            && self.resources.iter().any(|pattern| pattern == "*" || arn_matches(pattern, &request.file_system_arn))
            && self.conditions.iter().all(|condition| condition.holds(request));
        let principals = self.principals.iter().filter(|_| applies);
        principals.filter_map(|pattern| pattern.matches(request.principal)).min()
    }
}

impl Principal {
    fn account(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Iam { arn, .. } => arn::account(arn),
        }
    }
}
