//! Which keys belong to the same client: temporary keys, and those of other data centres.

use grammers_tl_types::{Cursor, Deserializable, Serializable, enums, functions, types};

use crate::call::CallOrigin;
use crate::core::SandboxCore;
use crate::crypto::{decrypt_ige, message_key_v1, random, sha1, take};
use crate::keys::KeyId;
use crate::model::KeyStatus;
use crate::rpc::{Caller, RpcError};
use crate::sync::lock;

/// Length of the proof that a client has the permanent key.
const BINDING: usize = 72;
const INVALID_BINDING: RpcError = RpcError::bad_request("ENCRYPTED_MESSAGE_INVALID");

/// Binds a temporary key to the permanent key that its client proves to have.
pub(crate) fn bind(
    core: &SandboxCore,
    origin: &CallOrigin,
    call: &functions::auth::BindTempAuthKey,
) -> Result<bool, RpcError> {
    let temporary = origin.session.key;
    let permanent = KeyId(call.perm_auth_key_id.cast_unsigned());
    let key = core.keys.permanent(permanent).ok_or(INVALID_BINDING)?;
    let (head, data) = call.encrypted_message.split_first_chunk::<24>().ok_or(INVALID_BINDING)?;
    let msg_key: [u8; 16] = take(head, 8);
    let mut data = data.to_vec();
    decrypt_ige(&mut data, &message_key_v1(&key.bytes, &msg_key));
    let proof = data.first_chunk::<BINDING>().ok_or(INVALID_BINDING)?;
    let inner = enums::BindAuthKeyInner::deserialize(&mut Cursor::from_slice(&proof[32..]))
        .map_err(|_| INVALID_BINDING)?;
    let expected = enums::BindAuthKeyInner::Inner(types::BindAuthKeyInner {
        nonce: call.nonce,
        temp_auth_key_id: temporary.0.cast_signed(),
        perm_auth_key_id: call.perm_auth_key_id,
        temp_session_id: origin.session.session,
        expires_at: call.expires_at,
    });
    let names_both = head[..8] == permanent.0.to_le_bytes()
        && take(&sha1(&[proof]), 4) == msg_key
        && i64::from_le_bytes(take(proof, 16)) == origin.message
        && inner == expected;
    if !names_both {
        return Err(INVALID_BINDING);
    }
    if !core.keys.bind(temporary, permanent) {
        return Err(RpcError::bad_request("TEMP_AUTH_KEY_ALREADY_BOUND"));
    }
    Ok(true)
}

/// Issues a token with which a key of another data centre becomes the same client.
pub(crate) fn export(core: &SandboxCore, caller: &Caller) -> Result<Vec<u8>, RpcError> {
    let KeyStatus::LoggedIn(user) = lock(&core.world).key_status(caller.key) else {
        return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
    };
    let bytes = random::<16>().to_vec();
    lock(&core.tickets).insert(bytes.clone(), (caller.key, user));
    let exported = types::auth::ExportedAuthorization { id: user.0, bytes };
    Ok(enums::auth::ExportedAuthorization::Authorization(exported).to_bytes())
}

pub(crate) fn import(
    core: &SandboxCore,
    origin: &CallOrigin,
    call: &functions::auth::ImportAuthorization,
) -> Result<Vec<u8>, RpcError> {
    let ticket = lock(&core.tickets).remove(&call.bytes);
    let (key, user) = ticket
        .filter(|(_, user)| user.0 == call.id)
        .ok_or(RpcError::bad_request("AUTH_BYTES_INVALID"))?;
    let own = origin.key.filter(|own| *own != key).ok_or(RpcError::bad_request("DC_ID_INVALID"))?;
    core.keys.bind(own, key);
    // The client knows its own user; it reads only the id.
    let user = enums::User::Empty(types::UserEmpty { id: user.0 });
    Ok(enums::auth::Authorization::Authorization(types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user,
    })
    .to_bytes())
}
