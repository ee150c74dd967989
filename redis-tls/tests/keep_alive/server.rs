//! A server that reads whole commands and answers them, written without a look at the code under test.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// What a server saw and said.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// The bytes of all commands but the `AUTH` of the keeper.
    pub(super) commands: Vec<u8>,
    /// The bytes of all answers but those to these.
    pub(super) answers: Vec<u8>,
    /// The `AUTH`s of the keeper.
    pub(super) auths: Vec<Vec<String>>,
}

/// How it behaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Manners {
    /// The first so many `AUTH`s of the keeper are refused.
    pub(super) refuses: usize,
    /// Sends a push or a message before each answer where that is allowed.
    pub(super) pushes: bool,
}

/// The user by which the keeper's `AUTH` is told from those of the client.
pub(super) const KEEPER: &str = "keeper";

struct Session {
    resp3: bool,
    transaction: Option<usize>,
    channels: Vec<String>,
    patterns: Vec<String>,
}

/// Serves until the client ends its half. Panics when an `AUTH` comes where a server would refuse it.
pub(super) async fn serve(mut io: DuplexStream, manners: Manners) -> Journal {
    let mut session = Session { resp3: false, transaction: None, channels: vec![], patterns: vec![] };
    let mut journal = Journal::default();
    let mut unread = Vec::new();
    while io.read_buf(&mut unread).await.unwrap() > 0 {
        while let Some((used, command)) = parse(&unread) {
            let bytes: Vec<u8> = unread.drain(..used).collect();
            if command.first().is_some_and(|name| name == "AUTH") && command.get(1).is_some_and(|user| user == KEEPER) {
                assert_eq!(session.transaction, None, "AUTH in a transaction");
                assert!(session.resp3 || !session.subscriber(), "AUTH of a RESP2 subscriber");
                journal.auths.push(command);
                let refused = journal.auths.len() <= manners.refuses;
                let answer: &[u8] = match refused {
                    true => b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                    false => b"+OK\r\n",
                };
                io.write_all(answer).await.unwrap();
                continue;
            }
            let mut answer = Vec::new();
            if manners.pushes && session.resp3 {
                answer.extend_from_slice(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n");
            } else if manners.pushes && session.subscriber() {
                answer.extend_from_slice(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\n+OK\r\n\r\n");
            }
            session.answer(&command, &mut answer);
            journal.commands.extend_from_slice(&bytes);
            journal.answers.extend_from_slice(&answer);
            io.write_all(&answer).await.unwrap();
        }
    }
    journal
}

impl Session {
    fn subscriber(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    fn answer(&mut self, command: &[String], out: &mut Vec<u8>) {
        let Some(name) = command.first().map(|name| name.to_ascii_uppercase()) else { return };
        let arguments = command.get(1..).unwrap_or_default();
        if let Some(queued) = &mut self.transaction
            && !["EXEC", "DISCARD", "RESET", "MULTI"].contains(&name.as_str())
        {
            *queued += 1;
            return out.extend_from_slice(b"+QUEUED\r\n");
        }
        match name.as_str() {
            "MULTI" if self.transaction.is_some() => out.extend_from_slice(b"-ERR MULTI calls can not be nested\r\n"),
            "MULTI" => {
                self.transaction = Some(0);
                out.extend_from_slice(b"+OK\r\n");
            }
            "EXEC" => match self.transaction.take() {
                None => out.extend_from_slice(b"-ERR EXEC without MULTI\r\n"),
                Some(queued) => {
                    out.extend_from_slice(format!("*{queued}\r\n").as_bytes());
                    (0..queued).for_each(|n| out.extend_from_slice(format!(":{n}\r\n").as_bytes()));
                }
            },
            "DISCARD" => match self.transaction.take() {
                None => out.extend_from_slice(b"-ERR DISCARD without MULTI\r\n"),
                Some(_) => out.extend_from_slice(b"+OK\r\n"),
            },
            "RESET" => {
                *self = Self { resp3: false, transaction: None, channels: vec![], patterns: vec![] };
                out.extend_from_slice(b"+RESET\r\n");
            }
            "HELLO" => {
                match arguments.first().map(String::as_str) {
                    Some("3") => self.resp3 = true,
                    Some("2") => self.resp3 = false,
                    Some(_) => return out.extend_from_slice(b"-NOPROTO unsupported protocol version\r\n"),
                    None => {}
                }
                out.extend_from_slice(match self.resp3 {
                    true => b"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n".as_slice(),
                    false => b"*4\r\n$5\r\nproto\r\n:2\r\n$7\r\nmodules\r\n*0\r\n",
                });
            }
            "SUBSCRIBE" | "PSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" => self.subscription(&name, arguments, out),
            // A RESP2 subscriber is refused everything else.
            _ if self.subscriber() && !self.resp3 => {
                out.extend_from_slice(b"-ERR Can't execute that in this context\r\n")
            }
            "REPLY" => out.extend_from_slice(&unescape(arguments.first().map_or("", |text| text))),
            "AUTH" => out.extend_from_slice(b"-ERR AUTH <password> called without any password\r\n"),
            _ => out.extend_from_slice(b"+OK\r\n"),
        }
    }

    fn subscription(&mut self, name: &str, arguments: &[String], out: &mut Vec<u8>) {
        if arguments.iter().any(|argument| argument == "forbidden") {
            return out.extend_from_slice(b"-NOPERM No permissions to access a channel\r\n");
        }
        let patterns = name.starts_with('P');
        let begins = !name.contains("UN");
        let known = if patterns { &self.patterns } else { &self.channels };
        let named: Vec<Option<String>> = match arguments {
            [] if known.is_empty() => vec![None],
            [] => known.iter().cloned().map(Some).collect(),
            some => some.iter().cloned().map(Some).collect(),
        };
        for channel in named {
            let set = if patterns { &mut self.patterns } else { &mut self.channels };
            if let Some(channel) = &channel {
                set.retain(|known| known != channel);
                if begins {
                    set.push(channel.clone());
                }
            }
            let kind = if self.resp3 { '>' } else { '*' };
            let verb = name.to_ascii_lowercase();
            let channel =
                channel.map_or_else(|| "$-1\r\n".to_owned(), |channel| format!("${}\r\n{channel}\r\n", channel.len()));
            let count = self.channels.len() + self.patterns.len();
            out.extend_from_slice(format!("{kind}3\r\n${}\r\n{verb}\r\n{channel}:{count}\r\n", verb.len()).as_bytes());
        }
    }
}

/// A whole command at the beginning of `bytes`, and its length.
fn parse(bytes: &[u8]) -> Option<(usize, Vec<String>)> {
    let text = |from: usize| -> Option<(usize, &str)> {
        let end = bytes[from..].windows(2).position(|pair| pair == b"\r\n")?;
        Some((from + end + 2, std::str::from_utf8(&bytes[from..from + end]).unwrap()))
    };
    let (mut at, first) = text(0)?;
    let Some(count) = first.strip_prefix('*') else {
        return Some((at, first.split_ascii_whitespace().map(str::to_owned).collect()));
    };
    let mut arguments = Vec::new();
    for _ in 0..count.parse::<i64>().unwrap() {
        let (start, length) = text(at)?;
        let length: usize = length.strip_prefix('$').unwrap().parse().unwrap();
        arguments.push(String::from_utf8_lossy(bytes.get(start..start + length)?).into_owned());
        bytes.get(start + length..start + length + 2)?;
        at = start + length + 2;
    }
    Some((at, arguments))
}

/// A scripted answer travels as hexadecimal in the command that asks for it.
fn unescape(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}
