//! Telling a Redis server without TLS from one that is slow.
//!
//! To a TLS client such a server is silent: it reads the ClientHello as a command in a line, and its search for the line's
//! end stops at the first NUL. Only when more than 64 KiB are there without one does it answer, `-ERR Protocol error: too
//! big inline request`. A connection of its own, which begins like TLS and carries nothing, brings that about in a round
//! trip and leaves the handshake that is under way alone. A server that speaks both on one port (ElastiCache in the mode
//! `preferred`) takes the first byte for TLS, and answers with an alert or not at all.

use secure_connector::{BoxError, ConnectError, Dial, TcpOptions, Timeouts, Timings, TlsFailure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The evidence that a server speaks Redis without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a second connection, which began like TLS, was answered in plaintext Redis")]
#[non_exhaustive]
pub struct PlaintextRedis;

impl From<PlaintextRedis> for ConnectError {
    fn from(proof: PlaintextRedis) -> Self {
        let source: BoxError = proof.into();
        Self::Tls { reason: TlsFailure::NotTls { looks_like: Some("Redis") }, source }
    }
}

/// Whether Redis without TLS listens at `dial`. `false` says that it was not shown.
pub(crate) async fn speaks_plaintext_redis(dial: &Dial, tcp: &TcpOptions, timeouts: &Timeouts) -> bool {
    match dial.open(tcp, timeouts, &mut Timings::default()).await {
        Ok(socket) => answers_to_a_false_hello(socket).await,
        Err(_) => false,
    }
}

/// Whether a `PING` in plaintext is answered: also by a server that speaks both.
pub(crate) async fn answers_plaintext_ping(dial: &Dial, tcp: &TcpOptions, timeouts: &Timeouts) -> bool {
    let Ok(mut socket) = dial.open(tcp, timeouts, &mut Timings::default()).await else { return false };
    socket.write_all(b"PING\r\n").await.is_ok() && begins_like_redis(&mut socket).await
}

async fn answers_to_a_false_hello<IO: AsyncRead + AsyncWrite + Unpin>(mut socket: IO) -> bool {
    let (mut reading, mut writing) = tokio::io::split(&mut socket);
    // A handshake record of TLS 1.0 (RFC 8446 section 5.1), its NUL, and more than PROTO_INLINE_MAX_SIZE behind it.
    let mut hello = vec![0; 66_000];
    hello.splice(..3, [22, 3, 1]);
    let write = async {
        let _ = writing.write_all(&hello).await;
        // Whoever does not answer ends what the caller waits for.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answered = begins_like_redis(&mut reading) => answered,
        () = write => false,
    }
}

/// `+PONG`, `-ERR`, `-NOAUTH`, `-DENIED`: no TLS record begins so.
async fn begins_like_redis(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut first = [0; 4];
    let read = stream.read_exact(&mut first).await.is_ok();
    read && (first.starts_with(b"+") || first.starts_with(b"-")) && first.iter().skip(1).all(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn judged(answer: &'static [u8]) -> bool {
        let (ours, mut theirs) = tokio::io::duplex(128 * 1024);
        let server = async {
            let mut seen = vec![0; 65_537];
            theirs.read_exact(&mut seen).await.unwrap();
            assert_eq!(&seen[..3], [22, 3, 1]);
            theirs.write_all(answer).await.unwrap();
            drop(theirs);
        };
        tokio::join!(answers_to_a_false_hello(ours), server).0
    }

    #[tokio::test]
    async fn an_answer_in_redis_is_told_from_an_alert_and_from_none() {
        assert!(judged(b"-ERR Protocol error: too big inline request\r\n").await);
        assert!(judged(b"-DENIED Redis is running in protected mode").await);
        for other in [&b"\x15\x03\x03\x00\x02\x02\x32"[..], b"", b"-ER", b"HTTP/1.1 400", b"- no"] {
            assert!(!judged(other).await, "{other:?}");
        }
    }
}
