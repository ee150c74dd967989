//! Where replies end.

use super::{
    number::{Number, Taken},
    word::Word,
};

/// Finds the end of each reply or push in what a server sends, however it is cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    at: At,
    /// Elements that are still to be read, the one under way included; those of nested aggregates too.
    left: u64,
    /// How many elements of the outermost aggregate have been read. Right as long as nothing is nested in it, which holds
    /// wherever it is used.
    element: u64,
    frame: Frame,
}

/// A whole reply or push.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    /// Its first byte: RESP's type.
    pub(super) kind: u8,
    /// The first and the third element of an array or push that is flat: those of a confirmation are its verb and the
    /// number of subscriptions.
    pub(super) first: Word,
    pub(super) third: Word,
}

#[derive(Clone, Debug, Default)]
enum At {
    #[default]
    Boundary,
    Type,
    Line,
    Length(Number),
    /// The bytes that are left of a bulk and its end of line.
    Bulk(u64),
    Count(Number, Aggregate),
}

#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Elements,
    Pairs,
    /// Precedes an element.
    Attribute,
}

impl Replies {
    /// Whether no reply is under way.
    pub(super) fn at_boundary(&self) -> bool {
        matches!(self.at, At::Boundary)
    }

    /// Reads up to the end of one frame, if `bytes` has it, and says how many bytes that were. The error is something that
    /// is no RESP.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<(usize, Option<Frame>), NotResp> {
        let mut used = 0;
        while let Some((&byte, rest)) = bytes.get(used..).and_then(|rest| Some((rest.first()?, rest))) {
            match &mut self.at {
                At::Boundary => {
                    self.left = 1;
                    self.element = 0;
                    self.frame = Frame { kind: byte, ..Frame::default() };
                    self.at = At::Type;
                }
                At::Type => {
                    used += 1;
                    self.at = match byte {
                        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => At::Line,
                        b'$' | b'!' | b'=' => At::Length(Number::default()),
                        b'*' | b'~' | b'>' => At::Count(Number::default(), Aggregate::Elements),
                        b'%' => At::Count(Number::default(), Aggregate::Pairs),
                        b'|' => At::Count(Number::default(), Aggregate::Attribute),
                        _ => return Err(NotResp),
                    };
                }
                At::Line => {
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    let here = end.map_or(rest.len(), |end| end + 1);
                    used += here;
                    self.note(rest.get(..here).unwrap_or_default());
                    if end.is_some() && self.element_ended() {
                        return Ok((used, Some(self.frame)));
                    }
                }
                At::Length(number) => {
                    let (taken, state) = number.take(rest);
                    used += taken;
                    match state {
                        Taken::Part => {}
                        Taken::All(Some(length)) => self.at = At::Bulk(length.saturating_add(2)),
                        Taken::All(None) if self.element_ended() => return Ok((used, Some(self.frame))),
                        Taken::All(None) => {}
                        Taken::Malformed => return Err(NotResp),
                    }
                }
                At::Bulk(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= here as u64;
                    used += here;
                    let ended = *left == 0;
                    self.note(rest.get(..here).unwrap_or_default());
                    if ended && self.element_ended() {
                        return Ok((used, Some(self.frame)));
                    }
                }
                At::Count(number, aggregate) => {
                    let (taken, state) = number.take(rest);
                    let aggregate = *aggregate;
                    used += taken;
                    match state {
                        Taken::Part => {}
                        Taken::All(count) if self.aggregate_began(aggregate, count.unwrap_or(0)) => {
                            return Ok((used, Some(self.frame)));
                        }
                        Taken::All(_) => {}
                        Taken::Malformed => return Err(NotResp),
                    }
                }
            }
        }
        Ok((used, None))
    }

    fn note(&mut self, text: &[u8]) {
        if matches!(self.frame.kind, b'*' | b'>') {
            match self.element {
                0 => self.frame.first.push(text),
                2 => self.frame.third.push(text),
                _ => {}
            }
        }
    }

    /// Whether the frame has ended too.
    fn element_ended(&mut self) -> bool {
        self.element += 1;
        self.left -= 1;
        self.at = if self.left == 0 { At::Boundary } else { At::Type };
        self.left == 0
    }

    /// Whether the frame has ended with it: an aggregate may be empty.
    fn aggregate_began(&mut self, aggregate: Aggregate, count: u64) -> bool {
        // An attribute is followed by the element that it belongs to.
        let (elements, own) = match aggregate {
            Aggregate::Elements => (count, 1),
            Aggregate::Pairs => (count.saturating_mul(2), 1),
            Aggregate::Attribute => (count.saturating_mul(2), 0),
        };
        self.left = (self.left - own).saturating_add(elements);
        self.at = if self.left == 0 { At::Boundary } else { At::Type };
        self.left == 0
    }
}

/// The server sent something that is no RESP.
#[derive(Debug)]
pub(super) struct NotResp;
