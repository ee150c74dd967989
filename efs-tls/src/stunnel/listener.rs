//! The listening socket with the options that a configuration sets on it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Socket, Type};

const BACKLOG: i32 = 1024;

pub(super) fn open(address: SocketAddr, reuse_address: bool, device: Option<&str>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(reuse_address)?;
    if let Some(device) = device {
        bind_to_device(&socket, device)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Linux before 5.7 wants `CAP_NET_RAW` for this.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_to_device(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_to_device(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "SO_BINDTODEVICE is an option of Linux; remove it"))
}
