use std::collections::BTreeMap;

use super::{
    BlockLists, ChangeLog, DeviceInfo, GlobalPrivacy, LoginSession, Mailbox, PrivacyRules,
    SrpPassword, UserId, Website,
};
use crate::keys::KeyId;

/// Default days without a session until an account is deleted.
const ACCOUNT_TTL_DAYS: i32 = 365;
/// Default days until an unused session ends.
const SESSION_TTL_DAYS: i32 = 180;

/// An entry of an account's contact list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contact {
    /// Whether the contact has the account in its list, too.
    pub(crate) mutual: bool,
    pub(crate) close_friend: bool,
}

/// An account: a user who can log in.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) user: UserId,
    /// The correct login code.
    pub(crate) code: String,
    pub(crate) password: Option<SrpPassword>,
    pub(crate) sessions: Vec<LoginSession>,
    /// Days after which an unused session ends.
    pub(crate) session_ttl_days: i32,
    /// Days without a session after which it is deleted.
    pub(crate) ttl_days: i32,
    /// Seconds after which messages of new chats are deleted; 0 for never.
    pub(crate) history_ttl_s: i32,
    /// Minimum age in seconds of a session that may end others.
    pub(crate) fresh_session_s: i32,
    pub(crate) contacts: BTreeMap<UserId, Contact>,
    pub(crate) blocks: BlockLists,
    pub(crate) privacy: PrivacyRules,
    pub(crate) global_privacy: GlobalPrivacy,
    /// Whether its app configuration allows it to restrict new chats and charge for messages.
    pub(crate) may_restrict_new_chats: bool,
    /// Unix time at which Telegram froze it, if it is frozen.
    pub(crate) frozen_since: Option<i32>,
    pub(crate) websites: Vec<Website>,
    pub(crate) mailbox: Mailbox,
    pub(crate) change_log: ChangeLog,
}

impl Account {
    /// A new account without sessions.
    pub(crate) fn new(user: UserId, code: String) -> Self {
        Self {
            user,
            code,
            password: None,
            sessions: Vec::new(),
            session_ttl_days: SESSION_TTL_DAYS,
            ttl_days: ACCOUNT_TTL_DAYS,
            history_ttl_s: 0,
            fresh_session_s: 0,
            contacts: BTreeMap::new(),
            blocks: BlockLists::default(),
            privacy: PrivacyRules::default(),
            global_privacy: GlobalPrivacy { show_gift_button: true, ..GlobalPrivacy::default() },
            may_restrict_new_chats: true,
            frozen_since: None,
            websites: Vec::new(),
            mailbox: Mailbox::default(),
            change_log: ChangeLog::default(),
        }
    }

    /// The session of `key`.
    pub(crate) fn session_of(&mut self, key: KeyId) -> Option<&mut LoginSession> {
        self.sessions.iter_mut().find(|session| session.key == Some(key))
    }

    /// Adds a session; it is unconfirmed if the account already has others.
    pub(crate) fn add_session(&mut self, key: Option<KeyId>, device: DeviceInfo, now: i32) {
        let mut session = LoginSession::new(key, device, now);
        session.unconfirmed = !self.sessions.is_empty();
        self.sessions.push(session);
    }
}
