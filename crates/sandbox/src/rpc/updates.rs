//! What a client has missed.

use grammers_tl_types::{enums, functions, types};

use super::{Ctx, Entry, Handle, RpcError, describe, news};
use crate::model::{Change, Message, Peer, count};

pub(super) const METHODS: &[Entry] = &[
    Entry::of::<functions::updates::GetChannelDifference>(),
    Entry::of::<functions::updates::GetDifference>(),
    Entry::of::<functions::updates::GetState>(),
];

/// The number of the updates that have none of their own; the sandbox does not count them.
const SEQ: i32 = 1;
/// Seconds after which a client may ask a supergroup again whether it has missed anything.
const POLL_S: i32 = 60;

impl Handle for functions::updates::GetState {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        state(ctx)
    }
}

/// Where the caller's mailbox is now.
pub(super) fn state(ctx: &mut Ctx<'_>) -> Result<enums::updates::State, RpcError> {
    let (date, pts) = (ctx.now, ctx.account()?.mailbox.pts);
    let state = types::updates::State { pts, qts: 1, date, seq: SEQ, unread_count: 0 };
    Ok(enums::updates::State::State(state))
}

impl Handle for functions::updates::GetDifference {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let (date, state) = (ctx.now, state(ctx)?);
        let view = ctx.view()?;
        let Some(account) = view.world.account(view.viewer) else {
            return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
        };
        let mailbox = &account.mailbox;
        let Some(changes) = mailbox.since(self.pts.min(mailbox.pts)) else {
            let difference = types::updates::DifferenceTooLong { pts: mailbox.pts };
            return Ok(enums::updates::Difference::TooLong(difference));
        };
        let (mut new, mut other_updates) = (Vec::<&Message>::new(), Vec::new());
        let mut named: Vec<Peer> = Vec::new();
        for (pts, change) in changes {
            match change {
                // One that has been deleted since is not told of.
                Change::Arrived(id) => new.extend(mailbox.message(*id)),
                Change::Deleted(ids) => {
                    let (messages, pts_count) = (ids.clone(), count(ids.len()));
                    let deleted = types::UpdateDeleteMessages { messages, pts: *pts, pts_count };
                    other_updates.push(enums::Update::DeleteMessages(deleted));
                }
            }
        }
        for (update, peers) in account.news.since(self.date).filter_map(|n| news::update(&view, n))
        {
            other_updates.push(update);
            named.extend(peers);
        }
        if new.is_empty() && other_updates.is_empty() {
            let nothing = types::updates::DifferenceEmpty { date, seq: SEQ };
            return Ok(enums::updates::Difference::Empty(nothing));
        }
        named.extend(new.iter().flat_map(|message| [message.peer, Peer::User(message.from)]));
        Ok(enums::updates::Difference::Difference(types::updates::Difference {
            new_messages: new.iter().map(|message| view.message(message)).collect(),
            new_encrypted_messages: Vec::new(),
            other_updates,
            chats: view.chats(named.iter().filter_map(|peer| peer.chat())),
            users: view.users(named.iter().filter_map(|peer| peer.user())),
            state,
        }))
    }
}

impl Handle for functions::updates::GetChannelDifference {
    /// Which messages came after which change is not kept, so a client that has missed any gets the
    /// last ones and begins from there, as Telegram does when too many were missed.
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let id = ctx.channel(&self.channel)?;
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let view = ctx.view()?;
        let chat = view.world.chat(id).ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let channel = chat.channel().ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let dialog = super::dialogs::dialog_of(&view, chat.peer());
        let (true, Some(dialog)) = (self.pts < channel.pts, dialog) else {
            let pts = channel.pts;
            let empty = types::updates::ChannelDifferenceEmpty {
                r#final: true,
                pts,
                timeout: Some(POLL_S),
            };
            return Ok(enums::updates::ChannelDifference::Empty(empty));
        };
        let last: Vec<&Message> = channel.messages.values().rev().take(limit).collect();
        let difference = types::updates::ChannelDifferenceTooLong {
            r#final: true,
            timeout: Some(POLL_S),
            dialog,
            messages: last.iter().map(|message| view.message(message)).collect(),
            chats: view.chats([id]),
            users: view.users(describe::users_in(last)),
        };
        Ok(enums::updates::ChannelDifference::TooLong(difference))
    }
}
