//! Users with their passwords and access strings.

use std::fmt;

use zeroize::Zeroizing;

use super::command::{Command, Keys};
use super::engine::{Denied, Engine};

/// A user of role-based access control.
///
/// ```
/// use secure_connector_testkit::redis::User;
///
/// let app = User::new("app", "on ~app:* &* +@all -@dangerous")?.password("first").password("second");
/// let lambda = User::new("lambda", "on ~* +@read")?.iam();
/// # Ok::<(), secure_connector_testkit::redis::AccessError>(())
/// ```
#[derive(Clone)]
pub struct User {
    pub(crate) name: String,
    state: State,
    proof: Proof,
    rules: Vec<Rule>,
    key_patterns: Vec<Vec<u8>>,
    channel_patterns: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Off,
    On,
}

#[derive(Clone)]
enum Proof {
    /// The oldest first.
    Passwords(Vec<Zeroizing<String>>),
    None,
    Iam,
}

#[derive(Clone)]
struct Rule {
    verdict: Verdict,
    /// A command, a subcommand as `acl|whoami`, or a category with its `@`.
    subject: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
}

impl User {
    /// A user with an access string, in the words of `ACL SETUSER`: `on`, `off`, `nopass`, `>password`, `~pattern`, `allkeys`,
    /// `&pattern`, `allchannels`, and `+` or `-` before `@category`, `command` or `command|subcommand`. Rules count in their
    /// order. Without any a user is off and may do nothing.
    ///
    /// # Errors
    /// A word is none of these.
    pub fn new(name: impl Into<String>, access: &str) -> Result<Self, AccessError> {
        let mut user = Self {
            name: name.into(),
            state: State::Off,
            proof: Proof::Passwords(Vec::new()),
            rules: Vec::new(),
            key_patterns: Vec::new(),
            channel_patterns: Vec::new(),
        };
        for word in access.split_ascii_whitespace() {
            user = user.apply(word)?;
        }
        Ok(user)
    }

    /// Adds a password. ElastiCache knows two for each user, so that one can be replaced while the other is in use; a third
    /// drops the oldest.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.add_password(password.into());
        self
    }

    /// Makes it a user who authenticates with IAM: only a good token is taken, no password.
    pub fn iam(mut self) -> Self {
        self.proof = Proof::Iam;
        self
    }

    /// The user that a server without users has: it may do everything.
    pub(crate) fn default_user() -> Self {
        let everything = b"*".to_vec();
        Self {
            name: DEFAULT.to_owned(),
            state: State::On,
            proof: Proof::None,
            rules: vec![Rule { verdict: Verdict::Allow, subject: "@all".to_owned() }],
            key_patterns: vec![everything.clone()],
            channel_patterns: vec![everything],
        }
    }

    pub(crate) fn add_password(&mut self, password: String) {
        let password = Zeroizing::new(password);
        match &mut self.proof {
            Proof::Passwords(passwords) => {
                passwords.push(password);
                if passwords.len() > 2 {
                    passwords.remove(0);
                }
            }
            proof => *proof = Proof::Passwords(vec![password]),
        }
    }

    /// Leaves this one password, if it is one.
    pub(crate) fn keep_password(&mut self, password: &str) -> bool {
        let Proof::Passwords(passwords) = &mut self.proof else { return false };
        let known = passwords.iter().any(|known| known.as_str() == password);
        if known {
            passwords.retain(|known| known.as_str() == password);
        }
        known
    }

    pub(crate) fn is_on(&self) -> bool {
        self.state == State::On
    }

    pub(crate) fn needs_no_password(&self) -> bool {
        matches!(self.proof, Proof::None)
    }

    pub(crate) fn uses_iam(&self) -> bool {
        matches!(self.proof, Proof::Iam)
    }

    /// Which of the passwords it is, the oldest being 0.
    pub(crate) fn position_of(&self, password: &[u8]) -> Option<usize> {
        let Proof::Passwords(passwords) = &self.proof else { return None };
        passwords.iter().position(|known| known.as_bytes() == password)
    }

    /// The first thing in the request that the user may not do.
    pub(crate) fn denied(&self, engine: Engine, command: &Command, words: &[Vec<u8>]) -> Option<Denied> {
        if !command.needs_no_auth() && !self.may_run(engine, command) {
            return Some(Denied::Command(command.name));
        }
        let may = |patterns: &[Vec<u8>], word: &[u8]| patterns.iter().any(|pattern| glob(pattern, word));
        if command.keys != Keys::None && !command.keys_of(words).iter().all(|key| may(&self.key_patterns, key)) {
            return Some(Denied::Key);
        }
        let everything = |patterns: &[Vec<u8>]| patterns.iter().any(|pattern| pattern == b"*");
        let arguments = words.get(1..).unwrap_or_default();
        let permitted = match command.name {
            "subscribe" => arguments.iter().all(|channel| may(&self.channel_patterns, channel)),
            "publish" => arguments.first().is_none_or(|channel| may(&self.channel_patterns, channel)),
            // A pattern has to be one of the user's own, to the letter.
            "psubscribe" => {
                everything(&self.channel_patterns)
                    || arguments.iter().all(|pattern| self.channel_patterns.contains(pattern))
            }
            _ => true,
        };
        (!permitted).then_some(Denied::Channel)
    }

    fn may_run(&self, engine: Engine, command: &Command) -> bool {
        let container = command.name.split('|').next();
        let about = |rule: &&Rule| match rule.subject.strip_prefix('@') {
            Some(category) => category == "all" || engine.is_in(command, category),
            None => rule.subject == command.name || Some(rule.subject.as_str()) == container,
        };
        self.rules.iter().rev().find(about).is_some_and(|rule| rule.verdict == Verdict::Allow)
    }

    fn apply(mut self, word: &str) -> Result<Self, AccessError> {
        let unknown = || AccessError { word: if word.starts_with('>') { ">…".to_owned() } else { word.to_owned() } };
        let everything = || b"*".to_vec();
        match word {
            "on" => self.state = State::On,
            "off" => self.state = State::Off,
            "nopass" => self.proof = Proof::None,
            "allkeys" => self.key_patterns.push(everything()),
            "resetkeys" => self.key_patterns.clear(),
            "allchannels" => self.channel_patterns.push(everything()),
            "resetchannels" => self.channel_patterns.clear(),
            "allcommands" => return self.apply("+@all"),
            "nocommands" => return self.apply("-@all"),
            _ => {
                let (verb, rest) = word.split_at_checked(1).ok_or_else(unknown)?;
                match (verb, rest) {
                    (_, "") => return Err(unknown()),
                    (">", password) => self.add_password(password.to_owned()),
                    ("~", pattern) => self.key_patterns.push(pattern.into()),
                    ("&", pattern) => self.channel_patterns.push(pattern.into()),
                    ("+" | "-", subject) => self.rules.push(Rule {
                        verdict: if verb == "+" { Verdict::Allow } else { Verdict::Deny },
                        subject: subject.to_ascii_lowercase(),
                    }),
                    _ => return Err(unknown()),
                }
            }
        }
        Ok(self)
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A word of an access string that is not known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no rule of an access string: expected on, off, nopass, ~pattern, &pattern, +rule or -rule")]
#[non_exhaustive]
pub struct AccessError {
    /// The word; a password is left out.
    pub word: String,
}

/// Patterns of Redis: `*`, `?`, `[a-c]`, `[^a]` and `\` before a character that means itself.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| glob(rest, text.get(skip..).unwrap_or_default())),
        ([b'?', rest @ ..], [_, text @ ..]) => glob(rest, text),
        ([b'[', class @ ..], [byte, text @ ..]) => {
            let end = class.iter().position(|byte| *byte == b']').unwrap_or(class.len());
            let (class, rest) = (class.get(..end).unwrap_or_default(), class.get(end + 1..).unwrap_or_default());
            let (class, wanted) = class.strip_prefix(b"^").map_or((class, true), |class| (class, false));
            in_class(class, *byte) == wanted && glob(rest, text)
        }
        ([b'\\', literal, rest @ ..] | [literal, rest @ ..], [byte, text @ ..]) => literal == byte && glob(rest, text),
        _ => false,
    }
}

fn in_class(class: &[u8], byte: u8) -> bool {
    match class {
        [first, b'-', last, rest @ ..] => (*first..=*last).contains(&byte) || in_class(rest, byte),
        [one, rest @ ..] => *one == byte || in_class(rest, byte),
        [] => false,
    }
}

/// The user of those who name none.
pub(crate) const DEFAULT: &str = "default";
