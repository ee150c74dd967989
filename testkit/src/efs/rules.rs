//! Who is let in by a mount target.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::client_certificate::{ClientAuth, ClientCertificate};
use super::signature::{ConnectRequest, Layout};
use super::{Refusal, TokenFault};
use crate::Clock;

/// The file system behind a mount target, and who may use it.
///
/// Checks the certificate of an EFS client from its DER to its IAM signature, independently of the code that makes such
/// certificates. [`judge`](Self::judge) needs no connection.
///
/// # Limitations
/// What the real service tolerates is not documented. The rules here are those of a certificate as the EFS mount helper makes
/// it, to the byte, except that a renewal's leading spaces in EfsClientInfo pass, as they do with the service.
#[derive(Clone, Debug)]
pub struct AdmissionRules {
    pub(crate) file_system: String,
    pub(crate) region: String,
    service: String,
    /// `None`: every access point exists.
    access_points: Option<BTreeSet<String>>,
    keys: Vec<KnownKey>,
    admission: Admission,
    allowed_skew: Duration,
    clock: Clock,
}

impl AdmissionRules {
    /// The rules of a file system without known keys, that admits anonymous clients and every access point.
    pub fn new(file_system: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            file_system: file_system.into(),
            region: region.into(),
            service: "elasticfilesystem".to_owned(),
            access_points: None,
            keys: Vec::new(),
            admission: Admission::default(),
            allowed_skew: Duration::from_secs(5 * 60),
            clock: Clock::default(),
        }
    }

    /// Adds an access key whose signatures are known.
    pub fn key(mut self, key: KnownKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds an access point. The first one makes all others unknown.
    pub fn access_point(mut self, id: impl Into<String>) -> Self {
        self.access_points.get_or_insert_default().insert(id.into());
        self
    }

    /// Who needs an IAM identity. Default: nobody.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// The clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How far the client's clock may be ahead. Default: five minutes, as for AWS requests in general.
    pub fn allowed_skew(mut self, skew: Duration) -> Self {
        self.allowed_skew = skew;
        self
    }

    /// The service in the scope of the signature. Default: `elasticfilesystem`.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// Judges a client by the certificates it showed (DER, leaf first; none for a client without one).
    pub fn judge(&self, chain: &[Vec<u8>]) -> Judgement {
        let certificate = match chain {
            [] => return Judgement { claims: None, verdict: self.admit_anonymous() },
            [only] => ClientCertificate::read(only),
            _ => Err(Refusal::Chain { found: chain.len() }),
        };
        match certificate {
            Err(refusal) => Judgement { claims: None, verdict: Verdict::Refused(refusal) },
            Ok(certificate) => Judgement {
                verdict: self.admit(&certificate).unwrap_or_else(Verdict::Refused),
                claims: Some(Claims::of(certificate)),
            },
        }
    }

    fn admit(&self, certificate: &ClientCertificate) -> Result<Verdict, Refusal> {
        let now = self.clock.now();
        let ClientCertificate { not_before, not_after, .. } = *certificate;
        if now < not_before {
            return Err(Refusal::NotYetValid { not_before, now });
        }
        if now >= not_after + Duration::from_secs(1) {
            return Err(Refusal::Expired { not_after, now });
        }
        if certificate.file_system != self.file_system {
            return Err(Refusal::WrongFileSystem {
                expected: self.file_system.clone(),
                found: certificate.file_system.clone(),
            });
        }
        if let (Some(known), Some(found)) = (&self.access_points, &certificate.access_point)
            && !known.contains(found)
        {
            return Err(Refusal::UnknownAccessPoint { found: found.clone() });
        }
        match &certificate.client_auth {
            None => Ok(self.admit_anonymous()),
            Some(auth) => self.admit_iam(certificate, auth, now),
        }
    }

    fn admit_anonymous(&self) -> Verdict {
        match self.admission {
            Admission::AnonymousAllowed => Verdict::Admitted(Principal::Anonymous),
            Admission::IamOnly => Verdict::Refused(Refusal::AnonymousNotAllowed),
        }
    }

    fn admit_iam(
        &self,
        certificate: &ClientCertificate,
        auth: &ClientAuth,
        now: SystemTime,
    ) -> Result<Verdict, Refusal> {
        let access_key_id = auth.access_key_id.clone();
        let Some(key) = self.keys.iter().find(|key| key.access_key_id == access_key_id) else {
            return Err(Refusal::UnknownAccessKey { access_key_id });
        };
        if let Some(fault) = key.fault_of_token(auth.session_token.as_deref()) {
            return Err(Refusal::SessionToken { access_key_id, fault });
        }
        self.check_time_signed(certificate, auth.signed_at, now)?;
        let request = ConnectRequest {
            region: &self.region,
            service: &self.service,
            file_system: &self.file_system,
            public_key_hash: &certificate.public_key_hash,
            access_key_id: &access_key_id,
            session_token: auth.session_token.as_deref(),
            signed_at: auth.signed_at,
        };
        if auth.signature == request.signature(&key.secret, Layout::Efs) {
            Ok(Verdict::Admitted(Principal::Iam { arn: key.principal.clone(), access_key_id }))
        } else if auth.signature == request.signature(&key.secret, Layout::StandardSigV4) {
            Err(Refusal::StandardSigV4 { access_key_id })
        } else {
            Err(Refusal::SignatureMismatch { access_key_id })
        }
    }

    fn check_time_signed(
        &self,
        certificate: &ClientCertificate,
        signed_at: SystemTime,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let ClientCertificate { not_before, not_after, .. } = *certificate;
        if signed_at.duration_since(now).is_ok_and(|ahead| ahead > self.allowed_skew) {
            return Err(Refusal::Skew { signed_at, now, allowed: self.allowed_skew });
        }
        if now >= signed_at + SIGNATURE_LIFETIME {
            return Err(Refusal::SignatureExpired { signed_at, now });
        }
        if !(not_before..=not_after).contains(&signed_at) {
            return Err(Refusal::SignedOutsideValidity { signed_at, not_before, not_after });
        }
        Ok(())
    }
}

/// An access key whose secret the mount target knows, as the real one learns it from IAM.
#[derive(Clone)]
pub struct KnownKey {
    access_key_id: String,
    secret: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
    principal: String,
}

impl KnownKey {
    /// A permanent key of the principal with this ARN.
    pub fn new(access_key_id: impl Into<String>, secret: impl Into<String>, principal: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret: Zeroizing::new(secret.into()),
            session_token: None,
            principal: principal.into(),
        }
    }

    /// Makes it a temporary key, which goes with this token.
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(Zeroizing::new(token.into()));
        self
    }

    fn fault_of_token(&self, found: Option<&str>) -> Option<TokenFault> {
        match (&self.session_token, found) {
            (None, None) => None,
            (Some(_), None) => Some(TokenFault::Missing),
            (None, Some(_)) => Some(TokenFault::Unexpected),
            (Some(expected), Some(found)) => (expected.as_str() != found).then_some(TokenFault::Different),
        }
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKey")
            .field("access_key_id", &self.access_key_id)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// Who may use a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// Everybody; those who show an IAM identity must show a good one. The state of a file system without a policy.
    #[default]
    AnonymousAllowed,
    /// Only those who show an IAM identity.
    IamOnly,
}

/// What [`AdmissionRules::judge`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// What the certificate says, once it is one that an EFS client may have made.
    pub claims: Option<Claims>,
    /// Whether the client is let in.
    pub verdict: Verdict,
}

/// Whether a client is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Yes, as this principal.
    Admitted(Principal),
    /// No.
    Refused(Refusal),
}

/// As whom a client is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// As nobody in particular: without an IAM identity.
    Anonymous,
    /// As an IAM user or role.
    Iam {
        /// The ARN of the [`KnownKey`].
        arn: String,
        /// The key that signed.
        access_key_id: String,
    },
}

/// What a client's certificate says. The session token is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// The subject's common name: the client's host name.
    pub common_name: String,
    /// The file system asked for.
    pub file_system: String,
    /// The access point asked for.
    pub access_point: Option<String>,
    /// The access key that signed; `None` for a client without an IAM identity.
    pub access_key_id: Option<String>,
    /// The time signed.
    pub signed_at: Option<SystemTime>,
    /// The `source` of EfsClientInfo.
    pub source: String,
    /// The `efsUtilsVersion` of EfsClientInfo.
    pub client_version: String,
    /// The certificate's last second.
    pub not_after: SystemTime,
}

impl Claims {
    fn of(certificate: ClientCertificate) -> Self {
        let (access_key_id, signed_at) =
            certificate.client_auth.map(|auth| (auth.access_key_id, auth.signed_at)).unzip();
        Self {
            common_name: certificate.common_name,
            file_system: certificate.file_system,
            access_point: certificate.access_point,
            access_key_id,
            signed_at,
            source: certificate.source,
            client_version: certificate.client_version,
            not_after: certificate.not_after,
        }
    }
}

/// `X-Amz-Expires=86400`.
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(86_400);
