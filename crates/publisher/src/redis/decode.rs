//! Answers of the scripts as responses.

use std::str::FromStr;

use bytes::Bytes;
use contracts::{AccountId, CallerName, CommandId, Epoch, EventId, Flow, Properties};
use deadpool_redis::redis::{
    ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value, from_redis_value,
};
use log_port::{AdmissionVerdict, LogHead, PendingCommand, PendingPosition};
use tracing::warn;

use crate::redis::encode::PENDING_FLOWS;
use crate::redis::seal::LogSeal;
use crate::store::{StoreError, StoreResponse};

/// Error codes about the server, not about one key: everything waits until they are over.
const SERVER_WIDE: [&str; 12] = [
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
];

/// One entry of a stream: its id, and its fields with their values.
pub(crate) type StreamEntry = (String, Vec<(Bytes, Bytes)>);

pub(super) fn is_no_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// What an answer says.
pub(super) enum ScriptAnswer {
    Response(StoreResponse),
    /// The same, and answers among the events have no entry in the audit stream.
    Unaudited(StoreResponse),
    /// The same, and these entries of the pending lists were written by no owner.
    Foreign(StoreResponse, Vec<(Flow, String)>),
    /// The head has an epoch with a wrong code.
    ForgedEpoch {
        epoch: String,
        code: String,
    },
}

/// Reads the answer to a request about `account`.
pub(super) fn read_answer(
    account: AccountId,
    answer: Value,
    seal: &LogSeal,
) -> Result<ScriptAnswer, StoreError> {
    match answer {
        Value::ServerError(error) if SERVER_WIDE.contains(&error.code()) => {
            Err(StoreError::Refusing(error.to_string()))
        }
        Value::ServerError(error) => {
            Ok(ScriptAnswer::Response(StoreResponse::Refused(error.to_string())))
        }
        // The account's keys hold something that no worker wrote.
        Value::Array(words) => Ok(read_words(account, words, seal).unwrap_or_else(|| {
            ScriptAnswer::Response(StoreResponse::Refused("unreadable keys".to_owned()))
        })),
        _ => Err(StoreError::Answer(RedisError::from((
            ErrorKind::UnexpectedReturnType,
            "not the script's answer",
        )))),
    }
}

fn read_words(account: AccountId, words: Vec<Value>, seal: &LogSeal) -> Option<ScriptAnswer> {
    let mut words = words.into_iter();
    let kind: String = next(&mut words)?;
    let response = match kind.as_str() {
        "claimed" => return read_head(account, words, seal),
        "stored" => {
            let [unheard, unaudited]: [String; 2] = [next(&mut words)?, next(&mut words)?];
            let stored = StoreResponse::Stored { unheard: unheard.parse().ok()? };
            if unaudited != "0" {
                return Some(ScriptAnswer::Unaudited(stored));
            }
            stored
        }
        "already" => StoreResponse::AlreadyStored,
        "begun" => StoreResponse::Admitted(words.map(verdict).collect::<Option<_>>()?),
        "done" => StoreResponse::Done,
        "fenced" => {
            let [epoch, code]: [String; 2] = [next(&mut words)?, next(&mut words)?];
            match epoch.parse().ok().filter(|_| seal.has_field(account, "epoch", &epoch, &code)) {
                Some(current) => StoreResponse::Fenced { current: Epoch(current) },
                None => return Some(ScriptAnswer::ForgedEpoch { epoch, code }),
            }
        }
        "occupied" => StoreResponse::Occupied { top: next::<String>(&mut words)?.parse().ok()? },
        "gap" => StoreResponse::Gap { last: optional_id(&next::<String>(&mut words)?).ok()? },
        _ => return None,
    };
    Some(ScriptAnswer::Response(response))
}

fn next<T: FromRedisValue>(words: &mut impl Iterator<Item = Value>) -> Option<T> {
    from_redis_value(words.next()?).ok()
}

fn optional_id(text: &str) -> Result<Option<EventId>, <EventId as FromStr>::Err> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

fn verdict(word: Value) -> Option<AdmissionVerdict> {
    if let Value::Array(words) = word {
        let event = words.into_iter().nth(1).map(from_redis_value::<Bytes>);
        return Some(AdmissionVerdict::Done(event.transpose().ok()?));
    }
    let word: String = from_redis_value(word).ok()?;
    Some(match word.as_str() {
        "go" => AdmissionVerdict::Proceed,
        "conflict" => AdmissionVerdict::Conflict,
        "handed" => AdmissionVerdict::Dispatched,
        "poison" => AdmissionVerdict::Poison,
        _ => return None,
    })
}

fn read_head(
    account: AccountId,
    mut words: impl Iterator<Item = Value>,
    seal: &LogSeal,
) -> Option<ScriptAnswer> {
    let last = optional_id(&next::<String>(&mut words)?).ok()?;
    let mut field = |name: &str| {
        let [value, code]: [String; 2] = [next(&mut words)?, next(&mut words)?];
        let written = value.is_empty() || seal.has_field(account, name, &value, &code);
        if !written {
            warn!(account.id = %account, field = name, "a field of a head was written by no owner");
        }
        Some(value).filter(|_| written).or_else(|| Some(String::new()))
    };
    let opened = field("opened")?.parse().ok().map(Epoch);
    let logged_in = field("logged_in")? == "1";
    let (mut pending, mut foreign) = (Vec::new(), Vec::new());
    for (flow, list) in PENDING_FLOWS.into_iter().zip(words) {
        let entries: Vec<StreamEntry> = from_redis_value(list).ok()?;
        for (id, fields) in entries {
            match pending_command(account, flow, &id, fields, seal) {
                Some(command) => pending.push(command),
                None => foreign.push((flow, id)),
            }
        }
    }
    let head = LogHead { last, pending, opened, logged_in, foreign: foreign.len() };
    let response = StoreResponse::Claimed(Box::new(head));
    if foreign.is_empty() {
        return Some(ScriptAnswer::Response(response));
    }
    let entries = foreign.len();
    warn!(account.id = %account, entries, "entries of a pending list were written by no owner");
    Some(ScriptAnswer::Foreign(response, foreign))
}

/// Reads an entry that `encode` wrote; `None` if it did not.
fn pending_command(
    account: AccountId,
    flow: Flow,
    id: &str,
    fields: Vec<(Bytes, Bytes)>,
    seal: &LogSeal,
) -> Option<PendingCommand> {
    let (mut command, mut routing_key, mut body, mut code) = (None, None, None, None);
    let mut properties = Properties::default();
    for (name, value) in fields {
        if &name[..] == b"b" {
            body = Some(value);
            continue;
        }
        let value = String::from_utf8(value.into()).ok()?;
        match &name[..] {
            b"i" => command = CommandId::new(&value),
            b"k" => routing_key = Some(value),
            b"m" => properties.message_id = Some(value),
            b"c" => properties.correlation_id = Some(value),
            b"r" => properties.reply_to = Some(value),
            b"t" => properties.traceparent = Some(value),
            b"s" => code = Some(value),
            b"u" => properties.caller = CallerName::new(&value),
            _ => {}
        }
    }
    let position = PendingPosition { flow, id: id.parse().ok()? };
    let (command, body, routing_key) = (command?, body?, routing_key?);
    let command = PendingCommand { position, command, body, routing_key, properties };
    seal.has_pending(account, &command, &code?).then_some(command)
}
