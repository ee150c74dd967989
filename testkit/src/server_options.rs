//! What a test server offers in its handshake, without a type of any TLS library.

/// How a TLS test server behaves. The default speaks TLS 1.2 and 1.3, asks for no client certificate and resumes sessions.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub(crate) versions: Vec<TlsVersion>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) resumption: Resumption,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) ocsp_response: Vec<u8>,
}

impl ServerOptions {
    /// The protocol versions spoken.
    pub fn versions(mut self, versions: &[TlsVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// Whether and how a client certificate is asked for.
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Whether and how sessions are resumed.
    pub fn resumption(mut self, resumption: Resumption) -> Self {
        self.resumption = resumption;
        self
    }

    /// The application protocols accepted (ALPN), the preferred first. A client that offers only others is refused.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(|p| p.as_ref().to_vec()).collect();
        self
    }

    /// An OCSP response (DER) to staple to the certificate, sent as it is.
    pub fn ocsp_response(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.ocsp_response = der.into();
        self
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            versions: vec![TlsVersion::Tls12, TlsVersion::Tls13],
            client_auth: ClientAuth::default(),
            resumption: Resumption::default(),
            alpn: Vec::new(),
            ocsp_response: Vec::new(),
        }
    }
}

/// A version of the TLS protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Whether a server asks for a client certificate, and which one it takes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Does not ask.
    #[default]
    None,
    /// Asks, takes whatever comes, or nothing. Only the proof that the client holds the key is checked.
    RequestAny,
    /// As [`RequestAny`](Self::RequestAny), but a client without a certificate is refused.
    RequireAny,
    /// A certificate for clients that leads to this root (DER) is required.
    RequireFrom(Vec<u8>),
}

/// How a server resumes sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resumption {
    /// Never: every handshake is a full one.
    Off,
    /// The server remembers sessions (session ids in TLS 1.2, short tickets in TLS 1.3).
    #[default]
    SessionCache,
    /// The server remembers nothing: the session travels in an encrypted ticket (RFC 5077).
    Tickets,
}
