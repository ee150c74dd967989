//! What the peer has to prove, and the judgement whether it did.

mod crls;
mod handshake;
mod judge;
mod leaf;
mod refusal;

use std::{sync::Arc, time::SystemTime};

use rustls::{
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, UnixTime},
    server::danger::ClientCertVerifier,
};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};
use x509_parser::certificate::X509Certificate;

use self::crls::{Crl, Crls};
use super::{
    certificate,
    config_error::ConfigError,
    names::VerifiedName,
    pin::SpkiPin,
    provider::{self, PostQuantum},
    roots::{AnchorFacts, Roots},
};
use crate::{ConnectError, PresentedNames, Revocation, Untrusted, Verified, Warning};

pub(crate) use self::handshake::take_verdict;
pub use self::judge::JudgePeer;

/// What the peer has to prove. Immutable, and cheap to clone.
///
/// [`check_host`](Self::check_host) is the usual one: a chain to a trust anchor and a certificate for one of the names.
/// Weaker ones begin with `danger_` and leave a warning in the report of every connection.
///
/// Beyond what rustls-webpki checks (RFC 5280 section 6, RFC 9525 section 6), every verification refuses
/// - a path to a trust anchor that is outside its validity period,
/// - a server key that TLS cannot use safely: RSA below 2048 bits, DSA, curves such as P-192,
/// - a server certificate with powers of a CA: `keyCertSign` or name constraints without `CA:TRUE` (RFC 5280 sections
///   4.2.1.3 and 4.2.1.10).
///
/// A certificate with `CA:TRUE` is no server certificate, and common names are never consulted: stunnel and OpenSSL accept
/// both.
///
/// ```
/// use secure_connector::{PeerVerifier, Roots};
/// // Like two `checkHost` lines of stunnel: any match will do.
/// let names = ["fs-0123456789abcdef0.efs.us-east-1.amazonaws.com".parse()?, "10.0.0.9".parse()?];
/// let peer = PeerVerifier::check_host(Roots::amazon(), names)?;
/// # Ok::<(), secure_connector::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PeerVerifier(Arc<Policy>);

#[derive(Clone, Debug)]
struct Policy {
    proof: Proof,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Clone, Debug)]
enum Proof {
    Chain(Chain),
    Key(Vec<SpkiPin>),
    OwnRules(Arc<dyn JudgePeer>),
    Nothing,
}

/// A chain to an anchor; what else is asked of its leaf.
#[derive(Clone, Debug)]
struct Chain {
    roots: Arc<Roots>,
    name: Name,
    /// Any of them; none = not pinned.
    pins: Vec<SpkiPin>,
    crls: Option<Arc<Crls>>,
}

#[derive(Clone, Debug)]
enum Name {
    AnyOf(Vec<VerifiedName>),
    NotChecked,
}

/// What a peer has proven. Only a verification makes one: one of ours, or that of a [`JudgePeer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPeer {
    verified: Verified,
    revocation: Revocation,
    warnings: Vec<Warning>,
    holds_until: UnixTime,
}

impl PeerVerifier {
    /// A chain to one of `roots`, and a certificate for one of `names`: any match will do.
    ///
    /// # Errors
    /// [`ConfigError::NoNames`].
    pub fn check_host(roots: Roots, names: impl IntoIterator<Item = VerifiedName>) -> Result<Self, ConfigError> {
        let names: Vec<_> = names.into_iter().collect();
        if names.is_empty() { Err(ConfigError::NoNames) } else { Ok(Self::chain(roots, Name::AnyOf(names))) }
    }

    /// The peer holds the private key of one of `pins`. The key is the whole identity: no chain is built, no name is
    /// compared, and a certificate outside its validity period gives
    /// [`Warning::PinnedCertificateNotCurrent`](crate::Warning::PinnedCertificateNotCurrent) instead of a refusal.
    ///
    /// Pin the next key beside the present one before the peer changes it.
    ///
    /// # Errors
    /// [`ConfigError::NoPins`].
    pub fn pinned(pins: impl IntoIterator<Item = SpkiPin>) -> Result<Self, ConfigError> {
        let pins: Vec<_> = pins.into_iter().collect();
        if pins.is_empty() { Err(ConfigError::NoPins) } else { Ok(Self::new(Proof::Key(pins))) }
    }

    /// Whatever `judge` demands.
    pub fn by_own_rules(judge: Arc<dyn JudgePeer>) -> Self {
        Self::new(Proof::OwnRules(judge))
    }

    /// A chain to one of `roots`, whatever name the certificate is for: any holder of a certificate of these CAs passes.
    /// Reported as [`Warning::NameNotChecked`](crate::Warning::NameNotChecked).
    pub fn danger_accept_any_name(roots: Roots) -> Self {
        Self::chain(roots, Name::NotChecked)
    }

    /// Anybody. The peer still proves that it holds the key of the certificate that it shows, which may be any.
    /// Reported as [`Warning::VerificationDisabled`](crate::Warning::VerificationDisabled).
    pub fn danger_accept_any_certificate() -> Self {
        Self::new(Proof::Nothing)
    }

    /// A certificate for `name` will do too: for a member of a cluster that a verified peer has named. A verifier that
    /// compares no names stays as it is.
    #[must_use]
    pub fn or_host(self, name: VerifiedName) -> Self {
        let mut policy = Arc::unwrap_or_clone(self.0);
        if let Proof::Chain(Chain { name: Name::AnyOf(names), .. }) = &mut policy.proof
            && !names.contains(&name)
        {
            names.push(name);
        }
        Self(Arc::new(policy))
    }

    /// In addition, the certificate's key is one of `pins`, or one of those given before.
    ///
    /// # Errors
    /// [`ConfigError::NoPins`]; [`ConfigError::NoChain`] for a verifier that checks no chain.
    pub fn also_pinned(self, pins: impl IntoIterator<Item = SpkiPin>) -> Result<Self, ConfigError> {
        let pins: Vec<_> = pins.into_iter().collect();
        if pins.is_empty() {
            return Err(ConfigError::NoPins);
        }
        self.with("also_pinned", |chain| chain.pins.extend(pins))
    }

    /// In addition, no certificate of the chain is revoked by these certificate revocation lists, DER or PEM, which
    /// replace any given before. Every certificate below the anchor needs a list of its issuer that is not out of date.
    ///
    /// # Errors
    /// [`ConfigError::Crl`], [`ConfigError::NoCrls`]; [`ConfigError::NoChain`] for a verifier that checks no chain.
    pub fn with_crls(self, crls: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, ConfigError> {
        let crls = Arc::new(Crls::read(crls)?);
        self.with("with_crls", |chain| chain.crls = Some(crls))
    }

    /// Judges a presented chain, leaf first, DER, at the time `at`. Depends on nothing else: a handshake, a resumed
    /// session and a look at a file are judged alike.
    ///
    /// It does not show that the peer holds the leaf's private key. Only a handshake does.
    ///
    /// # Errors
    /// [`ConnectError::Identity`], [`ConnectError::Untrusted`]; with lists also [`ConnectError::Revoked`] and
    /// [`ConnectError::RevocationUnknown`].
    pub fn judge(&self, chain: &[impl AsRef<[u8]>], at: SystemTime) -> Result<VerifiedPeer, ConnectError> {
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| der.as_ref().into()).collect();
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(ConnectError::Untrusted { reason: Untrusted::NoCertificate, source: None });
        };
        self.judge_presented(leaf, intermediates, certificate::to_unix(at))
    }

    /// For the whole life of a connector: rustls resumes sessions only under the very same verifier object.
    pub(crate) fn handshake_verifier(&self, provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
        handshake::verifier(self.clone(), provider.signature_verification_algorithms)
    }

    pub(crate) fn client_verifier(&self, provider: &Arc<CryptoProvider>) -> Arc<dyn ClientCertVerifier> {
        handshake::client_verifier(self.clone(), provider.signature_verification_algorithms)
    }

    fn judge_presented(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Result<VerifiedPeer, ConnectError> {
        match &self.0.proof {
            Proof::Chain(chain) => chain.judge(leaf, intermediates, at, &self.0.algorithms),
            Proof::Key(pins) => judge_key(pins, leaf, at, &self.0.algorithms),
            Proof::OwnRules(judge) => {
                let chain: Vec<&[u8]> = std::iter::once(leaf).chain(intermediates).map(AsRef::as_ref).collect();
                judge.judge(&chain, certificate::from_unix(at))
            }
            Proof::Nothing => Ok(VerifiedPeer {
                verified: Verified::Nothing,
                revocation: Revocation::NotChecked,
                warnings: vec![Warning::VerificationDisabled],
                holds_until: at,
            }),
        }
    }

    fn chain(roots: Roots, name: Name) -> Self {
        Self::new(Proof::Chain(Chain { roots: Arc::new(roots), name, pins: Vec::new(), crls: None }))
    }

    fn new(proof: Proof) -> Self {
        let algorithms = provider::provider(PostQuantum::default()).signature_verification_algorithms;
        Self(Arc::new(Policy { proof, algorithms }))
    }

    fn with(self, option: &'static str, change: impl FnOnce(&mut Chain)) -> Result<Self, ConfigError> {
        let mut policy = Arc::unwrap_or_clone(self.0);
        let Proof::Chain(chain) = &mut policy.proof else {
            return Err(ConfigError::NoChain { option });
        };
        change(chain);
        Ok(Self(Arc::new(policy)))
    }
}

impl VerifiedPeer {
    /// What was proven.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// What is known about revocation of its certificate.
    pub fn revocation(&self) -> &Revocation {
        &self.revocation
    }

    /// Until when the anchor and what else is outside the chain leave the verdict as it is.
    pub(crate) fn holds_until(&self) -> SystemTime {
        certificate::from_unix(self.holds_until)
    }

    /// What an operator should know about it.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl Chain {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<VerifiedPeer, ConnectError> {
        let refuse = |error| self.refusal(error, leaf, intermediates, at);
        let end_entity = EndEntityCert::try_from(leaf).map_err(refuse)?;
        let lists = self.crls.as_ref().map(|crls| crls.lists()).unwrap_or_default();
        let path = end_entity
            .verify_for_usage(
                algorithms.all,
                self.roots.anchors(),
                intermediates,
                at,
                KeyUsage::server_auth(),
                crls::policy(&lists),
                // Called for each path that holds so far. When it refuses one, the search goes on: a cross-signed chain
                // may have another path to an anchor that is current.
                Some(&|path| self.judge_anchor(path, at)),
            )
            .map_err(refuse)?;
        let leaf = leaf::read(leaf, algorithms)?;
        let verified = self.name(&end_entity, &leaf)?;
        if !self.pins.is_empty() {
            pin(&self.pins, &end_entity)?;
        }
        // The policy demands a list of its issuer, and it is not on it.
        let list = self.crls.as_ref().and_then(|crls| crls.of_issuer(end_entity.issuer()).next());
        let revocation = list.map_or(Revocation::NotChecked, Crl::good);
        // Lists go out of date one by one.
        let holds_until = if self.crls.is_some() { at } else { self.anchor(&path).not_after };
        Ok(VerifiedPeer { verified, revocation, warnings: self.warnings(&path, at), holds_until })
    }

    fn judge_anchor(&self, path: &VerifiedPath<'_>, at: UnixTime) -> Result<(), Error> {
        let facts = self.anchor(path);
        if at > facts.not_after {
            return Err(Error::CertExpired { time: at, not_after: facts.not_after });
        }
        if at < facts.not_before {
            return Err(Error::CertNotValidYet { time: at, not_before: facts.not_before });
        }
        // The policy demands a list for every certificate, so one of this anchor is in use.
        if self.crls.is_some() && !facts.signs_crls { Err(Error::IssuerNotCrlSigner) } else { Ok(()) }
    }

    fn name(&self, end_entity: &EndEntityCert<'_>, leaf: &X509Certificate<'_>) -> Result<Verified, ConnectError> {
        let Name::AnyOf(names) = &self.name else {
            return Ok(Verified::ChainOnly);
        };
        let matches = |name: &&VerifiedName| end_entity.verify_is_valid_for_subject_name(name.as_server_name()).is_ok();
        match names.iter().find(matches) {
            Some(name) => Ok(name.as_verified()),
            None => Err(ConnectError::Identity {
                expected: names.iter().map(ToString::to_string).collect(),
                presented: Box::<PresentedNames>::new(certificate::presented_names(leaf)),
            }),
        }
    }

    fn warnings(&self, path: &VerifiedPath<'_>, at: UnixTime) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if matches!(self.name, Name::NotChecked) {
            warnings.push(Warning::NameNotChecked);
        }
        let left_out = self.roots.left_out(at);
        if !left_out.is_empty() {
            warnings.push(Warning::AnchorsDropped(left_out));
        }
        let anchor = self.anchor(path);
        if !anchor.self_issued {
            warnings.push(Warning::AnchorNotSelfSigned(anchor.subject.clone()));
        }
        warnings
    }

    fn anchor(&self, path: &VerifiedPath<'_>) -> &AnchorFacts {
        self.roots.facts_of(path.anchor()).expect("a path ends at one of the anchors that webpki was given")
    }
}

fn judge_key(
    pins: &[SpkiPin],
    leaf: &CertificateDer<'_>,
    at: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<VerifiedPeer, ConnectError> {
    let end_entity = EndEntityCert::try_from(leaf).map_err(|error| ConnectError::Untrusted {
        reason: Untrusted::Invalid { what: "it cannot be read".into() },
        source: Some(error.into()),
    })?;
    let leaf = leaf::read_key_only(leaf, algorithms)?;
    let verified = Verified::PublicKey(pin(pins, &end_entity)?.to_string());
    let not_before = certificate::system_time(&leaf.validity().not_before);
    let not_after = certificate::system_time(&leaf.validity().not_after);
    let current = (not_before..=not_after).contains(&certificate::from_unix(at));
    let warning = (!current).then_some(Warning::PinnedCertificateNotCurrent { not_before, not_after });
    Ok(VerifiedPeer {
        verified,
        revocation: Revocation::NotChecked,
        warnings: warning.into_iter().collect(),
        holds_until: at,
    })
}

/// The key is read by webpki, which also checks the handshake's signature with it.
fn pin(pins: &[SpkiPin], leaf: &EndEntityCert<'_>) -> Result<SpkiPin, ConnectError> {
    let presented = SpkiPin::new(Sha256::digest(leaf.subject_public_key_info()).into());
    if pins.contains(&presented) {
        return Ok(presented);
    }
    let reason = Untrusted::PinMismatch { presented: presented.to_string() };
    Err(ConnectError::Untrusted { reason, source: None })
}
