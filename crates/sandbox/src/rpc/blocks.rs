//! The block lists of an account.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, describe, notify, peers};
use crate::model::{AccountChange, BlockList, Peer, count};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::contacts::Block>(),
    MethodEntry::of::<functions::contacts::GetBlocked>(),
    MethodEntry::of::<functions::contacts::Unblock>(),
];

/// Maximum number of entries per page.
const MAX_PAGE: usize = 100;

impl MethodHandler for functions::contacts::Block {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (now, list, peer) = (ctx.now, list(self.my_stories_from), whom(ctx, &self.id)?);
        if ctx.account()?.blocks.block(list, peer, now) {
            notify::record_change(ctx, AccountChange::Blocked(peer))?;
        }
        Ok(true)
    }
}

impl MethodHandler for functions::contacts::Unblock {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (list, peer) = (list(self.my_stories_from), whom(ctx, &self.id)?);
        if ctx.account()?.blocks.unblock(list, peer) {
            notify::record_change(ctx, AccountChange::Blocked(peer))?;
        }
        Ok(true)
    }
}

impl MethodHandler for functions::contacts::GetBlocked {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let blocked = ctx.account()?.blocks.list(list(self.my_stories_from)).to_vec();
        let offset = usize::try_from(self.offset).unwrap_or(0);
        let limit = usize::try_from(self.limit).unwrap_or(0).min(MAX_PAGE);
        let page: Vec<(Peer, i32)> = blocked.iter().skip(offset).take(limit).copied().collect();
        let view = ctx.view()?;
        let users = view.users(page.iter().filter_map(|(peer, _)| peer.user()));
        let chats = view.chats(page.iter().filter_map(|(peer, _)| peer.chat()));
        let described = page.iter().map(|(peer, date)| {
            let peer_id = describe::peer(*peer);
            enums::PeerBlocked::Blocked(types::PeerBlocked { peer_id, date: *date })
        });
        let described = described.collect();
        Ok(if page.len() == blocked.len() {
            let all = types::contacts::Blocked { blocked: described, chats, users };
            enums::contacts::Blocked::Blocked(all)
        } else {
            enums::contacts::Blocked::Slice(types::contacts::BlockedSlice {
                count: count(blocked.len()),
                blocked: described,
                chats,
                users,
            })
        })
    }
}

fn list(stories: bool) -> BlockList {
    if stories { BlockList::Stories } else { BlockList::Main }
}

/// Resolves the peer of a call; an account cannot block itself.
fn whom(ctx: &mut CallContext<'_>, peer: &enums::InputPeer) -> Result<Peer, RpcError> {
    let me = ctx.me()?;
    let peer = peers::peer(ctx, peer)?;
    if peer == Peer::User(me) {
        return Err(RpcError::bad_request("CONTACT_ID_INVALID"));
    }
    Ok(peer)
}
