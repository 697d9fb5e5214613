//! The sessions of an account.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, UpdatePush, notify};
use crate::keys::KeyId;
use crate::model::{Account, AccountChange, LoginSession, PushTarget};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::account::ChangeAuthorizationSettings>(),
    MethodEntry::of::<functions::account::GetAuthorizations>(),
    MethodEntry::of::<functions::account::ResetAuthorization>(),
    MethodEntry::of::<functions::account::SetAuthorizationTtl>(),
    MethodEntry::of::<functions::auth::ResetAuthorizations>(),
];

const HASH_INVALID: RpcError = RpcError::bad_request("HASH_INVALID");
/// Maximum days that a session may be unused.
const MAX_TTL_DAYS: i32 = 366;

impl MethodHandler for functions::account::GetAuthorizations {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let key = ctx.caller.key;
        let account = ctx.account()?;
        let authorizations = account.sessions.iter().map(|session| describe(session, key));
        let authorizations = types::account::Authorizations {
            authorization_ttl_days: account.session_ttl_days,
            authorizations: authorizations.collect(),
        };
        Ok(enums::account::Authorizations::Authorizations(authorizations))
    }
}

impl MethodHandler for functions::account::ResetAuthorization {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        check_age(ctx)?;
        let own = Some(ctx.caller.key);
        match end(ctx, |session| session.hash == self.hash && session.key != own)? {
            0 => Err(HASH_INVALID),
            _ => Ok(true),
        }
    }
}

impl MethodHandler for functions::auth::ResetAuthorizations {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        check_age(ctx)?;
        let own = Some(ctx.caller.key);
        end(ctx, |session| session.key != own)?;
        Ok(true)
    }
}

impl MethodHandler for functions::account::ChangeAuthorizationSettings {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let key = ctx.caller.key;
        let session = named(ctx.account()?, self.hash, key).ok_or(HASH_INVALID)?;
        if let Some(disabled) = self.call_requests_disabled {
            session.accepts_calls = !disabled;
        }
        if let Some(disabled) = self.encrypted_requests_disabled {
            session.accepts_secret_chats = !disabled;
        }
        if self.confirmed && session.unconfirmed {
            session.unconfirmed = false;
            let hash = session.hash;
            notify::record_change(ctx, AccountChange::Session(hash))?;
        }
        Ok(true)
    }
}

impl MethodHandler for functions::account::SetAuthorizationTtl {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        if !(1..=MAX_TTL_DAYS).contains(&self.authorization_ttl_days) {
            return Err(RpcError::bad_request("TTL_DAYS_INVALID"));
        }
        ctx.account()?.session_ttl_days = self.authorization_ttl_days;
        Ok(true)
    }
}

/// Refuses to end other sessions from a session that is too new, as Telegram may.
fn check_age(ctx: &mut CallContext<'_>) -> Result<(), RpcError> {
    let (key, now) = (ctx.caller.key, ctx.now);
    let account = ctx.account()?;
    let needed = account.fresh_session_s;
    let age = account.session_of(key).map_or(0, |session| now - session.created);
    if age < needed {
        return Err(RpcError::not_acceptable("FRESH_RESET_AUTHORISATION_FORBIDDEN"));
    }
    Ok(())
}

/// Ends sessions; their clients are made to request updates, and then get the error.
fn end(
    ctx: &mut CallContext<'_>,
    which: impl Fn(&LoginSession) -> bool,
) -> Result<usize, RpcError> {
    let account = ctx.account()?;
    let user = account.user;
    let ending = account.sessions.iter().filter(|session| which(session));
    let unconfirmed: Vec<i64> =
        ending.filter(|session| session.unconfirmed).map(|session| session.hash).collect();
    let ended = ctx.world.revoke(user, which);
    ctx.pushes.extend(ended.iter().flatten().map(|key| log_out(*key)));
    for hash in unconfirmed {
        notify::record_change(ctx, AccountChange::Session(hash))?;
    }
    Ok(ended.len())
}

/// The update that makes a client notice that its session has ended.
pub(crate) fn log_out(key: KeyId) -> UpdatePush {
    UpdatePush { to: PushTarget::Key(key), updates: enums::Updates::TooLong }
}

/// The session of a call; 0 is the caller's own.
fn named(account: &mut Account, hash: i64, key: KeyId) -> Option<&mut LoginSession> {
    match hash {
        0 => account.session_of(key),
        _ => account.sessions.iter_mut().find(|session| session.hash == hash),
    }
}

pub(super) fn describe(session: &LoginSession, caller: KeyId) -> enums::Authorization {
    let device = session.device.clone();
    let current = session.key == Some(caller);
    enums::Authorization::Authorization(types::Authorization {
        current,
        official_app: false,
        password_pending: session.password_pending,
        encrypted_requests_disabled: !session.accepts_secret_chats,
        call_requests_disabled: !session.accepts_calls,
        unconfirmed: session.unconfirmed && !current,
        // For a client, the id of its own session is 0.
        hash: if current { 0 } else { session.hash },
        device_model: device.model,
        platform: device.platform,
        system_version: device.system_version,
        api_id: device.api_id,
        app_name: device.app_name,
        app_version: device.app_version,
        date_created: session.created,
        date_active: session.active,
        ip: device.ip,
        country: device.country,
        region: String::new(),
    })
}
