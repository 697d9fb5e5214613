//! Authorization keys, which identify clients.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::crypto::{AuthKeyBytes, sha1, sha256, take};
use crate::handshake::NewKey;
use crate::sync::lock;

/// Seconds between two salts of a key; each salt is accepted for two periods.
const SALT_PERIOD: i32 = 1800;

/// The last 8 bytes of a key's SHA-1: its id in messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KeyId(pub(crate) u64);

impl KeyId {
    fn of(key: &AuthKeyBytes) -> Self {
        Self(u64::from_le_bytes(take(&sha1(&[key]), 12)))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One authorization key.
pub(crate) struct AuthKey {
    pub(crate) id: KeyId,
    pub(crate) bytes: AuthKeyBytes,
    /// The data centre it was created in, as the client numbers it.
    dc: i16,
    first_salt: i64,
    created: i32,
    /// Unix time at which a temporary key expires; `None` for a permanent one.
    pub(crate) expires: Option<i32>,
}

/// A key as it is saved between two runs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedKey {
    /// In base64.
    bytes: String,
    dc: i16,
    first_salt: i64,
    created: i32,
    expires: Option<i32>,
}

/// A salt and its period of validity, in unix seconds.
pub(crate) struct ServerSalt {
    pub(crate) since: i32,
    pub(crate) until: i32,
    pub(crate) value: i64,
}

impl AuthKey {
    pub(crate) fn new(key: &NewKey, dc: i16, now: i32) -> Self {
        Self {
            id: KeyId::of(&key.bytes),
            bytes: key.bytes,
            dc,
            first_salt: key.salt,
            created: now,
            expires: key.expires_in.map(|seconds| now.saturating_add(seconds)),
        }
    }

    fn saved(&self) -> SavedKey {
        SavedKey {
            bytes: STANDARD.encode(self.bytes),
            dc: self.dc,
            first_salt: self.first_salt,
            created: self.created,
            expires: self.expires,
        }
    }

    fn restored(saved: &SavedKey) -> Option<Self> {
        let bytes: AuthKeyBytes = STANDARD.decode(&saved.bytes).ok()?.try_into().ok()?;
        let SavedKey { dc, first_salt, created, expires, .. } = *saved;
        Some(Self { id: KeyId::of(&bytes), bytes, dc, first_salt, created, expires })
    }

    /// The consecutive salts from `now` on.
    pub(crate) fn salts(&self, now: i32) -> impl Iterator<Item = ServerSalt> {
        (now / SALT_PERIOD..).map(|period| self.salt(period))
    }

    /// The salt the server uses at `now`.
    pub(crate) fn current_salt(&self, now: i32) -> i64 {
        self.salt(now / SALT_PERIOD).value
    }

    /// Whether a client may use `salt` at `now`.
    pub(crate) fn accepts(&self, salt: i64, now: i32) -> bool {
        let period = now / SALT_PERIOD;
        let first = salt == self.first_salt && now - self.created < 2 * SALT_PERIOD;
        first || self.salt(period).value == salt || self.salt(period - 1).value == salt
    }

    /// Salts are derived from the key and the time, so none has to be stored.
    fn salt(&self, period: i32) -> ServerSalt {
        let hash = sha256(&[&self.bytes, &period.to_le_bytes()]);
        let since = period.saturating_mul(SALT_PERIOD);
        let until = since.saturating_add(2 * SALT_PERIOD);
        ServerSalt { since, until, value: i64::from_le_bytes(take(&hash, 0)) }
    }
}

#[derive(Default)]
struct KeyTable {
    keys: HashMap<KeyId, Arc<AuthKey>>,
    /// From a temporary key to its permanent one, and from a key of another data centre to the key
    /// that its client logged in with.
    bindings: HashMap<KeyId, KeyId>,
    /// Keys that two clients used at once, and the sessions that have received the error.
    duplicated: HashMap<KeyId, HashSet<i64>>,
}

/// All keys of the data centres.
#[derive(Default)]
pub(crate) struct KeyStore(Mutex<KeyTable>);

impl KeyStore {
    /// The keys and bindings of an earlier run.
    pub(crate) fn restored(keys: &[SavedKey], bindings: &[(KeyId, KeyId)]) -> Self {
        let keys = keys.iter().filter_map(AuthKey::restored);
        let keys = keys.map(|key| (key.id, Arc::new(key))).collect();
        let bindings = bindings.iter().copied().collect();
        Self(Mutex::new(KeyTable { keys, bindings, duplicated: HashMap::new() }))
    }

    /// The keys and bindings to save for the next run, without duplicated keys.
    pub(crate) fn saved(&self) -> (Vec<SavedKey>, Vec<(KeyId, KeyId)>) {
        let store = lock(&self.0);
        let living = store.keys.values().filter(|key| !store.duplicated.contains_key(&key.id));
        let bindings = store.bindings.iter().map(|(from, to)| (*from, *to));
        (living.map(|key| key.saved()).collect(), bindings.collect())
    }

    pub(crate) fn add(&self, key: AuthKey) {
        lock(&self.0).keys.insert(key.id, Arc::new(key));
    }

    /// The key, if it is known in data centre `dc` and has not expired at `now`.
    pub(crate) fn get(&self, id: KeyId, dc: i16, now: i32) -> Option<Arc<AuthKey>> {
        let store = lock(&self.0);
        // The media servers of a data centre, with a negative number, share its keys.
        let known = store.keys.get(&id).filter(|key| key.dc.abs() == dc.abs());
        known.filter(|key| key.expires.is_none_or(|expires| now < expires)).cloned()
    }

    /// A permanent key, of any data centre.
    pub(crate) fn permanent(&self, id: KeyId) -> Option<Arc<AuthKey>> {
        lock(&self.0).keys.get(&id).filter(|key| key.expires.is_none()).cloned()
    }

    /// All keys.
    pub(crate) fn all(&self) -> Vec<KeyId> {
        lock(&self.0).keys.keys().copied().collect()
    }

    /// Forgets a key and those bound to it. A key that two clients used stays known: the second
    /// client must get the error, too, and TDLib does not believe for a minute that a new key is
    /// unknown.
    pub(crate) fn remove(&self, id: KeyId) {
        let mut store = lock(&self.0);
        if store.duplicated.contains_key(&id) {
            return;
        }
        store.keys.remove(&id);
        let mut orphans = Vec::new();
        store.bindings.retain(|from, to| {
            if *to == id {
                orphans.push(*from);
            }
            *to != id && *from != id
        });
        for orphan in orphans {
            store.keys.remove(&orphan);
        }
    }

    /// Binds `key` to `principal`; `false` when it is already bound to another key.
    pub(crate) fn bind(&self, key: KeyId, principal: KeyId) -> bool {
        *lock(&self.0).bindings.entry(key).or_insert(principal) == principal
    }

    /// The client's principal key; `None` for a temporary key that is not bound.
    pub(crate) fn principal(&self, id: KeyId) -> Option<KeyId> {
        let store = lock(&self.0);
        let bound = store.bindings.get(&id).copied();
        let temporary = store.keys.get(&id).is_some_and(|key| key.expires.is_some());
        let permanent = if temporary { bound? } else { id };
        Some(store.bindings.get(&permanent).copied().unwrap_or(permanent))
    }

    /// Whether clients receive updates with this key; with a key of another data centre they do
    /// not.
    pub(crate) fn takes_updates(&self, id: KeyId) -> bool {
        let store = lock(&self.0);
        let temporary = store.keys.get(&id).is_some_and(|key| key.expires.is_some());
        let permanent = if temporary { store.bindings.get(&id).copied() } else { Some(id) };
        permanent.is_some_and(|permanent| !store.bindings.contains_key(&permanent))
    }

    /// Marks a key as used by two clients at once: it can no longer be used.
    pub(crate) fn mark_duplicated(&self, id: KeyId) {
        lock(&self.0).duplicated.insert(id, HashSet::new());
    }

    /// Whether the key is marked as duplicated and `session` has not yet received the error;
    /// returns `true` once per session.
    pub(crate) fn must_report_duplicate(&self, id: KeyId, session: i64) -> bool {
        lock(&self.0).duplicated.get_mut(&id).is_some_and(|informed| informed.insert(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_accepted_for_an_hour_and_no_longer() {
        let key = AuthKey::new(&NewKey { bytes: [7; 256], salt: 42, expires_in: None }, 1, 36_000);
        let salt = key.current_salt(36_000);
        assert!(key.accepts(42, 36_000) && key.accepts(salt, 36_000 + SALT_PERIOD));
        assert!(!key.accepts(42, 39_600) && !key.accepts(salt, 36_000 + 2 * SALT_PERIOD));
        assert_eq!(key.salts(36_000).nth(1).unwrap().value, key.current_salt(36_000 + SALT_PERIOD));
    }

    fn store() -> (KeyStore, [KeyId; 3]) {
        let store = KeyStore::default();
        let ids = [(1, None, 1), (2, Some(60), 1), (3, None, 2)].map(|(byte, expires_in, dc)| {
            let key = AuthKey::new(&NewKey { bytes: [byte; 256], salt: 0, expires_in }, dc, 0);
            let id = key.id;
            store.add(key);
            id
        });
        (store, ids)
    }

    #[test]
    fn a_temporary_key_has_no_principal_until_it_is_bound_and_expires() {
        let (store, [permanent, temporary, _]) = store();
        assert_eq!(store.principal(temporary), None);
        assert!(store.bind(temporary, permanent));
        assert_eq!(store.principal(temporary), Some(permanent));
        assert!(store.takes_updates(temporary));
        assert!(store.get(temporary, -1, 59).is_some() && store.get(temporary, 1, 60).is_none());
        store.remove(permanent);
        assert!(store.get(temporary, 1, 0).is_none());
    }

    #[test]
    fn a_key_of_another_data_centre_belongs_to_the_client_that_imported_it() {
        let (store, [permanent, _, other]) = store();
        assert!(store.get(other, 1, 0).is_none() && store.get(other, 2, 0).is_some());
        assert!(store.bind(other, permanent) && !store.bind(other, other));
        assert_eq!(store.principal(other), Some(permanent));
        assert!(!store.takes_updates(other));
    }
}
