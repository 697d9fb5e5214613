//! Differences: the updates that a client has missed.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, describe, notify, peers};
use crate::model::{MailboxChange, Peer, StoredMessage, count};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::updates::GetChannelDifference>(),
    MethodEntry::of::<functions::updates::GetDifference>(),
    MethodEntry::of::<functions::updates::GetState>(),
];

/// The `seq` of updates without `pts`; the sandbox does not count them.
const SEQ: i32 = 1;
/// Seconds until a client may request a supergroup's difference again.
const POLL_S: i32 = 60;

impl MethodHandler for functions::updates::GetState {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        state(ctx)
    }
}

/// The current state of the caller's mailbox.
pub(super) fn state(ctx: &mut CallContext<'_>) -> Result<enums::updates::State, RpcError> {
    let (date, pts) = (ctx.now, ctx.account()?.mailbox.pts);
    let state = types::updates::State { pts, qts: 1, date, seq: SEQ, unread_count: 0 };
    Ok(enums::updates::State::State(state))
}

impl MethodHandler for functions::updates::GetDifference {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (date, state) = (ctx.now, state(ctx)?);
        let view = ctx.view()?;
        let Some(account) = view.world.account(view.viewer) else {
            return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
        };
        let mailbox = &account.mailbox;
        let Some(changes) = mailbox.since(self.pts) else {
            let difference = types::updates::DifferenceTooLong { pts: mailbox.pts };
            return Ok(enums::updates::Difference::TooLong(difference));
        };
        let (mut new, mut other_updates) = (Vec::<&StoredMessage>::new(), Vec::new());
        let mut named: Vec<Peer> = Vec::new();
        for (pts, change) in changes {
            match change {
                // A message that has been deleted since is left out.
                MailboxChange::Arrived(id) => new.extend(mailbox.message(*id)),
                MailboxChange::Deleted(ids) => {
                    let (messages, pts_count) = (ids.clone(), count(ids.len()));
                    let deleted = types::UpdateDeleteMessages { messages, pts: *pts, pts_count };
                    other_updates.push(enums::Update::DeleteMessages(deleted));
                }
            }
        }
        for (update, peers) in
            account.change_log.since(self.date).filter_map(|change| notify::update(&view, change))
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

impl MethodHandler for functions::updates::GetChannelDifference {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let id = peers::supergroup(ctx, &self.channel)?;
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let view = ctx.view()?;
        let channel = view.world.chat(id).and_then(|chat| chat.channel());
        let channel = channel.ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let new: Vec<(i32, &StoredMessage)> = channel.since(self.pts).take(limit).collect();
        let (timeout, rest) = (Some(POLL_S), channel.since(self.pts).count() - new.len());
        let Some((last, _)) = new.last() else {
            let pts = channel.pts;
            let empty = types::updates::ChannelDifferenceEmpty { r#final: true, pts, timeout };
            return Ok(enums::updates::ChannelDifference::Empty(empty));
        };
        let difference = types::updates::ChannelDifference {
            r#final: rest == 0,
            pts: if rest == 0 { channel.pts } else { *last },
            timeout,
            new_messages: new.iter().map(|(_, message)| view.message(message)).collect(),
            other_updates: Vec::new(),
            chats: view.chats([id]),
            users: view.users(describe::users_in(new.into_iter().map(|(_, message)| message))),
        };
        Ok(enums::updates::ChannelDifference::Difference(difference))
    }
}
