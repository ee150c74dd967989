//! [`rustls`] configurations made of test certificates. The only module whose signatures name rustls types.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, ProtocolVersion, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};

use crate::{ClientAuth, PkiError, Resumption, ServerOptions, TestCertificate, TlsVersion};

/// A server configuration with the aws-lc-rs provider.
///
/// # Errors
/// [`PkiError::Tls`] when the key does not fit the certificate, no version is given, or the root is not a certificate.
pub fn server_config(certificate: &TestCertificate, options: &ServerOptions) -> Result<Arc<ServerConfig>, PkiError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client_auth = client_verifier(&options.client_auth, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&supported_versions(&options.versions))
        .map_err(PkiError::tls)?
        .with_client_cert_verifier(client_auth)
        .with_single_cert_with_ocsp(chain_of(certificate), key_of(certificate).into(), options.ocsp_response.clone())
        .map_err(PkiError::tls)?;
    config.alpn_protocols.clone_from(&options.alpn);
    match options.resumption {
        Resumption::Off => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Resumption::SessionCache => config.session_storage = ServerSessionMemoryCache::new(256),
        Resumption::Tickets => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(PkiError::tls)?;
        }
    }
    Ok(Arc::new(config))
}

/// A client configuration with the aws-lc-rs provider that trusts `roots` (DER), speaks `versions`, and shows `identity`
/// when the server asks. It remembers sessions: two connections with one configuration resume when the server does.
///
/// # Errors
/// [`PkiError::Tls`] when a root is not a certificate, no version is given, or the identity's key does not fit.
pub fn client_config(
    roots: &[&[u8]],
    versions: &[TlsVersion],
    identity: Option<&TestCertificate>,
) -> Result<Arc<ClientConfig>, PkiError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&supported_versions(versions))
        .map_err(PkiError::tls)?
        .with_root_certificates(root_store(roots)?);
    Ok(Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            builder.with_client_auth_cert(chain_of(identity), key_of(identity).into()).map_err(PkiError::tls)?
        }
    }))
}

fn client_verifier(
    client_auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
    let any = |mandatory| {
        Arc::new(AnyClientCertificate { mandatory, algorithms: provider.signature_verification_algorithms })
    };
    Ok(match client_auth {
        ClientAuth::None => WebPkiClientVerifier::no_client_auth(),
        ClientAuth::RequestAny => any(false),
        ClientAuth::RequireAny => any(true),
        ClientAuth::RequireFrom(root) => {
            WebPkiClientVerifier::builder_with_provider(Arc::new(root_store(&[root])?), Arc::clone(provider))
                .build()
                .map_err(PkiError::tls)?
        }
    })
}

/// Takes any certificate, but only from a client that proves it holds the key.
#[derive(Debug)]
struct AnyClientCertificate {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyClientCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn root_store(roots: &[impl AsRef<[u8]>]) -> Result<RootCertStore, PkiError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.as_ref())).map_err(PkiError::tls)?;
    }
    Ok(store)
}

fn chain_of(certificate: &TestCertificate) -> Vec<CertificateDer<'static>> {
    let chain = certificate.chain_der().iter();
    chain.map(|der| CertificateDer::from(der.clone())).collect()
}

fn key_of(certificate: &TestCertificate) -> PrivatePkcs8KeyDer<'static> {
    certificate.key_der().to_vec().into()
}

fn supported_versions(versions: &[TlsVersion]) -> Vec<&'static SupportedProtocolVersion> {
    let rustls_version = |version: &TlsVersion| match version {
        TlsVersion::Tls12 => &rustls::version::TLS12,
        TlsVersion::Tls13 => &rustls::version::TLS13,
    };
    versions.iter().map(rustls_version).collect()
}

/// `None` for a version these servers never speak.
pub(crate) fn agreed_version(version: Option<ProtocolVersion>) -> Option<TlsVersion> {
    match version {
        Some(ProtocolVersion::TLSv1_2) => Some(TlsVersion::Tls12),
        Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::Tls13),
        _ => None,
    }
}
