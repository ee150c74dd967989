//! Where commands end, and which of them matter.

use super::{
    number::{Number, Taken},
    word::Word,
};

/// Finds the end of each command in what a client sends, however it is cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    at: At,
    /// How many arguments the command has, and how many of them have been read; the command's name counts.
    arguments: u64,
    read: u64,
    name: Word,
    first: Word,
}

#[derive(Clone, Debug, Default)]
enum At {
    #[default]
    Boundary,
    Count(Number),
    Dollar,
    Length(Number),
    /// The bytes that are left of an argument and its end of line.
    Argument(u64),
    /// A line typed by hand.
    Inline(Vec<u8>),
}

/// What a command means for whoever counts the replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// One reply.
    Plain,
    /// An empty line: no reply.
    Empty,
    /// A transaction begins.
    Multi,
    /// A transaction ends.
    TransactionEnd,
    /// One confirmation for each of so many channels, or one error. Without channels it concerns all that there are.
    Subscription { topic: Topic, verb: Verb, channels: u64 },
    /// The protocol changes, and the user if `authenticates`.
    Hello { protocol: Option<Protocol>, authenticates: bool },
    /// The client authenticates itself.
    Auth,
    /// The connection is as new: RESP2, without user, transaction and subscriptions.
    Reset,
    /// From here on replies cannot be matched with commands; says why.
    Untraceable(&'static str),
}

/// What is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Channels,
    Patterns,
    Shards,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Subscribe,
    Unsubscribe,
}

pub(crate) use crate::Protocol;

impl Requests {
    /// Whether no command is under way.
    pub(super) fn at_boundary(&self) -> bool {
        matches!(self.at, At::Boundary)
    }

    /// Reads up to the end of one command, if `bytes` has it, and says how many bytes that were.
    pub(super) fn next(&mut self, bytes: &[u8]) -> (usize, Option<Command>) {
        let mut used = 0;
        while let Some((&byte, rest)) = bytes.get(used..).and_then(|rest| Some((rest.first()?, rest))) {
            match &mut self.at {
                At::Boundary if byte == b'*' => {
                    *self = Self { at: At::Count(Number::default()), ..Self::default() };
                    used += 1;
                }
                At::Boundary => *self = Self { at: At::Inline(Vec::new()), ..Self::default() },
                At::Count(number) => {
                    let (taken, state) = number.take(rest);
                    used += taken;
                    match state {
                        Taken::Part => {}
                        Taken::All(None | Some(0)) => return (used, Some(self.end(Command::Empty))),
                        Taken::All(Some(count)) => (self.arguments, self.at) = (count, At::Dollar),
                        Taken::Malformed => return self.malformed(bytes),
                    }
                }
                At::Dollar if byte == b'$' => {
                    self.at = At::Length(Number::default());
                    used += 1;
                }
                At::Dollar => return self.malformed(bytes),
                At::Length(number) => {
                    let (taken, state) = number.take(rest);
                    used += taken;
                    match state {
                        Taken::Part => {}
                        Taken::All(Some(length)) => self.at = At::Argument(length.saturating_add(2)),
                        Taken::All(None) | Taken::Malformed => return self.malformed(bytes),
                    }
                }
                At::Argument(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= here as u64;
                    used += here;
                    let ended = *left == 0;
                    match self.read {
                        0 => self.name.push(rest.get(..here).unwrap_or_default()),
                        1 => self.first.push(rest.get(..here).unwrap_or_default()),
                        _ => {}
                    }
                    if ended {
                        self.read += 1;
                        if self.read == self.arguments {
                            return (used, Some(self.end(self.command())));
                        }
                        self.at = At::Dollar;
                    }
                }
                At::Inline(line) => {
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    let here = end.map_or(rest.len(), |end| end + 1);
                    used += here;
                    // The server gives up at 64 KiB (PROTO_INLINE_MAX_SIZE); a name is long over by then.
                    let room = INLINE_MAX.saturating_sub(line.len());
                    line.extend(rest.iter().take(here.min(room)));
                    if end.is_some() {
                        let line = std::mem::take(line);
                        return (used, Some(self.inline(&line)));
                    }
                }
            }
        }
        (used, None)
    }

    /// How many of `bytes` belong to the command under way, or else to the first one in them; all if it does not end.
    pub(super) fn first_command(&self, bytes: &[u8]) -> usize {
        self.clone().next(bytes).0
    }

    fn end(&mut self, command: Command) -> Command {
        self.at = At::Boundary;
        command
    }

    /// The server answers with an error and closes.
    fn malformed(&mut self, bytes: &[u8]) -> (usize, Option<Command>) {
        (bytes.len(), Some(self.end(Command::Untraceable("the client sent something that is no RESP"))))
    }

    fn inline(&mut self, line: &[u8]) -> Command {
        let unquoted = |word: &[u8]| {
            let word = word.strip_prefix(b"\"").unwrap_or(word);
            Word::from(word.strip_suffix(b"\"").unwrap_or(word))
        };
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(unquoted);
        let Some(name) = words.next() else { return self.end(Command::Empty) };
        self.name = name;
        let first = words.next();
        self.arguments = 1 + first.map_or(0, |_| 1 + words.count() as u64);
        self.first = first.unwrap_or_default();
        self.end(self.command())
    }

    fn command(&self) -> Command {
        use Topic::{Channels, Patterns, Shards};
        use Verb::{Subscribe, Unsubscribe};
        let subscription = |topic, verb| Command::Subscription { topic, verb, channels: self.arguments - 1 };
        match self.name.as_bytes() {
            b"MULTI" => Command::Multi,
            b"EXEC" | b"DISCARD" => Command::TransactionEnd,
            b"AUTH" => Command::Auth,
            b"HELLO" => Command::Hello {
                protocol: match self.first.as_bytes() {
                    b"2" => Some(Protocol::Resp2),
                    b"3" => Some(Protocol::Resp3),
                    _ => None,
                },
                // `HELLO version [AUTH user secret] [SETNAME name]`.
                authenticates: matches!(self.arguments, 5 | 7),
            },
            b"RESET" => Command::Reset,
            b"SUBSCRIBE" => subscription(Channels, Subscribe),
            b"PSUBSCRIBE" => subscription(Patterns, Subscribe),
            b"SSUBSCRIBE" => subscription(Shards, Subscribe),
            b"UNSUBSCRIBE" => subscription(Channels, Unsubscribe),
            b"PUNSUBSCRIBE" => subscription(Patterns, Unsubscribe),
            b"SUNSUBSCRIBE" => subscription(Shards, Unsubscribe),
            b"MONITOR" => Command::Untraceable("the client sent MONITOR"),
            b"SYNC" | b"PSYNC" | b"REPLCONF" => Command::Untraceable("the client is a replica"),
            b"CLIENT" if self.first.as_bytes() == b"REPLY" => Command::Untraceable("the client sent CLIENT REPLY"),
            _ => Command::Plain,
        }
    }
}

const INLINE_MAX: usize = 256;
