//! Record marking: how RPC messages are cut out of a byte stream (RFC 5531 section 11).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reads one record; `None` when the stream ends between two records.
///
/// # Errors
/// `InvalidData` when the fragments exceed [`MAX_RECORD`] or are too many, otherwise the stream's error.
pub(crate) async fn read_record(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut record = Vec::new();
    for fragment in 0..MAX_FRAGMENTS {
        let mut first = [0];
        if stream.read(&mut first).await? == 0 {
            let between_records = fragment == 0;
            return if between_records { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let mut others = [0; 3];
        stream.read_exact(&mut others).await?;
        let [a, b, c] = others;
        let header = u32::from_be_bytes([first[0], a, b, c]);
        let length = header & !LAST_FRAGMENT;
        if u64::from(length) + record.len() as u64 > MAX_RECORD as u64 {
            return Err(too_big());
        }
        // `take` grows the buffer as bytes arrive: a length alone allocates nothing.
        let read = (&mut *stream).take(length.into()).read_to_end(&mut record).await?;
        if (read as u64) < u64::from(length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if header & LAST_FRAGMENT != 0 {
            return Ok(Some(record));
        }
    }
    Err(too_big())
}

/// Writes one record in a single fragment, and flushes.
///
/// # Errors
/// The stream's, or `InvalidData` above [`MAX_RECORD`].
pub(crate) async fn write_record(stream: &mut (impl AsyncWrite + Unpin), record: &[u8]) -> io::Result<()> {
    let length = u32::try_from(record.len()).map_err(|_| too_big())?;
    if record.len() > MAX_RECORD {
        return Err(too_big());
    }
    let mut framed = (LAST_FRAGMENT | length).to_be_bytes().to_vec();
    framed.extend(record);
    stream.write_all(&framed).await?;
    stream.flush().await
}

fn too_big() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an RPC record beyond the limit")
}

/// One MiB of data and 4 KiB of headers, as efs-proxy allows.
pub(crate) const MAX_RECORD: usize = 1024 * 1024 + 4096;
/// More than any client sends; without a limit, empty fragments would go on for ever.
const MAX_FRAGMENTS: usize = 64;
const LAST_FRAGMENT: u32 = 1 << 31;
