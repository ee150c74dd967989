//! The rules of SPIFFE in a handshake.

use std::{sync::Arc, time::SystemTime};

use secure_connector::{ConnectError, JudgePeer, PresentedNames, Untrusted, Verified, VerifiedPeer};

use crate::{ExpectedPeer, SvidSource, UnexpectedPeer, X509SvidError, X509Verifier};

#[derive(Debug)]
pub(super) struct Judge {
    pub(super) source: SvidSource,
    pub(super) expected: ExpectedPeer,
    pub(super) verifier: X509Verifier,
}

impl Judge {
    pub(super) fn shared(source: &SvidSource, expected: ExpectedPeer, verifier: X509Verifier) -> Arc<dyn JudgePeer> {
        Arc::new(Self { source: source.clone(), expected, verifier })
    }
}

impl JudgePeer for Judge {
    fn judge(&self, chain: &[&[u8]], at: SystemTime) -> Result<VerifiedPeer, ConnectError> {
        let snapshot = self.source.snapshot().map_err(ConnectError::NoIdentity)?;
        let peer = self.verifier.verify(chain, snapshot.bundles(), at).map_err(untrusted)?;
        self.expected.admits(peer.id()).map_err(unexpected)?;
        Ok(VerifiedPeer::by_own_rules(Verified::SpiffeId(peer.id().to_string()), self.verifier.revocation()))
    }
}

/// The reason chooses the alert to the peer; the rule is in the source.
fn untrusted(error: X509SvidError) -> ConnectError {
    let reason = match &error {
        X509SvidError::NoCertificate => Untrusted::NoCertificate,
        X509SvidError::NotCurrent { signer, not_after, at, .. } if at > not_after => {
            Untrusted::Expired { subject: signer.to_string(), not_after: *not_after, now: *at }
        }
        X509SvidError::NotCurrent { signer, not_before, at, .. } => {
            Untrusted::NotYetValid { subject: signer.to_string(), not_before: *not_before, now: *at }
        }
        X509SvidError::NoBundle { trust_domain, .. } | X509SvidError::NoRoots { trust_domain } => {
            Untrusted::UnknownCa { issuer: trust_domain.to_string(), anchors: 0 }
        }
        X509SvidError::NoTrustedPath { trust_domain, roots, .. } => {
            Untrusted::UnknownCa { issuer: trust_domain.to_string(), anchors: *roots }
        }
        other => Untrusted::Invalid { what: format!("it breaks the rule {}", other.rule()) },
    };
    ConnectError::Untrusted { reason, source: Some(error.into()) }
}

fn unexpected(UnexpectedPeer { presented, expected }: UnexpectedPeer) -> ConnectError {
    let mut names = PresentedNames::default();
    names.uri.push(presented.to_string());
    ConnectError::Identity { expected: vec![expected.to_string()], presented: Box::new(names) }
}
