//! The first bytes of an argument or element.

/// Enough of a text to tell it from all others that matter. The end of line that follows it in RESP is not part of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    /// The longest that matter have twelve bytes; with two more, a longer one cannot be mistaken for one of them.
    text: [u8; 14],
    len: u8,
}

impl Word {
    /// Adds what has room; the rest is of no interest.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let free = self.text.iter_mut().skip(usize::from(self.len));
        for (slot, byte) in free.zip(bytes) {
            *slot = byte.to_ascii_uppercase();
            self.len += 1;
        }
    }

    /// In upper case.
    pub(super) fn as_bytes(&self) -> &[u8] {
        let text = self.text.get(..usize::from(self.len)).unwrap_or_default();
        text.strip_suffix(b"\r\n").unwrap_or(text)
    }
}

impl From<&[u8]> for Word {
    fn from(bytes: &[u8]) -> Self {
        let mut word = Self::default();
        word.push(bytes);
        word
    }
}
