//! From the body of a call to its answer: faults, the method, the updates that follow it.

use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::Serializable as _;

use crate::access;
use crate::call::{self, CallOrigin, MethodResult, login_phone};
use crate::call_log;
use crate::core::SandboxCore;
use crate::envelope::constructor;
use crate::faults::FaultEffect;
use crate::keys::KeyId;
use crate::model::{KeyStatus, default_number};
use crate::rpc::{self, Caller, ClientInfo, RpcError, UpdatePush};
use crate::sync::lock;

/// What the client receives.
pub(crate) enum CallReply {
    Now(Vec<u8>),
    Later(Duration, Vec<u8>),
    Never,
    /// The connection is closed; the answer, if the method was run, is sent on the next one.
    Disconnect(Option<Vec<u8>>),
}

/// A call's reply, and the updates for other sessions.
pub(crate) struct CallOutcome {
    pub(crate) reply: CallReply,
    pub(crate) pushes: Vec<UpdatePush>,
}

impl CallOutcome {
    fn error(error: &RpcError) -> Self {
        Self { reply: CallReply::Now(error.to_bytes()), pushes: Vec::new() }
    }
}

/// Runs one call, unless a fault prevents it, and logs it.
pub(crate) fn call(core: &Arc<SandboxCore>, origin: &CallOrigin, body: &[u8]) -> CallOutcome {
    let Ok(call) = call::unwrap(body) else {
        return CallOutcome::error(&RpcError::bad_request("INPUT_REQUEST_INVALID"));
    };
    let caller = caller(core, origin, call.client);
    if call.updates && core.keys.takes_updates(origin.session.key) {
        core.sessions.subscribe(origin.session, caller.key);
    }
    let method = constructor(&call.body);
    let account = account_of(core, caller.key, &call.body);
    let effect = core.faults.effect_for(account, rpc::name(method));
    let result = match effect.as_ref() {
        Some(effect) if !effect.runs() => {
            effect.answer().map(|answer| answer.map(|body| (body, Vec::new())))
        }
        _ => Some(access::authorize_and_run(core, origin, &caller, &call.body)),
    };
    let outcome = outcome(effect.as_ref(), result.as_ref());
    let entry = call_log::CallEntry { key: caller.key, account, method, body: call.body, outcome };
    core.call_log.add(entry);
    // All methods that log in or out are in these two areas.
    if matches!(rpc::name(method).split_once('.'), Some(("auth" | "account", _))) {
        core.changed.notify_one();
    }
    let (answer, pushes) = match result {
        Some(Ok((answer, pushes))) => (Some(answer), pushes),
        Some(Err(error)) => (Some(error.to_bytes()), Vec::new()),
        None => (None, Vec::new()),
    };
    CallOutcome { reply: reply(effect, answer), pushes }
}

/// The number of the default account that calls, or that a login is for.
fn account_of(core: &SandboxCore, key: KeyId, body: &[u8]) -> Option<u32> {
    let world = lock(&core.world);
    let user = match world.key_status(key) {
        KeyStatus::LoggedIn(user) => Some(user),
        KeyStatus::LoggedOut | KeyStatus::Revoked => {
            login_phone(body).and_then(|phone| world.by_phone(&phone)).map(|found| found.user)
        }
    };
    user.and_then(default_number)
}

fn caller(core: &SandboxCore, origin: &CallOrigin, client: Option<ClientInfo>) -> Caller {
    let key = origin.key.unwrap_or(origin.session.key);
    let mut clients = lock(&core.clients);
    if let Some(client) = client {
        clients.insert(key, client);
    }
    let client = clients.get(&key).cloned().unwrap_or_default();
    Caller { key, dc: origin.dc, address: origin.address, client }
}

/// Sends updates to their target sessions.
pub(crate) fn publish(core: &SandboxCore, pushes: Vec<UpdatePush>) {
    for push in pushes {
        let keys = lock(&core.world).keys_of(push.to);
        let body = push.updates.to_bytes();
        core.sessions.push(&core.clock, &body, |key| keys.contains(&key));
    }
}

/// The outcome of a call for the call log.
fn outcome(effect: Option<&FaultEffect>, result: Option<&MethodResult>) -> String {
    match (effect, result) {
        (Some(FaultEffect::NoAnswer { .. } | FaultEffect::Disconnect { .. }), _) | (_, None) => {
            "no answer".to_owned()
        }
        (_, Some(Ok(_))) => "ok".to_owned(),
        (_, Some(Err(error))) => format!("{} {}", error.code, error.message),
    }
}

fn reply(effect: Option<FaultEffect>, answer: Option<Vec<u8>>) -> CallReply {
    match (effect, answer) {
        (Some(FaultEffect::Disconnect { .. }), answer) => CallReply::Disconnect(answer),
        (Some(FaultEffect::NoAnswer { .. }), _) | (_, None) => CallReply::Never,
        (Some(FaultEffect::DelayMs(delay)), Some(answer)) => {
            CallReply::Later(Duration::from_millis(delay), answer)
        }
        (_, Some(answer)) => CallReply::Now(answer),
    }
}
