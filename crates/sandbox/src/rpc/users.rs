//! Individual users.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, defaults, peers};
use crate::model::{BlockList, ContactRequirement, Peer, UserId, count};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::users::GetFullUser>(),
    MethodEntry::of::<functions::users::GetRequirementsToContact>(),
    MethodEntry::of::<functions::users::GetSavedMusic>(),
    MethodEntry::of::<functions::users::GetUsers>(),
];

impl MethodHandler for functions::users::GetUsers {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        // Unknown users are left out.
        let known: Vec<UserId> =
            self.id.iter().filter_map(|user| peers::user(ctx, user).ok()).collect();
        let view = ctx.view()?;
        Ok(known.into_iter().map(|id| view.user(id)).collect())
    }
}

impl MethodHandler for functions::users::GetFullUser {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let id = peers::user(ctx, &self.id)?;
        let blocks = &ctx.account()?.blocks;
        let blocked = blocks.has(BlockList::Main, Peer::User(id));
        let blocked_my_stories_from = blocks.has(BlockList::Stories, Peer::User(id));
        let me = ctx.me()?;
        let common = ctx.world.chats_of(me).filter(|chat| id != me && chat.has(id)).count();
        let reach = needed(ctx, id)?;
        let hides_read_dates =
            ctx.world.account(id).is_some_and(|account| account.global_privacy.hide_read_marks);
        let person = ctx.world.user(id).ok_or(RpcError::bad_request("USER_ID_INVALID"))?;
        let full = types::UserFull {
            blocked,
            blocked_my_stories_from,
            about: Some(person.about.clone()).filter(|about| !about.is_empty()),
            phone_calls_available: !person.bot,
            can_pin_message: true,
            common_chats_count: count(common),
            contact_require_premium: reach == ContactRequirement::Premium,
            read_dates_private: id != me && hides_read_dates,
            send_paid_messages_stars: match reach {
                ContactRequirement::Paid(stars) => Some(stars),
                ContactRequirement::Anyone | ContactRequirement::Premium => None,
            },
            ..defaults::user_full(id.0)
        };
        let users = ctx.view()?.users([id]);
        Ok(enums::users::UserFull::Full(types::users::UserFull {
            full_user: enums::UserFull::Full(full),
            chats: Vec::new(),
            users,
        }))
    }
}

impl MethodHandler for functions::users::GetRequirementsToContact {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let mut requirements = Vec::new();
        for user in &self.id {
            let id = peers::user(ctx, user)?;
            requirements.push(match needed(ctx, id)? {
                ContactRequirement::Anyone => enums::RequirementToContact::Empty,
                ContactRequirement::Premium => enums::RequirementToContact::Premium,
                ContactRequirement::Paid(stars_amount) => {
                    enums::RequirementToContact::PaidMessages(
                        types::RequirementToContactPaidMessages { stars_amount },
                    )
                }
            });
        }
        Ok(requirements)
    }
}

impl MethodHandler for functions::users::GetSavedMusic {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        peers::user(ctx, &self.id)?;
        let none = types::users::SavedMusic { count: 0, documents: Vec::new() };
        Ok(enums::users::SavedMusic::Music(none))
    }
}

/// What the caller needs to write to `id`: nothing if it is their contact, if they have written
/// before, or if they require Premium and the caller has it.
pub(super) fn needed(
    ctx: &mut CallContext<'_>,
    id: UserId,
) -> Result<ContactRequirement, RpcError> {
    let me = ctx.me()?;
    let wrote = ctx.account()?.mailbox.dialogs.get(&Peer::User(id));
    let wrote = wrote.is_some_and(|dialog| dialog.messages.values().any(|m| m.from == id));
    let knows_me = ctx.world.account(id).is_some_and(|account| account.contacts.contains_key(&me));
    let premium = ctx.world.user(me).is_some_and(|person| person.premium);
    let reach = ctx.world.reach(id);
    let free = id == me || wrote || knows_me || (premium && reach == ContactRequirement::Premium);
    Ok(if free { ContactRequirement::Anyone } else { reach })
}
