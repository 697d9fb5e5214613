//! Login by code, registration, logout. QR codes, bots and passwords are in their own files.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, Caller, MethodEntry, MethodHandler, RpcError, notify};
use crate::model::{
    Account, AccountChange, CodeDelivery, DeviceInfo, SentCode, UserId, UserProfile, digits,
};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::auth::CancelCode>(),
    MethodEntry::of::<functions::auth::LogOut>(),
    MethodEntry::of::<functions::auth::ResendCode>(),
    MethodEntry::of::<functions::auth::SendCode>(),
    MethodEntry::of::<functions::auth::SignIn>(),
    MethodEntry::of::<functions::auth::SignUp>(),
];

const PHONE_NUMBER_INVALID: RpcError = RpcError::bad_request("PHONE_NUMBER_INVALID");
const PHONE_CODE_EXPIRED: RpcError = RpcError::bad_request("PHONE_CODE_EXPIRED");
/// Digits of a login code.
const CODE_LENGTH: usize = 5;
/// Minimum and maximum number of digits of a phone number.
const PHONE_LENGTH: (usize, usize) = (7, 15);

impl MethodHandler for functions::auth::SendCode {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let phone = digits(&self.phone_number);
        if !(PHONE_LENGTH.0..=PHONE_LENGTH.1).contains(&phone.len()) {
            return Err(PHONE_NUMBER_INVALID);
        }
        // Without a session that can show it, the code is sent as a text message.
        let account = ctx.world.by_phone(&phone);
        let by_app = account.is_some_and(|account| !account.sessions.is_empty());
        let code =
            SentCode::new(if by_app { CodeDelivery::App } else { CodeDelivery::Sms }, ctx.now);
        let answer = describe(&code);
        ctx.world.codes.insert(phone, code);
        Ok(answer)
    }
}

impl MethodHandler for functions::auth::ResendCode {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let now = ctx.now;
        let code = sent(ctx, &self.phone_number, &self.phone_code_hash)?;
        if !code.send_again(now) {
            return Err(RpcError::not_acceptable("SEND_CODE_UNAVAILABLE"));
        }
        Ok(describe(code))
    }
}

impl MethodHandler for functions::auth::CancelCode {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        sent(ctx, &self.phone_number, &self.phone_code_hash)?.expire();
        Ok(true)
    }
}

impl MethodHandler for functions::auth::SignIn {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let phone = digits(&self.phone_number);
        sent(ctx, &phone, &self.phone_code_hash)?;
        let Some(typed) = self.phone_code.filter(|code| !code.is_empty()) else {
            return Err(RpcError::bad_request("PHONE_CODE_EMPTY"));
        };
        let account = ctx.world.by_phone(&phone);
        let user = account.map(|account| account.user);
        if account.map_or_else(|| code_of_new(&phone), |account| account.code.clone()) != typed {
            return Err(RpcError::bad_request("PHONE_CODE_INVALID"));
        }
        let Some(user) = user else {
            sent(ctx, &phone, &self.phone_code_hash)?.verified = true;
            let terms = types::auth::AuthorizationSignUpRequired { terms_of_service: None };
            return Ok(enums::auth::Authorization::SignUpRequired(terms));
        };
        ctx.world.codes.remove(&phone);
        request_password_or_log_in(ctx, user)
    }
}

impl MethodHandler for functions::auth::SignUp {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let phone = digits(&self.phone_number);
        if !sent(ctx, &phone, &self.phone_code_hash)?.verified {
            return Err(RpcError::bad_request("PHONE_CODE_INVALID"));
        }
        if self.first_name.trim().is_empty() {
            return Err(RpcError::bad_request("FIRSTNAME_INVALID"));
        }
        let user = ctx.world.next_user();
        let mut person = UserProfile::new(user, self.first_name.trim(), self.last_name.trim());
        person.phone.clone_from(&phone);
        ctx.world.add_user(person);
        ctx.world.add_account(Account::new(user, code_of_new(&phone)));
        ctx.world.codes.remove(&phone);
        request_password_or_log_in(ctx, user)
    }
}

impl MethodHandler for functions::auth::LogOut {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        ctx.world.forget_key(ctx.caller.key);
        Ok(enums::auth::LoggedOut::Out(types::auth::LoggedOut { future_auth_token: None }))
    }
}

/// The valid code that was sent to a number.
fn sent<'a>(
    ctx: &'a mut CallContext<'_>,
    phone: &str,
    hash: &str,
) -> Result<&'a mut SentCode, RpcError> {
    let now = ctx.now;
    let code = ctx.world.codes.get_mut(&digits(phone));
    code.filter(|code| code.is_good(hash, now)).ok_or(PHONE_CODE_EXPIRED)
}

/// The login code of a number without an account: its last digits.
pub(crate) fn code_of_new(phone: &str) -> String {
    let phone = digits(phone);
    phone[phone.len().saturating_sub(CODE_LENGTH)..].to_owned()
}

fn describe(code: &SentCode) -> enums::auth::SentCode {
    use enums::auth::{CodeType, SentCodeType};
    let length = i32::try_from(CODE_LENGTH).unwrap_or_default();
    let r#type = match code.delivery {
        CodeDelivery::App => SentCodeType::App(types::auth::SentCodeTypeApp { length }),
        CodeDelivery::Sms => SentCodeType::Sms(types::auth::SentCodeTypeSms { length }),
        CodeDelivery::Call => SentCodeType::Call(types::auth::SentCodeTypeCall { length }),
    };
    let next_type = code.delivery.next().map(|way| match way {
        CodeDelivery::App | CodeDelivery::Sms => CodeType::Sms,
        CodeDelivery::Call => CodeType::Call,
    });
    enums::auth::SentCode::Code(types::auth::SentCode {
        r#type,
        phone_code_hash: code.hash.clone(),
        next_type,
        timeout: None,
    })
}

/// Logs the caller in, or requests the account's password first.
pub(super) fn request_password_or_log_in(
    ctx: &mut CallContext<'_>,
    user: UserId,
) -> Result<enums::auth::Authorization, RpcError> {
    let account = ctx.world.account(user).ok_or(PHONE_NUMBER_INVALID)?;
    if account.password.is_some() {
        let device = device(ctx.caller);
        ctx.world.await_password(ctx.caller.key, user, device, ctx.now);
        return Err(RpcError::unauthorized("SESSION_PASSWORD_NEEDED"));
    }
    log_in(ctx, user)
}

/// Logs the caller in and notifies the account's other sessions.
pub(super) fn log_in(
    ctx: &mut CallContext<'_>,
    user: UserId,
) -> Result<enums::auth::Authorization, RpcError> {
    let key = ctx.caller.key;
    ctx.world.log_in(key, user, device(ctx.caller), ctx.now);
    let session = ctx.account()?.session_of(key).filter(|session| session.unconfirmed);
    if let Some(hash) = session.map(|session| session.hash) {
        notify::record_change(ctx, AccountChange::Session(hash))?;
    }
    let user = ctx.view()?.user(user);
    Ok(enums::auth::Authorization::Authorization(types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user,
    }))
}

/// The device of a client, derived from `initConnection` as Telegram does.
fn device(caller: &Caller) -> DeviceInfo {
    let client = caller.client.clone();
    DeviceInfo {
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
