//! XDR, RFC 4506: everything is big-endian and padded with zeros to a multiple of four bytes.

/// The input is not what the XDR description says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads XDR items one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.fixed().map(u64::from_be_bytes)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Fixed-length opaque data of a multiple of four bytes (section 4.9).
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (item, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*item)
    }

    /// Variable-length opaque data of at most `limit` bytes (section 4.10).
    pub(crate) fn opaque(&mut self, limit: usize) -> Result<&'a [u8], Malformed> {
        let length = self.length(limit)?;
        let (data, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        let (padding, rest) = rest.split_at_checked(padding_after(length)).ok_or(Malformed)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Malformed);
        }
        self.rest = rest;
        Ok(data)
    }

    /// The number of elements of a variable-length array, at most `limit` (section 4.13).
    pub(crate) fn length(&mut self, limit: usize) -> Result<usize, Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        if length <= limit { Ok(length) } else { Err(Malformed) }
    }

    /// An array of words such as a bitmap4, at most `limit` of them.
    pub(crate) fn words(&mut self, limit: usize) -> Result<Vec<u32>, Malformed> {
        (0..self.length(limit)?).map(|_| self.u32()).collect()
    }
}

/// Writes XDR items one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    output: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.output.extend(value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.output.extend(value.to_be_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    /// Fixed-length opaque data, of a multiple of four bytes.
    pub(crate) fn fixed(&mut self, data: &[u8]) {
        self.output.extend(data);
    }

    pub(crate) fn opaque(&mut self, data: &[u8]) {
        self.length(data.len());
        self.output.extend(data);
        self.output.extend(vec![0; padding_after(data.len())]);
    }

    /// Words one after the other, without their number.
    pub(crate) fn u32s(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.u32(*word));
    }

    /// An array of words such as a bitmap4.
    pub(crate) fn words(&mut self, words: &[u32]) {
        self.length(words.len());
        self.u32s(words);
    }

    /// The number of elements of an array whose elements follow.
    pub(crate) fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).expect("records are limited to a few MiB"));
    }

    pub(crate) fn append(&mut self, items: &Self) {
        self.output.extend(&items.output);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.output
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.output
    }
}

fn padding_after(length: usize) -> usize {
    length.next_multiple_of(4) - length
}
