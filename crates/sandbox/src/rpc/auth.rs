use grammers_tl_types::{enums, functions, types};

use super::{Caller, Ctx, Entry, Handle, RpcError};
use crate::model::{Account, Device};

pub(super) const METHODS: &[Entry] = &[
    Entry::of::<functions::auth::LogOut>(),
    Entry::of::<functions::auth::ResetAuthorizations>(),
    Entry::of::<functions::auth::SendCode>(),
    Entry::of::<functions::auth::SignIn>(),
];

impl Handle for functions::auth::SendCode {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let account = known(ctx, &self.phone_number)?;
        let length = i32::try_from(account.code.len()).unwrap_or_default();
        Ok(enums::auth::SentCode::Code(types::auth::SentCode {
            r#type: enums::auth::SentCodeType::App(types::auth::SentCodeTypeApp { length }),
            phone_code_hash: code_hash(account),
            next_type: None,
            timeout: None,
        }))
    }
}

impl Handle for functions::auth::SignIn {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let account = known(ctx, &self.phone_number)?;
        if self.phone_code_hash != code_hash(account) {
            return Err(RpcError::bad_request("PHONE_CODE_EXPIRED"));
        }
        if self.phone_code.as_deref() != Some(&account.code) {
            return Err(RpcError::bad_request("PHONE_CODE_INVALID"));
        }
        let (id, user) = (account.user, super::user::describe(account, true));
        ctx.world.log_in(ctx.caller.key, id, device(ctx.caller), ctx.now);
        Ok(enums::auth::Authorization::Authorization(types::auth::Authorization {
            setup_password_required: false,
            otherwise_relogin_days: None,
            tmp_sessions: None,
            future_auth_token: None,
            user,
        }))
    }
}

impl Handle for functions::auth::LogOut {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        ctx.world.forget_key(ctx.caller.key);
        Ok(enums::auth::LoggedOut::Out(types::auth::LoggedOut { future_auth_token: None }))
    }
}

impl Handle for functions::auth::ResetAuthorizations {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let own = Some(ctx.caller.key);
        ctx.world.revoke(ctx.caller.key, |session| session.key != own);
        Ok(true)
    }
}

fn known<'a>(ctx: &'a Ctx<'_>, phone: &str) -> Result<&'a Account, RpcError> {
    ctx.world.by_phone(phone).ok_or(RpcError::bad_request("PHONE_NUMBER_INVALID"))
}

/// What ties a code to the number it was sent to.
fn code_hash(account: &Account) -> String {
    format!("sent-to-{}", account.user.0)
}

/// The session list's entry for a client, as Telegram makes it of `initConnection`.
fn device(caller: &Caller) -> Device {
    let client = caller.client.clone();
    Device {
        model: client.device_model,
        platform: "Desktop".to_owned(),
        system_version: client.system_version,
        api_id: client.api_id,
        app_name: "Sandbox".to_owned(),
        app_version: client.app_version,
        ip: caller.address.to_string(),
        country: "Loopback".to_owned(),
    }
}
