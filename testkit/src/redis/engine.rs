//! How servers of different versions word the same thing, each as the real one was seen to.

use super::command::Command;
use super::keyspace::NOT_A_NUMBER;

/// The server that is imitated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// Redis 5.0.6: one password and no users, no `HELLO`, and the arguments of an unknown command come back in the error, the
    /// password of `HELLO 3 AUTH` too.
    Redis5,
    /// Redis 6.0.9: users, RESP3.
    Redis6,
    /// Redis 7.0.15, which ElastiCache's "7.1" is like.
    #[default]
    Redis7,
    /// Valkey 9.1.2.
    Valkey9,
}

impl Engine {
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Redis5 => "5.0.6",
            Self::Redis6 => "6.0.9",
            Self::Redis7 => "7.0.15",
            Self::Valkey9 => "9.1.2",
        }
    }

    pub(crate) fn product(self) -> &'static str {
        if self == Self::Valkey9 { "valkey" } else { "redis" }
    }

    pub(crate) fn has_users(self) -> bool {
        self != Self::Redis5
    }

    /// Whether a subcommand has an arity and permissions of its own.
    pub(crate) fn has_subcommands(self) -> bool {
        self.is_modern()
    }

    /// Whether what somebody unknown may ask for is limited.
    pub(crate) fn limits_the_unauthenticated(self) -> bool {
        self.is_modern()
    }

    /// Whether somebody unknown is told that a command does not exist or wants other words.
    pub(crate) fn tells_everybody_its_commands(self) -> bool {
        self != Self::Valkey9
    }

    /// Whether `READONLY`, or else `READWRITE`, is refused without cluster mode.
    pub(crate) fn refuses_without_cluster(self, readonly: bool) -> bool {
        match self {
            Self::Redis5 | Self::Redis6 => readonly,
            Self::Redis7 => true,
            Self::Valkey9 => false,
        }
    }

    /// Whether a connection that presents a wrong password is no longer authenticated.
    pub(crate) fn forgets_after_a_wrong_password(self) -> bool {
        self == Self::Redis5
    }

    /// Whether a publisher that is a subscriber too gets its message before the reply to `PUBLISH`.
    pub(crate) fn publishes_before_it_replies(self) -> bool {
        self != Self::Valkey9
    }

    /// Whether a command within `MULTI` is the end of the transaction, rather than an error without a consequence.
    pub(crate) fn keeps_out_of_transactions(self, command: &Command) -> bool {
        self == Self::Valkey9 && matches!(command.name, "multi" | "watch")
    }

    /// Whether a command is in a category (without the `@`). Redis 6 has one set for all subcommands.
    pub(crate) fn is_in(self, command: &Command, category: &str) -> bool {
        if self == Self::Redis6 && command.name.contains('|') {
            return matches!(category, "admin" | "slow" | "dangerous");
        }
        command.is_in(category)
    }

    pub(crate) fn invalid_expire_time(self) -> &'static str {
        match self.is_modern() {
            true => "ERR invalid expire time in 'set' command",
            false => "ERR invalid expire time in set",
        }
    }

    pub(crate) fn has(self, command: &Command) -> bool {
        match command.name {
            "hello" | "acl|whoami" => self.has_users(),
            "reset" | "cluster|shards" => self.is_modern(),
            "client|setinfo" => self == Self::Valkey9,
            _ => true,
        }
    }

    /// Whether the command takes so many words, its name or names among them.
    pub(crate) fn takes(self, command: &Command, words: usize) -> bool {
        match (self, command.name) {
            (Self::Redis5, "auth") => words == 2,
            (Self::Redis6, "hello") => words >= 2,
            _ => command.takes(words),
        }
    }

    pub(crate) fn unknown_command(self, words: &[Vec<u8>]) -> String {
        let (open, close, end) = if self.is_modern() { ("'", "'", " ") } else { ("`", "`", ", ") };
        let shown = |word: &[u8], most: usize| {
            String::from_utf8_lossy(word.get(..most.min(word.len())).unwrap_or_default()).into_owned()
        };
        let mut arguments = String::new();
        for word in words.iter().skip(1) {
            if arguments.len() >= 128 {
                break;
            }
            let word = shown(word, 128 - arguments.len());
            arguments += &format!("{open}{word}{close}{end}");
        }
        let name = shown(words.first().map_or(&[], Vec::as_slice), 128);
        format!("ERR unknown command {open}{name}{close}, with args beginning with: {arguments}")
    }

    /// `container` in any case, `subcommand` as it came.
    pub(crate) fn unknown_subcommand(self, container: &str, subcommand: &str) -> String {
        let container = container.to_ascii_uppercase();
        match self.is_modern() {
            true => format!("ERR unknown subcommand '{subcommand}'. Try {container} HELP."),
            false => {
                let dot = if container == "ACL" { "." } else { "" };
                format!(
                    "ERR Unknown subcommand or wrong number of arguments for '{subcommand}'. Try {container} HELP{dot}"
                )
            }
        }
    }

    pub(crate) fn no_database_number(self) -> &'static str {
        if self.is_modern() { NOT_A_NUMBER } else { "ERR invalid DB index" }
    }

    pub(crate) fn hello_needs_auth(self) -> String {
        let version = if self == Self::Valkey9 { "<proto> " } else { "" };
        format!(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO {version}AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
        )
    }

    pub(crate) fn not_for_subscribers(self, command: &Command) -> String {
        let mut name = command.name;
        if !self.has_subcommands() {
            name = name.split('|').next().unwrap_or(name);
        }
        match self {
            Self::Redis5 => "ERR only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT allowed in this context".to_owned(),
            Self::Redis6 => format!(
                "ERR Can't execute '{name}': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT are allowed in this context"
            ),
            Self::Redis7 | Self::Valkey9 => format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context"
            ),
        }
    }

    pub(crate) fn no_permission(self, user: &str, denied: &Denied) -> String {
        match (self, denied) {
            (Self::Valkey9, Denied::Command(name)) => {
                format!("NOPERM User {user} has no permissions to run the '{name}' command")
            }
            (Self::Valkey9, Denied::Key) => "NOPERM No permissions to access a key".to_owned(),
            (Self::Valkey9, Denied::Channel) => "NOPERM No permissions to access a channel".to_owned(),
            (Self::Redis7, Denied::Command(name)) => {
                format!("NOPERM this user has no permissions to run the '{name}' command")
            }
            (_, Denied::Command(name)) => {
                let container = name.split('|').next().unwrap_or(name);
                format!("NOPERM this user has no permissions to run the '{container}' command or its subcommand")
            }
            (_, Denied::Key) => {
                "NOPERM this user has no permissions to access one of the keys used as arguments".to_owned()
            }
            (_, Denied::Channel) => {
                "NOPERM this user has no permissions to access one of the channels used as arguments".to_owned()
            }
        }
    }

    pub(crate) fn wrong_password(self) -> &'static str {
        match self {
            Self::Redis5 => "ERR invalid password",
            Self::Redis6 => "WRONGPASS invalid username-password pair",
            Self::Redis7 | Self::Valkey9 => "WRONGPASS invalid username-password pair or user is disabled.",
        }
    }

    pub(crate) fn no_password_set(self) -> &'static str {
        match self {
            Self::Redis5 => "ERR Client sent AUTH, but no password is set",
            _ => {
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?"
            }
        }
    }

    fn is_modern(self) -> bool {
        matches!(self, Self::Redis7 | Self::Valkey9)
    }
}

/// What the access rules keep a user from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Command(&'static str),
    Key,
    Channel,
}
