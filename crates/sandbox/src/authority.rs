//! What the data centres decide by themselves, before any account is asked: which keys are whose,
//! and where an account is at home.

use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, Serializable, enums, functions, types,
};

use crate::core::Core;
use crate::crypto::{decrypt_ige, message_key_v1, random, sha1, take};
use crate::dispatch::{Done, Origin, fleet_number, login_phone};
use crate::envelope::constructor;
use crate::keys::KeyId;
use crate::model::{Standing, UserId};
use crate::rpc::{self, Caller, RpcError};
use crate::session::SessionId;
use crate::sync::lock;

/// Where accounts are at home unless a test moves them.
pub(crate) const FIRST_DATA_CENTRE: i32 = 1;
/// How long two clients may seem to have one key: a connection that has ended may be noticed late.
const TWIN_GRACE: Duration = Duration::from_millis(500);
/// What a frozen account may not call: all methods that begin so.
const SHUT_BY_FREEZE: [&str; 12] = [
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
/// Length of what a temporary key's client proves its permanent key by.
const BINDING: usize = 72;
const INVALID_BINDING: RpcError = RpcError::bad_request("ENCRYPTED_MESSAGE_INVALID");

impl Core {
    /// Runs one call: here, if it is about keys, or by the accounts.
    pub(crate) fn perform(self: &Arc<Self>, origin: &Origin, caller: &Caller, body: &[u8]) -> Done {
        let method = constructor(body);
        if method == functions::auth::BindTempAuthKey::CONSTRUCTOR_ID {
            return self.bind(origin, &read(body)?).map(|answer| (answer.to_bytes(), Vec::new()));
        }
        if origin.key.is_none() {
            return Err(RpcError::unauthorized("AUTH_KEY_PERM_EMPTY"));
        }
        if self.keys.died(caller.key, origin.session.session) {
            return Err(RpcError::not_acceptable("AUTH_KEY_DUPLICATED"));
        }
        self.check_ban(caller, body)?;
        self.check_freeze(caller, method)?;
        match method {
            functions::auth::DropTempAuthKeys::CONSTRUCTOR_ID => Ok((true.to_bytes(), Vec::new())),
            functions::auth::ExportAuthorization::CONSTRUCTOR_ID => {
                self.export(caller).map(|answer| (answer, Vec::new()))
            }
            functions::auth::ImportAuthorization::CONSTRUCTOR_ID => {
                self.import(origin, &read(body)?).map(|answer| (answer, Vec::new()))
            }
            functions::auth::SendCode::CONSTRUCTOR_ID => {
                self.check_home(caller, body)?;
                self.run(caller, body)
            }
            functions::updates::GetState::CONSTRUCTOR_ID
            | functions::updates::GetDifference::CONSTRUCTOR_ID => {
                self.look_for_twins(origin.session, caller.key);
                self.run(caller, body)
            }
            _ => self.run(caller, body),
        }
    }

    /// Where the account of a user is at home.
    pub(crate) fn home(&self, user: UserId) -> i32 {
        lock(&self.homes).get(&user).copied().unwrap_or(FIRST_DATA_CENTRE)
    }

    /// Nobody who is banned gets anything done, or logs in.
    fn check_ban(&self, caller: &Caller, body: &[u8]) -> Result<(), RpcError> {
        let banned = lock(&self.banned);
        if banned.is_empty() {
            return Ok(());
        }
        let world = lock(&self.world);
        if let Standing::Member(user) = world.standing(caller.key) {
            let banned = banned.contains(&user);
            return if banned {
                Err(RpcError::unauthorized("USER_DEACTIVATED_BAN"))
            } else {
                Ok(())
            };
        }
        let phone = login_phone(body).unwrap_or_default();
        let banned = world.by_phone(&phone).is_some_and(|account| banned.contains(&account.user));
        if banned { Err(RpcError::bad_request("PHONE_NUMBER_BANNED")) } else { Ok(()) }
    }

    /// A frozen account may look at everything and change nothing that others see.
    fn check_freeze(&self, caller: &Caller, method: u32) -> Result<(), RpcError> {
        let name = rpc::name(method);
        if !SHUT_BY_FREEZE.iter().any(|prefix| name.starts_with(prefix)) {
            return Ok(());
        }
        let mut world = lock(&self.world);
        let frozen = world.account_of(caller.key).is_some_and(|own| own.frozen_since.is_some());
        if frozen {
            return Err(RpcError { code: 420, message: "FROZEN_METHOD_INVALID".into() });
        }
        Ok(())
    }

    /// A login begins where the account is at home.
    fn check_home(&self, caller: &Caller, body: &[u8]) -> Result<(), RpcError> {
        let phone = login_phone(body).unwrap_or_default();
        let user = lock(&self.world).by_phone(&phone).map(|account| account.user);
        match user.map(|user| self.home(user)) {
            Some(home) if home != caller.data_centre() => {
                Err(RpcError { code: 303, message: format!("PHONE_MIGRATE_{home}").into() })
            }
            _ => Ok(()),
        }
    }

    /// Binds a temporary key to the permanent one that its client proves to have.
    fn bind(
        &self,
        origin: &Origin,
        call: &functions::auth::BindTempAuthKey,
    ) -> Result<bool, RpcError> {
        let temporary = origin.session.key;
        let permanent = KeyId(call.perm_auth_key_id.cast_unsigned());
        let key = self.keys.permanent(permanent).ok_or(INVALID_BINDING)?;
        let (head, data) =
            call.encrypted_message.split_first_chunk::<24>().ok_or(INVALID_BINDING)?;
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
        if !self.keys.bind(temporary, permanent) {
            return Err(RpcError::bad_request("TEMP_AUTH_KEY_ALREADY_BOUND"));
        }
        Ok(true)
    }

    /// Gives a ticket that makes a key of another data centre the same client.
    fn export(&self, caller: &Caller) -> Result<Vec<u8>, RpcError> {
        let Standing::Member(user) = lock(&self.world).standing(caller.key) else {
            return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
        };
        let bytes = random::<16>().to_vec();
        lock(&self.tickets).insert(bytes.clone(), (caller.key, user));
        let exported = types::auth::ExportedAuthorization { id: user.0, bytes };
        Ok(enums::auth::ExportedAuthorization::Authorization(exported).to_bytes())
    }

    fn import(
        &self,
        origin: &Origin,
        call: &functions::auth::ImportAuthorization,
    ) -> Result<Vec<u8>, RpcError> {
        let ticket = lock(&self.tickets).remove(&call.bytes);
        let (key, user) = ticket
            .filter(|(_, user)| user.0 == call.id)
            .ok_or(RpcError::bad_request("AUTH_BYTES_INVALID"))?;
        let own =
            origin.key.filter(|own| *own != key).ok_or(RpcError::bad_request("DC_ID_INVALID"))?;
        self.keys.bind(own, key);
        // The client knows its own user; nothing but the identifier is looked at.
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

    /// Finds out whether another client has the key of `session` too, and lets the key die if so.
    fn look_for_twins(self: &Arc<Self>, session: SessionId, key: KeyId) {
        let same = |other| self.keys.principal(other) == Some(key);
        let twins = self.sessions.twins(session, same);
        if twins.is_empty() {
            return;
        }
        let core = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = core.stop.clone();
            if stop.run_until_cancelled(tokio::time::sleep(TWIN_GRACE)).await.is_none() {
                return;
            }
            let alive = |id: &SessionId| core.sessions.is_connected(*id);
            if alive(&session) && twins.iter().any(alive) {
                core.end_twins(key);
            }
        });
    }

    /// Does what Telegram does when one key is used by two clients: it is of no use to either.
    fn end_twins(&self, key: KeyId) {
        let user = match lock(&self.world).standing(key) {
            Standing::Member(user) => Some(user),
            Standing::Guest | Standing::Revoked => None,
        };
        let account = user.and_then(fleet_number);
        tracing::warn!(account, "two clients have the same key: their session is dead");
        lock(&self.duplicates).push(account);
        self.keys.kill(key);
        lock(&self.world).forget_key(key);
        // Both ask what is new, and are told; from then on the key is not logged in.
        let nudge = enums::Updates::TooLong.to_bytes();
        self.sessions.push(&self.clock, &nudge, |other| other == key);
    }
}

fn read<M: Deserializable>(body: &[u8]) -> Result<M, RpcError> {
    let arguments = body.get(4..).unwrap_or_default();
    M::deserialize(&mut Cursor::from_slice(arguments))
        .map_err(|_| RpcError::bad_request("INPUT_REQUEST_INVALID"))
}
