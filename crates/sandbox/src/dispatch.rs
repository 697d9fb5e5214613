//! From the body of a call to its answer: wrappers, the method's handler, what is pushed after it.

use std::net::IpAddr;
use std::time::Duration;

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, Serializable, deserialize, enums, functions, types,
};

use crate::core::Core;
use crate::envelope::{GZIP_PACKED, constructor, gunzip};
use crate::keys::KeyId;
use crate::model::Standing;
use crate::rpc::{self, Caller, Client, Ctx, Entry, Push, RpcError};
use crate::session::SessionId;
use crate::sync::lock;

/// Where a call came from.
pub(crate) struct Origin {
    /// The client's permanent key.
    pub(crate) key: KeyId,
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
    Disconnect,
}

/// A call's reply, and what other sessions hear of it.
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    pub(crate) pushes: Vec<Push>,
}

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

impl Core {
    /// Runs one call.
    pub(crate) fn call(&self, origin: &Origin, body: &[u8]) -> Outcome {
        let result = match unwrap(body) {
            Ok(call) => self.run(origin, call),
            Err(_) => Err(RpcError::bad_request("INPUT_REQUEST_INVALID")),
        };
        let (body, pushes) = result.unwrap_or_else(|error| (error.to_bytes(), Vec::new()));
        Outcome { reply: Reply::Now(body), pushes }
    }

    fn run(&self, origin: &Origin, call: Call) -> Result<(Vec<u8>, Vec<Push>), RpcError> {
        let mut clients = lock(&self.clients);
        if let Some(client) = call.client {
            clients.insert(origin.key, client);
        }
        let client = clients.get(&origin.key).cloned().unwrap_or_default();
        drop(clients);
        if call.updates {
            self.sessions.subscribe(origin.session);
        }
        let caller = Caller { key: origin.key, dc: origin.dc, address: origin.address, client };
        let id = constructor(&call.body);
        let entry = rpc::find(id);
        let mut world = lock(&self.world);
        match world.standing(origin.key) {
            Standing::Revoked => return Err(RpcError::unauthorized("SESSION_REVOKED")),
            Standing::Guest if entry.is_some_and(Entry::needs_login) => {
                return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
            }
            Standing::Guest | Standing::Member(_) => {}
        }
        let Some(entry) = entry else {
            self.unknown.count(id);
            return Err(RpcError::bad_request("SANDBOX_NOT_IMPLEMENTED"));
        };
        let now = self.clock.now();
        let mut ctx = Ctx { world: &mut world, caller: &caller, now, pushes: Vec::new() };
        let answer = entry.run(&mut ctx, &call.body)?;
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
