//! The SPIFFE Workload API (SPIFFE_Workload_API.md): identities from an agent on the same host.

mod error;
mod follow;
mod message;
mod source;
mod x509;

use std::{sync::Arc, time::Duration};

use prost::Message;
use secure_connector::{Backoff, Clock, SystemClock};
use serde_json::{Map, Value};
use tokio::time::timeout;
use zeroize::Zeroizing;

pub use self::{
    error::{StartError, WorkloadApiError},
    follow::{WorkloadApiStatus, patience, retry_delay},
    source::{BundleSource, X509Source, X509SourceBuilder},
    x509::X509Context,
};
use self::{
    follow::Follower,
    message::{
        JwtBundlesResponse, JwtSvidRequest, JwtSvidResponse, ValidateJwtSvidRequest, ValidateJwtSvidResponse,
        X509BundlesResponse,
    },
    x509::{jwt_bundles, spiffe_id, x509_bundles},
};
use crate::{BundleSet, JwtRequest, JwtSvid, SpiffeId, WorkloadApiAddress, grpc::Call};

/// A SPIFFE agent, such as SPIRE's, by its address. Cheap to clone. Every call makes a connection of its own.
///
/// ```no_run
/// use std::time::Duration;
/// use svid_tls::{WorkloadApi, WorkloadApiAddress};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let api = WorkloadApi::builder(WorkloadApiAddress::from_env()?).build();
/// let source = api.x509().start_within(Duration::from_secs(30)).await?;
/// println!("we are {}", source.svids().snapshot()?.svid().id());
/// # Ok(())
/// # }
/// ```
///
/// # Secrets
/// Private keys are in no log, error or `Debug`. Messages are read into memory that is wiped; so are the keys in them.
#[derive(Clone, Debug)]
pub struct WorkloadApi {
    address: WorkloadApiAddress,
    settings: Settings,
}

/// Settings of a [`WorkloadApi`].
#[derive(Clone, Debug)]
#[must_use = "it is nothing until it is built"]
pub struct WorkloadApiBuilder(WorkloadApi);

#[derive(Clone, Debug)]
struct Settings {
    backoff: Backoff,
    answer_within: Duration,
    on_withdrawal: OnWithdrawal,
    clock: Arc<dyn Clock>,
}

/// What to do when the agent says that we have no identity any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnWithdrawal {
    /// Stop using it: no further connection is made or accepted until there is a new one (Workload API section 4.4).
    #[default]
    Withdraw,
    /// Go on with it until it expires, as go-spiffe does.
    Keep,
}

/// What the agent says of a token that it has validated.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidatedJwt {
    /// Whose it is.
    pub id: SpiffeId,
    /// Its claims.
    pub claims: Map<String, Value>,
}

impl WorkloadApi {
    /// The agent at `address`.
    pub fn builder(address: WorkloadApiAddress) -> WorkloadApiBuilder {
        let settings = Settings {
            backoff: Backoff::default(),
            answer_within: Duration::from_secs(10),
            on_withdrawal: OnWithdrawal::default(),
            clock: Arc::new(SystemClock),
        };
        WorkloadApiBuilder(Self { address, settings })
    }

    /// Our X.509-SVID with the bundles, rotated in the background.
    pub fn x509(&self) -> X509SourceBuilder {
        X509Source::builder(self.clone())
    }

    /// X.509 bundles, updated in the background. Starts at once; needs a tokio runtime.
    pub fn x509_bundles(&self) -> BundleSource {
        BundleSource::start(self.clone(), FETCH_X509_BUNDLES, read_x509_bundles)
    }

    /// The keys that sign JWT-SVIDs, updated in the background. Starts at once; needs a tokio runtime.
    pub fn jwt_bundles(&self) -> BundleSource {
        BundleSource::start(self.clone(), FETCH_JWT_BUNDLES, read_jwt_bundles)
    }

    /// JWT-SVIDs: one if the request names a subject, else one of each of our identities, the default first.
    /// [`JwtSvidCache`](crate::JwtSvidCache) keeps them.
    ///
    /// # Errors
    /// [`WorkloadApiError`]; nothing is retried.
    pub async fn fetch_jwt_svids(&self, request: &JwtRequest) -> Result<Vec<JwtSvid>, WorkloadApiError> {
        let audience: Vec<_> = request.audience().map(str::to_owned).collect();
        let subject = request.subject().map(SpiffeId::to_string).unwrap_or_default();
        let message = JwtSvidRequest { audience, spiffe_id: subject };
        let mut response: JwtSvidResponse = self.ask("/SpiffeWorkloadAPI/FetchJWTSVID", &message).await?;
        if response.svids.is_empty() {
            return Err(WorkloadApiError::NoSvid);
        }
        let judge = |(index, answer): (usize, &mut message::JwtSvidMessage)| {
            if answer.svid.is_empty() {
                return Err(WorkloadApiError::EmptyField { index, field: "svid" });
            }
            judge_jwt(std::mem::take(&mut answer.svid), &answer.spiffe_id, request)
        };
        response.svids.iter_mut().enumerate().map(judge).collect()
    }

    /// Lets the agent judge a token. [`JwtVerifier`](crate::JwtVerifier) does so without asking anybody.
    ///
    /// # Errors
    /// [`GrpcError::InvalidArgument`](crate::GrpcError::InvalidArgument) for a token that is not valid; else what failed.
    pub async fn validate_jwt_svid(&self, audience: &str, token: &str) -> Result<ValidatedJwt, WorkloadApiError> {
        let message = ValidateJwtSvidRequest { audience: audience.to_owned(), svid: token.to_owned() };
        let response: ValidateJwtSvidResponse = self.ask("/SpiffeWorkloadAPI/ValidateJWTSVID", &message).await?;
        let claims = response.claims.map(message::Struct::into_json).unwrap_or_default();
        Ok(ValidatedJwt { id: spiffe_id(&response.spiffe_id)?, claims })
    }

    /// "a static metadata key [...] workload.spiffe.io, with a value of true" (Workload Endpoint section 3): it shows that a request
    /// was not forged by a server that another tricked into it.
    async fn call(&self, path: &'static str, message: &[u8]) -> Result<Call, crate::GrpcError> {
        Call::start(&self.address, path, &[("workload.spiffe.io", "true")], message).await
    }

    async fn ask<M: Message + Default>(
        &self,
        path: &'static str,
        message: &impl Message,
    ) -> Result<M, WorkloadApiError> {
        let limit = self.settings.answer_within;
        let answer = async {
            let message = Zeroizing::new(message.encode_to_vec());
            let mut call = self.call(path, &message).await?;
            let answer = call.next().await?.ok_or(WorkloadApiError::Ended)?;
            decode(&answer)
        };
        timeout(limit, answer).await.unwrap_or(Err(WorkloadApiError::Silent { limit }))
    }

    fn withdraw_if(&self, error: &WorkloadApiError, follower: &mut impl Follower) {
        if error.withdraws() && self.settings.on_withdrawal == OnWithdrawal::Withdraw {
            follower.withdraw(error);
        }
    }
}

impl WorkloadApiBuilder {
    /// How long to wait after failures in a row; see [`retry_delay`]. Default: 100 ms up to 10 s.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.0.settings.backoff = backoff;
        self
    }

    /// How long the agent may take to answer: "immediately" is what the standard wants (section 5.2.1). Default: 10 s.
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.0.settings.answer_within = limit;
        self
    }

    /// Whether an identity that is withdrawn stays in use. Default: it does not.
    pub fn on_withdrawal(mut self, policy: OnWithdrawal) -> Self {
        self.0.settings.on_withdrawal = policy;
        self
    }

    /// The clock by which SVIDs are judged. Default: the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.0.settings.clock = Arc::new(clock);
        self
    }

    /// The agent. Nothing is connected yet.
    pub fn build(self) -> WorkloadApi {
        self.0
    }
}

const FETCH_X509_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchX509Bundles";
const FETCH_JWT_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchJWTBundles";

fn read_x509_bundles(message: &[u8]) -> Result<BundleSet, WorkloadApiError> {
    x509_bundles(decode::<X509BundlesResponse>(message)?.bundles)
}

fn read_jwt_bundles(message: &[u8]) -> Result<BundleSet, WorkloadApiError> {
    jwt_bundles(decode::<JwtBundlesResponse>(message)?.bundles)
}

/// Our own agent's tokens, but ours to check that they are what was asked for.
fn judge_jwt(token: String, named: &str, request: &JwtRequest) -> Result<JwtSvid, WorkloadApiError> {
    let token = JwtSvid::from_agent(token).map_err(|source| WorkloadApiError::JwtSvid { source })?;
    if spiffe_id(named)? != *token.id() {
        return Err(WorkloadApiError::OtherId { named: named.to_owned(), itself: token.id().clone() });
    }
    if let Some(wanted) = request.subject().filter(|wanted| *wanted != token.id()) {
        return Err(WorkloadApiError::Subject { wanted: wanted.clone(), found: token.id().clone() });
    }
    if !request.audience().all(|name| token.audience().iter().any(|found| found == name)) {
        let wanted = request.audience().map(str::to_owned).collect();
        return Err(WorkloadApiError::Audience { wanted, found: token.audience().to_vec() });
    }
    Ok(token)
}

fn decode<M: Message + Default>(message: &[u8]) -> Result<M, WorkloadApiError> {
    M::decode(message).map_err(|source| WorkloadApiError::Message { source: source.into() })
}
