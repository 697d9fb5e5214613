//! What a test can read from an account and do to it, outside Telegram's API.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::Instant;

use crate::core::SandboxCore;
use crate::dispatch;
use crate::model::{
    Account, BlockList, GlobalPrivacy, MessageDraft, Peer, PrivacyKey, PrivacyRule, SrpPassword,
    UserId, World, deliver,
};
use crate::rpc;
use crate::sync::lock;

/// How often a message stream checks for messages that are due.
const STREAM_TICK: Duration = Duration::from_millis(5);

/// A session in an account's session list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "Telegram has as many flags")]
#[non_exhaustive]
pub struct SessionView {
    /// Its id for clients (`session.id` in TDLib, where the caller's own session is 0).
    pub hash: i64,
    /// The device's model.
    pub device_model: String,
    /// Whether a client holds it; the default account's "Old Phone" exists in the list only.
    pub is_client: bool,
    /// Whether it accepts calls.
    pub accepts_calls: bool,
    /// Whether it accepts secret chats.
    pub accepts_secret_chats: bool,
    /// Whether no other session has confirmed it.
    pub is_unconfirmed: bool,
    /// Whether its code was correct, but its password is still missing.
    pub is_password_pending: bool,
}

/// One account of a running sandbox; clones share it.
#[derive(Clone)]
pub struct AccountHandle {
    core: Arc<SandboxCore>,
    user: UserId,
}

impl fmt::Debug for AccountHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountHandle").field("user", &self.user).finish_non_exhaustive()
    }
}

impl AccountHandle {
    pub(crate) fn new(core: Arc<SandboxCore>, user: UserId) -> Self {
        Self { core, user }
    }

    /// The account's user.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Its sessions, oldest first.
    pub fn sessions(&self) -> Vec<SessionView> {
        let describe = |session: &crate::model::LoginSession| SessionView {
            hash: session.hash,
            device_model: session.device.model.clone(),
            is_client: session.key.is_some(),
            accepts_calls: session.accepts_calls,
            accepts_secret_chats: session.accepts_secret_chats,
            is_unconfirmed: session.unconfirmed,
            is_password_pending: session.password_pending,
        };
        self.read(|account| account.sessions.iter().map(describe).collect())
    }

    /// Days after which an unused session ends.
    pub fn session_ttl_days(&self) -> i32 {
        self.read(|account| account.session_ttl_days)
    }

    /// Days without a session after which the account is deleted.
    pub fn account_ttl_days(&self) -> i32 {
        self.read(|account| account.ttl_days)
    }

    /// Seconds after which messages of new chats are deleted; 0 for never.
    pub fn history_ttl_s(&self) -> i32 {
        self.read(|account| account.history_ttl_s)
    }

    /// The users and chats it has blocked, most recent first.
    pub fn blocked(&self, list: BlockList) -> Vec<Peer> {
        self.read(|account| account.blocks.list(list).iter().map(|(peer, _)| *peer).collect())
    }

    /// The rules of a privacy key, in order; the last one matches everybody.
    pub fn privacy(&self, key: PrivacyKey) -> Vec<PrivacyRule> {
        self.read(|account| account.privacy.rules(key))
    }

    /// Its global privacy settings.
    pub fn global_privacy(&self) -> GlobalPrivacy {
        self.read(|account| account.global_privacy)
    }

    /// Its contacts, by id.
    pub fn contacts(&self) -> Vec<UserId> {
        self.read(|account| account.contacts.keys().copied().collect())
    }

    /// Its close friends, by id.
    pub fn close_friends(&self) -> Vec<UserId> {
        let close = |account: &Account| {
            let contacts = account.contacts.iter().filter(|(_, contact)| contact.close_friend);
            contacts.map(|(id, _)| *id).collect()
        };
        self.read(close)
    }

    /// The groups it is in.
    pub fn groups(&self) -> Vec<Peer> {
        lock(&self.core.world).chats_of(self.user).map(crate::model::Chat::peer).collect()
    }

    /// The ids of the websites it is logged in to.
    pub fn websites(&self) -> Vec<i64> {
        self.read(|account| account.websites.iter().map(|site| site.hash).collect())
    }

    /// Sets or removes the password of two-step verification. This takes about a second: password
    /// hashing must be slow.
    pub fn set_password(&self, password: Option<(&str, &str)>) {
        let password = password.map(|(password, hint)| SrpPassword::new(password, hint));
        self.change(|account| account.password = password);
    }

    /// Forbids sessions younger than `age` to end others; on Telegram it is a day. The default is
    /// zero.
    pub fn protect_from_fresh_sessions(&self, age: Duration) {
        let seconds = i32::try_from(age.as_secs()).unwrap_or(i32::MAX);
        self.change(|account| account.fresh_session_s = seconds);
    }

    /// Sets whether the account may restrict new chats and charge for messages; it may by default.
    /// Clients learn it from their next app configuration.
    pub fn let_restrict_new_chats(&self, allowed: bool) {
        self.change(|account| account.may_restrict_new_chats = allowed);
    }

    /// Accepts a QR code login, as another device of the account would by scanning it. `link` is
    /// the content of the QR code (`tg://login?token=…`); returns `false` when it is invalid or
    /// expired.
    pub fn accept_login(&self, link: &str) -> bool {
        let token = link.split_once("token=").map_or(link, |(_, token)| token);
        let Ok(token) = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')) else { return false };
        let now = self.core.clock.now();
        let shown_by = lock(&self.core.world).login_tokens.accept(&token, self.user, now);
        dispatch::publish(
            &self.core,
            shown_by.map(|key| rpc::scanned(key, now)).into_iter().collect(),
        );
        shown_by.is_some()
    }

    /// Ends a session, as another device of the account would; `false` when there is no such
    /// session.
    pub fn revoke(&self, session: i64) -> bool {
        let ended = lock(&self.core.world).revoke(self.user, |candidate| candidate.hash == session);
        dispatch::publish(
            &self.core,
            ended.iter().flatten().map(|key| rpc::log_out(*key)).collect(),
        );
        !ended.is_empty()
    }

    /// The texts of a dialog in the account's mailbox, oldest first.
    pub fn messages(&self, peer: Peer) -> Vec<String> {
        let texts = |account: &Account| {
            let dialog = account.mailbox.dialogs.get(&peer)?;
            Some(dialog.messages.values().map(|message| message.text.clone()).collect())
        };
        self.read(|account| texts(account).unwrap_or_default())
    }

    /// Delivers a text message from `from` to the account itself (its own `Peer::User`) or to a
    /// group, and pushes it to the recipients' clients.
    pub fn receive(&self, from: UserId, to: Peer, text: &str) {
        let date = self.core.clock.now();
        let draft = MessageDraft { from, to, text: text.to_owned(), random_id: 0, date };
        let mut world = lock(&self.core.world);
        let deliveries = deliver(&mut world, &draft);
        let pushes = deliveries
            .into_iter()
            .flat_map(|delivery| rpc::message_pushes(&world, delivery, date))
            .collect();
        drop(world);
        dispatch::publish(&self.core, pushes);
    }

    /// Receives `per_second` text messages from its first contact for the time `lasts`; returns
    /// their number.
    pub(crate) async fn receive_stream(&self, per_second: u32, lasts: Duration) -> u64 {
        let Some(from) = self.contacts().first().copied() else { return 0 };
        let start = Instant::now();
        let mut sent = 0;
        while start.elapsed() < lasts {
            let due = start.elapsed().as_micros() * u128::from(per_second) / 1_000_000;
            while u128::from(sent) < due {
                sent += 1;
                self.receive(from, Peer::User(self.user), &format!("message {sent}"));
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(STREAM_TICK).await;
        }
        sent
    }

    fn read<T: Default>(&self, read: impl FnOnce(&Account) -> T) -> T {
        self.world(|world, user| world.account(user).map(read)).unwrap_or_default()
    }

    fn change(&self, change: impl FnOnce(&mut Account)) {
        self.world(|world, user| world.account_mut(user).map(change));
    }

    fn world<T>(&self, work: impl FnOnce(&mut World, UserId) -> T) -> T {
        work(&mut lock(&self.core.world), self.user)
    }
}
