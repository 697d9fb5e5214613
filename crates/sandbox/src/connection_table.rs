//! The open connections, so that a test can close them.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::keys::KeyId;
use crate::session::ConnectionId;
use crate::sync::lock;

struct OpenConnection {
    close: CancellationToken,
    keys: HashSet<KeyId>,
}

/// All open connections, and whether new ones are accepted.
pub(crate) struct ConnectionTable {
    open: Mutex<HashMap<ConnectionId, OpenConnection>>,
    /// Whether clients should be accepted.
    wanted: watch::Sender<bool>,
    /// Number of open listeners.
    listening: watch::Sender<usize>,
}

impl Default for ConnectionTable {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            wanted: watch::Sender::new(true),
            listening: watch::Sender::new(0),
        }
    }
}

impl ConnectionTable {
    /// Adds a connection; it must end when the returned token is cancelled.
    pub(crate) fn add(&self, id: ConnectionId, stop: &CancellationToken) -> CancellationToken {
        let close = stop.child_token();
        let open = OpenConnection { close: close.clone(), keys: HashSet::new() };
        lock(&self.open).insert(id, open);
        close
    }

    pub(crate) fn remove(&self, id: ConnectionId) {
        lock(&self.open).remove(&id);
    }

    /// Records that a connection carries packets of `key`.
    pub(crate) fn identify(&self, id: ConnectionId, key: KeyId) {
        if let Some(open) = lock(&self.open).get_mut(&id) {
            open.keys.insert(key);
        }
    }

    /// Closes the connections that carry a key accepted by `which`; returns their number.
    pub(crate) fn close(&self, which: impl Fn(KeyId) -> bool) -> usize {
        let open = lock(&self.open);
        let chosen = open.values().filter(|open| open.keys.iter().any(|key| which(*key)));
        chosen.map(|open| open.close.cancel()).count()
    }

    /// Closes all connections and returns their number.
    pub(crate) fn close_all(&self) -> usize {
        lock(&self.open).values().map(|open| open.close.cancel()).count()
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// Starts or stops accepting clients; the ports are open or closed when this returns.
    pub(crate) async fn admit(&self, admit: bool) {
        self.wanted.send_replace(admit);
        let settled = |listening: &usize| (0 < *listening) == admit;
        // The sender is part of `self`, so it cannot be closed.
        self.listening.subscribe().wait_for(settled).await.ok();
    }

    pub(crate) fn wanted(&self) -> watch::Receiver<bool> {
        self.wanted.subscribe()
    }

    /// Counts a listener that was opened or closed.
    pub(crate) fn set_listening(&self, listening: bool) {
        self.listening.send_modify(|count| {
            *count = if listening { *count + 1 } else { count.saturating_sub(1) };
        });
    }
}
