//! The bundles of several trust domains. They are never pooled: each is asked for the SVIDs of its own domain only.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{Bundle, BundleError, Rollback, document};
use crate::{TrustDomain, json};

/// Bundles by trust domain. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleSet(HashMap<TrustDomain, Arc<Bundle>>);

/// What came of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// The trust domain had no bundle.
    Added,
    /// Its bundle was another one.
    Changed,
    /// Its bundle was the same.
    Unchanged,
}

impl BundleSet {
    /// Reads a bundle map (section 5), as a whole or not at all. Refresh hints of the bundles in it have no meaning for the
    /// map (section 5.1.1).
    ///
    /// Members are names such as `example.org`; `spiffe://example.org` is refused.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn from_bundle_map(map: &[u8]) -> Result<Self, BundleError> {
        let map = json::object(map).map_err(|source| BundleError::Json { source })?;
        let Some(Value::Object(bundles)) = map.get("trust_domains") else {
            return Err(BundleError::Map);
        };
        let read = |(name, bundle): (&String, &Value)| {
            let domain = TrustDomain::from_name(name)
                .map_err(|source| BundleError::TrustDomain { name: name.clone(), source })?;
            let in_map = |e| BundleError::InMap { trust_domain: name.clone(), source: Box::new(e) };
            let bundle = bundle.as_object().ok_or_else(|| in_map(BundleError::Keys))?;
            document::read_object(domain, bundle).map_err(in_map)
        };
        bundles.iter().map(read).collect()
    }

    /// The bundle of this trust domain.
    pub fn get(&self, trust_domain: &str) -> Option<&Bundle> {
        self.0.get(trust_domain).map(|bundle| &**bundle)
    }

    /// Adds a bundle or takes it in the place of the one that its trust domain has, whatever their numbers. For what one's
    /// own agent sends, which is the whole state; for documents of partners there is [`update`](Self::update).
    pub fn insert(&mut self, bundle: Bundle) {
        self.0.insert(bundle.trust_domain().clone(), Arc::new(bundle));
    }

    /// Adds a bundle or takes it in the place of the one that its trust domain has, unless it is older.
    ///
    /// # Errors
    /// [`Rollback`]; the set is as it was.
    pub fn update(&mut self, bundle: Bundle) -> Result<Update, Rollback> {
        let outcome = match self.get(bundle.trust_domain().name()) {
            None => Update::Added,
            Some(old) => {
                bundle.may_replace(old)?;
                if bundle == *old { Update::Unchanged } else { Update::Changed }
            }
        };
        if outcome != Update::Unchanged {
            self.insert(bundle);
        }
        Ok(outcome)
    }

    /// Forgets a trust domain: its SVIDs are untrusted from now on.
    pub fn remove(&mut self, trust_domain: &str) -> Option<Arc<Bundle>> {
        self.0.remove(trust_domain)
    }

    /// All bundles, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Bundle> {
        self.0.values().map(|bundle| &**bundle)
    }

    /// Whether there is no bundle.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of several bundles of one trust domain the last counts.
impl FromIterator<Bundle> for BundleSet {
    fn from_iter<I: IntoIterator<Item = Bundle>>(bundles: I) -> Self {
        let mut set = Self::default();
        bundles.into_iter().for_each(|bundle| set.insert(bundle));
        set
    }
}
