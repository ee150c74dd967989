//! The commands that are understood, as `COMMAND INFO` of Redis 7 describes them.

/// One command or subcommand.
#[derive(Debug)]
pub(crate) struct Command {
    /// In lower case; a subcommand as `acl|whoami`.
    pub(crate) name: &'static str,
    /// The number of words with the name (and of a subcommand, with both names); negative: at least so many.
    arity: isize,
    /// Without the `@`.
    categories: &'static str,
    pub(crate) keys: Keys,
    flags: u8,
}

/// Which words are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    First,
    All,
}

impl Command {
    /// The command of this name, in any case; with `subcommand` where the command has such.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name.eq_ignore_ascii_case(name))
    }

    /// Whether the command is one of subcommands.
    pub(crate) fn is_container(name: &str) -> bool {
        ["acl", "client", "cluster"].iter().any(|container| container.eq_ignore_ascii_case(name))
    }

    pub(crate) fn takes(&self, words: usize) -> bool {
        match usize::try_from(self.arity) {
            Ok(exactly) => words == exactly,
            Err(_) => words >= self.arity.unsigned_abs(),
        }
    }

    pub(crate) fn is_in(&self, category: &str) -> bool {
        self.categories.split(' ').any(|own| own == category)
    }

    /// Whether it works without authentication. Access rules do not apply to such a command either.
    pub(crate) fn needs_no_auth(&self) -> bool {
        self.flags & NO_AUTH != 0
    }

    /// Whether it works while the dataset is being loaded.
    pub(crate) fn works_while_loading(&self) -> bool {
        self.flags & LOADING != 0
    }

    /// Whether a subscriber may use it in RESP2.
    pub(crate) fn is_for_subscribers(&self) -> bool {
        matches!(self.name, "subscribe" | "unsubscribe" | "psubscribe" | "punsubscribe" | "ping" | "quit" | "reset")
    }

    /// Whether it takes effect within `MULTI` at once.
    pub(crate) fn is_never_queued(&self) -> bool {
        matches!(self.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
    }

    /// The keys among the words of a request.
    pub(crate) fn keys_of<'w>(&self, words: &'w [Vec<u8>]) -> &'w [Vec<u8>] {
        match self.keys {
            Keys::None => &[],
            Keys::First => words.get(1..2).unwrap_or_default(),
            Keys::All => words.get(1..).unwrap_or_default(),
        }
    }
}

const LOADING: u8 = 1;
const NO_AUTH: u8 = 2;

const fn command(name: &'static str, arity: isize, categories: &'static str, keys: Keys, flags: u8) -> Command {
    Command { name, arity, categories, keys, flags }
}

static COMMANDS: &[Command] = &[
    command("acl|whoami", 2, "slow", Keys::None, LOADING),
    command("auth", -2, "fast connection", Keys::None, LOADING | NO_AUTH),
    command("client|getname", 2, "slow connection", Keys::None, LOADING),
    command("client|id", 2, "slow connection", Keys::None, LOADING),
    command("client|setinfo", 4, "slow connection", Keys::None, LOADING),
    command("client|setname", 3, "slow connection", Keys::None, LOADING),
    command("cluster|info", 2, "slow", Keys::None, 0),
    command("cluster|keyslot", 3, "slow", Keys::None, 0),
    command("cluster|myid", 2, "slow", Keys::None, 0),
    command("cluster|shards", 2, "slow", Keys::None, 0),
    command("cluster|slots", 2, "slow", Keys::None, 0),
    command("dbsize", 1, "keyspace read fast", Keys::None, 0),
    command("del", -2, "keyspace write slow", Keys::All, 0),
    command("discard", 1, "fast transaction", Keys::None, LOADING),
    command("echo", 2, "fast connection", Keys::None, LOADING),
    command("exec", 1, "slow transaction", Keys::None, LOADING),
    command("exists", -2, "keyspace read fast", Keys::All, 0),
    command("flushall", -1, "keyspace write slow dangerous", Keys::None, 0),
    command("get", 2, "read string fast", Keys::First, 0),
    command("hello", -1, "fast connection", Keys::None, LOADING | NO_AUTH),
    command("incr", 2, "write string fast", Keys::First, 0),
    command("info", -1, "slow dangerous", Keys::None, LOADING),
    command("monitor", 1, "admin slow dangerous", Keys::None, LOADING),
    command("multi", 1, "fast transaction", Keys::None, LOADING),
    command("ping", -1, "fast connection", Keys::None, 0),
    command("psubscribe", -2, "pubsub slow", Keys::None, LOADING),
    command("publish", 3, "pubsub fast", Keys::None, LOADING),
    command("punsubscribe", -1, "pubsub slow", Keys::None, LOADING),
    command("quit", -1, "fast connection", Keys::None, LOADING | NO_AUTH),
    command("readonly", 1, "fast connection", Keys::None, LOADING),
    command("readwrite", 1, "fast connection", Keys::None, LOADING),
    command("reset", 1, "fast connection", Keys::None, LOADING | NO_AUTH),
    command("role", 1, "admin fast dangerous", Keys::None, LOADING),
    command("select", 2, "fast connection", Keys::None, LOADING),
    command("set", -3, "write string slow", Keys::First, 0),
    command("subscribe", -2, "pubsub slow", Keys::None, LOADING),
    command("time", 1, "fast", Keys::None, LOADING),
    command("unsubscribe", -1, "pubsub slow", Keys::None, LOADING),
    command("unwatch", 1, "fast transaction", Keys::None, LOADING),
    command("watch", -2, "fast transaction", Keys::All, LOADING),
];
