//! Groups and their members.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, defaults, peers};
use crate::model::{Chat, UserId, count};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::channels::GetChannels>(),
    MethodEntry::of::<functions::channels::GetFullChannel>(),
    MethodEntry::of::<functions::channels::GetParticipant>(),
    MethodEntry::of::<functions::channels::GetParticipants>(),
    MethodEntry::of::<functions::messages::GetChats>(),
    MethodEntry::of::<functions::messages::GetFullChat>(),
];

impl MethodHandler for functions::messages::GetChats {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let mut ids = Vec::new();
        for id in self.id {
            ids.push(peers::basic_group(ctx, id)?);
        }
        let chats = ctx.view()?.chats(ids);
        Ok(enums::messages::Chats::Chats(types::messages::Chats { chats }))
    }
}

impl MethodHandler for functions::channels::GetChannels {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let mut ids = Vec::new();
        for channel in &self.id {
            ids.push(peers::supergroup(ctx, channel)?);
        }
        let chats = ctx.view()?.chats(ids);
        Ok(enums::messages::Chats::Chats(types::messages::Chats { chats }))
    }
}

impl MethodHandler for functions::messages::GetFullChat {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let id = peers::basic_group(ctx, self.chat_id)?;
        let view = ctx.view()?;
        let chat = view.world.chat(id).ok_or(RpcError::bad_request("CHAT_ID_INVALID"))?;
        let participants = types::ChatParticipants {
            chat_id: id.0,
            participants: chat.members.iter().map(|member| participant(chat, member)).collect(),
            version: 1,
        };
        let participants = enums::ChatParticipants::Participants(participants);
        let full = enums::ChatFull::Full(defaults::chat_full(id.0, participants));
        Ok(enums::messages::ChatFull::Full(types::messages::ChatFull {
            full_chat: full,
            chats: view.chats([id]),
            users: view.users(chat.members.keys().copied()),
        }))
    }
}

impl MethodHandler for functions::channels::GetFullChannel {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let id = peers::supergroup(ctx, &self.channel)?;
        let view = ctx.view()?;
        let chat = view.world.chat(id).ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let full = types::ChannelFull {
            can_view_participants: true,
            participants_count: Some(count(chat.members.len())),
            pts: chat.channel().map_or(1, |channel| channel.pts),
            ..defaults::channel_full(id.0)
        };
        Ok(enums::messages::ChatFull::Full(types::messages::ChatFull {
            full_chat: enums::ChatFull::ChannelFull(full),
            chats: view.chats([id]),
            users: Vec::new(),
        }))
    }
}

impl MethodHandler for functions::channels::GetParticipants {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let id = peers::supergroup(ctx, &self.channel)?;
        let view = ctx.view()?;
        let chat = view.world.chat(id).ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let wanted = |user: UserId| match &self.filter {
            enums::ChannelParticipantsFilter::ChannelParticipantsRecent => true,
            enums::ChannelParticipantsFilter::ChannelParticipantsAdmins => user == chat.creator,
            _ => false,
        };
        let all: Vec<_> = chat.members.iter().filter(|(user, _)| wanted(**user)).collect();
        let offset = usize::try_from(self.offset).unwrap_or(0);
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let page = || all.iter().skip(offset).take(limit);
        let participants = page().map(|member| channel_participant(chat, *member)).collect();
        let page = types::channels::ChannelParticipants {
            count: count(all.len()),
            participants,
            chats: view.chats([id]),
            users: view.users(page().map(|(user, _)| **user)),
        };
        Ok(enums::channels::ChannelParticipants::Participants(page))
    }
}

impl MethodHandler for functions::channels::GetParticipant {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let id = peers::supergroup(ctx, &self.channel)?;
        let peer = peers::peer(ctx, &self.participant)?;
        let view = ctx.view()?;
        let chat = view.world.chat(id).ok_or(RpcError::bad_request("CHANNEL_INVALID"))?;
        let member = chat.members.iter().find(|(user, _)| crate::model::Peer::User(**user) == peer);
        let member = member.ok_or(RpcError::bad_request("USER_NOT_PARTICIPANT"))?;
        Ok(enums::channels::ChannelParticipant::Participant(types::channels::ChannelParticipant {
            participant: channel_participant(chat, member),
            chats: view.chats([id]),
            users: view.users([*member.0]),
        }))
    }
}

fn participant(chat: &Chat, (user, date): (&UserId, &i32)) -> enums::ChatParticipant {
    if *user == chat.creator {
        return enums::ChatParticipant::Creator(types::ChatParticipantCreator { user_id: user.0 });
    }
    enums::ChatParticipant::Participant(types::ChatParticipant {
        user_id: user.0,
        inviter_id: chat.creator.0,
        date: *date,
    })
}

fn channel_participant(chat: &Chat, (user, date): (&UserId, &i32)) -> enums::ChannelParticipant {
    if *user == chat.creator {
        return enums::ChannelParticipant::Creator(types::ChannelParticipantCreator {
            user_id: user.0,
            admin_rights: defaults::admin_rights(),
            rank: None,
        });
    }
    enums::ChannelParticipant::Participant(types::ChannelParticipant {
        user_id: user.0,
        date: *date,
        subscription_until_date: None,
    })
}
