//! Updates to an account's other sessions about changes that one of them made.

use grammers_tl_types::{enums, types};

use super::describe::WorldView;
use super::{CallContext, RpcError, UpdatePush, describe, privacy_rules};
use crate::model::{AccountChange, BlockList, Peer, PushTarget};

/// Records a change and pushes it to the caller's other sessions; offline ones get it with their
/// next difference.
pub(super) fn record_change(
    ctx: &mut CallContext<'_>,
    change: AccountChange,
) -> Result<(), RpcError> {
    let now = ctx.now;
    ctx.account()?.change_log.record(change, now);
    let view = ctx.view()?;
    if let Some((update, named)) = update(&view, change) {
        push_to_others(ctx, update, &named)?;
    }
    Ok(())
}

/// Pushes an update to the caller's other sessions, with the users and groups that it refers to.
pub(super) fn push_to_others(
    ctx: &mut CallContext<'_>,
    update: enums::Update,
    named: &[Peer],
) -> Result<(), RpcError> {
    let now = ctx.now;
    let view = ctx.view()?;
    let to = PushTarget::Account { user: view.viewer, except: None };
    let updates = view.updates(vec![update], named, now);
    ctx.pushes.push(UpdatePush { to: to.but(ctx.caller.key), updates });
    Ok(())
}

/// A change as an update, with the users and groups that it refers to.
pub(super) fn update(
    view: &WorldView<'_>,
    change: AccountChange,
) -> Option<(enums::Update, Vec<Peer>)> {
    let account = view.world.account(view.viewer)?;
    Some(match change {
        AccountChange::Privacy(key) => privacy_rules::update(view, account, key),
        AccountChange::Blocked(peer) => {
            let update = types::UpdatePeerBlocked {
                blocked: account.blocks.has(BlockList::Main, peer),
                blocked_my_stories_from: account.blocks.has(BlockList::Stories, peer),
                peer_id: describe::peer(peer),
            };
            (enums::Update::PeerBlocked(update), vec![peer])
        }
        AccountChange::User(user) => {
            let update = types::UpdateUser { user_id: user.0 };
            (enums::Update::User(update), vec![Peer::User(user)])
        }
        AccountChange::Session(hash) => {
            let waits = account.sessions.iter().find(|s| s.hash == hash && s.unconfirmed);
            let update = types::UpdateNewAuthorization {
                unconfirmed: waits.is_some(),
                hash,
                date: waits.map(|session| session.created),
                device: waits.map(|session| session.device.model.clone()),
                location: waits.map(|session| session.device.country.clone()),
            };
            (enums::Update::NewAuthorization(update), Vec::new())
        }
    })
}
