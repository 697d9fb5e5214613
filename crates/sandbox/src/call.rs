//! One call as a message carries it: where it came from, and the method inside its wrappers.

use std::net::IpAddr;

use grammers_tl_types::{Cursor, Deserializable, Identifiable, deserialize, functions};

use crate::envelope::{GZIP_PACKED, constructor, gunzip};
use crate::keys::KeyId;
use crate::rpc::{ClientInfo, RpcError, UpdatePush};
use crate::session::SessionId;

/// The origin of a call.
pub(crate) struct CallOrigin {
    /// The client's permanent key; `None` for a temporary key that is not bound.
    pub(crate) key: Option<KeyId>,
    /// Id of the message that contains the call.
    pub(crate) message: i64,
    pub(crate) session: SessionId,
    /// The data centre that the client addresses.
    pub(crate) dc: i16,
    pub(crate) address: IpAddr,
}

/// A method's answer, and the updates pushed after it.
pub(crate) type MethodResult = Result<(Vec<u8>, Vec<UpdatePush>), RpcError>;

/// A call without its wrappers (`invokeWithLayer`, `initConnection`, …).
pub(crate) struct UnwrappedCall {
    pub(crate) client: Option<ClientInfo>,
    pub(crate) updates: bool,
    pub(crate) body: Vec<u8>,
}

/// The remaining bytes of a message, not decoded.
struct RawBody(Vec<u8>);

impl Deserializable for RawBody {
    fn deserialize(buffer: &mut Cursor<'_>) -> deserialize::Result<Self> {
        let mut rest = Vec::new();
        buffer.read_to_end(&mut rest)?;
        Ok(Self(rest))
    }
}

/// The phone number of a login: before the login, it is all that identifies a client.
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

/// Removes the wrappers of a call; they occur in any order and depth.
pub(crate) fn unwrap(body: &[u8]) -> Result<UnwrappedCall, deserialize::Error> {
    let mut call = UnwrappedCall { client: None, updates: true, body: body.to_vec() };
    loop {
        let arguments = call.body.get(4..).unwrap_or_default();
        let mut cursor = Cursor::from_slice(arguments);
        let inner = match constructor(&call.body) {
            functions::InvokeWithLayer::<RawBody>::CONSTRUCTOR_ID => {
                functions::InvokeWithLayer::<RawBody>::deserialize(&mut cursor)?.query
            }
            functions::InitConnection::<RawBody>::CONSTRUCTOR_ID => {
                let init = functions::InitConnection::<RawBody>::deserialize(&mut cursor)?;
                call.client = Some(ClientInfo {
                    api_id: init.api_id,
                    device_model: init.device_model,
                    system_version: init.system_version,
                    app_version: init.app_version,
                });
                init.query
            }
            functions::InvokeAfterMsg::<RawBody>::CONSTRUCTOR_ID => {
                functions::InvokeAfterMsg::<RawBody>::deserialize(&mut cursor)?.query
            }
            functions::InvokeAfterMsgs::<RawBody>::CONSTRUCTOR_ID => {
                functions::InvokeAfterMsgs::<RawBody>::deserialize(&mut cursor)?.query
            }
            functions::InvokeWithoutUpdates::<RawBody>::CONSTRUCTOR_ID => {
                call.updates = false;
                functions::InvokeWithoutUpdates::<RawBody>::deserialize(&mut cursor)?.query
            }
            GZIP_PACKED => {
                RawBody(gunzip(&call.body).map_err(|_| deserialize::Error::UnexpectedEof)?)
            }
            _ => return Ok(call),
        };
        call.body = inner.0;
    }
}

/// Decodes the arguments of the call in `body`.
pub(crate) fn read_arguments<M: Deserializable>(body: &[u8]) -> Result<M, RpcError> {
    let arguments = body.get(4..).unwrap_or_default();
    M::deserialize(&mut Cursor::from_slice(arguments))
        .map_err(|_| RpcError::bad_request("INPUT_REQUEST_INVALID"))
}

#[cfg(test)]
mod tests {
    use grammers_tl_types::Serializable as _;

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
