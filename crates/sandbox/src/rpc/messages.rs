//! Messages: sending, reading, deleting.

use std::collections::BTreeMap;

use grammers_tl_types::{enums, functions, types};

use super::describe::WorldView;
use super::{
    CallContext, MethodEntry, MethodHandler, RpcError, UpdatePush, describe, notify, peers,
};
use crate::model::{
    BlockList, ContactRequirement, DeliveredMessage, MessageDraft, Peer, PushTarget, StoredMessage,
    UserId, World, count, deliver,
};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::channels::DeleteMessages>(),
    MethodEntry::of::<functions::channels::GetMessages>(),
    MethodEntry::of::<functions::messages::DeleteHistory>(),
    MethodEntry::of::<functions::messages::DeleteMessages>(),
    MethodEntry::of::<functions::messages::GetHistory>(),
    MethodEntry::of::<functions::messages::GetMessages>(),
    MethodEntry::of::<functions::messages::SendMessage>(),
];

/// Maximum length of a message in characters.
const MAX_LENGTH: usize = 4096;
/// Maximum number of messages per page.
const MAX_PAGE: i32 = 100;

impl MethodHandler for functions::messages::SendMessage {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (me, to, date) = (ctx.me()?, peers::peer(ctx, &self.peer)?, ctx.now);
        if self.message.is_empty() {
            return Err(RpcError::bad_request("MESSAGE_EMPTY"));
        }
        if MAX_LENGTH < self.message.chars().count() {
            return Err(RpcError::bad_request("MESSAGE_TOO_LONG"));
        }
        check_may_write(ctx, to)?;
        let random_id = self.random_id;
        let sent = ctx.account()?.mailbox.dialogs.get(&to);
        if sent.is_some_and(|dialog| dialog.messages.values().any(|m| m.random_id == random_id)) {
            return Err(RpcError::bad_request("RANDOM_ID_DUPLICATE"));
        }
        let draft = MessageDraft { from: me, to, text: self.message, random_id, date };
        let deliveries = deliver(ctx.world, &draft);
        let own = deliveries.first().copied().ok_or(RpcError::bad_request("PEER_ID_INVALID"))?;
        let mut pushes: Vec<UpdatePush> = deliveries
            .iter()
            .flat_map(|delivery| message_pushes(ctx.world, *delivery, date))
            .collect();
        for push in &mut pushes {
            if matches!(push.to, PushTarget::Account { user, .. } if user == me) {
                push.to = push.to.but(ctx.caller.key);
            }
        }
        ctx.pushes.append(&mut pushes);
        let (DeliveredMessage::Mailbox { id, .. } | DeliveredMessage::Channel { id, .. }) = own;
        let numbered = enums::Update::MessageId(types::UpdateMessageId { id, random_id });
        let answer = arrival(&ctx.view()?, own, vec![numbered], date);
        answer.ok_or(RpcError::bad_request("MESSAGE_ID_INVALID"))
    }
}

/// Checks that `to` is neither blocked nor closed to strangers.
fn check_may_write(ctx: &mut CallContext<'_>, to: Peer) -> Result<(), RpcError> {
    let Peer::User(user) = to else { return Ok(()) };
    if ctx.account()?.blocks.has(BlockList::Main, to) {
        return Err(RpcError::bad_request("YOU_BLOCKED_USER"));
    }
    match super::users::needed(ctx, user)? {
        ContactRequirement::Anyone => Ok(()),
        ContactRequirement::Premium => Err(RpcError::forbidden("PRIVACY_PREMIUM_REQUIRED".into())),
        ContactRequirement::Paid(stars) => {
            Err(RpcError::forbidden(format!("ALLOW_PAYMENT_REQUIRED_{stars}").into()))
        }
    }
}

/// The updates about a delivered message, for all its readers.
pub(crate) fn message_pushes(
    world: &World,
    delivery: DeliveredMessage,
    now: i32,
) -> Vec<UpdatePush> {
    let readers: Vec<UserId> = match delivery {
        DeliveredMessage::Mailbox { owner, .. } => vec![owner],
        DeliveredMessage::Channel { chat, .. } => {
            let members = world.chat(chat).into_iter().flat_map(|chat| chat.members.keys());
            members.copied().filter(|member| world.account(*member).is_some()).collect()
        }
    };
    let tell = |viewer: UserId| {
        let updates = arrival(&WorldView { world, viewer }, delivery, Vec::new(), now)?;
        Some(UpdatePush { to: PushTarget::Account { user: viewer, except: None }, updates })
    };
    readers.into_iter().filter_map(tell).collect()
}

/// The update for a delivered message, appended to `updates`.
fn arrival(
    view: &WorldView<'_>,
    delivery: DeliveredMessage,
    mut updates: Vec<enums::Update>,
    now: i32,
) -> Option<enums::Updates> {
    let (message, update) = match delivery {
        DeliveredMessage::Mailbox { owner, id, pts } => {
            let message = view.world.account(owner)?.mailbox.message(id)?;
            let new = types::UpdateNewMessage { message: view.message(message), pts, pts_count: 1 };
            (message, enums::Update::NewMessage(new))
        }
        DeliveredMessage::Channel { chat, id, pts } => {
            let message = view.world.chat(chat)?.channel()?.messages.get(&id)?;
            let message_object = view.message(message);
            let new = types::UpdateNewChannelMessage { message: message_object, pts, pts_count: 1 };
            (message, enums::Update::NewChannelMessage(new))
        }
    };
    updates.push(update);
    Some(view.updates(updates, &[Peer::User(message.from), message.peer], now))
}

impl MethodHandler for functions::messages::GetHistory {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let peer = peers::peer(ctx, &self.peer)?;
        let view = ctx.view()?;
        let all = history(&view, peer);
        let newest_first = || all.into_iter().flat_map(|messages| messages.values().rev());
        let total = newest_first().count();
        let before = |message: &&StoredMessage| self.offset_id == 0 || message.id < self.offset_id;
        let from = newest_first().take_while(|message| !before(message)).count();
        let from = count(from).saturating_add(self.add_offset);
        // A negative offset shortens the page instead.
        let limit = self.limit.min(MAX_PAGE).saturating_add(from.min(0));
        let in_range = |message: &&StoredMessage| {
            (self.max_id == 0 || message.id < self.max_id) && self.min_id < message.id
        };
        let page = newest_first().skip(usize::try_from(from).unwrap_or(0));
        let page = page.take(usize::try_from(limit).unwrap_or(0)).filter(in_range);
        Ok(answer(&view, peer, page.collect(), total))
    }
}

impl MethodHandler for functions::messages::GetMessages {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let me = ctx.me()?;
        let view = ctx.view()?;
        let mailbox = view.world.account(me).map(|account| &account.mailbox);
        let found = ids(&self.id).filter_map(|id| mailbox?.message(id)).collect();
        Ok(answer(&view, Peer::User(me), found, self.id.len()))
    }
}

impl MethodHandler for functions::channels::GetMessages {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let peer = Peer::Channel(peers::supergroup(ctx, &self.channel)?);
        let view = ctx.view()?;
        let messages = history(&view, peer);
        let found = ids(&self.id).filter_map(|id| messages?.get(&id)).collect();
        Ok(answer(&view, peer, found, self.id.len()))
    }
}

impl MethodHandler for functions::messages::DeleteHistory {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let peer = peers::peer(ctx, &self.peer)?;
        let old = |id: i32| self.max_id == 0 || id <= self.max_id;
        let (pts, pts_count) = delete(ctx, |message| message.peer == peer && old(message.id))?;
        let affected = types::messages::AffectedHistory { pts, pts_count, offset: 0 };
        Ok(enums::messages::AffectedHistory::History(affected))
    }
}

impl MethodHandler for functions::messages::DeleteMessages {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (pts, pts_count) = delete(ctx, |message| self.id.contains(&message.id))?;
        let affected = types::messages::AffectedMessages { pts, pts_count };
        Ok(enums::messages::AffectedMessages::Messages(affected))
    }
}

impl MethodHandler for functions::channels::DeleteMessages {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (me, key, now) = (ctx.me()?, ctx.caller.key, ctx.now);
        let id = peers::supergroup(ctx, &self.channel)?;
        let chat = ctx.world.chat_mut(id).ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let is_creator = chat.creator == me;
        let members: Vec<UserId> = chat.members.keys().copied().collect();
        let channel = chat.channel_mut().ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let may = |message: &StoredMessage| is_creator || message.from == me;
        let gone = channel.messages.extract_if(.., |id, m| self.id.contains(id) && may(m));
        let messages: Vec<i32> = gone.map(|(id, _)| id).collect();
        let pts_count = count(messages.len());
        channel.pts += pts_count;
        let pts = channel.pts;
        let update =
            types::UpdateDeleteChannelMessages { channel_id: id.0, messages, pts, pts_count };
        for viewer in members {
            let view = WorldView { world: ctx.world, viewer };
            let update = enums::Update::DeleteChannelMessages(update.clone());
            let updates = view.updates(vec![update], &[Peer::Channel(id)], now);
            let to = PushTarget::Account { user: viewer, except: Some(key) };
            ctx.pushes.push(UpdatePush { to, updates });
        }
        let affected = types::messages::AffectedMessages { pts, pts_count };
        Ok(enums::messages::AffectedMessages::Messages(affected))
    }
}

/// Deletes messages of the caller's mailbox; returns its new `pts`, and by how much it has grown.
fn delete(
    ctx: &mut CallContext<'_>,
    wanted: impl Fn(&StoredMessage) -> bool,
) -> Result<(i32, i32), RpcError> {
    let mailbox = &mut ctx.account()?.mailbox;
    let messages = mailbox.remove(wanted);
    let (pts, pts_count) = (mailbox.pts, count(messages.len()));
    if 0 < pts_count {
        let update = types::UpdateDeleteMessages { messages, pts, pts_count };
        notify::push_to_others(ctx, enums::Update::DeleteMessages(update), &[])?;
    }
    Ok((pts, pts_count))
}

fn ids(wanted: &[enums::InputMessage]) -> impl Iterator<Item = i32> {
    wanted.iter().filter_map(|message| match message {
        enums::InputMessage::Id(message) => Some(message.id),
        _ => None,
    })
}

/// The messages of a dialog, by id.
fn history<'a>(view: &'a WorldView<'_>, peer: Peer) -> Option<&'a BTreeMap<i32, StoredMessage>> {
    match peer {
        Peer::Channel(chat) => Some(&view.world.chat(chat)?.channel()?.messages),
        Peer::User(_) | Peer::Group(_) => {
            Some(&view.world.account(view.viewer)?.mailbox.dialogs.get(&peer)?.messages)
        }
    }
}

fn answer(
    view: &WorldView<'_>,
    peer: Peer,
    page: Vec<&StoredMessage>,
    total: usize,
) -> enums::messages::Messages {
    let users = view.users(describe::users_in(page.iter().copied()));
    let chats = view.chats(page.iter().filter_map(|message| message.peer.chat()));
    let messages = page.into_iter().map(|message| view.message(message)).collect();
    let channel = match peer {
        Peer::Channel(chat) => view.world.chat(chat).and_then(|chat| chat.channel()),
        Peer::User(_) | Peer::Group(_) => None,
    };
    let (count, topics) = (count(total), Vec::new());
    match channel {
        Some(channel) => {
            enums::messages::Messages::ChannelMessages(types::messages::ChannelMessages {
                inexact: false,
                pts: channel.pts,
                count,
                offset_id_offset: None,
                messages,
                topics,
                chats,
                users,
            })
        }
        None => enums::messages::Messages::Slice(types::messages::MessagesSlice {
            inexact: false,
            count,
            next_rate: None,
            offset_id_offset: None,
            search_flood: None,
            messages,
            topics,
            chats,
            users,
        }),
    }
}
