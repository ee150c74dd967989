//! TLS sessions that may be resumed: those of one connector under one identity.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

/// Sessions by server name. A connector makes a new store for every identity (see [`Generation`]), so the full key is
/// (name, identity epoch) and a ticket that arrives late is filed under the identity that earned it.
///
/// [`Generation`]: super::generation::Generation
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<ServerName<'static>, PerName>>);

#[derive(Default)]
struct PerName {
    kx_hint: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

/// "Clients SHOULD NOT reuse a ticket" (RFC 8446 appendix C.4), so 32 dials at once need 32 tickets. Servers send 2 to 4 a
/// connection; twice the number keeps a burst from draining the store.
const TICKETS_PER_NAME: usize = 64;

/// A connector has one server name; the bound only guards against a future caller that has many.
const NAMES: usize = 64;

impl Sessions {
    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn update(&self, name: ServerName<'static>, change: impl FnOnce(&mut PerName)) {
        let mut names = self.lock();
        if names.len() >= NAMES && !names.contains_key(&name) {
            names.clear();
        }
        change(names.entry(name).or_default());
    }

    /// A panic elsewhere leaves at worst one ticket too few.
    fn lock(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, PerName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.update(name, |per_name| per_name.kx_hint = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().get(&name.to_owned())?.kx_hint
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.update(name, |per_name| per_name.tls12 = Some(value));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().get(&name.to_owned())?.tls12.clone()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(per_name) = self.lock().get_mut(name) {
            per_name.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.update(name, |per_name| {
            if per_name.tls13.len() == TICKETS_PER_NAME {
                per_name.tls13.pop_front();
            }
            per_name.tls13.push_back(value);
        });
    }

    /// The newest first: it lives longest.
    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.lock().get_mut(name)?.tls13.pop_back()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions([redacted])")
    }
}
