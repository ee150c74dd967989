//! The decimal number of a RESP header, over any number of reads.

/// What has been read of a number that ends with its line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number {
    value: u64,
    negative: bool,
}

/// How far the number has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The line has not ended yet.
    Part,
    /// The line has ended. `None` is a negative number: RESP's null.
    All(Option<u64>),
    /// Something else than a number.
    Malformed,
}

impl Number {
    /// Takes what belongs to the number, its line feed included, and says how many bytes that were.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Taken) {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    let Some(value) = self.value.checked_mul(10).and_then(|value| value.checked_add(digit)) else {
                        return (at, Taken::Malformed);
                    };
                    self.value = value;
                }
                b'\r' => {}
                b'\n' => return (at + 1, Taken::All((!self.negative).then_some(self.value))),
                b'-' if self.value == 0 => self.negative = true,
                _ => return (at, Taken::Malformed),
            }
        }
        (bytes.len(), Taken::Part)
    }
}
