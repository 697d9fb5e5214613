//! From the body of a call to its answer: wrappers, the method's handler, what is pushed after it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, Serializable, deserialize, enums, functions, types,
};

use crate::core::Core;
use crate::envelope::{GZIP_PACKED, constructor, gunzip};
use crate::faults::Effect;
use crate::keys::KeyId;
use crate::model::{Standing, UserId, fleet_user};
use crate::record;
use crate::rpc::{self, Caller, Client, Ctx, Entry, Push, RpcError};
use crate::session::SessionId;
use crate::sync::lock;

/// Where a call came from.
pub(crate) struct Origin {
    /// The key the accounts know the client by; `None` for a temporary key that is not bound.
    pub(crate) key: Option<KeyId>,
    /// The message that the call is, or is a part of.
    pub(crate) message: i64,
    pub(crate) session: SessionId,
    /// The data centre the client believes to talk to.
    pub(crate) dc: i16,
    pub(crate) address: IpAddr,
}

/// What happens to the client.
pub(crate) enum Reply {
    Now(Vec<u8>),
    Later(Duration, Vec<u8>),
    Never,
    /// The connection ends; the answer, if it was run, waits for the next one.
    Disconnect(Option<Vec<u8>>),
}

/// A call's reply, and what other sessions hear of it.
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    pub(crate) pushes: Vec<Push>,
}

/// A method's answer and what is pushed after it.
pub(crate) type Done = Result<(Vec<u8>, Vec<Push>), RpcError>;

/// A call without its wrappers.
struct Call {
    client: Option<Client>,
    updates: bool,
    body: Vec<u8>,
}

/// The rest of a message, whatever it is.
struct Rest(Vec<u8>);

impl Deserializable for Rest {
    fn deserialize(buffer: &mut Cursor<'_>) -> deserialize::Result<Self> {
        let mut rest = Vec::new();
        buffer.read_to_end(&mut rest)?;
        Ok(Self(rest))
    }
}

impl Outcome {
    fn error(error: &RpcError) -> Self {
        Self { reply: Reply::Now(error.to_bytes()), pushes: Vec::new() }
    }
}

impl Core {
    /// Runs one call, unless a fault is in its way, and records it.
    pub(crate) fn call(self: &Arc<Self>, origin: &Origin, body: &[u8]) -> Outcome {
        let Ok(call) = unwrap(body) else {
            return Outcome::error(&RpcError::bad_request("INPUT_REQUEST_INVALID"));
        };
        let caller = self.caller(origin, call.client);
        if call.updates && self.keys.takes_updates(origin.session.key) {
            self.sessions.subscribe(origin.session, caller.key);
        }
        let method = constructor(&call.body);
        let account = self.account_of(caller.key, &call.body);
        let effect = self.faults.strike(account, rpc::name(method));
        let result = match effect.as_ref() {
            Some(effect) if !effect.runs() => {
                effect.answer().map(|answer| answer.map(|body| (body, Vec::new())))
            }
            _ => Some(self.perform(origin, &caller, &call.body)),
        };
        let outcome = outcome(effect.as_ref(), result.as_ref());
        let entry = record::Entry { key: caller.key, account, method, body: call.body, outcome };
        self.record.add(entry);
        // Logins, and what ends them, are all in here.
        if matches!(rpc::name(method).split_once('.'), Some(("auth" | "account", _))) {
            self.changed.notify_one();
        }
        let (answer, pushes) = match result {
            Some(Ok((answer, pushes))) => (Some(answer), pushes),
            Some(Err(error)) => (Some(error.to_bytes()), Vec::new()),
            None => (None, Vec::new()),
        };
        Outcome { reply: reply(effect, answer), pushes }
    }

    /// The fleet's number of the account that calls, or that a login is for.
    fn account_of(&self, key: KeyId, body: &[u8]) -> Option<u32> {
        let world = lock(&self.world);
        let user = match world.standing(key) {
            Standing::Member(user) => Some(user),
            Standing::Guest | Standing::Revoked => {
                login_phone(body).and_then(|phone| world.by_phone(&phone)).map(|found| found.user)
            }
        };
        user.and_then(fleet_number)
    }

    fn caller(&self, origin: &Origin, client: Option<Client>) -> Caller {
        let key = origin.key.unwrap_or(origin.session.key);
        let mut clients = lock(&self.clients);
        if let Some(client) = client {
            clients.insert(key, client);
        }
        let client = clients.get(&key).cloned().unwrap_or_default();
        Caller { key, dc: origin.dc, address: origin.address, client }
    }

    /// Runs a method of the API.
    pub(crate) fn run(&self, caller: &Caller, body: &[u8]) -> Done {
        let id = constructor(body);
        let entry = rpc::find(id);
        let mut world = lock(&self.world);
        match world.standing(caller.key) {
            Standing::Revoked => return Err(RpcError::unauthorized("SESSION_REVOKED")),
            Standing::Guest if entry.is_some_and(Entry::needs_login) => {
                return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
            }
            Standing::Guest | Standing::Member(_) => {}
        }
        let Some(entry) = entry else {
            self.record.count_unknown(id);
            return Err(RpcError::bad_request("SANDBOX_NOT_IMPLEMENTED"));
        };
        let now = self.clock.now();
        let mut ctx = Ctx { world: &mut world, caller, now, pushes: Vec::new() };
        let answer = entry.run(&mut ctx, body)?;
        Ok((answer, ctx.pushes))
    }

    /// Sends updates to the sessions they are meant for.
    pub(crate) fn publish(&self, pushes: Vec<Push>) {
        for push in pushes {
            let keys = lock(&self.world).keys_of(push.to);
            let body = push.updates.to_bytes();
            self.sessions.push(&self.clock, &body, |key| keys.contains(&key));
        }
    }
}

/// What the record says of a call.
fn outcome(effect: Option<&Effect>, result: Option<&Done>) -> String {
    match (effect, result) {
        (Some(Effect::NoAnswer { .. } | Effect::Disconnect { .. }), _) | (_, None) => {
            "no answer".to_owned()
        }
        (_, Some(Ok(_))) => "ok".to_owned(),
        (_, Some(Err(error))) => format!("{} {}", error.code, error.message),
    }
}

fn reply(effect: Option<Effect>, answer: Option<Vec<u8>>) -> Reply {
    match (effect, answer) {
        (Some(Effect::Disconnect { .. }), answer) => Reply::Disconnect(answer),
        (Some(Effect::NoAnswer { .. }), _) | (_, None) => Reply::Never,
        (Some(Effect::DelayMs(delay)), Some(answer)) => {
            Reply::Later(Duration::from_millis(delay), answer)
        }
        (_, Some(answer)) => Reply::Now(answer),
    }
}

/// The number a user has in the fleet, if it has one.
pub(crate) fn fleet_number(user: UserId) -> Option<u32> {
    u32::try_from(user.0 - fleet_user(0).0).ok().filter(|number| 0 < *number)
}

/// The phone number a login is for: before it, that is all there is to know a client by.
pub(crate) fn login_phone(body: &[u8]) -> Option<String> {
    let mut cursor = Cursor::from_slice(body.get(4..)?);
    match constructor(body) {
        functions::auth::SendCode::CONSTRUCTOR_ID => {
            Some(functions::auth::SendCode::deserialize(&mut cursor).ok()?.phone_number)
        }
        functions::auth::ResendCode::CONSTRUCTOR_ID => {
            Some(functions::auth::ResendCode::deserialize(&mut cursor).ok()?.phone_number)
        }
        functions::auth::SignIn::CONSTRUCTOR_ID => {
            Some(functions::auth::SignIn::deserialize(&mut cursor).ok()?.phone_number)
        }
        _ => None,
    }
}

/// Takes the wrappers off a call: they come in any order and depth.
fn unwrap(body: &[u8]) -> Result<Call, deserialize::Error> {
    let mut call = Call { client: None, updates: true, body: body.to_vec() };
    loop {
        let arguments = call.body.get(4..).unwrap_or_default();
        let mut cursor = Cursor::from_slice(arguments);
        let inner = match constructor(&call.body) {
            functions::InvokeWithLayer::<Rest>::CONSTRUCTOR_ID => {
                functions::InvokeWithLayer::<Rest>::deserialize(&mut cursor)?.query
            }
            functions::InitConnection::<Rest>::CONSTRUCTOR_ID => {
                let init = functions::InitConnection::<Rest>::deserialize(&mut cursor)?;
                call.client = Some(Client {
                    api_id: init.api_id,
                    device_model: init.device_model,
                    system_version: init.system_version,
                    app_version: init.app_version,
                });
                init.query
            }
            functions::InvokeAfterMsg::<Rest>::CONSTRUCTOR_ID => {
                functions::InvokeAfterMsg::<Rest>::deserialize(&mut cursor)?.query
            }
            functions::InvokeAfterMsgs::<Rest>::CONSTRUCTOR_ID => {
                functions::InvokeAfterMsgs::<Rest>::deserialize(&mut cursor)?.query
            }
            functions::InvokeWithoutUpdates::<Rest>::CONSTRUCTOR_ID => {
                call.updates = false;
                functions::InvokeWithoutUpdates::<Rest>::deserialize(&mut cursor)?.query
            }
            GZIP_PACKED => Rest(gunzip(&call.body).map_err(|_| deserialize::Error::UnexpectedEof)?),
            _ => return Ok(call),
        };
        call.body = inner.0;
    }
}

impl RpcError {
    fn to_bytes(&self) -> Vec<u8> {
        let error =
            types::RpcError { error_code: self.code, error_message: self.message.to_string() };
        enums::RpcError::Error(error).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_come_off_in_any_order() {
        let query = functions::InvokeAfterMsg { msg_id: 1, query: functions::help::GetConfig {} };
        let init = functions::InitConnection {
            api_id: 5,
            device_model: "Phone".to_owned(),
            system_version: String::new(),
            app_version: String::new(),
            system_lang_code: String::new(),
            lang_pack: String::new(),
            lang_code: String::new(),
            proxy: None,
            params: None,
            query: functions::InvokeWithoutUpdates { query },
        };
        let call = unwrap(&functions::InvokeWithLayer { layer: 222, query: init }.to_bytes());
        let call = call.unwrap();
        assert_eq!(call.body, functions::help::GetConfig {}.to_bytes());
        assert!(!call.updates);
        assert_eq!(call.client.unwrap().device_model, "Phone");
    }
}
