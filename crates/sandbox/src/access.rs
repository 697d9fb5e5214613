//! Access checks that come before a method: which keys and accounts may call it, and in which data
//! centre.

use std::sync::Arc;

use grammers_tl_types::{Identifiable, Serializable, functions};

use crate::call::{CallOrigin, MethodResult, login_phone, read_arguments};
use crate::core::SandboxCore;
use crate::envelope::constructor;
use crate::model::{KeyStatus, UserId};
use crate::rpc::{self, CallContext, Caller, MethodEntry, RpcError};
use crate::sync::lock;
use crate::{duplicates, key_binding};

/// Home data centre of an account unless a test moves it.
const FIRST_DATA_CENTRE: i32 = 1;
/// Methods that a frozen account may not call, by prefix.
const FORBIDDEN_WHEN_FROZEN: [&str; 12] = [
    "account.updateProfile",
    "account.updateUsername",
    "channels.create",
    "channels.invite",
    "channels.join",
    "contacts.add",
    "contacts.import",
    "messages.addChatUser",
    "messages.create",
    "messages.edit",
    "messages.forward",
    "messages.send",
];

/// Runs one call, if its key and account may make it.
pub(crate) fn authorize_and_run(
    core: &Arc<SandboxCore>,
    origin: &CallOrigin,
    caller: &Caller,
    body: &[u8],
) -> MethodResult {
    let method = constructor(body);
    if method == functions::auth::BindTempAuthKey::CONSTRUCTOR_ID {
        return key_binding::bind(core, origin, &read_arguments(body)?)
            .map(|answer| (answer.to_bytes(), Vec::new()));
    }
    if origin.key.is_none() {
        return Err(RpcError::unauthorized("AUTH_KEY_PERM_EMPTY"));
    }
    if core.keys.must_report_duplicate(caller.key, origin.session.session) {
        return Err(RpcError::not_acceptable("AUTH_KEY_DUPLICATED"));
    }
    check_ban(core, caller, body)?;
    check_freeze(core, caller, method)?;
    match method {
        functions::auth::DropTempAuthKeys::CONSTRUCTOR_ID => Ok((true.to_bytes(), Vec::new())),
        functions::auth::ExportAuthorization::CONSTRUCTOR_ID => {
            key_binding::export(core, caller).map(|answer| (answer, Vec::new()))
        }
        functions::auth::ImportAuthorization::CONSTRUCTOR_ID => {
            key_binding::import(core, origin, &read_arguments(body)?)
                .map(|answer| (answer, Vec::new()))
        }
        functions::auth::SendCode::CONSTRUCTOR_ID => {
            check_home(core, caller, body)?;
            run_method(core, caller, body)
        }
        functions::updates::GetState::CONSTRUCTOR_ID
        | functions::updates::GetDifference::CONSTRUCTOR_ID => {
            duplicates::detect(core, origin.session, caller.key);
            run_method(core, caller, body)
        }
        _ => run_method(core, caller, body),
    }
}

/// The home data centre of a user's account.
fn home(core: &SandboxCore, user: UserId) -> i32 {
    lock(&core.homes).get(&user).copied().unwrap_or(FIRST_DATA_CENTRE)
}

/// Refuses all calls of a banned account, and its login.
fn check_ban(core: &SandboxCore, caller: &Caller, body: &[u8]) -> Result<(), RpcError> {
    let banned = lock(&core.banned);
    if banned.is_empty() {
        return Ok(());
    }
    let world = lock(&core.world);
    if let KeyStatus::LoggedIn(user) = world.key_status(caller.key) {
        let banned = banned.contains(&user);
        return if banned { Err(RpcError::unauthorized("USER_DEACTIVATED_BAN")) } else { Ok(()) };
    }
    let phone = login_phone(body).unwrap_or_default();
    let banned = world.by_phone(&phone).is_some_and(|account| banned.contains(&account.user));
    if banned { Err(RpcError::bad_request("PHONE_NUMBER_BANNED")) } else { Ok(()) }
}

/// A frozen account may read everything, but change nothing that others see.
fn check_freeze(core: &SandboxCore, caller: &Caller, method: u32) -> Result<(), RpcError> {
    let name = rpc::name(method);
    if !FORBIDDEN_WHEN_FROZEN.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(());
    }
    let mut world = lock(&core.world);
    let frozen = world.account_of(caller.key).is_some_and(|own| own.frozen_since.is_some());
    if frozen {
        return Err(RpcError { code: 420, message: "FROZEN_METHOD_INVALID".into() });
    }
    Ok(())
}

/// A login must start in the account's home data centre.
fn check_home(core: &SandboxCore, caller: &Caller, body: &[u8]) -> Result<(), RpcError> {
    let phone = login_phone(body).unwrap_or_default();
    let user = lock(&core.world).by_phone(&phone).map(|account| account.user);
    match user.map(|user| home(core, user)) {
        Some(home) if home != caller.data_centre() => {
            Err(RpcError { code: 303, message: format!("PHONE_MIGRATE_{home}").into() })
        }
        _ => Ok(()),
    }
}

/// Runs a method of the API.
fn run_method(core: &SandboxCore, caller: &Caller, body: &[u8]) -> MethodResult {
    let id = constructor(body);
    let entry = rpc::find(id);
    let mut world = lock(&core.world);
    match world.key_status(caller.key) {
        KeyStatus::Revoked => return Err(RpcError::unauthorized("SESSION_REVOKED")),
        KeyStatus::LoggedOut if entry.is_some_and(MethodEntry::needs_login) => {
            return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
        }
        KeyStatus::LoggedOut | KeyStatus::LoggedIn(_) => {}
    }
    let Some(entry) = entry else {
        core.call_log.count_unknown(id);
        return Err(RpcError::bad_request("SANDBOX_NOT_IMPLEMENTED"));
    };
    let now = core.clock.now();
    let mut ctx = CallContext { world: &mut world, caller, now, pushes: Vec::new() };
    let answer = entry.run(&mut ctx, body)?;
    Ok((answer, ctx.pushes))
}
