//! Strings under keys.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::engine::Engine;
use super::wire::Reply;

/// What is stored, in all databases.
#[derive(Debug, Default)]
pub(crate) struct Keyspace {
    entries: BTreeMap<(usize, Vec<u8>), Entry>,
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    expires: Option<SystemTime>,
    /// The number of the change that wrote it.
    changed: u64,
}

/// A database at a moment.
pub(crate) struct Database<'k> {
    pub(crate) keyspace: &'k mut Keyspace,
    pub(crate) number: usize,
    pub(crate) now: SystemTime,
}

impl Database<'_> {
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<&[u8]> {
        let at = (self.number, key.to_vec());
        if self.keyspace.entries.get(&at).is_some_and(|entry| entry.expires.is_some_and(|expires| expires <= self.now))
        {
            self.keyspace.entries.remove(&at);
        }
        self.keyspace.entries.get(&at).map(|entry| entry.value.as_slice())
    }

    /// `SET key value [NX|XX] [EX seconds|PX milliseconds]`
    pub(crate) fn set(&mut self, engine: Engine, words: &[Vec<u8>]) -> Reply {
        let [_, key, value, options @ ..] = words else { return Reply::error("ERR syntax error") };
        let (mut only_if, mut expires) = (None, None);
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match (option.to_ascii_uppercase().as_slice(), only_if, expires) {
                (b"NX", None, _) => only_if = Some(Existing::No),
                (b"XX", None, _) => only_if = Some(Existing::Yes),
                (unit @ (b"EX" | b"PX"), _, None) => {
                    let Some(amount) = options.next() else { return Reply::error("ERR syntax error") };
                    let amount = match number(amount) {
                        None => return Reply::error(NOT_A_NUMBER),
                        Some(amount) => u64::try_from(amount).ok().filter(|amount| *amount > 0),
                    };
                    let Some(amount) = amount else { return Reply::error(engine.invalid_expire_time()) };
                    let unit = if unit == b"EX" { Duration::from_secs } else { Duration::from_millis };
                    expires = Some(self.now + unit(amount));
                }
                _ => return Reply::error("ERR syntax error"),
            }
        }
        let exists = if self.get(key).is_some() { Existing::Yes } else { Existing::No };
        if only_if.is_some_and(|only_if| only_if != exists) {
            return Reply::Null;
        }
        self.put(key, value.clone(), expires);
        Reply::OK
    }

    pub(crate) fn increment(&mut self, key: &[u8]) -> Reply {
        let old = self.get(key).map_or(Some(0), number);
        let Some(new) = old.and_then(|old| old.checked_add(1)) else { return Reply::error(NOT_A_NUMBER) };
        let at = (self.number, key.to_vec());
        let expires = self.keyspace.entries.get(&at).and_then(|entry| entry.expires);
        self.put(key, new.to_string().into_bytes(), expires);
        Reply::Integer(new)
    }

    /// How many of these were there.
    pub(crate) fn delete(&mut self, keys: &[Vec<u8>]) -> usize {
        let mut deleted = 0;
        for key in keys {
            deleted += usize::from(self.get(key).is_some());
            self.keyspace.entries.remove(&(self.number, key.clone()));
        }
        deleted
    }

    pub(crate) fn size(&self) -> usize {
        self.keyspace.entries.keys().filter(|(number, _)| *number == self.number).count()
    }

    /// Changes whenever the value does.
    pub(crate) fn version(&mut self, key: &[u8]) -> u64 {
        self.get(key);
        self.keyspace.entries.get(&(self.number, key.to_vec())).map_or(0, |entry| entry.changed)
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>, expires: Option<SystemTime>) {
        self.keyspace.changes += 1;
        let changed = self.keyspace.changes;
        self.keyspace.entries.insert((self.number, key.to_vec()), Entry { value, expires, changed });
    }
}

impl Keyspace {
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    No,
    Yes,
}

pub(crate) fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

pub(crate) const NOT_A_NUMBER: &str = "ERR value is not an integer or out of range";
