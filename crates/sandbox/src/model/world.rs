use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Account, Chat, ChatId, ContactRequirement, DeviceInfo, LoginSession, LoginTokens, Peer,
    SentCode, UserId, UserProfile,
};
use crate::keys::KeyId;

/// The login status of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStatus {
    /// It is not logged in.
    LoggedOut,
    /// It is logged in as this user.
    LoggedIn(UserId),
    /// Its session was ended by another client.
    Revoked,
}

/// The recipients of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushTarget {
    /// All sessions of an account, except for the one that caused the update.
    Account { user: UserId, except: Option<KeyId> },
    /// One client, logged in or not.
    Key(KeyId),
}

impl PushTarget {
    /// The same recipients, without `key`.
    pub(crate) fn but(self, key: KeyId) -> Self {
        match self {
            Self::Account { user, .. } => Self::Account { user, except: Some(key) },
            Self::Key(_) => self,
        }
    }
}

/// Upper bound for the messages that a chat receives in one run.
const MESSAGES_A_RUN: i32 = 1_000_000;

/// All users, chats and accounts.
#[derive(Debug, Default)]
pub(crate) struct World {
    users: BTreeMap<UserId, UserProfile>,
    chats: BTreeMap<ChatId, Chat>,
    accounts: BTreeMap<UserId, Account>,
    phones: HashMap<String, UserId>,
    usernames: HashMap<String, Peer>,
    members: HashMap<KeyId, UserId>,
    revoked: HashSet<KeyId>,
    /// By the digits of the phone number.
    pub(crate) codes: HashMap<String, SentCode>,
    pub(crate) login_tokens: LoginTokens,
    pub(crate) bot_tokens: HashMap<String, UserId>,
}

impl World {
    pub(crate) fn add_user(&mut self, person: UserProfile) {
        if let Some(username) = &person.username {
            self.usernames.insert(username.to_lowercase(), Peer::User(person.id));
        }
        self.users.insert(person.id, person);
    }

    pub(crate) fn add_chat(&mut self, chat: Chat) {
        if let Some(username) = &chat.username {
            self.usernames.insert(username.to_lowercase(), chat.peer());
        }
        self.chats.insert(chat.id, chat);
    }

    /// Adds the account of an existing user.
    pub(crate) fn add_account(&mut self, account: Account) {
        let phone = self.users.get(&account.user).map(|person| person.phone.clone());
        if let Some(phone) = phone.filter(|phone| !phone.is_empty()) {
            self.phones.insert(phone, account.user);
        }
        self.accounts.insert(account.user, account);
    }

    /// Adds a bot and returns its token.
    pub(crate) fn add_bot(&mut self, username: &str) -> String {
        let id = self.next_user();
        let mut bot = UserProfile::new(id, username, "");
        (bot.bot, bot.username) = (true, Some(username.to_owned()));
        self.add_user(bot);
        self.add_account(Account::new(id, String::new()));
        let token = format!("{}:{:032x}", id.0, u128::from_le_bytes(crate::crypto::random()));
        self.bot_tokens.insert(token.clone(), id);
        token
    }

    pub(crate) fn user_mut(&mut self, user: UserId) -> Option<&mut UserProfile> {
        self.users.get_mut(&user)
    }

    pub(crate) fn user(&self, user: UserId) -> Option<&UserProfile> {
        self.users.get(&user)
    }

    pub(crate) fn chat(&self, chat: ChatId) -> Option<&Chat> {
        self.chats.get(&chat)
    }

    /// A group with this title.
    pub(crate) fn chat_titled(&self, title: &str) -> Option<&Chat> {
        self.chats.values().find(|chat| chat.title == title)
    }

    pub(crate) fn chat_mut(&mut self, chat: ChatId) -> Option<&mut Chat> {
        self.chats.get_mut(&chat)
    }

    /// Turns everything that has happened so far into history that is not sent to clients as
    /// updates. `runs` is the number of earlier runs: offset messages get numbers that no client has
    /// seen yet.
    pub(crate) fn mark_as_history(&mut self, runs: u32) {
        let offset = i32::try_from(runs).unwrap_or(i32::MAX).saturating_mul(MESSAGES_A_RUN);
        self.accounts.values_mut().for_each(|account| account.mailbox.mark_as_history(offset));
        let supergroups = self.chats.values_mut().filter_map(Chat::channel_mut);
        supergroups.for_each(|supergroup| supergroup.mark_as_history(offset));
    }

    /// The groups of `user`.
    pub(crate) fn chats_of(&self, user: UserId) -> impl Iterator<Item = &Chat> {
        self.chats.values().filter(move |chat| chat.has(user))
    }

    pub(crate) fn account(&self, user: UserId) -> Option<&Account> {
        self.accounts.get(&user)
    }

    pub(crate) fn account_mut(&mut self, user: UserId) -> Option<&mut Account> {
        self.accounts.get_mut(&user)
    }

    /// The account with this phone number, in any notation.
    pub(crate) fn by_phone(&self, phone: &str) -> Option<&Account> {
        self.accounts.get(self.phones.get(&digits(phone))?)
    }

    /// The user or chat with this username; case does not matter.
    pub(crate) fn by_username(&self, username: &str) -> Option<Peer> {
        self.usernames.get(&username.to_lowercase()).copied()
    }

    /// An unused user id.
    pub(crate) fn next_user(&self) -> UserId {
        UserId(self.users.last_key_value().map_or(0, |(id, _)| id.0) + 1)
    }

    pub(crate) fn key_status(&self, key: KeyId) -> KeyStatus {
        match self.members.get(&key) {
            Some(user) => KeyStatus::LoggedIn(*user),
            None if self.revoked.contains(&key) => KeyStatus::Revoked,
            None => KeyStatus::LoggedOut,
        }
    }

    /// The account that `key` is logged in to.
    pub(crate) fn account_of(&mut self, key: KeyId) -> Option<&mut Account> {
        self.accounts.get_mut(self.members.get(&key)?)
    }

    /// Logs `key` in.
    pub(crate) fn log_in(&mut self, key: KeyId, user: UserId, device: DeviceInfo, now: i32) {
        if let Some(account) = self.accounts.get_mut(&user) {
            account.sessions.retain(|session| session.key != Some(key));
            account.add_session(Some(key), device, now);
            self.members.insert(key, user);
            self.revoked.remove(&key);
        }
    }

    /// Adds a session for `key` that still needs the account's password.
    pub(crate) fn await_password(
        &mut self,
        key: KeyId,
        user: UserId,
        device: DeviceInfo,
        now: i32,
    ) {
        if let Some(account) = self.accounts.get_mut(&user) {
            account.sessions.retain(|session| session.key != Some(key));
            account.add_session(Some(key), device, now);
            if let Some(session) = account.session_of(key) {
                session.password_pending = true;
            }
        }
    }

    /// The account whose password `key` still needs.
    pub(crate) fn awaiting_password(&mut self, key: KeyId) -> Option<&mut Account> {
        let owes = |session: &LoginSession| session.key == Some(key) && session.password_pending;
        self.accounts.values_mut().find(|account| account.sessions.iter().any(owes))
    }

    /// Ends the sessions of `user` selected by `which`; returns their keys, `None` for sessions
    /// that exist in the list only.
    pub(crate) fn revoke(
        &mut self,
        user: UserId,
        which: impl Fn(&LoginSession) -> bool,
    ) -> Vec<Option<KeyId>> {
        let Some(account) = self.accounts.get_mut(&user) else { return Vec::new() };
        let ended = account.sessions.extract_if(.., |session| which(session));
        let ended: Vec<Option<KeyId>> = ended.map(|session| session.key).collect();
        for key in ended.iter().flatten() {
            self.members.remove(key);
            self.revoked.insert(*key);
        }
        ended
    }

    /// Removes a deleted key and its session.
    pub(crate) fn forget_key(&mut self, key: KeyId) {
        if let KeyStatus::LoggedIn(user) = self.key_status(key) {
            self.revoke(user, |session| session.key == Some(key));
        }
        self.revoked.remove(&key);
    }

    /// The keys of the recipients.
    pub(crate) fn keys_of(&self, audience: PushTarget) -> HashSet<KeyId> {
        let (user, except) = match audience {
            PushTarget::Key(key) => return HashSet::from([key]),
            PushTarget::Account { user, except } => (user, except),
        };
        let sessions = self.accounts.get(&user).into_iter().flat_map(|account| &account.sessions);
        let sessions = sessions.filter(|session| !session.password_pending);
        sessions.filter_map(|session| session.key).filter(|key| Some(*key) != except).collect()
    }

    /// What `user` requires of strangers who want to write to them.
    pub(crate) fn reach(&self, user: UserId) -> ContactRequirement {
        match self.accounts.get(&user).map(|account| account.global_privacy) {
            None => self.users.get(&user).map_or(ContactRequirement::Anyone, |person| person.reach),
            Some(global) if global.new_chats_require_premium => ContactRequirement::Premium,
            Some(global) if 0 < global.message_price => {
                ContactRequirement::Paid(global.message_price)
            }
            Some(_) => ContactRequirement::Anyone,
        }
    }

    /// All sessions held by a client.
    pub(crate) fn logins(&self) -> impl Iterator<Item = (UserId, &LoginSession)> {
        self.accounts.iter().flat_map(|(user, account)| {
            let held = account.sessions.iter().filter(|session| session.key.is_some());
            held.map(|session| (*user, session))
        })
    }

    /// Restores a session, if the account still exists.
    pub(crate) fn restore_login(&mut self, user: UserId, session: LoginSession) {
        if let (Some(account), Some(key)) = (self.accounts.get_mut(&user), session.key) {
            if !session.password_pending {
                self.members.insert(key, user);
            }
            account.sessions.push(session);
        }
    }
}

/// The digits of a phone number.
pub(crate) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{default_user, default_world};
    use super::*;

    const KEY: KeyId = KeyId(1);

    #[test]
    fn a_login_adds_a_session_and_a_revoke_ends_it() {
        let mut world = default_world(2, 0);
        let user = world.by_phone("+1 555 000 00 02").unwrap().user;
        world.log_in(KEY, user, DeviceInfo::default(), 5);
        assert_eq!(world.key_status(KEY), KeyStatus::LoggedIn(user));
        assert_eq!(world.account_of(KEY).unwrap().sessions.len(), 2);
        assert_eq!(world.revoke(user, |session| session.key.is_some()), [Some(KEY)]);
        assert_eq!(world.key_status(KEY), KeyStatus::Revoked);
        assert!(world.keys_of(PushTarget::Account { user, except: None }).is_empty());
    }

    #[test]
    fn a_client_that_still_needs_the_password_is_not_logged_in() {
        let mut world = default_world(1, 0);
        world.await_password(KEY, default_user(1), DeviceInfo::default(), 5);
        assert_eq!(world.key_status(KEY), KeyStatus::LoggedOut);
        let audience = PushTarget::Account { user: default_user(1), except: None };
        assert!(world.keys_of(audience).is_empty());
        assert_eq!(world.awaiting_password(KEY).unwrap().user, default_user(1));
        assert!(world.awaiting_password(KeyId(2)).is_none());
    }
}
