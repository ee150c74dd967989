//! The verifier as rustls sees it.

use std::{cell::Cell, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::{PeerVerifier, VerifiedPeer};
use crate::{ConnectError, Untrusted};

thread_local! {
    /// The verdict on its way out of rustls.
    ///
    /// rustls lets a verifier return nothing but its own error type, which chooses the alert to the peer and has no room
    /// for our reasons, and nothing at all on success. The verifier is shared by every handshake of a connector, so the
    /// verdict cannot be left in it. But rustls calls it from within `read_tls`/`process_new_packets`, that is, inside one
    /// `poll` of one handshake on this thread. So it is left here and taken by that handshake in the same `poll`, before
    /// anything else can run on the thread.
    static VERDICT: Cell<Option<Result<VerifiedPeer, ConnectError>>> = const { Cell::new(None) };
}

/// The verdict of the verification that ran during the present `poll` of a handshake, if one did.
pub(crate) fn take_verdict() -> Option<Result<VerifiedPeer, ConnectError>> {
    VERDICT.take()
}

pub(super) fn verifier(peer: PeerVerifier, algorithms: WebPkiSupportedAlgorithms) -> Arc<dyn ServerCertVerifier> {
    Arc::new(HandshakeVerifier { peer, algorithms })
}

pub(super) fn client_verifier(
    peer: PeerVerifier,
    algorithms: WebPkiSupportedAlgorithms,
) -> Arc<dyn ClientCertVerifier> {
    Arc::new(HandshakeVerifier { peer, algorithms })
}

#[derive(Debug)]
struct HandshakeVerifier {
    peer: PeerVerifier,
    algorithms: WebPkiSupportedAlgorithms,
}

impl HandshakeVerifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let verdict = self.peer.judge_presented(leaf, intermediates, now);
        let answer = match &verdict {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::InvalidCertificate(for_alert(error))),
        };
        VERDICT.set(Some(verdict));
        answer
    }
}

impl ServerCertVerifier for HandshakeVerifier {
    /// The name in `ServerName` is what is sent, not what is verified: the names to verify are in the policy.
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _sent: &ServerName<'_>,
        _staple: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(leaf, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Every client shows a certificate, or is refused.
impl ClientCertVerifier for HandshakeVerifier {
    /// No hint: which roots count depends on who the client says it is.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(leaf, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The error for which rustls sends the alert that tells the peer's operator most (RFC 8446 section 6.2).
fn for_alert(error: &ConnectError) -> CertificateError {
    let reason = match error {
        ConnectError::Identity { .. } => return CertificateError::NotValidForName, // bad_certificate
        ConnectError::Revoked { .. } => return CertificateError::Revoked,          // certificate_revoked
        ConnectError::RevocationUnknown { .. } => return CertificateError::UnknownRevocationStatus, // unknown_ca
        ConnectError::Untrusted { reason, .. } => reason,
        _ => return CertificateError::ApplicationVerificationFailure, // access_denied
    };
    match reason {
        Untrusted::UnknownCa { .. } | Untrusted::AnchorExpired { .. } => CertificateError::UnknownIssuer, // unknown_ca
        Untrusted::Expired { .. } => CertificateError::Expired, // certificate_expired
        // "A certificate has expired or is not currently valid."
        Untrusted::NotYetValid { .. } => CertificateError::NotValidYet, // certificate_expired
        Untrusted::WrongPurpose { .. } => CertificateError::InvalidPurpose, // unsupported_certificate
        // "A valid certificate or PSK was received, but when access control was applied, the sender decided not to
        // proceed."
        Untrusted::PinMismatch { .. } => CertificateError::ApplicationVerificationFailure, // access_denied
        Untrusted::WeakKey { .. } | Untrusted::Invalid { .. } => CertificateError::BadEncoding, // bad_certificate
        // "Some other (unspecified) issue arose in processing the certificate": certificate_unknown.
        other => CertificateError::Other(OtherError(Arc::new(std::io::Error::other(other.to_string())))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rustls::AlertDescription;
    use secure_connector_testkit::{CaOptions, LeafBuilder, TestPki, Usage, Validity};

    use super::*;
    use crate::{
        Roots, SpkiPin, Verified,
        tls::{certificate, provider},
    };

    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn check_host(pki: &TestPki) -> PeerVerifier {
        PeerVerifier::check_host(Roots::from_der(pki.root_der()).unwrap(), ["localhost".parse().unwrap()]).unwrap()
    }

    /// What rustls is told, and that the thread is left without a verdict.
    fn verify(
        peer: &PeerVerifier,
        leaf: LeafBuilder<'_>,
    ) -> (Result<(), AlertDescription>, Result<VerifiedPeer, ConnectError>) {
        let chain: Vec<_> =
            leaf.issue().unwrap().chain_der().iter().map(|der| CertificateDer::from(der.clone())).collect();
        let verifier = peer.handshake_verifier(&provider::provider(provider::PostQuantum::Off));
        let sent = ServerName::try_from("sent.example").unwrap();
        let told = verifier.verify_server_cert(&chain[0], &chain[1..], &sent, &[], certificate::to_unix(at()));
        let alert = told.map(drop).map_err(|error| match error {
            Error::InvalidCertificate(reason) => reason.into(),
            other => panic!("{other:?}"),
        });
        let verdict = take_verdict().expect("the verifier leaves a verdict");
        assert!(take_verdict().is_none());
        (alert, verdict)
    }

    #[test]
    fn the_verdict_gets_out_and_does_not_depend_on_what_is_sent() {
        let pki = TestPki::new().unwrap();
        let (told, verdict) = verify(&check_host(&pki), pki.leaf().dns("localhost"));
        assert_eq!(told, Ok(()));
        assert_eq!(verdict.unwrap().verified(), &Verified::DnsName("localhost".into()));
    }

    #[test]
    fn the_alert_tells_the_peers_operator_what_is_wrong() {
        use AlertDescription as A;
        let (pki, expired) = (TestPki::new().unwrap(), CaOptions::default().validity(Validity::expired(at())));
        let of_expired_ca = TestPki::root(expired).unwrap();
        let pinned = check_host(&pki).also_pinned([SpkiPin::new([0; 32])]).unwrap();
        let good = |pki| TestPki::leaf(pki).dns("localhost");
        let cases = [
            (check_host(&pki), pki.leaf().dns("elsewhere"), A::BadCertificate),
            (check_host(&pki), good(&pki).validity(Validity::expired(at())), A::CertificateExpired),
            (check_host(&pki), good(&pki).validity(Validity::not_yet_valid(at())), A::CertificateExpired),
            (check_host(&pki), good(&of_expired_ca), A::UnknownCA),
            (check_host(&of_expired_ca), good(&of_expired_ca), A::UnknownCA),
            (check_host(&pki), good(&pki).usage(Usage::Client), A::UnsupportedCertificate),
            (check_host(&pki), good(&pki).authority(), A::CertificateUnknown),
            (pinned, good(&pki), A::AccessDenied),
        ];
        for (peer, leaf, alert) in cases {
            let (told, verdict) = verify(&peer, leaf);
            assert_eq!(told, Err(alert), "{verdict:?}");
            assert!(verdict.is_err());
        }
    }
}
