//! The protocol of Redis, RESP2 and RESP3, as far as a handshake needs it: whole replies of limited size, and commands.
//!
//! See <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

/// A reply, borrowed from the buffer it was read from. No `Debug`: old servers repeat passwords in error replies.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum Reply<'a> {
    /// Any string, number in writing, or boolean (`t`, `f`).
    Text(&'a [u8]),
    Integer(i64),
    Error(&'a [u8]),
    Null,
    /// An array, a set or a push.
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoReply {
    /// The first byte begins none.
    #[error("the first byte is that of no reply")]
    OtherProtocol,
    /// It begins as one and goes wrong.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A whole reply at the beginning of `bytes` and its length, `None` if there is more to come. Pushes, which belong to no
/// command, and attributes are passed over, and counted in the length.
pub(crate) fn read_reply(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, NoReply> {
    let mut reader = Reader { rest: bytes };
    loop {
        let is_push = reader.rest.first() == Some(&b'>');
        match reader.reply(MAX_DEPTH) {
            Ok(_) if is_push => {}
            Ok(reply) => return Ok(Some((reply, bytes.len() - reader.rest.len()))),
            Err(Stop::Incomplete) if bytes.len() < MAX_REPLY => return Ok(None),
            Err(Stop::Incomplete) => return Err(NoReply::Malformed(TOO_LONG)),
            Err(Stop::No(why)) => return Err(why),
        }
    }
}

/// Appends a command as an array of bulk strings, which servers of every age take.
pub(crate) fn write_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    let mut header = |kind: u8, number: usize| {
        out.push(kind);
        out.extend_from_slice(number.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    header(b'*', words.len());
    for word in words {
        out.push(b'$');
        out.extend_from_slice(word.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

impl<'a> Reply<'a> {
    /// The string that it is.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// The value of `key` in a map, or in the list of pairs that RESP2 has for one.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value),
            Self::List(items) => items.chunks_exact(2).find_map(|pair| match pair {
                [name, value] if name.text() == Some(key) => Some(value),
                _ => None,
            }),
            _ => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

enum Stop {
    Incomplete,
    No(NoReply),
}

impl From<NoReply> for Stop {
    fn from(why: NoReply) -> Self {
        Self::No(why)
    }
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: usize) -> Result<Reply<'a>, Stop> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(NoReply::Malformed("it is nested too deeply").into());
        };
        let (&kind, rest) = self.rest.split_first().ok_or(Stop::Incomplete)?;
        self.rest = rest;
        match kind {
            b'+' | b'(' | b',' | b'#' => self.line().map(Reply::Text),
            b'-' => self.line().map(Reply::Error),
            b':' => self.number().map(Reply::Integer),
            b'_' => self.line().map(|_| Reply::Null),
            b'$' => Ok(self.bulk()?.map_or(Reply::Null, Reply::Text)),
            // Three letters and a colon tell the format.
            b'=' => Ok(self.bulk()?.map_or(Reply::Null, |text| Reply::Text(text.get(4..).unwrap_or_default()))),
            b'!' => Ok(self.bulk()?.map_or(Reply::Null, Reply::Error)),
            b'*' | b'~' | b'>' => match self.length()? {
                Some(count) => (0..count).map(|_| self.reply(depth)).collect::<Result<_, _>>().map(Reply::List),
                None => Ok(Reply::Null),
            },
            b'%' => self.pairs(depth).map(Reply::Map),
            b'|' => {
                self.pairs(depth)?;
                self.reply(depth)
            }
            _ => Err(NoReply::OtherProtocol.into()),
        }
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(Reply<'a>, Reply<'a>)>, Stop> {
        let count = self.length()?.unwrap_or_default();
        (0..count).map(|_| Ok((self.reply(depth)?, self.reply(depth)?))).collect()
    }

    fn bulk(&mut self) -> Result<Option<&'a [u8]>, Stop> {
        let Some(length) = self.length()? else { return Ok(None) };
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Stop::Incomplete)?;
        let (end, rest) = rest.split_at_checked(2).ok_or(Stop::Incomplete)?;
        if end != b"\r\n" {
            return Err(NoReply::Malformed("a string does not end where its length says").into());
        }
        self.rest = rest;
        Ok(Some(text))
    }

    /// `-1` is the null of RESP2. An element takes a byte at least, so no length above the limit is ever met.
    fn length(&mut self) -> Result<Option<usize>, Stop> {
        match usize::try_from(self.number()?) {
            Ok(length) if length <= MAX_REPLY => Ok(Some(length)),
            Ok(_) => Err(NoReply::Malformed(TOO_LONG).into()),
            Err(_) => Ok(None),
        }
    }

    fn number(&mut self) -> Result<i64, Stop> {
        let digits = std::str::from_utf8(self.line()?).ok();
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| NoReply::Malformed("a number is none").into())
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(Stop::Incomplete)?;
        let (line, rest) = self.rest.split_at_checked(end + 1).ok_or(Stop::Incomplete)?;
        self.rest = rest;
        line.strip_suffix(b"\r\n").ok_or_else(|| NoReply::Malformed("a line does not end in CR LF").into())
    }
}

/// A reply to a command of the handshake has some hundred bytes; `INFO` has ten thousand.
pub(crate) const MAX_REPLY: usize = 64 * 1024;

/// `HELLO` nests three deep: the map, its list of modules, a module.
const MAX_DEPTH: usize = 8;

const TOO_LONG: &str = "it is longer than 64 KiB";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn whole(bytes: &[u8], reply: Reply<'_>) {
        assert_eq!(read_reply(bytes), Ok(Some((reply, bytes.len()))));
        for end in 0..bytes.len() {
            assert_eq!(read_reply(&bytes[..end]), Ok(None), "cut at {end}");
        }
    }

    #[track_caller]
    fn malformed(bytes: &[u8], what: &str) {
        let Err(NoReply::Malformed(found)) = read_reply(bytes) else { panic!("{:?}", read_reply(bytes)) };
        assert!(found.contains(what), "{found}");
    }

    #[test]
    fn every_type_of_both_versions_is_read_and_waited_for_while_incomplete() {
        whole(b"+PONG\r\n", Reply::Text(b"PONG"));
        whole(b"-NOAUTH Authentication required.\r\n", Reply::Error(b"NOAUTH Authentication required."));
        whole(b":-7\r\n", Reply::Integer(-7));
        whole(b"$5\r\na\r\nbc\r\n", Reply::Text(b"a\r\nbc"));
        whole(b"$0\r\n\r\n", Reply::Text(b""));
        whole(b"=7\r\ntxt:abc\r\n", Reply::Text(b"abc"));
        whole(b"!3\r\nERR\r\n", Reply::Error(b"ERR"));
        whole(b",1.5\r\n", Reply::Text(b"1.5"));
        whole(b"(123\r\n", Reply::Text(b"123"));
        whole(b"#t\r\n", Reply::Text(b"t"));
        for null in [&b"_\r\n"[..], b"$-1\r\n", b"*-1\r\n"] {
            whole(null, Reply::Null);
        }
        whole(b"*2\r\n:1\r\n*0\r\n", Reply::List(vec![Reply::Integer(1), Reply::List(vec![])]));
        whole(b"~1\r\n+a\r\n", Reply::List(vec![Reply::Text(b"a")]));
        whole(b"%1\r\n+a\r\n:1\r\n", Reply::Map(vec![(Reply::Text(b"a"), Reply::Integer(1))]));
    }

    #[test]
    fn pushes_and_attributes_belong_to_no_command() {
        whole(b">1\r\n+invalidate\r\n+OK\r\n", Reply::Text(b"OK"));
        whole(b"|1\r\n+ttl\r\n:3\r\n+OK\r\n", Reply::Text(b"OK"));
    }

    #[test]
    fn only_the_first_reply_is_taken() {
        assert_eq!(read_reply(b"+OK\r\n+PONG\r\n"), Ok(Some((Reply::Text(b"OK"), 5))));
    }

    #[test]
    fn what_is_no_reply_is_told_apart_from_a_bad_one() {
        for other in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"\x15\x03\x03", b"220 mail\r\n"] {
            assert_eq!(read_reply(other), Err(NoReply::OtherProtocol));
        }
        malformed(b":one\r\n", "number");
        malformed(b"+PONG\n", "CR LF");
        malformed(b"$1\r\nabc", "does not end where its length says");
        malformed(b"$65537\r\n", "64 KiB");
        malformed(b"*65537\r\n", "64 KiB");
        malformed(&b"*1\r\n".repeat(9), "nested");
        assert!(matches!(read_reply(&b"*1\r\n".repeat(8)), Err(NoReply::Malformed(_)) | Ok(None)));
        malformed(&[&b"+"[..], &[b'a'; MAX_REPLY]].concat(), "64 KiB");
    }

    #[test]
    fn a_map_is_looked_up_alike_in_both_versions() {
        for bytes in [&b"%2\r\n+a\r\n:1\r\n+b\r\n+x\r\n"[..], b"*4\r\n+a\r\n:1\r\n+b\r\n+x\r\n"] {
            let (reply, _) = read_reply(bytes).unwrap().unwrap();
            assert_eq!(reply.get("b").and_then(Reply::text), Some("x"));
            assert_eq!(reply.get("x"), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in "[-+:$*%>|_!=\\r\\n0-9a]{0,80}") {
            if let Ok(Some((_, length))) = read_reply(bytes.as_bytes()) {
                prop_assert!(length <= bytes.len());
                prop_assert!(matches!(read_reply(&bytes.as_bytes()[..length]), Ok(Some((_, again))) if again == length));
            }
        }

        #[test]
        fn a_command_reads_as_the_list_of_its_words(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)) {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let mut bytes = Vec::new();
            write_command(&mut bytes, &words);
            let expected = Reply::List(words.into_iter().map(Reply::Text).collect());
            prop_assert_eq!(read_reply(&bytes), Ok(Some((expected, bytes.len()))));
        }
    }
}
