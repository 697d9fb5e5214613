//! What the scripts say, read.

use std::str::FromStr;

use bytes::Bytes;
use contracts::{AccountId, CommandId, Epoch, EventId, Flow, Properties};
use deadpool_redis::redis::{
    ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value, from_redis_value,
};
use log_port::{AdmissionVerdict, LogHead, PendingCommand, PendingPosition};
use tracing::warn;

use crate::redis::command::LISTS;
use crate::store::{Outage, Verdict};

/// Codes that speak of the server and not of one key: everything waits until they are gone.
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

/// One entry of a stream: its id, then its fields and values in turn.
type Entry = (String, Vec<(String, Bytes)>);

pub(super) fn is_no_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// What became of a call about `account`.
pub(super) fn verdict(account: AccountId, answer: Value) -> Result<Verdict, Outage> {
    match answer {
        Value::ServerError(error) if SERVER_WIDE.contains(&error.code()) => {
            Err(Outage::Refusing(error.to_string()))
        }
        Value::ServerError(error) => Ok(Verdict::Refused(error.to_string())),
        Value::Array(words) => read(account, words).ok_or_else(unexpected),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> Outage {
    let kind = ErrorKind::UnexpectedReturnType;
    Outage::Answer(RedisError::from((kind, "not the script's answer")))
}

fn read(account: AccountId, words: Vec<Value>) -> Option<Verdict> {
    let mut words = words.into_iter();
    let kind: String = next(&mut words)?;
    Some(match kind.as_str() {
        "claimed" => Verdict::Claimed(Box::new(claimed(account, words)?)),
        "stored" => Verdict::Stored { unheard: next::<String>(&mut words)?.parse().ok()? },
        "already" => Verdict::Already,
        "begun" => Verdict::Admitted(words.map(begun).collect::<Option<_>>()?),
        "done" => Verdict::Done,
        "fenced" => Verdict::Fenced { current: Epoch(next::<String>(&mut words)?.parse().ok()?) },
        "gap" => Verdict::Gap { last: last(&next::<String>(&mut words)?).ok()? },
        _ => return None,
    })
}

fn next<T: FromRedisValue>(words: &mut impl Iterator<Item = Value>) -> Option<T> {
    from_redis_value(words.next()?).ok()
}

fn last(text: &str) -> Result<Option<EventId>, <EventId as FromStr>::Err> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

fn begun(word: Value) -> Option<AdmissionVerdict> {
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

fn claimed(account: AccountId, mut words: impl Iterator<Item = Value>) -> Option<LogHead> {
    let last = last(&next::<String>(&mut words)?).ok()?;
    let opened: String = next(&mut words)?;
    let logged_in: String = next(&mut words)?;
    let mut pending = Vec::new();
    for (flow, list) in LISTS.into_iter().zip(words) {
        let entries: Vec<Entry> = from_redis_value(list).ok()?;
        pending.extend(entries.into_iter().filter_map(|entry| parked(account, flow, entry)));
    }
    let opened = opened.parse().ok().map(Epoch);
    Some(LogHead { last, pending, opened, logged_in: logged_in == "1" })
}

/// Reads what `command` wrote.
fn parked(account: AccountId, flow: Flow, (id, fields): Entry) -> Option<PendingCommand> {
    let parked = entry(flow, &id, fields);
    if parked.is_none() {
        warn!(account.id = %account, %flow, entry = id, "an entry of a pending list is no command");
    }
    parked
}

fn entry(flow: Flow, id: &str, fields: Vec<(String, Bytes)>) -> Option<PendingCommand> {
    let (mut command, mut routing_key, mut body) = (None, None, None);
    let mut properties = Properties::default();
    for (name, value) in fields {
        if name == "b" {
            body = Some(value);
            continue;
        }
        let value = String::from_utf8(value.into()).ok()?;
        match name.as_str() {
            "i" => command = CommandId::new(&value),
            "k" => routing_key = Some(value),
            "m" => properties.message_id = Some(value),
            "c" => properties.correlation_id = Some(value),
            "r" => properties.reply_to = Some(value),
            "t" => properties.traceparent = Some(value),
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
