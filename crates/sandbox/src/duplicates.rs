//! Detection of an authorization key that two clients use at once.

use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::{Serializable, enums};

use crate::core::SandboxCore;
use crate::keys::KeyId;
use crate::model::{KeyStatus, default_number};
use crate::session::SessionId;
use crate::sync::lock;

/// How long two clients may seem to have one key: a connection that has ended may be noticed late.
const DISCONNECT_GRACE: Duration = Duration::from_millis(500);

/// Finds out whether another client has the key of `session` too, and lets the key die if so.
pub(crate) fn detect(core: &Arc<SandboxCore>, session: SessionId, key: KeyId) {
    let same = |other| core.keys.principal(other) == Some(key);
    let others = core.sessions.other_main_sessions(session, same);
    if others.is_empty() {
        return;
    }
    let core = Arc::clone(core);
    let tasks = core.tasks.clone();
    tasks.spawn(async move {
        let stop = core.stop.clone();
        if stop.run_until_cancelled(tokio::time::sleep(DISCONNECT_GRACE)).await.is_none() {
            return;
        }
        let alive = |id: &SessionId| core.sessions.is_connected(*id);
        if alive(&session) && others.iter().any(alive) {
            revoke_key(&core, key);
        }
    });
}

/// Does what Telegram does when one key is used by two clients: it is of no use to either.
fn revoke_key(core: &SandboxCore, key: KeyId) {
    let user = match lock(&core.world).key_status(key) {
        KeyStatus::LoggedIn(user) => Some(user),
        KeyStatus::LoggedOut | KeyStatus::Revoked => None,
    };
    let account = user.and_then(default_number);
    tracing::warn!(account, "two clients have the same key: their session is dead");
    lock(&core.duplicates).push(account);
    core.keys.kill(key);
    lock(&core.world).forget_key(key);
    // Both ask what is new, and are told; from then on the key is not logged in.
    let nudge = enums::Updates::TooLong.to_bytes();
    core.sessions.push(&core.clock, &nudge, |other| other == key);
}
