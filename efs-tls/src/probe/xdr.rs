//! XDR (RFC 4506): big-endian words; opaque data is padded to a multiple of four bytes.

/// Writes items one after the other.
#[derive(Debug, Default)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    pub(super) fn u32s(mut self, words: &[u32]) -> Self {
        self.0.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        self
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Fixed-length opaque data, of a multiple of four bytes (section 4.9).
    pub(super) fn fixed(mut self, data: &[u8]) -> Self {
        self.0.extend(data);
        self
    }

    /// Variable-length opaque data (section 4.10).
    pub(super) fn opaque(self, data: &[u8]) -> Self {
        let length = u32::try_from(data.len()).expect("we send a few bytes");
        let padding = [0; 3].get(..padding_after(data.len())).unwrap_or_default().to_vec();
        self.u32s(&[length]).fixed(data).fixed(&padding)
    }

    pub(super) fn append(self, other: &Self) -> Self {
        self.fixed(&other.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads items one after the other; what does not fit is [`Malformed`].
#[derive(Debug)]
pub(super) struct Decoder<'a>(&'a [u8]);

/// The bytes are not what their description says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.fixed().map(u64::from_be_bytes)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (item, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*item)
    }

    /// The record is bounded, and so is everything in it.
    pub(super) fn opaque(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        let (data, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest.get(padding_after(length)..).ok_or(Malformed)?;
        Ok(data)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// A `bitmap4`: bit n mod 32 of word n / 32 (RFC 8881 section 3.3.7).
    pub(super) fn bitmap(&mut self) -> Result<Vec<u32>, Malformed> {
        (0..self.u32()?).map(|_| self.u32()).collect()
    }
}

fn padding_after(length: usize) -> usize {
    length.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_back_as_they_were_written() {
        let bytes = Encoder::default().u32s(&[1, 2]).u64(3).opaque(b"abcde").u32s(&[1, 4]).into_bytes();
        assert_eq!(bytes.len(), 8 + 8 + 4 + 8 + 8);
        let mut decoder = Decoder::new(&bytes);
        assert_eq!((decoder.u32(), decoder.u32(), decoder.u64()), (Ok(1), Ok(2), Ok(3)));
        assert_eq!(decoder.opaque(), Ok(b"abcde".as_slice()));
        assert_eq!(decoder.bitmap(), Ok(vec![4]));
        assert_eq!(decoder.u32(), Err(Malformed));
    }

    #[test]
    fn lengths_beyond_the_end_are_malformed_and_allocate_nothing() {
        for bytes in [&[0xff; 4][..], &[0, 0, 0, 1], &[0, 0, 0, 1, b'a'], &[0, 0, 0, 5, 1, 2, 3, 4], &[0, 0, 0]] {
            assert_eq!(Decoder::new(bytes).opaque(), Err(Malformed), "{bytes:?}");
            assert_eq!(Decoder::new(bytes).bitmap(), Err(Malformed), "{bytes:?}");
        }
    }
}
