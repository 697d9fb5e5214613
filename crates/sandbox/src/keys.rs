//! Authorization keys: what a client is known by.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::crypto::{AuthKeyBytes, sha1, sha256, take};
use crate::handshake::NewKey;
use crate::sync::lock;

/// Seconds after which a key's next salt begins; each is accepted for two of these.
const SALT_PERIOD: i32 = 1800;

/// The last 8 bytes of a key's SHA-1: how messages name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyId(pub(crate) u64);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One authorization key.
pub(crate) struct AuthKey {
    pub(crate) id: KeyId,
    pub(crate) bytes: AuthKeyBytes,
    first_salt: i64,
    created: i32,
    /// Unix time at which a temporary key ends; permanent ones do not.
    pub(crate) expires: Option<i32>,
}

/// A salt and the time it is accepted in, unix seconds.
pub(crate) struct Salt {
    pub(crate) since: i32,
    pub(crate) until: i32,
    pub(crate) value: i64,
}

impl AuthKey {
    pub(crate) fn new(key: &NewKey, now: i32) -> Self {
        Self {
            id: KeyId(u64::from_le_bytes(take(&sha1(&[&key.bytes]), 12))),
            bytes: key.bytes,
            first_salt: key.salt,
            created: now,
            expires: key.expires_in.map(|seconds| now.saturating_add(seconds)),
        }
    }

    /// The salts that follow each other from `now` on.
    pub(crate) fn salts(&self, now: i32) -> impl Iterator<Item = Salt> {
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

    /// Salts are made of the key and the time, so that none has to be kept.
    fn salt(&self, period: i32) -> Salt {
        let hash = sha256(&[&self.bytes, &period.to_le_bytes()]);
        let since = period.saturating_mul(SALT_PERIOD);
        let until = since.saturating_add(2 * SALT_PERIOD);
        Salt { since, until, value: i64::from_le_bytes(take(&hash, 0)) }
    }
}

/// All keys of the data centres.
#[derive(Default)]
pub(crate) struct KeyStore {
    keys: Mutex<HashMap<KeyId, Arc<AuthKey>>>,
}

impl KeyStore {
    pub(crate) fn add(&self, key: AuthKey) {
        lock(&self.keys).insert(key.id, Arc::new(key));
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<Arc<AuthKey>> {
        lock(&self.keys).get(&id).cloned()
    }

    /// All keys there are.
    pub(crate) fn all(&self) -> Vec<KeyId> {
        lock(&self.keys).keys().copied().collect()
    }

    pub(crate) fn remove(&self, id: KeyId) {
        lock(&self.keys).remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_accepted_for_an_hour_and_no_longer() {
        let key = AuthKey::new(&NewKey { bytes: [7; 256], salt: 42, expires_in: None }, 36_000);
        let salt = key.current_salt(36_000);
        assert!(key.accepts(42, 36_000) && key.accepts(salt, 36_000 + SALT_PERIOD));
        assert!(!key.accepts(42, 39_600) && !key.accepts(salt, 36_000 + 2 * SALT_PERIOD));
        assert_eq!(key.salts(36_000).nth(1).unwrap().value, key.current_salt(36_000 + SALT_PERIOD));
    }
}
