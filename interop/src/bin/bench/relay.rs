//! Tunnels written in Rust, each on one thread.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secure_connector::{Dial, PeerVerifier, Roots, SniName, Tunnel};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::SERVER_NAME;

/// The buffer for each direction.
const BUFFER: usize = 64 * 1024;

/// The role itself.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let [listen, kind, server, ca] = args else {
        return Err(Error::other("usage: bench relay LISTEN KIND SERVER CA"));
    };
    let server: SocketAddr = server.parse().map_err(Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match *kind {
            "plain" => relay(listen, server, None).await,
            "tokio-rustls" => relay(listen, server, Some(bare_connector(ca)?)).await,
            "secure-connector" => {
                let listen: SocketAddr = listen.parse().map_err(Error::other)?;
                let tunnel = Tunnel::builder(our_connector(server, ca)?).listen(listen);
                let _running = tunnel.start().await.map_err(Error::other)?;
                std::future::pending().await
            }
            _ => Err(Error::other(format!("no such relay: {kind}"))),
        }
    })
}

/// tokio-rustls as it comes, trusting one root.
pub(crate) fn bare_connector(ca: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).map_err(Error::other)?).map_err(Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// Our connector with its defaults, trusting one root and sending the name that [`bare_connector`] sends.
pub(crate) fn our_connector(server: SocketAddr, ca: &str) -> Result<secure_connector::TlsConnector> {
    let name: SniName = SERVER_NAME.parse().map_err(Error::other)?;
    let peer = PeerVerifier::check_host(Roots::from_file(ca).map_err(Error::other)?, [name.clone().into()]);
    secure_connector::TlsConnector::builder(Dial::addresses([server]), peer.map_err(Error::other)?)
        .sni(name.into())
        .build()
        .map_err(Error::other)
}

pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("SERVER_NAME is a DNS name")
}

async fn relay(listen: &str, server: SocketAddr, tls: Option<TlsConnector>) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (mut inner, _) = listener.accept().await?;
        let tls = tls.clone();
        tokio::spawn(async move {
            inner.set_nodelay(true)?;
            let mut outer = TcpStream::connect(server).await?;
            outer.set_nodelay(true)?;
            match tls {
                None => copy_bidirectional_with_sizes(&mut inner, &mut outer, BUFFER, BUFFER).await,
                Some(tls) => {
                    let mut outer = tls.connect(server_name(), outer).await?;
                    copy_bidirectional_with_sizes(&mut inner, &mut outer, BUFFER, BUFFER).await
                }
            }
        });
    }
}
