//! No private key stays behind in the buffers of the HTTP/2 library.
//!
//! h2 keeps what it reads in buffers that it gives back to the allocator as they are. So what it reads is not the key: the
//! payload of DATA frames is XORed with a key stream before h2 sees it, and again behind h2, in memory that is wiped. Both
//! ends of the key stream run forward only and overwrite what they have used, so that nothing left in a buffer can be read
//! later. This is against memory that is read afterwards (a core dump, an overflow), and no protocol: nobody else sees it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::{Zeroize as _, ZeroizeOnDrop};

/// A transport whose DATA frames, as they are read, are masked.
pub(super) struct Masked<IO> {
    io: IO,
    stream: KeyStream,
    frame: Frame,
}

/// Where in the frames (RFC 9113 section 4.1) the next byte lies.
struct Frame {
    header: [u8; HEADER],
    have: usize,
    payload: usize,
}

const HEADER: usize = 9;
const DATA: u8 = 0;
const PADDED: u8 = 0x8;

/// Bytes that nobody can know who has not the state from before.
#[derive(ZeroizeOnDrop)]
pub(super) struct KeyStream {
    state: Block,
    block: Block,
    used: usize,
}

type Block = [u8; 32];

impl<IO> Masked<IO> {
    /// With the key stream that takes the mask off again.
    pub(super) fn new(io: IO) -> io::Result<(Self, KeyStream)> {
        let mut seed = Block::default();
        SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("the system gives no randomness"))?;
        let masked =
            Self { io, stream: KeyStream::new(&seed), frame: Frame { header: [0; HEADER], have: 0, payload: 0 } };
        let unmask = KeyStream::new(&seed);
        seed.zeroize();
        Ok((masked, unmask))
    }

    fn mask(&mut self, mut read: &mut [u8]) -> io::Result<()> {
        while !read.is_empty() {
            let frame = &mut self.frame;
            if frame.payload == 0 {
                let (part, rest) = read.split_at_mut((HEADER - frame.have).min(read.len()));
                for (to, from) in frame.header.iter_mut().skip(frame.have).zip(part.iter()) {
                    *to = *from;
                }
                frame.have += part.len();
                read = rest;
                if frame.have == HEADER {
                    frame.begin()?;
                }
            } else {
                let (part, rest) = read.split_at_mut(frame.payload.min(read.len()));
                frame.payload -= part.len();
                if frame.kind() == DATA {
                    self.stream.apply(part);
                }
                read = rest;
            }
        }
        Ok(())
    }
}

impl Frame {
    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.header;
        kind
    }

    /// The header is complete.
    fn begin(&mut self) -> io::Result<()> {
        let [l2, l1, l0, kind, flags, ..] = self.header;
        // Padding is no part of what h2 hands on. No gRPC library sends it.
        if kind == DATA && flags & PADDED != 0 {
            return Err(io::Error::other("the agent pads DATA frames, which is not supported"));
        }
        self.have = 0;
        self.payload = usize::try_from(u32::from_be_bytes([0, l2, l1, l0])).map_err(io::Error::other)?;
        Ok(())
    }
}

impl KeyStream {
    fn new(seed: &Block) -> Self {
        Self { state: *seed, block: Block::default(), used: size_of::<Block>() }
    }

    /// Puts the mask on, or takes it off.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                self.block = next(&self.state, b"block");
                self.state = next(&self.state, b"state");
                self.used = 0;
            }
            if let Some(key) = self.block.get_mut(self.used) {
                *byte ^= std::mem::take(key);
            }
            self.used += 1;
        }
    }
}

fn next(state: &Block, label: &[u8]) -> Block {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(state);
    hash.update(label);
    let mut block = Block::default();
    block.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
    block
}

impl<IO: AsyncRead + Unpin> AsyncRead for Masked<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        Poll::Ready(this.mask(buf.filled_mut().get_mut(before..).unwrap_or_default()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Masked<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x01\0\0\0\0";
    const SECRET: &[u8] = b"a private key of more than thirty-two bytes";

    fn data(flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, DATA, flags, 0, 0, 0, 1], payload].concat()
    }

    #[tokio::test]
    async fn only_data_is_masked_however_it_is_read_and_the_other_end_takes_the_mask_off() {
        let sent = [SETTINGS, &data(0, SECRET), &data(0, b""), SETTINGS, &data(1, SECRET)].concat();
        for step in 1..sent.len() {
            let (mut masked, mut unmask) = Masked::new(&sent[..]).unwrap();
            let (mut read, mut part) = (Vec::new(), vec![0; step]);
            while let length @ 1.. = masked.read(&mut part).await.unwrap() {
                read.extend_from_slice(&part[..length]);
            }
            assert!(!read.windows(8).any(|part| SECRET.windows(8).any(|secret| secret == part)), "{step}");
            let first = SETTINGS.len() + HEADER;
            let second = read.len() - SECRET.len();
            unmask.apply(&mut read[first..first + SECRET.len()]);
            unmask.apply(&mut read[second..]);
            assert_eq!(read, sent, "{step}");
        }
    }

    #[tokio::test]
    async fn padding_is_refused() {
        let sent = data(PADDED, b"\x01ab");
        let (mut masked, _) = Masked::new(&sent[..]).unwrap();
        let error = masked.read(&mut [0; 100]).await.unwrap_err();
        assert_eq!(error.to_string(), "the agent pads DATA frames, which is not supported");
    }
}
