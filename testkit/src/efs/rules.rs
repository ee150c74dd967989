//! Who is let in by a mount target.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::client_certificate::{ClientAuth, ClientCertificate};
use super::policy::{Decision, Request};
use super::signature::{ConnectRequest, Layout};
use super::{
    Claims, ClientAction, FileSystemPolicy, Judgement, KnownKey, Permissions, Principal, Refusal, Verdict, arn,
};
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
    pub(crate) account: String,
    service: String,
    /// `None`: every access point exists.
    access_points: Option<BTreeSet<String>>,
    keys: Vec<KnownKey>,
    access: Access,
    allowed_skew: Duration,
    pub(crate) clock: Clock,
}

impl AdmissionRules {
    /// The rules of a file system without a policy and without known keys: it admits anonymous clients and every access
    /// point. Its account is 123456789012.
    pub fn new(file_system: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            file_system: file_system.into(),
            region: region.into(),
            account: "123456789012".to_owned(),
            service: "elasticfilesystem".to_owned(),
            access_points: None,
            keys: Vec::new(),
            access: Access::Everybody,
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

    /// The policy of the file system. Default: none, which grants everything to everybody.
    pub fn policy(mut self, policy: FileSystemPolicy) -> Self {
        self.access = Access::Policy(policy);
        self
    }

    /// A shorthand for [`policy`](Self::policy), which it replaces and by which it is replaced.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.access = match admission {
            Admission::AnonymousAllowed => Access::Everybody,
            Admission::IamOnly => Access::KnownKeys,
        };
        self
    }

    /// The id of the account that owns the file system: twelve digits.
    pub fn account(mut self, id: impl Into<String>) -> Self {
        self.account = id.into();
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

    /// The ARN of the file system, as a policy and CloudTrail name it.
    pub fn file_system_arn(&self) -> String {
        self.arn("file-system", &self.file_system)
    }

    /// The ARN of an access point of the file system, as a policy and CloudTrail name it.
    pub fn access_point_arn(&self, id: &str) -> String {
        self.arn("access-point", id)
    }

    fn arn(&self, kind: &str, id: &str) -> String {
        let Self { region, account, .. } = self;
        format!("arn:{}:elasticfilesystem:{region}:{account}:{kind}/{id}", arn::partition(region))
    }

    /// Judges a client that came over TLS, by the certificates it showed (DER, leaf first; none for a client without one).
    pub fn judge(&self, chain: &[Vec<u8>]) -> Judgement {
        let certificate = match chain {
            [] => return self.authorize(Client::anonymous(Transport::Tls), None),
            [only] => ClientCertificate::read(only),
            _ => Err(Refusal::Chain { found: chain.len() }),
        };
        let certificate = match certificate {
            Ok(certificate) => certificate,
            Err(refusal) => return Judgement::refused(None, refusal),
        };
        let claims = Some(Claims::of(&certificate));
        match self.authenticate(&certificate) {
            Ok(client) => self.authorize(client, claims),
            Err(refusal) => Judgement::refused(claims, refusal),
        }
    }

    /// Judges a client that came over plain TCP: anonymous, and without an access point.
    pub fn judge_plain(&self) -> Judgement {
        self.authorize(Client::anonymous(Transport::Plain), None)
    }

    /// Whether the certificate is good here and now, and whose it is.
    fn authenticate(&self, certificate: &ClientCertificate) -> Result<Client<'_>, Refusal> {
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
        let mut client = Client::anonymous(Transport::Tls);
        client.access_point_arn = certificate.access_point.as_deref().map(|id| self.access_point_arn(id));
        if let Some(auth) = &certificate.client_auth {
            let key = self.authenticate_key(certificate, auth, now)?;
            let (arn, access_key_id) = (key.principal.clone(), key.access_key_id.clone());
            client.principal = Principal::Iam { arn, access_key_id };
            client.own_actions = key.client_actions.as_ref();
        }
        Ok(client)
    }

    /// The key that the client has proven to hold.
    fn authenticate_key(
        &self,
        certificate: &ClientCertificate,
        auth: &ClientAuth,
        now: SystemTime,
    ) -> Result<&KnownKey, Refusal> {
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
            Ok(key)
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

    /// What the policy makes of a client that is beyond doubt.
    fn authorize(&self, client: Client<'_>, claims: Option<Claims>) -> Judgement {
        let decide = |action| match &self.access {
            Access::Everybody => Decision::Allowed,
            Access::KnownKeys => {
                let principals = self.keys.iter().map(|key| key.principal.as_str());
                FileSystemPolicy::for_principals(principals).decide(action, &client.request(self))
            }
            Access::Policy(policy) => policy.decide(action, &client.request(self)),
        };
        let allowed = ClientAction::ALL.into_iter().filter(|action| decide(*action) == Decision::Allowed);
        let permissions = Permissions::only(allowed);
        let refusal = match (decide(ClientAction::Mount), &client.principal) {
            (Decision::Allowed, _) => None,
            (Decision::DeniedBy(statement), _) => Some(Refusal::PolicyDenies { statement }),
            (Decision::NotAllowed, Principal::Anonymous) => Some(Refusal::AnonymousNotAllowed),
            (Decision::NotAllowed, Principal::Iam { arn, .. }) => Some(Refusal::NotAllowed { arn: arn.clone() }),
        };
        let verdict = refusal.map_or_else(|| Verdict::Admitted(client.principal.clone()), Verdict::Refused);
        Judgement { claims, principal: Some(client.principal), permissions, verdict }
    }
}

/// A client that is beyond doubt.
struct Client<'r> {
    transport: Transport,
    principal: Principal,
    own_actions: Option<&'r BTreeSet<ClientAction>>,
    access_point_arn: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tls,
    Plain,
}

impl Client<'_> {
    fn anonymous(transport: Transport) -> Self {
        Self { transport, principal: Principal::Anonymous, own_actions: None, access_point_arn: None }
    }

    fn request<'a>(&'a self, rules: &'a AdmissionRules) -> Request<'a> {
        Request {
            principal: &self.principal,
            own_actions: self.own_actions,
            account: &rules.account,
            file_system_arn: rules.file_system_arn(),
            access_point_arn: self.access_point_arn.clone(),
            secure_transport: self.transport == Transport::Tls,
        }
    }
}

/// Who may use a file system, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// Everybody may do everything; those who show an IAM identity must show a good one. There is no policy.
    #[default]
    AnonymousAllowed,
    /// The policy allows `elasticfilesystem:Client*` to the principals of the [`KnownKey`]s, and nothing to others.
    IamOnly,
}

/// Where the policy comes from.
#[derive(Clone, Debug)]
enum Access {
    Everybody,
    KnownKeys,
    Policy(FileSystemPolicy),
}

/// `X-Amz-Expires=86400`.
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(86_400);
