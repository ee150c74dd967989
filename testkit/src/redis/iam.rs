//! Who may connect with an IAM token in the place of a password.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use humantime::parse_rfc3339;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::IamRefusal;
use super::signature::{PresignedRequest, Scope};
use crate::Clock;
use crate::efs::TokenFault;

/// The cache that IAM tokens are for, and the AWS access keys that may sign them.
///
/// A token is a presigned request for the action `connect`, without its `https://`. [`judge`](Self::judge) checks it from its
/// text to its signature, independently of the code that makes such tokens, and needs no connection.
///
/// # Limitations
/// The order of the checks, and what the service tolerates in a token that its documentation does not show, are not documented.
#[derive(Clone, Debug)]
pub struct IamRules {
    service: IamService,
    name: String,
    region: String,
    keys: Vec<IamKey>,
    allowed_skew: Duration,
    pub(crate) clock: Clock,
}

/// What kind of cache a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IamService {
    /// A replication group of ElastiCache: a cluster made of nodes.
    ElastiCache,
    /// A serverless cache of ElastiCache. Its tokens alone say `ResourceType=ServerlessCache`.
    ElastiCacheServerless,
    /// A cluster of MemoryDB.
    MemoryDb,
}

impl IamRules {
    /// The rules of a cache without keys, which admits nobody. AWS keeps the names of caches in lower case.
    pub fn new(service: IamService, name: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            service,
            name: name.into(),
            region: region.into(),
            keys: Vec::new(),
            allowed_skew: Duration::from_secs(5 * 60),
            clock: Clock::default(),
        }
    }

    /// Adds an access key whose signatures are known.
    pub fn key(mut self, key: IamKey) -> Self {
        self.keys.push(key);
        self
    }

    /// The clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How far the signer's clock may be ahead. Default: five minutes, as for AWS requests in general.
    pub fn allowed_skew(mut self, skew: Duration) -> Self {
        self.allowed_skew = skew;
        self
    }

    pub(crate) fn service(&self) -> IamService {
        self.service
    }

    /// Judges the token that `user` presents as a password, and says which access key signed it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn judge(&self, user: &str, token: &str) -> Result<String, IamRefusal> {
        let token = Token::parse(token)?;
        let now = self.clock.now();
        self.check_cache(&token, user)?;
        token.expect("X-Amz-Algorithm", "AWS4-HMAC-SHA256")?;
        token.expect("X-Amz-SignedHeaders", "host")?;
        let (access_key_id, scope) = token.credential()?;
        let key = self.keys.iter().find(|key| key.access_key_id == access_key_id);
        let key = key.ok_or_else(|| IamRefusal::UnknownAccessKey { access_key_id: access_key_id.to_owned() })?;
        key.check_session(token.get("X-Amz-Security-Token"), now)?;
        self.check_scope(&token, scope)?;
        self.check_time(&token, now)?;
        let PresentedSignature { expected, found } = token.signature(&key.secret, scope)?;
        if expected != found {
            return Err(IamRefusal::SignatureMismatch { access_key_id: key.access_key_id.clone() });
        }
        if !key.may_connect {
            return Err(IamRefusal::NotAllowed { access_key_id: key.access_key_id.clone() });
        }
        Ok(key.access_key_id.clone())
    }

    fn check_cache(&self, token: &Token, user: &str) -> Result<(), IamRefusal> {
        if token.host != self.name {
            return Err(IamRefusal::WrongCache { expected: self.name.clone(), found: token.host.clone() });
        }
        token.expect("Action", "connect")?;
        let found = token.require("User")?;
        if found != user {
            return Err(IamRefusal::WrongUser { expected: user.to_owned(), found: found.to_owned() });
        }
        match (self.service, token.get("ResourceType")) {
            (IamService::ElastiCacheServerless, None) => Err(IamRefusal::ResourceTypeMissing),
            (IamService::ElastiCacheServerless, Some(_)) => token.expect("ResourceType", "ServerlessCache"),
            (_, Some(_)) => Err(IamRefusal::ResourceTypeUnexpected),
            (_, None) => Ok(()),
        }
    }

    fn check_scope(&self, token: &Token, scope: Scope<'_>) -> Result<(), IamRefusal> {
        let service = match self.service {
            IamService::ElastiCache | IamService::ElastiCacheServerless => "elasticache",
            IamService::MemoryDb => "memorydb",
        };
        let date = token.require("X-Amz-Date")?.split('T').next().unwrap_or_default();
        for (part, expected, found) in
            [("date", date, scope.date), ("region", &*self.region, scope.region), ("service", service, scope.service)]
        {
            if expected != found {
                return Err(IamRefusal::WrongScope { part, expected: expected.to_owned(), found: found.to_owned() });
            }
        }
        Ok(())
    }

    fn check_time(&self, token: &Token, now: SystemTime) -> Result<(), IamRefusal> {
        let malformed = |parameter| IamRefusal::Parameter { parameter, expected: "a number or time", found: None };
        let signed_at = token.signed_at().ok_or_else(|| malformed("X-Amz-Date"))?;
        let seconds = token.require("X-Amz-Expires")?.parse().map_err(|_| malformed("X-Amz-Expires"))?;
        let lifetime = Duration::from_secs(seconds);
        if lifetime > LONGEST_LIFE {
            return Err(IamRefusal::LivesTooLong { lifetime });
        }
        if signed_at.duration_since(now).is_ok_and(|ahead| ahead > self.allowed_skew) {
            return Err(IamRefusal::Skew { signed_at, now, allowed: self.allowed_skew });
        }
        if now >= signed_at + lifetime {
            return Err(IamRefusal::Expired { signed_at, now });
        }
        Ok(())
    }
}

/// An access key whose secret the cache knows, as the real one learns it from IAM.
#[derive(Clone)]
pub struct IamKey {
    access_key_id: String,
    secret: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
    session_ends: Option<SystemTime>,
    may_connect: bool,
}

impl IamKey {
    /// A permanent key of a principal that may `Connect` to the cache as every user.
    pub fn new(access_key_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret: Zeroizing::new(secret.into()),
            session_token: None,
            session_ends: None,
            may_connect: true,
        }
    }

    /// Makes it a temporary key, which goes with this token.
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(Zeroizing::new(token.into()));
        self
    }

    /// When the session of a temporary key ends. Tokens that it signed end with it, however young.
    pub fn session_ends(mut self, at: SystemTime) -> Self {
        self.session_ends = Some(at);
        self
    }

    /// Makes it the key of a principal whose policies do not allow `elasticache:Connect` (`memorydb:Connect`).
    pub fn without_permission(mut self) -> Self {
        self.may_connect = false;
        self
    }

    fn check_session(&self, found: Option<&str>, now: SystemTime) -> Result<(), IamRefusal> {
        let fault = match (&self.session_token, found) {
            (None, None) => None,
            (Some(_), None) => Some(TokenFault::Missing),
            (None, Some(_)) => Some(TokenFault::Unexpected),
            (Some(expected), Some(found)) => (expected.as_str() != found).then_some(TokenFault::Different),
        };
        let access_key_id = self.access_key_id.clone();
        if let Some(fault) = fault {
            return Err(IamRefusal::SessionToken { access_key_id, fault });
        }
        match self.session_ends {
            Some(ended) if now >= ended => Err(IamRefusal::SessionEnded { access_key_id, ended, now }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for IamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// A token taken apart: `HOST/?QUERY`.
struct Token {
    host: String,
    query: BTreeMap<String, String>,
}

struct PresentedSignature {
    expected: String,
    found: String,
}

impl Token {
    fn parse(text: &str) -> Result<Self, IamRefusal> {
        let (host, query) = text.split_once("/?").ok_or(IamRefusal::NotAToken)?;
        let decoded = |text| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let mut pairs = BTreeMap::new();
        for pair in query.split('&') {
            let pair = pair.split_once('=').and_then(|(name, value)| Some((decoded(name)?, decoded(value)?)));
            let (name, value) = pair.ok_or(IamRefusal::NotAToken)?;
            if pairs.insert(name, value).is_some() {
                return Err(IamRefusal::NotAToken);
            }
        }
        Ok(Self { host: host.to_owned(), query: pairs })
    }

    fn get(&self, parameter: &str) -> Option<&str> {
        self.query.get(parameter).map(String::as_str)
    }

    fn require(&self, parameter: &'static str) -> Result<&str, IamRefusal> {
        self.get(parameter).ok_or(IamRefusal::Parameter { parameter, expected: "a value", found: None })
    }

    fn expect(&self, parameter: &'static str, expected: &'static str) -> Result<(), IamRefusal> {
        match self.get(parameter) {
            Some(found) if found == expected => Ok(()),
            found => Err(IamRefusal::Parameter { parameter, expected, found: found.map(str::to_owned) }),
        }
    }

    /// The access key id, and what it signed for.
    fn credential(&self) -> Result<(&str, Scope<'_>), IamRefusal> {
        const EXPECTED: &str = "KEY/DATE/REGION/SERVICE/aws4_request";
        let found = self.require("X-Amz-Credential")?;
        match *found.split('/').collect::<Vec<_>>() {
            [key, date, region, service, "aws4_request"] => Ok((key, Scope { date, region, service })),
            _ => Err(IamRefusal::Parameter {
                parameter: "X-Amz-Credential",
                expected: EXPECTED,
                found: Some(found.to_owned()),
            }),
        }
    }

    /// `YYYYMMDDTHHMMSSZ` is RFC 3339 without its punctuation.
    fn signed_at(&self) -> Option<SystemTime> {
        let text = self.get("X-Amz-Date").filter(|text| text.is_ascii() && text.len() == "YYYYMMDDTHHMMSSZ".len())?;
        let part = |range| text.get(range).unwrap_or_default();
        let (date, time) = ((part(0..4), part(4..6), part(6..8)), (part(9..11), part(11..13), part(13..16)));
        let rfc3339 = format!("{}-{}-{}{}{}:{}:{}", date.0, date.1, date.2, part(8..9), time.0, time.1, time.2);
        parse_rfc3339(&rfc3339).ok()
    }

    fn signature(&self, secret: &str, scope: Scope<'_>) -> Result<PresentedSignature, IamRefusal> {
        let found = self.require("X-Amz-Signature")?.to_owned();
        let signed = self.query.iter().filter(|(name, _)| *name != "X-Amz-Signature");
        let signed: Vec<_> = signed.map(|(name, value)| (name.clone(), value.clone())).collect();
        let date_time = self.require("X-Amz-Date")?;
        let request = PresignedRequest { host: &self.host, query: &signed, date_time, scope };
        Ok(PresentedSignature { expected: request.signature(secret), found })
    }
}

/// "The IAM authentication token is valid for 15 minutes" (ElastiCache User Guide, "Authenticating with IAM").
const LONGEST_LIFE: Duration = Duration::from_secs(15 * 60);
