//! Users one by one.

use grammers_tl_types::{enums, functions, types};

use super::{Ctx, Entry, Handle, RpcError, blank};
use crate::model::{BlockList, Peer, Reach, UserId, count};

pub(super) const METHODS: &[Entry] = &[
    Entry::of::<functions::users::GetFullUser>(),
    Entry::of::<functions::users::GetRequirementsToContact>(),
    Entry::of::<functions::users::GetSavedMusic>(),
    Entry::of::<functions::users::GetUsers>(),
];

impl Handle for functions::users::GetUsers {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        // Those who cannot be had are left out: the rest is still an answer.
        let known: Vec<UserId> = self.id.iter().filter_map(|user| ctx.user(user).ok()).collect();
        let view = ctx.view()?;
        Ok(known.into_iter().map(|id| view.user(id)).collect())
    }
}

impl Handle for functions::users::GetFullUser {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let id = ctx.user(&self.id)?;
        let blocks = &ctx.account()?.blocks;
        let blocked = blocks.has(BlockList::Main, Peer::User(id));
        let blocked_my_stories_from = blocks.has(BlockList::Stories, Peer::User(id));
        let me = ctx.me()?;
        let common = ctx.world.chats_of(me).filter(|chat| id != me && chat.has(id)).count();
        let reach = needed(ctx, id)?;
        let hides_read_dates =
            ctx.world.account(id).is_some_and(|account| account.global_privacy.hide_read_marks);
        let person = ctx.world.person(id).ok_or(RpcError::bad_request("USER_ID_INVALID"))?;
        let full = types::UserFull {
            blocked,
            blocked_my_stories_from,
            about: Some(person.about.clone()).filter(|about| !about.is_empty()),
            phone_calls_available: !person.bot,
            can_pin_message: true,
            common_chats_count: count(common),
            contact_require_premium: reach == Reach::Premium,
            read_dates_private: id != me && hides_read_dates,
            send_paid_messages_stars: match reach {
                Reach::Paid(stars) => Some(stars),
                Reach::Anyone | Reach::Premium => None,
            },
            ..blank::user_full(id.0)
        };
        let users = ctx.view()?.users([id]);
        Ok(enums::users::UserFull::Full(types::users::UserFull {
            full_user: enums::UserFull::Full(full),
            chats: Vec::new(),
            users,
        }))
    }
}

impl Handle for functions::users::GetRequirementsToContact {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let mut requirements = Vec::new();
        for user in &self.id {
            let id = ctx.user(user)?;
            requirements.push(match needed(ctx, id)? {
                Reach::Anyone => enums::RequirementToContact::Empty,
                Reach::Premium => enums::RequirementToContact::Premium,
                Reach::Paid(stars_amount) => enums::RequirementToContact::PaidMessages(
                    types::RequirementToContactPaidMessages { stars_amount },
                ),
            });
        }
        Ok(requirements)
    }
}

impl Handle for functions::users::GetSavedMusic {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        ctx.user(&self.id)?;
        let none = types::users::SavedMusic { count: 0, documents: Vec::new() };
        Ok(enums::users::SavedMusic::Music(none))
    }
}

/// What the caller needs to write to `id`: nothing more if they are a contact of theirs, have
/// written before, or are Premium where that is what is asked.
pub(super) fn needed(ctx: &mut Ctx<'_>, id: UserId) -> Result<Reach, RpcError> {
    let me = ctx.me()?;
    let wrote = ctx.account()?.mailbox.dialogs.get(&Peer::User(id));
    let wrote = wrote.is_some_and(|dialog| dialog.messages.values().any(|m| m.from == id));
    let knows_me = ctx.world.account(id).is_some_and(|account| account.contacts.contains_key(&me));
    let premium = ctx.world.person(me).is_some_and(|person| person.premium);
    let reach = ctx.world.reach(id);
    let free = id == me || wrote || knows_me || (premium && reach == Reach::Premium);
    Ok(if free { Reach::Anyone } else { reach })
}
