//! MTProto service messages: everything that is not a method of Telegram's API.

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, Serializable, enums, functions, types,
};

use crate::core::SandboxCore;
use crate::envelope::{EnvelopeError, Message};
use crate::keys::AuthKey;
use crate::session::{RequestProgress, SessionId};

/// The origin of a message.
pub(crate) struct MessageSource<'a> {
    pub(crate) core: &'a SandboxCore,
    pub(crate) key: &'a AuthKey,
    pub(crate) session: SessionId,
}

/// Maximum number of salts per request.
const MAX_SALTS: usize = 64;
/// Message state: received.
const RECEIVED: u8 = 4;
/// Message state: answered.
const ANSWERED: u8 = 64;
/// Message state: unknown.
const UNKNOWN: u8 = 1;

/// Handles a service message; returns `false` for a method call.
pub(crate) fn handle(from: &MessageSource<'_>, message: &Message) -> Result<bool, EnvelopeError> {
    let body = message.body.get(4..).unwrap_or_default();
    let MessageSource { core, session, .. } = *from;
    match message.constructor() {
        types::MsgsAck::CONSTRUCTOR_ID => {
            let ack: types::MsgsAck = read(body)?;
            core.sessions.acknowledge(session, &ack.msg_ids);
        }
        functions::Ping::CONSTRUCTOR_ID => {
            let ping: functions::Ping = read(body)?;
            pong(from, message.id, ping.ping_id);
        }
        functions::PingDelayDisconnect::CONSTRUCTOR_ID => {
            let ping: functions::PingDelayDisconnect = read(body)?;
            pong(from, message.id, ping.ping_id);
        }
        functions::GetFutureSalts::CONSTRUCTOR_ID => {
            let request: functions::GetFutureSalts = read(body)?;
            from.answer(message.id, false, future_salts(from, message.id, request.num));
        }
        types::MsgsStateReq::CONSTRUCTOR_ID => {
            let request: types::MsgsStateReq = read(body)?;
            let info = states(from, &request.msg_ids);
            let state = types::MsgsStateInfo { req_msg_id: message.id, info };
            from.answer(message.id, false, enums::MsgsStateInfo::Info(state).to_bytes());
        }
        types::MsgResendReq::CONSTRUCTOR_ID => {
            let request: types::MsgResendReq = read(body)?;
            core.sessions.resend(session, &core.clock, &request.msg_ids);
        }
        functions::DestroySession::CONSTRUCTOR_ID => {
            let request: functions::DestroySession = read(body)?;
            destroy_session(from, message.id, request.session_id);
        }
        functions::DestroyAuthKey::CONSTRUCTOR_ID => {
            let answer = enums::DestroyAuthKeyRes::DestroyAuthKeyOk;
            from.answer(message.id, true, answer.to_bytes());
            core.forget_key(from.key.id);
        }
        types::MsgsAllInfo::CONSTRUCTOR_ID | types::MsgsStateInfo::CONSTRUCTOR_ID => {}
        _ => return Ok(false),
    }
    Ok(true)
}

impl MessageSource<'_> {
    fn answer(&self, request: i64, content: bool, body: Vec<u8>) {
        self.core.sessions.answer(self.session, &self.core.clock, request, (content, body));
    }
}

fn read<T: Deserializable>(body: &[u8]) -> Result<T, EnvelopeError> {
    T::deserialize(&mut Cursor::from_slice(body)).map_err(|_| EnvelopeError::Malformed)
}

fn pong(from: &MessageSource<'_>, msg_id: i64, ping_id: i64) {
    let pong = enums::Pong::Pong(types::Pong { msg_id, ping_id });
    from.answer(msg_id, false, pong.to_bytes());
}

fn future_salts(from: &MessageSource<'_>, request: i64, wanted: i32) -> Vec<u8> {
    let now = from.core.clock.now();
    let count = usize::try_from(wanted).unwrap_or(0).clamp(1, MAX_SALTS);
    let salts = from.key.salts(now).take(count).map(|salt| types::FutureSalt {
        valid_since: salt.since,
        valid_until: salt.until,
        salt: salt.value,
    });
    // Only in this type are the vector and its elements bare.
    let mut body = Vec::new();
    types::FutureSalts::CONSTRUCTOR_ID.serialize(&mut body);
    request.serialize(&mut body);
    now.serialize(&mut body);
    grammers_tl_types::RawVec(salts.collect()).serialize(&mut body);
    body
}

fn states(from: &MessageSource<'_>, requests: &[i64]) -> Vec<u8> {
    let progress = from.core.sessions.progress(from.session, &from.core.clock, requests);
    let state = |progress: Option<RequestProgress>| match progress {
        None => UNKNOWN,
        Some(RequestProgress::Taken) => RECEIVED,
        Some(RequestProgress::Answered(_)) => RECEIVED | ANSWERED,
    };
    progress.into_iter().map(state).collect()
}

fn destroy_session(from: &MessageSource<'_>, request: i64, session_id: i64) {
    let known = from.core.sessions.destroy(SessionId { session: session_id, ..from.session });
    let answer = if known {
        enums::DestroySessionRes::DestroySessionOk(types::DestroySessionOk { session_id })
    } else {
        enums::DestroySessionRes::DestroySessionNone(types::DestroySessionNone { session_id })
    };
    from.answer(request, false, answer.to_bytes());
}
