//! Racing all addresses of a peer (RFC 8305), keeping what happened to each.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{CONNECTION_ATTEMPT_DELAY, Socket, TcpOptions};
use crate::{Attempt, ConnectError};

/// The first connection that comes about. Address families alternate; a new attempt starts when one fails or after
/// [`CONNECTION_ATTEMPT_DELAY`]. Attempts that are still open at the end of `limit` count as timed out.
pub(super) async fn connect(
    addresses: Vec<SocketAddr>,
    options: &TcpOptions,
    limit: Duration,
) -> Result<Socket, ConnectError> {
    // A limit beyond the clock's range is as good as none.
    let deadline = Instant::now().checked_add(limit).unwrap_or_else(|| Instant::now() + NEVER);
    let mut waiting = VecDeque::from(interleave(addresses));
    let mut open: Vec<SocketAddr> = Vec::new();
    let mut attempts: Vec<Attempt> = Vec::new();
    // Dropping the set aborts what still runs.
    let mut running = JoinSet::new();
    while let Some(address) = waiting.pop_front() {
        let options = *options;
        open.push(address);
        running.spawn(async move { (address, options.connect(address).await) });
        let next_attempt = sleep(CONNECTION_ATTEMPT_DELAY);
        tokio::pin!(next_attempt);
        loop {
            tokio::select! {
                Some(finished) = running.join_next() => {
                    let (address, outcome): (SocketAddr, io::Result<TcpStream>) = match finished {
                        Ok(finished) => finished,
                        Err(_) => continue,
                    };
                    open.retain(|other| *other != address);
                    match outcome {
                        Ok(stream) => return Ok(Socket::tcp(stream, address)),
                        Err(error) => attempts.push(Attempt::new(address, error)),
                    }
                    if !waiting.is_empty() || running.is_empty() {
                        break;
                    }
                }
                () = &mut next_attempt, if !waiting.is_empty() => break,
                () = sleep_until(deadline) => {
                    let timed_out = |address, error: String| {
                        Attempt::new(address, io::Error::new(io::ErrorKind::TimedOut, error))
                    };
                    attempts.extend(open.drain(..).map(|a| timed_out(a, format!("no answer within {limit:?}"))));
                    attempts.extend(waiting.drain(..).map(|a| timed_out(a, format!("not tried within {limit:?}"))));
                    return Err(ConnectError::Connect { attempts });
                }
            }
        }
    }
    Err(ConnectError::Connect { attempts })
}

const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// RFC 8305 section 4: "First Address Family Count … 1": families alternate, starting with that of the first address,
/// and each family keeps the resolver's order.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let (a, b) = (first.next(), second.next());
        if a.is_none() && b.is_none() {
            return merged;
        }
        for address in a.into_iter().chain(b) {
            if !merged.contains(&address) {
                merged.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_and_duplicates_are_tried_once() {
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1", "[::1]:1"]);
        let expected = addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(interleave(given), expected);
    }

    #[tokio::test]
    async fn every_refused_address_is_in_the_error_and_a_later_good_one_wins() {
        let refused = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let unroutable: SocketAddr = "[100::1]:1".parse().unwrap();
        let options = TcpOptions::default();
        let limit = Duration::from_secs(5);
        let failed = connect(vec![refused, unroutable], &options, limit).await;
        let Err(ConnectError::Connect { attempts }) = failed else { panic!("{failed:?}") };
        let tried: Vec<_> = attempts.iter().map(|a| a.address).collect();
        assert!(tried.contains(&refused) && tried.contains(&unroutable), "{tried:?}");

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let socket = connect(vec![refused, good], &options, limit).await.unwrap();
        assert_eq!(socket.peer(), good.to_string());
    }

    #[tokio::test]
    async fn an_address_that_never_answers_counts_as_timed_out_and_does_not_hold_up_the_next() {
        // A full backlog makes Linux drop further SYNs: a black hole on the loopback.
        let hole = tokio::net::TcpSocket::new_v4().unwrap();
        hole.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let hole = hole.listen(1).unwrap();
        let hole_address = hole.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(hole_address)).await
        {
            filling.push(stream);
            assert!(filling.len() < 100, "the backlog never fills on this system");
        }
        let options = TcpOptions::default();
        let failed = connect(vec![hole_address], &options, Duration::from_millis(50)).await;
        let Err(ConnectError::Connect { attempts }) = failed else { panic!("{failed:?}") };
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].error.kind(), io::ErrorKind::TimedOut);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let socket = connect(vec![hole_address, good], &options, Duration::from_secs(5)).await.unwrap();
        assert_eq!(socket.peer(), good.to_string());
    }
}
