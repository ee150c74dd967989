//! The client side.

use async_trait::async_trait;
use secure_connector::{
    BoxedStream, Clock, ConfigError, ConnectError, Dial, PeerVerifier, SecureConnector, SecureTransport, Sni, Timeouts,
    TlsConnector, TlsConnectorBuilder,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{judge::Judge, stream::MtlsStream};
use crate::{ExpectedPeer, SvidSource, X509Verifier};

/// Connects to a workload by mutual TLS: presents our SVID, and demands one of the expected IDs.
///
/// ```
/// use secure_connector::{Dial, SecureConnector};
/// use svid_tls::{ExpectedPeer, MtlsConnector, SvidSource};
///
/// # async fn example(source: SvidSource) -> Result<(), Box<dyn std::error::Error>> {
/// let backend = ExpectedPeer::exactly("spiffe://example.org/backend".parse()?);
/// let connector = MtlsConnector::builder(Dial::addresses(["10.0.0.9:8443".parse()?]), source, backend).build()?;
/// let stream = connector.connect().await?;
/// println!("{:?}", stream.peer());
/// # Ok(())
/// # }
/// ```
///
/// A session is resumed under the same SVID only, and only after the peer's chain was judged again by the bundles that are
/// current.
#[derive(Debug)]
pub struct MtlsConnector {
    tls: TlsConnector,
    source: SvidSource,
}

/// Builds an [`MtlsConnector`].
#[derive(Debug)]
#[must_use]
pub struct MtlsConnectorBuilder {
    tls: TlsConnectorBuilder,
    source: SvidSource,
}

impl MtlsConnector {
    /// Where to, as whom, and to whom: none of them has a default.
    pub fn builder(dial: Dial, source: SvidSource, expected: ExpectedPeer) -> MtlsConnectorBuilder {
        Self::builder_with_verifier(dial, source, expected, X509Verifier::new())
    }

    /// [`builder`](Self::builder) with other rules for certificates, revocation lists for example.
    pub fn builder_with_verifier(
        dial: Dial,
        source: SvidSource,
        expected: ExpectedPeer,
        verifier: X509Verifier,
    ) -> MtlsConnectorBuilder {
        let peer = PeerVerifier::by_own_rules(Judge::shared(&source, expected, verifier));
        // A name that is dialled says nothing about a SPIFFE ID; whoever routes by it sets it.
        let tls = TlsConnector::builder(dial, peer).identity(source.clone()).sni(Sni::Off);
        MtlsConnectorBuilder { tls, source }
    }

    fn generation(&self) -> u64 {
        self.source.snapshot().map_or(0, |snapshot| snapshot.generation())
    }
}

impl MtlsConnectorBuilder {
    /// The server name to send. Default: none.
    pub fn sni(mut self, sni: Sni) -> Self {
        self.tls = self.tls.sni(sni);
        self
    }

    /// Application protocols, the preferred one first. Default: none is offered.
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.tls = self.tls.alpn(protocols);
        self
    }

    /// How long each stage may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.tls = self.tls.timeouts(timeouts);
        self
    }

    /// Where the time comes from. Default: the system's clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.tls = self.tls.clock(clock);
        self
    }

    /// Checks the choices together.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn build(self) -> Result<MtlsConnector, ConfigError> {
        Ok(MtlsConnector { tls: self.tls.build()?, source: self.source })
    }
}

#[async_trait]
impl SecureConnector for MtlsConnector {
    type Stream = MtlsStream;

    async fn connect(&self) -> Result<Self::Stream, ConnectError> {
        let generation = self.generation();
        MtlsStream::mtls(BoxedStream::new(self.tls.connect().await?), generation)
    }
}

#[async_trait]
impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecureTransport<IO> for MtlsConnector {
    type Stream = MtlsStream;

    async fn secure(&self, io: IO) -> Result<Self::Stream, ConnectError> {
        let generation = self.generation();
        MtlsStream::mtls(BoxedStream::new(self.tls.secure(io).await?), generation)
    }
}
