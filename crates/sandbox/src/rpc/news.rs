//! How an account's other sessions hear of what one of them has changed.

use grammers_tl_types::{enums, types};

use super::{Ctx, Push, RpcError, View, describe, privacy};
use crate::model::{Audience, BlockList, News, Peer};

impl Ctx<'_> {
    /// Tells the caller's other sessions; those that are away learn it when they ask.
    pub(super) fn tell(&mut self, news: News) -> Result<(), RpcError> {
        let now = self.now;
        self.account()?.news.note(news, now);
        let view = self.view()?;
        if let Some((update, named)) = update(&view, news) {
            self.tell_others(update, &named)?;
        }
        Ok(())
    }

    /// Sends an update to the caller's other sessions, with the users and groups that it names.
    pub(super) fn tell_others(
        &mut self,
        update: enums::Update,
        named: &[Peer],
    ) -> Result<(), RpcError> {
        let now = self.now;
        let view = self.view()?;
        let to = Audience::Account { user: view.viewer, except: None };
        let updates = view.updates(vec![update], named, now);
        self.pushes.push(Push { to: to.but(self.caller.key), updates });
        Ok(())
    }
}

/// News as an update, with whom it names.
pub(super) fn update(view: &View<'_>, news: News) -> Option<(enums::Update, Vec<Peer>)> {
    let account = view.world.account(view.viewer)?;
    Some(match news {
        News::Privacy(key) => privacy::update(view, account, key),
        News::Blocked(peer) => {
            let update = types::UpdatePeerBlocked {
                blocked: account.blocks.has(BlockList::Main, peer),
                blocked_my_stories_from: account.blocks.has(BlockList::Stories, peer),
                peer_id: describe::peer(peer),
            };
            (enums::Update::PeerBlocked(update), vec![peer])
        }
        News::User(user) => {
            let update = types::UpdateUser { user_id: user.0 };
            (enums::Update::User(update), vec![Peer::User(user)])
        }
        News::Session(hash) => {
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
