//! A client that shows replies as they are on the wire.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use secure_connector_testkit::{TestCertificate, TestPki, TlsVersion, rustls_config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) struct Client(Box<dyn Stream>);

impl Client {
    pub(crate) async fn tls(addr: SocketAddr, pki: &TestPki) -> Self {
        Self::tls_with(addr, trusting(pki, None)).await.unwrap()
    }

    pub(crate) async fn tls_with(addr: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        let tls = tokio_rustls::TlsConnector::from(config).connect("localhost".try_into().unwrap(), tcp).await?;
        Ok(Self(Box::new(tls)))
    }

    pub(crate) async fn plain(addr: SocketAddr) -> Self {
        Self(Box::new(TcpStream::connect(addr).await.unwrap()))
    }

    /// Sends the words, divided at spaces, and returns what comes back: one reply, or what there is before the end.
    pub(crate) async fn ask(&mut self, words: &str) -> String {
        self.send(&words.split(' ').collect::<Vec<_>>()).await;
        self.reply().await
    }

    pub(crate) async fn send(&mut self, words: &[&str]) {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.send_raw(request.as_bytes()).await;
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// One reply, or what there is before the end and `<end>`.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = Vec::new();
        let mut missing = 1;
        while missing > 0 {
            missing -= 1;
            let mut line = Vec::new();
            let whole = self.line(&mut line).await;
            reply.extend(&line);
            if !whole {
                reply.extend(b"<end>");
                break;
            }
            let (kind, rest) = line.split_first().unwrap();
            let count = || String::from_utf8_lossy(rest).trim_end().parse::<i64>().unwrap();
            match kind {
                b'$' | b'=' if count() >= 0 => {
                    let mut text = vec![0; usize::try_from(count()).unwrap() + 2];
                    self.0.read_exact(&mut text).await.unwrap();
                    reply.append(&mut text);
                }
                b'*' | b'>' => missing += count().max(0),
                b'%' => missing += 2 * count(),
                _ => {}
            }
        }
        String::from_utf8_lossy(&reply).into_owned()
    }

    async fn line(&mut self, reply: &mut Vec<u8>) -> bool {
        loop {
            match self.0.read_u8().await {
                Ok(byte) => reply.push(byte),
                Err(_) => return false,
            }
            if reply.ends_with(b"\r\n") {
                return true;
            }
        }
    }
}

pub(crate) fn trusting(pki: &TestPki, identity: Option<&TestCertificate>) -> Arc<ClientConfig> {
    rustls_config::client_config(&[pki.root_der()], &[TlsVersion::Tls12, TlsVersion::Tls13], identity).unwrap()
}
