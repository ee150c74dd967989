//! Requests whose `:authority` is a percent-encoded path.
//!
//! gRPC's C core sends the path of a Unix socket there. RFC 3986 section 3.2.2 allows it, and the h2 crate does not
//! (<https://github.com/hyperium/h2/issues/487>). So each `%` becomes an `x` before h2 sees it: the length stays, and with it all
//! that HPACK counts.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split};

const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Carries bytes between a client and the server until one of them ends.
pub(super) async fn forgive<C, S>(client: C, server: S) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    let responses = async {
        copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    let requests = async {
        // An end in the middle of a frame is an end.
        let _ended = requests(&mut from_client, &mut to_server).await;
        to_server.shutdown().await
    };
    tokio::try_join!(requests, responses).map(drop)
}

async fn requests(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut preface = [0; PREFACE];
    from.read_exact(&mut preface).await?;
    to.write_all(&preface).await?;
    loop {
        let mut header = [0; FRAME_HEADER];
        from.read_exact(&mut header).await?;
        let [l2, l1, l0, kind, flags, ..] = header;
        let length = u32::from_be_bytes([0, l2, l1, l0]);
        let mut payload = vec![0; length as usize];
        from.read_exact(&mut payload).await?;
        if kind == HEADERS {
            let before = usize::from(flags & PADDED != 0) + if flags & PRIORITY == 0 { 0 } else { 5 };
            payload.get_mut(before..).and_then(authority);
        }
        to.write_all(&header).await?;
        to.write_all(&payload).await?;
        to.flush().await?;
    }
}

/// Walks over the fields of a header block (RFC 7541 section 6) up to `:authority`: number 1, or the name in full, as the C
/// core writes it. Ends with `None` where the block does, or where it cannot be read: that is h2's to judge.
///
/// A value in Huffman code stays as it is: the C core sends none.
fn authority(block: &mut [u8]) -> Option<()> {
    let mut rest = block;
    loop {
        let first = *rest.first()?;
        let prefix = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let index;
        (index, rest) = integer(rest, prefix)?;
        if matches!(first, 0x80.. | 0x20..=0x3f) {
            continue; // an indexed field, or a new size of the table
        }
        let mut found = index == 1;
        if index == 0 {
            let name;
            (name, rest) = string(rest)?;
            found = name == b":authority";
        }
        let huffman = *rest.first()? & 0x80 != 0;
        let value;
        (value, rest) = string(rest)?;
        if found {
            if !huffman {
                value.iter_mut().filter(|byte| **byte == b'%').for_each(|byte| *byte = b'x');
            }
            return Some(());
        }
    }
}

/// RFC 7541 section 5.1.
fn integer(bytes: &mut [u8], prefix: u32) -> Option<(usize, &mut [u8])> {
    let (first, mut rest) = bytes.split_first_mut()?;
    let largest = (1_usize << prefix) - 1;
    let mut value = usize::from(*first) & largest;
    if value < largest {
        return Some((value, rest));
    }
    for shift in [0, 7, 14, 21] {
        let byte;
        (byte, rest) = rest.split_first_mut()?;
        value += usize::from(*byte & 0x7f) << shift;
        if *byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

/// RFC 7541 section 5.2.
fn string(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let (length, rest) = integer(bytes, 7)?;
    rest.split_at_mut_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(block: &[u8], after: &[u8]) {
        let mut block = block.to_vec();
        authority(&mut block);
        assert_eq!(String::from_utf8_lossy(&block), String::from_utf8_lossy(after));
    }

    #[test]
    fn the_authority_loses_its_percent_signs_wherever_it_stands() {
        becomes(b"\x41\x08%2Fa%2Fb", b"\x41\x08x2Fax2Fb");
        becomes(b"\x40\x02:p\x02%2\x40\x0a:authority\x04%2Fa", b"\x40\x02:p\x02%2\x40\x0a:authority\x04x2Fa");
        becomes(b"\x83\x86\x01\x04%2Fa", b"\x83\x86\x01\x04x2Fa");
        becomes(b"\x3f\xe1\x1f\x44\x03/%a\x41\x04%2Fa", b"\x3f\xe1\x1f\x44\x03/%a\x41\x04x2Fa");
        becomes(b"\x40\x01%\x01%\x11\x04%2Fa", b"\x40\x01%\x01%\x11\x04x2Fa");
    }

    #[test]
    fn everything_else_stays() {
        for block in [
            &b"\x41\x84%2Fa"[..],
            b"\x44\x04%2Fa",
            b"\x40\x03%2F\x04%2Fa",
            b"\x41\x09%2Fa",
            b"\x41",
            b"\xff\xff\xff\xff\xff\xff",
        ] {
            becomes(block, block);
        }
    }
}
