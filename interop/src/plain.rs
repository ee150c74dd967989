//! Plain TCP servers on loopback, one thread each plus one per connection; they last as long as the process.

use std::io::{Read, Result, Write, copy, sink as nowhere};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Sends back what it gets, then closes its side.
///
/// # Errors
/// The listener could not be bound.
pub fn echo() -> Result<SocketAddr> {
    serve(|stream| copy(&mut &*stream, &mut &*stream))
}

/// Swallows what it gets, then answers with the number of bytes as eight bytes, big endian.
///
/// # Errors
/// The listener could not be bound.
pub fn sink() -> Result<SocketAddr> {
    serve(|stream| {
        let received = copy(&mut &*stream, &mut nowhere())?;
        (&*stream).write_all(&received.to_be_bytes())?;
        Ok(received)
    })
}

/// Sends `bytes` zero bytes, then closes its side.
///
/// # Errors
/// The listener could not be bound.
pub fn source(bytes: u64) -> Result<SocketAddr> {
    serve(move |stream| copy(&mut std::io::repeat(0).take(bytes), &mut &*stream))
}

/// Swallows what it gets, and answers that long after its end.
///
/// # Errors
/// The listener could not be bound.
pub fn late_answer(delay: Duration, answer: &'static [u8]) -> Result<SocketAddr> {
    serve(move |stream| {
        let received = copy(&mut &*stream, &mut nowhere())?;
        thread::sleep(delay);
        (&*stream).write_all(answer)?;
        Ok(received)
    })
}

fn serve(answer: impl Fn(&TcpStream) -> Result<u64> + Copy + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                // A peer that goes away is for the test to notice, not for the server.
                answer(&stream).ok();
                stream.shutdown(Shutdown::Write).ok();
            });
        }
    });
    Ok(addr)
}
