//! What is behind the gate: files in memory, or real NFS servers.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::TcpStream;

use crate::nfs::{Denial, InMemoryNfs, Rights};

#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) files: InMemoryNfs,
    /// Each with the rights that it gives to its clients. None: the files are served.
    pub(crate) backends: Vec<(Rights, SocketAddr)>,
    pub(crate) denial: Denial,
}

impl Service {
    /// The server for clients with these rights; `None` when there are servers, but for others only.
    pub(crate) fn server_for(&self, rights: Rights) -> Option<Server<'_>> {
        if self.backends.is_empty() {
            return Some(Server::Files(&self.files, rights));
        }
        let backend = self.backends.iter().rev().find(|(given, _)| *given == rights);
        backend.map(|(_, addr)| Server::Backend(*addr))
    }

    pub(crate) async fn deny(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        self.files.deny(stream, self.denial).await
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Server<'s> {
    Files(&'s InMemoryNfs, Rights),
    Backend(SocketAddr),
}

impl Server<'_> {
    pub(crate) async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        match self {
            Self::Files(files, rights) => files.serve_with(stream, rights).await,
            Self::Backend(addr) => {
                let mut backend = TcpStream::connect(addr).await?;
                copy_bidirectional(&mut stream, &mut backend).await.map(drop)
            }
        }
    }
}
