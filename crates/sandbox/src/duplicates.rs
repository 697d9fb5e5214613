//! Detection of an authorization key that two clients use at once.

use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::{Serializable, enums};

use crate::core::SandboxCore;
use crate::keys::KeyId;
use crate::model::{KeyStatus, default_number};
use crate::session::SessionId;
use crate::sync::lock;

/// How long two clients may appear to share a key: the end of a connection may be noticed late.
const DISCONNECT_GRACE: Duration = Duration::from_millis(500);

/// Checks whether another client also uses the key of `session`, and revokes the key if so.
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

/// Revokes a key that two clients use, as Telegram does: neither can use it any more.
fn revoke_key(core: &SandboxCore, key: KeyId) {
    let user = match lock(&core.world).key_status(key) {
        KeyStatus::LoggedIn(user) => Some(user),
        KeyStatus::LoggedOut | KeyStatus::Revoked => None,
    };
    let account = user.and_then(default_number);
    tracing::warn!(account, "two clients use the same key; its session is revoked");
    lock(&core.duplicates).push(account);
    core.keys.mark_duplicated(key);
    lock(&core.world).forget_key(key);
    // Both clients then request updates and get the error; the key is logged out from then on.
    let nudge = enums::Updates::TooLong.to_bytes();
    core.sessions.push(&core.clock, &nudge, |other| other == key);
}
