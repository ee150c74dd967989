//! JWT-SVIDs of our own, by audience, renewed at half of their life.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::JwtSvid;
use crate::SpiffeId;

/// When a token is to be renewed: at half of its life, as SPIRE renews.
pub fn renew_at(begin: SystemTime, end: SystemTime) -> SystemTime {
    let life = end.duration_since(begin).unwrap_or_default();
    begin.checked_add(life / 2).unwrap_or(end)
}

/// What a token is asked for. The order of the audience has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JwtRequest {
    audience: BTreeSet<String>,
    subject: Option<SpiffeId>,
}

/// Tokens by what they were asked for. Holds no clock and starts no task: whoever asks the agent puts the answer in.
///
/// ```
/// # use std::sync::Arc;
/// # use svid_tls::{CachedJwt, JwtRequest, JwtSvid, JwtSvidCache};
/// # fn ask_agent_in_background(_: &JwtRequest) {}
/// # fn example(cache: &JwtSvidCache, now: std::time::SystemTime, ask_agent: fn(&JwtRequest) -> Arc<JwtSvid>) -> Arc<JwtSvid> {
/// let request = JwtRequest::for_audience(["spiffe://example.org/api"]);
/// match cache.get(&request, now) {
///     CachedJwt::Fresh(token) => token,
///     CachedJwt::RenewalDue(token) => {
///         ask_agent_in_background(&request);
///         token
///     }
///     CachedJwt::Missing => {
///         let token = ask_agent(&request);
///         cache.put(request, token.clone(), now);
///         token
///     }
/// }
/// # }
/// ```
pub struct JwtSvidCache {
    entries: Mutex<HashMap<JwtRequest, Entry>>,
    capacity: usize,
}

struct Entry {
    token: Arc<JwtSvid>,
    renew_at: SystemTime,
}

/// What the cache has.
#[derive(Clone, Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "the caller does something else for each")]
pub enum CachedJwt {
    /// A token in the first half of its life.
    Fresh(Arc<JwtSvid>),
    /// A token in the second half of its life: good, and time to ask for the next one.
    RenewalDue(Arc<JwtSvid>),
    /// Nothing, or nothing that is still good.
    Missing,
}

impl JwtRequest {
    /// A token for this audience.
    pub fn for_audience(audience: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { audience: audience.into_iter().map(Into::into).collect(), subject: None }
    }

    /// Where a workload has several identities: as this one.
    #[must_use]
    pub fn as_subject(mut self, subject: SpiffeId) -> Self {
        self.subject = Some(subject);
        self
    }

    /// The audience, sorted.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(String::as_str)
    }

    /// As whom.
    pub fn subject(&self) -> Option<&SpiffeId> {
        self.subject.as_ref()
    }
}

impl JwtSvidCache {
    /// Holds this many tokens at most, one at least. When it is full, the one that ends first goes.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity: capacity.max(1) }
    }

    /// What there is at the time `now`.
    pub fn get(&self, request: &JwtRequest, now: SystemTime) -> CachedJwt {
        match self.lock().get(request) {
            Some(entry) if now < entry.renew_at => CachedJwt::Fresh(entry.token.clone()),
            Some(entry) if now < entry.token.expires() => CachedJwt::RenewalDue(entry.token.clone()),
            _ => CachedJwt::Missing,
        }
    }

    /// Keeps a token that came at the time `now`, in the place of the one that there is. Its life begins when it was issued,
    /// or now if that is not said or, by a clock that differs, lies ahead.
    pub fn put(&self, request: JwtRequest, token: Arc<JwtSvid>, now: SystemTime) {
        let begin = token.issued().map_or(now, |issued| issued.min(now));
        let renew_at = renew_at(begin, token.expires());
        let mut entries = self.lock();
        if entries.len() >= self.capacity && !entries.contains_key(&request) {
            let first = entries.iter().min_by_key(|(_, entry)| entry.token.expires()).map(|(key, _)| key.clone());
            first.and_then(|key| entries.remove(&key));
        }
        entries.insert(request, Entry { token, renew_at });
    }

    /// Forgets every token: when the identity is withdrawn.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// A panic elsewhere leaves at worst one token too few.
    fn lock(&self) -> MutexGuard<'_, HashMap<JwtRequest, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for JwtSvidCache {
    /// For 256 tokens.
    fn default() -> Self {
        Self::new(256)
    }
}

impl fmt::Debug for JwtSvidCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidCache").field("tokens", &self.lock().len()).field("capacity", &self.capacity).finish()
    }
}
