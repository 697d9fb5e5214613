//! The chat list.

use grammers_tl_types::{enums, functions, types};

use super::describe::WorldView;
use super::{
    CallContext, MethodEntry, MethodHandler, RpcError, defaults, describe, peers, updates,
};
use crate::model::{ChatId, Dialog, Peer, StoredMessage, UserId, count};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::channels::ReadHistory>(),
    MethodEntry::of::<functions::messages::GetDialogs>(),
    MethodEntry::of::<functions::messages::GetPeerDialogs>(),
    MethodEntry::of::<functions::messages::GetPeerSettings>(),
    MethodEntry::of::<functions::messages::GetPinnedDialogs>(),
    MethodEntry::of::<functions::messages::ReadHistory>(),
];

/// Folder id of the archive.
const ARCHIVE: i32 = 1;

/// A chat of the chat list, with its last message.
struct DialogRow<'a> {
    peer: Peer,
    top: &'a StoredMessage,
    dialog: enums::Dialog,
}

/// A page of the chat list.
struct DialogPage {
    dialogs: Vec<enums::Dialog>,
    messages: Vec<enums::Message>,
    chats: Vec<enums::Chat>,
    users: Vec<enums::User>,
}

impl MethodHandler for functions::messages::GetDialogs {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let after = match &self.offset_peer {
            enums::InputPeer::PeerSelf => Some(Peer::User(ctx.me()?)),
            peer => peers::offset(peer),
        };
        let view = ctx.view()?;
        let all = if self.folder_id == Some(ARCHIVE) { Vec::new() } else { rows(&view) };
        let total = all.len();
        // The page starts after the last chat of the previous page.
        let skipped = match after {
            None => 0,
            Some(peer) => all.iter().position(|row| row.peer == peer).map_or(total, |at| at + 1),
        };
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let rest = all.into_iter().skip(skipped).take(limit).collect();
        let DialogPage { dialogs, messages, chats, users } = page(&view, rest);
        Ok(if dialogs.len() == total {
            let all = types::messages::Dialogs { dialogs, messages, chats, users };
            enums::messages::Dialogs::Dialogs(all)
        } else {
            let count = count(total);
            let slice = types::messages::DialogsSlice { count, dialogs, messages, chats, users };
            enums::messages::Dialogs::Slice(slice)
        })
    }
}

impl MethodHandler for functions::messages::GetPinnedDialogs {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        peer_dialogs(ctx, |_| false)
    }
}

impl MethodHandler for functions::messages::GetPeerDialogs {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let mut wanted = Vec::new();
        for peer in &self.peers {
            if let enums::InputDialogPeer::Peer(peer) = peer {
                wanted.push(peers::peer(ctx, &peer.peer)?);
            }
        }
        peer_dialogs(ctx, |peer| wanted.contains(&peer))
    }
}

impl MethodHandler for functions::messages::ReadHistory {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let peer = peers::peer(ctx, &self.peer)?;
        let pts = read(ctx, peer, self.max_id)?;
        let affected = types::messages::AffectedMessages { pts, pts_count: 0 };
        Ok(enums::messages::AffectedMessages::Messages(affected))
    }
}

impl MethodHandler for functions::channels::ReadHistory {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let peer = Peer::Channel(peers::supergroup(ctx, &self.channel)?);
        read(ctx, peer, self.max_id)?;
        Ok(true)
    }
}

impl MethodHandler for functions::messages::GetPeerSettings {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        peers::peer(ctx, &self.peer)?;
        Ok(enums::messages::PeerSettings::Settings(types::messages::PeerSettings {
            settings: defaults::peer_settings(),
            chats: Vec::new(),
            users: Vec::new(),
        }))
    }
}

/// Marks a dialog as read; returns the mailbox's `pts`, which does not change.
fn read(ctx: &mut CallContext<'_>, peer: Peer, max_id: i32) -> Result<i32, RpcError> {
    let mailbox = &mut ctx.account()?.mailbox;
    mailbox.read_all(peer, max_id);
    Ok(mailbox.pts)
}

fn peer_dialogs(
    ctx: &mut CallContext<'_>,
    wanted: impl Fn(Peer) -> bool,
) -> Result<enums::messages::PeerDialogs, RpcError> {
    let state = updates::state(ctx)?;
    let view = ctx.view()?;
    let rows = rows(&view).into_iter().filter(|row| wanted(row.peer)).collect();
    let DialogPage { dialogs, messages, chats, users } = page(&view, rows);
    let all = types::messages::PeerDialogs { dialogs, messages, chats, users, state };
    Ok(enums::messages::PeerDialogs::Dialogs(all))
}

/// The viewer's chats that have messages, most recent first.
fn rows<'a>(view: &'a WorldView<'_>) -> Vec<DialogRow<'a>> {
    let Some(account) = view.world.account(view.viewer) else { return Vec::new() };
    let dialogs = &account.mailbox.dialogs;
    let private = dialogs.iter().filter(|(peer, _)| !matches!(peer, Peer::Channel(_)));
    let private = private.filter_map(|(peer, dialog)| {
        let (_, top) = dialog.messages.last_key_value()?;
        let unread = unread(view.viewer, dialog.messages.values(), dialog);
        Some(DialogRow { peer: *peer, top, dialog: row(top, dialog, unread, None) })
    });
    let supergroups = view.world.chats_of(view.viewer).filter_map(|chat| {
        let channel = chat.channel()?;
        let (_, top) = channel.messages.last_key_value()?;
        let marks = dialogs.get(&chat.peer()).cloned().unwrap_or_default();
        let unread = unread(view.viewer, channel.messages.values(), &marks);
        Some(DialogRow {
            peer: chat.peer(),
            top,
            dialog: row(top, &marks, unread, Some(channel.pts)),
        })
    });
    let mut rows: Vec<DialogRow<'_>> = private.chain(supergroups).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.top.date, row.top.id)));
    rows
}

fn unread<'a>(me: UserId, all: impl Iterator<Item = &'a StoredMessage>, marks: &Dialog) -> i32 {
    count(all.filter(|message| message.from != me && marks.read_inbox < message.id).count())
}

fn row(top: &StoredMessage, marks: &Dialog, unread_count: i32, pts: Option<i32>) -> enums::Dialog {
    enums::Dialog::Dialog(types::Dialog {
        top_message: top.id,
        read_inbox_max_id: marks.read_inbox,
        read_outbox_max_id: marks.read_outbox,
        unread_count,
        pts,
        ..defaults::dialog(describe::peer(top.peer))
    })
}

fn page(view: &WorldView<'_>, rows: Vec<DialogRow<'_>>) -> DialogPage {
    let tops: Vec<&StoredMessage> = rows.iter().map(|row| row.top).collect();
    let chats: Vec<ChatId> = rows.iter().filter_map(|row| row.peer.chat()).collect();
    DialogPage {
        messages: tops.iter().map(|message| view.message(message)).collect(),
        chats: view.chats(chats),
        users: view.users(describe::users_in(tops)),
        dialogs: rows.into_iter().map(|row| row.dialog).collect(),
    }
}
