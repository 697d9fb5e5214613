//! Answers of the scripts as responses.

use std::str::FromStr;

use bytes::Bytes;
use contracts::{AccountId, CommandId, Epoch, EventId, Flow, Properties};
use deadpool_redis::redis::{
    ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value, from_redis_value,
};
use log_port::{AdmissionVerdict, LogHead, PendingCommand, PendingPosition};
use tracing::warn;

use crate::redis::encode::PENDING_FLOWS;
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
pub(super) type StreamEntry = (String, Vec<(Bytes, Bytes)>);

pub(super) fn is_no_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// The response to a request about `account`.
pub(super) fn response(account: AccountId, answer: Value) -> Result<StoreResponse, StoreError> {
    match answer {
        Value::ServerError(error) if SERVER_WIDE.contains(&error.code()) => {
            Err(StoreError::Refusing(error.to_string()))
        }
        Value::ServerError(error) => Ok(StoreResponse::Refused(error.to_string())),
        // The account's keys hold something that no worker wrote.
        Value::Array(words) => Ok(read_words(account, words)
            .unwrap_or_else(|| StoreResponse::Refused("unreadable keys".to_owned()))),
        _ => Err(StoreError::Answer(RedisError::from((
            ErrorKind::UnexpectedReturnType,
            "not the script's answer",
        )))),
    }
}

fn read_words(account: AccountId, words: Vec<Value>) -> Option<StoreResponse> {
    let mut words = words.into_iter();
    let kind: String = next(&mut words)?;
    Some(match kind.as_str() {
        "claimed" => StoreResponse::Claimed(Box::new(log_head(account, words)?)),
        "stored" => StoreResponse::Stored { unheard: next::<String>(&mut words)?.parse().ok()? },
        "already" => StoreResponse::AlreadyStored,
        "begun" => StoreResponse::Admitted(words.map(verdict).collect::<Option<_>>()?),
        "done" => StoreResponse::Done,
        "fenced" => {
            StoreResponse::Fenced { current: Epoch(next::<String>(&mut words)?.parse().ok()?) }
        }
        "occupied" => StoreResponse::Occupied { top: next::<String>(&mut words)?.parse().ok()? },
        "gap" => StoreResponse::Gap { last: optional_id(&next::<String>(&mut words)?).ok()? },
        _ => return None,
    })
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

fn log_head(account: AccountId, mut words: impl Iterator<Item = Value>) -> Option<LogHead> {
    let last = optional_id(&next::<String>(&mut words)?).ok()?;
    let opened: String = next(&mut words)?;
    let logged_in: String = next(&mut words)?;
    let mut pending = Vec::new();
    for (flow, list) in PENDING_FLOWS.into_iter().zip(words) {
        let entries: Vec<StreamEntry> = from_redis_value(list).ok()?;
        pending.extend(entries.into_iter().filter_map(|entry| read_pending(account, flow, entry)));
    }
    let opened = opened.parse().ok().map(Epoch);
    Some(LogHead { last, pending, opened, logged_in: logged_in == "1" })
}

/// Reads an entry that `encode` wrote.
fn read_pending(
    account: AccountId,
    flow: Flow,
    (id, fields): StreamEntry,
) -> Option<PendingCommand> {
    let command = pending_command(flow, &id, fields);
    if command.is_none() {
        warn!(account.id = %account, %flow, entry = id, "an entry of a pending list is no command");
    }
    command
}

fn pending_command(flow: Flow, id: &str, fields: Vec<(Bytes, Bytes)>) -> Option<PendingCommand> {
    let (mut command, mut routing_key, mut body) = (None, None, None);
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
            _ => {}
        }
    }
    let position = PendingPosition { flow, id: id.parse().ok()? };
    Some(PendingCommand {
        position,
        command: command?,
        body: body?,
        routing_key: routing_key?,
        properties,
    })
}
