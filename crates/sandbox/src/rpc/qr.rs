//! Login by a QR code that another device of the account scans.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, UpdatePush, login, sessions};
use crate::keys::KeyId;
use crate::model::{DeviceInfo, LoginSession, PushTarget};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::auth::AcceptLoginToken>(),
    MethodEntry::of::<functions::auth::ExportLoginToken>(),
];

impl MethodHandler for functions::auth::ExportLoginToken {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (key, now) = (ctx.caller.key, ctx.now);
        if let Some(user) = ctx.world.login_tokens.take_accepted(key) {
            let authorization = login::request_password_or_log_in(ctx, user)?;
            let success = types::auth::LoginTokenSuccess { authorization };
            return Ok(enums::auth::LoginToken::Success(success));
        }
        let (token, expires) = ctx.world.login_tokens.issue(key, now);
        Ok(enums::auth::LoginToken::Token(types::auth::LoginToken { expires, token }))
    }
}

impl MethodHandler for functions::auth::AcceptLoginToken {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let (me, now, caller) = (ctx.me()?, ctx.now, ctx.caller.key);
        let key = ctx.world.login_tokens.accept(&self.token, me, now);
        let key = key.ok_or(RpcError::bad_request("AUTH_TOKEN_EXPIRED"))?;
        ctx.pushes.push(scanned(key, now));
        // The session is created when its client asks again; this is a preview of it.
        let session = LoginSession::new(Some(key), DeviceInfo::default(), now);
        Ok(sessions::describe(&session, caller))
    }
}

/// The update that makes the client ask again: its QR code was scanned.
pub(crate) fn scanned(key: KeyId, date: i32) -> UpdatePush {
    let update = enums::Update::LoginToken;
    let updates = enums::Updates::UpdateShort(types::UpdateShort { update, date });
    UpdatePush { to: PushTarget::Key(key), updates }
}
