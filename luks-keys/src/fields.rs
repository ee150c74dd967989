//! Fixed fields of a binary header, one after the other.

/// What is left of a header. The caller knows its length; a field beyond the end reads as zeros.
pub(crate) struct Fields<'a>(&'a [u8]);

/// Text in a field of fixed length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub(crate) text: Option<&'a str>,
    pub(crate) terminated: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(header: &'a [u8]) -> Self {
        Self(header)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (field, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        field
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap_or([0; N])
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Up to the first NUL or the field's end.
    pub(crate) fn text(&mut self, len: usize) -> Text<'a> {
        let field = self.bytes(len);
        let mut parts = field.splitn(2, |byte| *byte == 0);
        let text = parts.next().and_then(|text| std::str::from_utf8(text).ok());
        Text { text, terminated: parts.next().is_some() }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Without an early end, which would keep the compiler from looking at many bytes at once.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | byte) == 0
}
