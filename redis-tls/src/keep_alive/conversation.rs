//! Both directions of a connection, understood well enough to slip an `AUTH` in between and take its reply out again.

use std::collections::VecDeque;

use super::{
    replies::{Frame, Replies},
    requests::{Command, Protocol, Requests, Topic, Verb},
};

/// Commands and replies, counted. The server answers in order, so the reply to a command is known by its number.
///
/// What is not a reply is a push: in RESP3 by its type; in RESP2, while there is a subscription, by what it says.
#[derive(Debug)]
pub(super) struct Conversation {
    requests: Requests,
    replies: Replies,
    protocol: Protocol,
    sent: u64,
    answered: u64,
    /// The commands among those unanswered whose reply matters, by their number.
    awaited: VecDeque<(u64, Awaited)>,
    in_transaction: bool,
    subscriptions: Subscriptions,
    /// The reply to our own command, as far as it has come.
    answer: Option<Answer>,
    lost: Option<&'static str>,
    taken_over: bool,
    reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Ours,
    TheirAuth,
    Hello {
        protocol: Option<Protocol>,
        authenticates: bool,
    },
    Reset,
    /// So many confirmations are left; 0 is one for each subscription to the topic, of which the first is still to come.
    Subscription {
        topic: Topic,
        verb: Verb,
        left: u64,
    },
}

/// As the server last counted them: it counts channels and patterns together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Subscriptions {
    channels: u64,
    patterns: u64,
    shards: u64,
}

/// What the server said to our `AUTH`: the beginning of it, never more than the error's code is taken from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    text: [u8; 16],
    len: usize,
}

/// What came of received bytes.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// How many bytes are left for the client, at the beginning.
    pub(super) kept: usize,
    /// The reply to our own `AUTH`.
    pub(super) answer: Option<Answer>,
}

/// Where our reply was due something came that cannot be it: a reply too many or too few has been counted before.
#[derive(Debug, thiserror::Error)]
#[error("the server's answer to AUTH is neither OK nor an error, or is the answer to something else")]
pub(super) struct OutOfStep;

impl Conversation {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            requests: Requests::default(),
            replies: Replies::default(),
            protocol,
            sent: 0,
            answered: 0,
            awaited: VecDeque::new(),
            in_transaction: false,
            subscriptions: Subscriptions::default(),
            answer: None,
            lost: None,
            taken_over: false,
            reset: false,
        }
    }

    /// The server took these bytes of the client.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while self.lost.is_none() && !bytes.is_empty() {
            let (used, command) = self.requests.next(bytes);
            bytes = bytes.get(used..).unwrap_or_default();
            match command {
                Some(Command::Plain) => self.sent += 1,
                Some(command) => self.command(command),
                None => {}
            }
        }
    }

    #[cold]
    fn command(&mut self, command: Command) {
        match command {
            Command::Empty => return,
            Command::Plain => {}
            Command::Multi => self.in_transaction = true,
            Command::TransactionEnd => self.in_transaction = false,
            Command::Untraceable(reason) => return self.lose(reason),
            Command::Auth if self.in_transaction => {}
            Command::Auth => self.awaited.push_back((self.sent, Awaited::TheirAuth)),
            Command::Reset => {
                self.in_transaction = false;
                self.reset = !self.taken_over;
                self.awaited.push_back((self.sent, Awaited::Reset));
            }
            Command::Subscription { .. } | Command::Hello { .. } if self.in_transaction => {
                return self.lose("the client subscribed or changed the protocol in a transaction");
            }
            Command::Subscription { topic, verb, channels } => {
                self.awaited.push_back((self.sent, Awaited::Subscription { topic, verb, left: channels }));
            }
            Command::Hello { protocol, authenticates } => {
                self.awaited.push_back((self.sent, Awaited::Hello { protocol, authenticates }));
            }
        }
        self.sent += 1;
    }

    /// How many of `bytes` to send before asking anew whether an `AUTH` fits in.
    pub(super) fn up_to_boundary(&self, bytes: &[u8]) -> usize {
        if self.lost.is_some() { bytes.len() } else { self.requests.first_command(bytes) }
    }

    /// Whether an `AUTH` may be sent now.
    ///
    /// Not inside a command; not inside a transaction, where it would be queued or refused; not to a RESP2 subscriber, who
    /// may send nothing but (un)subscriptions.
    pub(super) fn admits_auth(&self) -> bool {
        let pending = |what: fn(&Awaited) -> bool| self.awaited.iter().any(|(_, awaited)| what(awaited));
        let subscriber = self.subscriptions.any() || pending(|a| matches!(a, Awaited::Subscription { .. }));
        let resp3 = self.protocol == Protocol::Resp3
            && !pending(|a| matches!(a, Awaited::Reset | Awaited::Hello { protocol: Some(Protocol::Resp2), .. }));
        self.lost.is_none() && self.requests.at_boundary() && !self.in_transaction && (resp3 || !subscriber)
    }

    /// An `AUTH` of ours was sent.
    pub(super) fn auth_sent(&mut self) {
        self.awaited.push_back((self.sent, Awaited::Ours));
        self.sent += 1;
        self.reset = false;
    }

    /// The reset took nothing away.
    pub(super) fn forget_reset(&mut self) {
        self.reset = false;
    }

    /// Takes the reply to our `AUTH` out of received bytes and moves the rest together.
    pub(super) fn received(&mut self, bytes: &mut [u8]) -> Result<Received, OutOfStep> {
        let mut received = Received::default();
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            if self.lost.is_some() {
                keep(bytes, at, rest.len(), &mut received.kept);
                break;
            }
            if self.replies.at_boundary() && self.next_is_ours(rest) {
                if !matches!(rest.first(), Some(b'+' | b'-')) {
                    return Err(OutOfStep);
                }
                self.answer = Some(Answer::default());
            }
            let Ok((used, frame)) = self.replies.next(rest) else {
                self.lose("the server sent something that is no RESP");
                continue;
            };
            match &mut self.answer {
                None => keep(bytes, at, used, &mut received.kept),
                Some(answer) => {
                    answer.push(rest.get(..used).unwrap_or_default());
                    if frame.is_some() {
                        received.answer = self.answer.take();
                    }
                }
            }
            at += used;
            if let Some(frame) = frame {
                self.frame(&frame);
            }
        }
        Ok(received)
    }

    fn next_is_ours(&self, bytes: &[u8]) -> bool {
        // Nobody is a RESP2 subscriber while our reply is out: only RESP3 has pushes then.
        self.front() == Some(Awaited::Ours) && bytes.first() != Some(&b'>')
    }

    /// The command that the next reply answers, if it matters.
    fn front(&self) -> Option<Awaited> {
        self.awaited.front().filter(|(number, _)| *number == self.answered).map(|(_, awaited)| *awaited)
    }

    fn frame(&mut self, frame: &Frame) {
        if frame.kind == b'>' || frame.kind == b'*' && self.is_resp2_push(frame) {
            return self.push(frame);
        }
        if self.answered == self.sent {
            return self.lose("the server sent a reply to no command");
        }
        let front = self.front();
        self.answered += 1;
        if let Some(awaited) = front {
            self.awaited.pop_front();
            self.reply(awaited, frame);
        }
    }

    #[cold]
    fn reply(&mut self, awaited: Awaited, frame: &Frame) {
        let ok = frame.kind != b'-';
        match awaited {
            Awaited::TheirAuth if ok => self.taken_over = true,
            Awaited::Hello { protocol, authenticates } if ok => {
                self.protocol = protocol.unwrap_or(self.protocol);
                self.taken_over |= authenticates;
            }
            Awaited::Reset => {
                self.protocol = Protocol::Resp2;
                self.subscriptions = Subscriptions::default();
            }
            Awaited::Ours | Awaited::TheirAuth | Awaited::Hello { .. } | Awaited::Subscription { .. } => {}
        }
    }

    fn is_resp2_push(&self, frame: &Frame) -> bool {
        let subscriber = self.subscriptions.any() || matches!(self.front(), Some(Awaited::Subscription { .. }));
        let says = frame.first.as_bytes();
        self.protocol == Protocol::Resp2
            && subscriber
            && (matches!(says, b"MESSAGE" | b"PMESSAGE" | b"SMESSAGE") || confirmation(says).is_some())
    }

    #[cold]
    fn push(&mut self, frame: &Frame) {
        let Some((topic, verb)) = confirmation(frame.first.as_bytes()) else { return };
        let count =
            frame.third.as_bytes().iter().fold(0_u64, |count, digit| {
                count.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
            });
        let before = self.subscriptions.count(topic, count);
        // A shard channel that moves away is unsubscribed by the server: nobody waits for that confirmation.
        if let Some((number, Awaited::Subscription { topic: t, verb: v, left })) = self.awaited.front_mut()
            && (*number, *t, *v) == (self.answered, topic, verb)
        {
            if *left == 0 {
                // Without any there is one confirmation, of nothing.
                *left = before.max(1);
            }
            *left -= 1;
            if *left == 0 {
                self.awaited.pop_front();
                self.answered += 1;
            }
        }
    }

    fn lose(&mut self, reason: &'static str) {
        self.lost = Some(reason);
    }

    /// Why replies can no longer be matched with commands.
    pub(super) fn lost(&self) -> Option<&'static str> {
        self.lost
    }

    /// Whether the client authenticated itself, with success.
    pub(super) fn taken_over(&self) -> bool {
        self.taken_over
    }

    /// Whether the client reset the connection, and with it our authentication.
    pub(super) fn was_reset(&self) -> bool {
        self.reset
    }

    /// Whether nothing is under way in either direction, so that closing loses nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.lost.is_some()
            || (self.requests.at_boundary()
                && self.replies.at_boundary()
                && self.answered == self.sent
                && !self.in_transaction)
    }

    /// Whether a command or a transaction of the client is under way, which may go on.
    pub(super) fn is_mid_request(&self) -> bool {
        self.lost.is_none() && (!self.requests.at_boundary() || self.in_transaction)
    }
}

impl Subscriptions {
    fn any(self) -> bool {
        self != Self::default()
    }

    /// Takes the server's count after a change to `topic`; returns how many there were of it before.
    fn count(&mut self, topic: Topic, count: u64) -> u64 {
        let (slot, others) = match topic {
            Topic::Channels => (&mut self.channels, self.patterns),
            Topic::Patterns => (&mut self.patterns, self.channels),
            Topic::Shards => (&mut self.shards, 0),
        };
        std::mem::replace(slot, count.saturating_sub(others))
    }
}

impl Answer {
    fn push(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.text.iter_mut().skip(self.len).zip(bytes) {
            *slot = *byte;
            self.len += 1;
        }
    }

    /// `Ok`, or the error's code such as `WRONGPASS`. The text after it may repeat what was sent.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let text = self.text.get(..self.len).unwrap_or_default();
        let Some(error) = text.strip_prefix(b"-") else { return Ok(()) };
        let code: String =
            error.iter().take_while(|byte| byte.is_ascii_uppercase()).map(|byte| char::from(*byte)).collect();
        Err(code)
    }
}

fn confirmation(says: &[u8]) -> Option<(Topic, Verb)> {
    Some(match says {
        b"SUBSCRIBE" => (Topic::Channels, Verb::Subscribe),
        b"PSUBSCRIBE" => (Topic::Patterns, Verb::Subscribe),
        b"SSUBSCRIBE" => (Topic::Shards, Verb::Subscribe),
        b"UNSUBSCRIBE" => (Topic::Channels, Verb::Unsubscribe),
        b"PUNSUBSCRIBE" => (Topic::Patterns, Verb::Unsubscribe),
        b"SUNSUBSCRIBE" => (Topic::Shards, Verb::Unsubscribe),
        _ => return None,
    })
}

/// Moves `bytes[at..at + len]` to the end of what is kept.
fn keep(bytes: &mut [u8], at: usize, len: usize, kept: &mut usize) {
    if at != *kept {
        bytes.copy_within(at..at + len, *kept);
    }
    *kept += len;
}
