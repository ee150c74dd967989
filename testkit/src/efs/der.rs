//! A strict reader of DER (X.690 section 10): the one encoding that each value has, and nothing behind it.

use std::fmt::Write;
use std::time::SystemTime;

/// Why the input is not the DER that was expected, in words.
pub(crate) type Fault = &'static str;

/// Reads DER values one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// The contents of the next value, which must have this tag.
    pub(crate) fn value(&mut self, tag: u8) -> Result<&'a [u8], Fault> {
        let (found, after_tag) = self.rest.split_first().ok_or("it ends where a value is expected")?;
        if *found != tag {
            return Err("a value is of another type than expected");
        }
        let (length, rest) = length(after_tag)?;
        let (contents, rest) = rest.split_at_checked(length).ok_or("it ends within a value")?;
        self.rest = rest;
        Ok(contents)
    }

    /// As [`value`](Self::value), `None` when the next value has another tag or there is none.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Fault> {
        if self.rest.first() == Some(&tag) { self.value(tag).map(Some) } else { Ok(None) }
    }

    /// As [`value`](Self::value), with the tag and the length.
    pub(crate) fn whole_value(&mut self, tag: u8) -> Result<&'a [u8], Fault> {
        let before = self.rest;
        self.value(tag)?;
        Ok(before.get(..before.len() - self.rest.len()).unwrap_or_default())
    }

    /// The values within the next value, which must have this tag and be read to the end.
    pub(crate) fn within<T>(&mut self, tag: u8, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        Reader::new(self.value(tag)?).all(read)
    }

    /// Reads this input to its end.
    pub(crate) fn all<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let value = read(&mut self)?;
        if self.is_at_end() { Ok(value) } else { Err("there is more than expected") }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn utf8_string(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.value(UTF8_STRING)?).map_err(|_| "a UTF8String is not UTF-8")
    }

    /// The octets of a BIT STRING that has no unused bits.
    pub(crate) fn bit_string(&mut self) -> Result<&'a [u8], Fault> {
        match self.value(BIT_STRING)?.split_first() {
            Some((0, bits)) => Ok(bits),
            _ => Err("a BIT STRING has unused bits"),
        }
    }

    /// A UTCTime with seconds, in the years 1950 to 2049 (RFC 5280 section 4.1.2.5.1).
    pub(crate) fn utc_time(&mut self) -> Result<SystemTime, Fault> {
        const EXPECTED: Fault = "a UTCTime is not YYMMDDHHMMSSZ";
        let text = std::str::from_utf8(self.value(UTC_TIME)?).map_err(|_| EXPECTED)?;
        let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 12).ok_or(EXPECTED)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EXPECTED);
        }
        let pair = |index: usize| digits.get(2 * index..2 * index + 2).unwrap_or_default();
        let [year, month, day, hour, minute, second] = [0, 1, 2, 3, 4, 5].map(pair);
        let century = if year < "50" { "20" } else { "19" };
        humantime::parse_rfc3339(&format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
            .map_err(|_| "a UTCTime is no date, or before 1970")
    }
}

fn length(input: &[u8]) -> Result<(usize, &[u8]), Fault> {
    const ENDS: Fault = "it ends within a length";
    let (first, rest) = input.split_first().ok_or(ENDS)?;
    let octets = match first {
        0..=0x7f => return Ok((usize::from(*first), rest)),
        0x80 => return Err("a length is indefinite"),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err("a length is too long"),
    };
    let (octets, rest) = rest.split_at_checked(octets).ok_or(ENDS)?;
    let length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    if length < 0x80 || octets.first() == Some(&0) {
        return Err("a length is longer than it needs to be");
    }
    Ok((length, rest))
}

/// An object identifier's contents as dotted numbers, or as hexadecimal digits when they are not one.
pub(crate) fn dotted(oid: &[u8]) -> String {
    let mut text = String::new();
    let mut arc = 0_u64;
    for (index, octet) in oid.iter().enumerate() {
        if arc > u64::MAX >> 7 || (index + 1 == oid.len() && octet & 0x80 != 0) {
            return hex::encode(oid);
        }
        arc = arc << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            let separated = if text.is_empty() {
                let root = (arc / 40).min(2);
                write!(text, "{root}.{}", arc - 40 * root)
            } else {
                write!(text, ".{arc}")
            };
            separated.expect("writing to a String succeeds");
            arc = 0;
        }
    }
    text
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// The constructed context-specific tag `[number]`.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}
