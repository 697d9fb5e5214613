//! The contacts of an account.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, describe, notify};
use crate::model::{AccountChange, Contact, Peer, UserId};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::contacts::EditCloseFriends>(),
    MethodEntry::of::<functions::contacts::GetBirthdays>(),
    MethodEntry::of::<functions::contacts::GetContacts>(),
    MethodEntry::of::<functions::contacts::GetStatuses>(),
    MethodEntry::of::<functions::contacts::GetTopPeers>(),
    MethodEntry::of::<functions::contacts::ResolvePhone>(),
    MethodEntry::of::<functions::contacts::ResolveUsername>(),
];

impl MethodHandler for functions::contacts::GetContacts {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let contacts = ctx.account()?.contacts.clone();
        let users = ctx.view()?.users(contacts.keys().copied());
        let describe = |(id, contact): (&UserId, &Contact)| {
            enums::Contact::Contact(types::Contact { user_id: id.0, mutual: contact.mutual })
        };
        Ok(enums::contacts::Contacts::Contacts(types::contacts::Contacts {
            contacts: contacts.iter().map(describe).collect(),
            saved_count: 0,
            users,
        }))
    }
}

impl MethodHandler for functions::contacts::GetStatuses {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let status = |id: &UserId| {
            let status = enums::UserStatus::Recently(types::UserStatusRecently { by_me: false });
            enums::ContactStatus::Status(types::ContactStatus { user_id: id.0, status })
        };
        Ok(ctx.account()?.contacts.keys().map(status).collect())
    }
}

impl MethodHandler for functions::contacts::EditCloseFriends {
    /// Replaces the whole list; users who are not contacts are ignored.
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let mut changed = Vec::new();
        for (id, contact) in &mut ctx.account()?.contacts {
            let close_friend = self.id.contains(&id.0);
            if close_friend != contact.close_friend {
                contact.close_friend = close_friend;
                changed.push(*id);
            }
        }
        for id in changed {
            notify::record_change(ctx, AccountChange::User(id))?;
        }
        Ok(true)
    }
}

impl MethodHandler for functions::contacts::ResolveUsername {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let username = self.username.trim_start_matches('@');
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if username.is_empty() || !username.chars().all(valid) {
            return Err(RpcError::bad_request("USERNAME_INVALID"));
        }
        let found = ctx.world.by_username(username);
        resolved(ctx, found.ok_or(RpcError::bad_request("USERNAME_NOT_OCCUPIED"))?)
    }
}

impl MethodHandler for functions::contacts::ResolvePhone {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let found = ctx.world.by_phone(&self.phone).map(|account| account.user);
        let found = found.ok_or(RpcError::bad_request("PHONE_NOT_OCCUPIED"))?;
        resolved(ctx, Peer::User(found))
    }
}

fn resolved(
    ctx: &mut CallContext<'_>,
    peer: Peer,
) -> Result<enums::contacts::ResolvedPeer, RpcError> {
    let view = ctx.view()?;
    Ok(enums::contacts::ResolvedPeer::Peer(types::contacts::ResolvedPeer {
        peer: describe::peer(peer),
        chats: view.chats(peer.chat()),
        users: view.users(peer.user()),
    }))
}

impl MethodHandler for functions::contacts::GetTopPeers {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(enums::contacts::TopPeers::Peers(types::contacts::TopPeers {
            categories: Vec::new(),
            chats: Vec::new(),
            users: Vec::new(),
        }))
    }
}

impl MethodHandler for functions::contacts::GetBirthdays {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let none = types::contacts::ContactBirthdays { contacts: Vec::new(), users: Vec::new() };
        Ok(enums::contacts::ContactBirthdays::Birthdays(none))
    }
}
