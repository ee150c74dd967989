//! The Redis serialization protocol as a server speaks it: requests in, replies out.

use std::borrow::Cow;

/// A version of the protocol, which `HELLO` chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// Takes the next request off the buffer: its words, none for an empty line. `None` when it has not arrived in full.
///
/// # Errors
/// What the server says before it hangs up, without `ERR Protocol error: `. The leniency is that of Redis, down to a line end
/// after a bulk string that may be any two bytes.
pub(crate) fn next_request(buffer: &mut Vec<u8>, limits: Limits) -> Result<Option<Vec<Vec<u8>>>, Cow<'static, str>> {
    let mut rest = Rest { bytes: buffer, at: 0 };
    let words = match rest.bytes.first() {
        None => return Ok(None),
        Some(b'*') => rest.multibulk(limits)?,
        Some(_) => rest.inline()?,
    };
    let consumed = rest.at;
    if words.is_some() {
        buffer.drain(..consumed);
    }
    Ok(words)
}

/// How much a request may ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limits {
    /// From somebody unknown: few and short words.
    Unauthenticated,
    Authenticated,
    /// Of old servers, the same for everybody.
    Old,
}

struct Rest<'b> {
    bytes: &'b [u8],
    at: usize,
}

type Words = Option<Vec<Vec<u8>>>;

impl Rest<'_> {
    fn multibulk(&mut self, limits: Limits) -> Result<Words, Cow<'static, str>> {
        let Some(count) = self.number("too big mbulk count string", "invalid multibulk length")? else {
            return Ok(None);
        };
        if count > if limits == Limits::Old { 1024 * 1024 } else { i64::from(i32::MAX) } {
            return Err("invalid multibulk length".into());
        }
        if count > 10 && limits == Limits::Unauthenticated {
            return Err("unauthenticated multibulk length".into());
        }
        let mut words = Vec::new();
        for _ in 0..count {
            match self.bytes.get(self.at) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(other) => return Err(format!("expected '$', got '{}'", char::from(*other)).into()),
            }
            let Some(length) = self.number("too big bulk count string", "invalid bulk length")? else {
                return Ok(None);
            };
            let length = usize::try_from(length).ok().filter(|length| *length <= 512 << 20);
            let length = length.ok_or("invalid bulk length")?;
            if length > 16_384 && limits == Limits::Unauthenticated {
                return Err("unauthenticated bulk length".into());
            }
            let Some(word) = self.bytes.get(self.at..self.at + length + 2) else {
                return Ok(None);
            };
            words.push(word.get(..length).unwrap_or_default().to_vec());
            self.at += length + 2;
        }
        Ok(Some(words))
    }

    /// The number between the type byte and the line end.
    fn number(&mut self, endless: &'static str, invalid: &'static str) -> Result<Option<i64>, Cow<'static, str>> {
        let line = self.bytes.get(self.at..).unwrap_or_default();
        let Some(end) = line.iter().position(|byte| *byte == b'\r') else {
            return if line.len() > LONGEST_LINE { Err(endless.into()) } else { Ok(None) };
        };
        if line.get(end + 1).is_none() {
            return Ok(None);
        }
        self.at += end + 2;
        let digits = line.get(1..end).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).map(Some).ok_or_else(|| invalid.into())
    }

    /// A line of words, as people type them. Redis looks for its end as in a C string: what follows a NUL is not seen. This is
    /// why a TLS ClientHello, which has a NUL in its fourth byte, is never answered.
    fn inline(&mut self) -> Result<Words, Cow<'static, str>> {
        let visible = self.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let Some(end) = visible.iter().position(|byte| *byte == b'\n') else {
            let endless = self.bytes.len() > LONGEST_LINE;
            return if endless { Err("too big inline request".into()) } else { Ok(None) };
        };
        self.at = end + 1;
        let line = visible.get(..end).unwrap_or_default();
        split_words(line).map(Some).ok_or_else(|| "unbalanced quotes in request".into())
    }
}

/// Splits at spaces; `"…"` knows escapes, `'…'` only `\'`. `None` when a quote does not end a word.
fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut bytes = line.iter().copied().peekable();
    let mut words = Vec::new();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        if bytes.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_whitespace()) {
            if byte != b'"' && byte != b'\'' {
                word.push(byte);
                continue;
            }
            loop {
                match bytes.next()? {
                    end if end == byte => break,
                    b'\\' if byte == b'"' => word.push(match bytes.next()? {
                        b'x' => {
                            let digits = [bytes.next()?, bytes.next()?];
                            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                        }
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    }),
                    b'\\' if bytes.next_if_eq(&b'\'').is_some() => word.push(b'\''),
                    other => word.push(other),
                }
            }
            if bytes.peek().is_some_and(|next| !next.is_ascii_whitespace()) {
                return None;
            }
        }
        words.push(word);
    }
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Simple(&'static str),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    /// Text that RESP3 marks as such.
    Text(String),
    Null,
    /// Nothing, where there would be an array.
    NullArray,
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// Out of turn; an array in RESP2.
    Push(Vec<Self>),
    /// Several in a row.
    Several(Vec<Self>),
}

impl Reply {
    pub(crate) const OK: Self = Self::Simple("OK");

    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    pub(crate) fn bulk(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(bytes.into())
    }

    pub(crate) fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(crate) fn encode(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let resp3 = protocol == Protocol::Resp3;
        let header = |out: &mut Vec<u8>, kind: char, count: usize| out.extend(format!("{kind}{count}\r\n").bytes());
        match self {
            Self::Simple(text) => out.extend(format!("+{text}\r\n").bytes()),
            Self::Error(text) => out.extend(format!("-{}\r\n", text.replace(['\r', '\n'], " ")).bytes()),
            Self::Integer(number) => out.extend(format!(":{number}\r\n").bytes()),
            Self::Bulk(bytes) => {
                header(out, '$', bytes.len());
                out.extend(bytes);
                out.extend(b"\r\n");
            }
            Self::Text(text) if resp3 => out.extend(format!("={}\r\ntxt:{text}\r\n", text.len() + 4).bytes()),
            Self::Text(text) => Self::bulk(text.as_str()).encode(protocol, out),
            Self::Null => out.extend(if resp3 { "_\r\n" } else { "$-1\r\n" }.bytes()),
            Self::NullArray => out.extend(if resp3 { "_\r\n" } else { "*-1\r\n" }.bytes()),
            Self::Array(items) | Self::Push(items) => {
                let push = resp3 && matches!(self, Self::Push(_));
                header(out, if push { '>' } else { '*' }, items.len());
                items.iter().for_each(|item| item.encode(protocol, out));
            }
            Self::Map(pairs) => {
                match resp3 {
                    true => header(out, '%', pairs.len()),
                    false => header(out, '*', pairs.len() * 2),
                }
                pairs.iter().flat_map(|(key, value)| [key, value]).for_each(|item| item.encode(protocol, out));
            }
            Self::Several(replies) => replies.iter().for_each(|reply| reply.encode(protocol, out)),
        }
    }
}

/// `PROTO_INLINE_MAX_SIZE` of Redis.
const LONGEST_LINE: usize = 64 * 1024;
