//! Whatever arrives as a command, an event or a name is read or refused, at a bounded cost.

use std::collections::BTreeMap;
use std::str;

use contracts::{
    AccountId, Body, CallerName, Command, CommandEnvelope, CommandId, Epoch, ErrorCode, ErrorInfo,
    ErrorSource, Event, EventEnvelope, EventId, EventMeta, Flow, Properties, RoutingKey, Shard,
};
use fuzzing::{allocated, fuzz, grows_linearly};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Map, Value, json};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");
/// Longest error string, in bytes: a name of 64 characters and a sentence.
const MAX_ERROR: usize = 400;
/// Members of the bodies whose cost is measured.
const MEMBERS: usize = 500;

/// What a file of the corpus has: the properties as lines `name: value`, an empty line, the body.
struct Sample<'a> {
    key: Option<RoutingKey>,
    properties: Properties,
    body: &'a [u8],
}

impl<'a> Sample<'a> {
    fn read(input: &'a [u8]) -> Self {
        let end = input.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = end.map_or((&[][..], input), |at| (&input[..at], &input[at + 2..]));
        let (mut key, mut properties) = (None, Properties::default());
        for line in String::from_utf8_lossy(head).lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            let value = value.to_owned();
            match name {
                "key" => key = value.parse().ok(),
                "message_id" => properties.message_id = Some(value),
                "correlation_id" => properties.correlation_id = Some(value),
                "reply_to" => properties.reply_to = Some(value),
                "traceparent" => properties.traceparent = Some(value),
                _ => {}
            }
        }
        Self { key, properties, body }
    }

    fn command(&self) -> Result<Command<'a>, contracts::UnreadableCommand> {
        Command::read(self.body, &self.properties, self.key.as_ref())
    }
}

fn corpus(target: &str) -> String {
    format!("{CORPUS}/{target}")
}

#[test]
fn a_command_is_read_or_refused_at_a_cost_in_proportion_to_its_size() {
    fuzz(corpus("command"), |input| {
        let sample = Sample::read(input);
        let (read, bytes) = allocated(|| sample.command());
        prop_assert!(bytes <= 64 * input.len() + 8192, "{bytes} bytes are allocated");
        match read {
            Ok(command) => readable(&sample, &command),
            Err(refusal) => {
                prop_assert!(refusal.error.len() <= MAX_ERROR, "{} bytes", refusal.error.len());
                if let Some(key) = &sample.key {
                    prop_assert_eq!(refusal.account, Some(key.account));
                }
                Ok(())
            }
        }
    });
}

/// Account and name are those of the routing key, and the command survives being written and read.
fn readable(sample: &Sample<'_>, command: &Command<'_>) -> TestCaseResult {
    if let Some(key) = &sample.key {
        prop_assert_eq!(key.account, command.account);
    }
    let mut fields = Map::new();
    for field in &command.fields {
        // Numbers beyond what a `Value` holds stay as they are only in the body.
        let Ok(value) = serde_json::from_str(field.value.get()) else { return Ok(()) };
        prop_assert!(fields.insert(field.name.to_string(), value).is_none(), "twice in the fields");
    }
    let id = command.id.clone().unwrap_or_else(CommandId::random);
    let written = CommandEnvelope {
        name: &command.name,
        account: command.account,
        fields: &fields,
        id: &id,
        correlation_id: command.meta.correlation_id.as_deref(),
        traceparent: None,
        issued_at: Timestamp::UNIX_EPOCH,
        deadline: command.meta.deadline,
        flow: Flow::Hi,
        shard: Shard(0),
        expected_owner_epoch: command.meta.expected_owner_epoch,
    };
    let body = written.encode().map_err(|error| TestCaseError::fail(error.to_string()))?;
    let again = Command::read(&body, &Properties::default(), None);
    let again = again.map_err(|refusal| TestCaseError::fail(refusal.error.into_owned()))?;
    prop_assert_eq!((&again.name, again.account), (&command.name, command.account));
    prop_assert_eq!(again.id, Some(id));
    prop_assert_eq!(&again.meta.correlation_id, &command.meta.correlation_id);
    prop_assert_eq!(again.meta.expected_owner_epoch, command.meta.expected_owner_epoch);
    let read: BTreeMap<String, Option<Value>> = again
        .fields
        .iter()
        .map(|field| (field.name.to_string(), serde_json::from_str(field.value.get()).ok()))
        .collect();
    prop_assert_eq!(read, fields.into_iter().map(|(name, value)| (name, Some(value))).collect());
    Ok(())
}

#[test]
fn an_event_is_read_or_not_and_what_is_written_is_read() {
    fuzz(corpus("event"), |input| {
        let (read, bytes) = allocated(|| EventEnvelope::read(input));
        prop_assert!(bytes <= 4 * input.len() + 1024, "{bytes} bytes are allocated");
        if let Some(EventEnvelope { id: Some(id), .. }) = read {
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
        let text = String::from_utf8_lossy(input);
        let info = ErrorInfo::new(ErrorCode::Internal, ErrorSource::Tdlib, false);
        written(&text, Body::Error(text.clone().into_owned().into(), Box::new(info)))?;
        if serde_json::from_slice::<Value>(input).is_ok() {
            written(&text, Body::Result(text.clone().into()))?;
        }
        Ok(())
    });
}

fn written(text: &str, body: Body) -> TestCaseResult {
    let failed = matches!(body, Body::Error(..));
    let account = AccountId::new(7).ok_or_else(|| TestCaseError::fail("an account"))?;
    let meta = EventMeta {
        command_id: CommandId::new(text),
        correlation_id: Some(text.into()),
        trace_id: Some(text.into()),
        requested_by: CallerName::new(text),
        occurred_at: Timestamp::UNIX_EPOCH,
    };
    let prev = EventId::first(Epoch(u64::MAX));
    let event = Event { account, kind: text.to_owned().into(), body, meta };
    let mut json = Vec::new();
    event.encode(prev.next(), Some(prev), &mut json);
    let expected =
        EventEnvelope { account: Some(account), id: Some(prev.next()), prev: Some(prev), failed };
    prop_assert_eq!(EventEnvelope::read(&json), Some(expected));
    let event: Value = serde_json::from_slice(&json)
        .map_err(|error| TestCaseError::fail(format!("{error}: {}", json.escape_ascii())))?;
    prop_assert_eq!(&event["payload"]["type"], &json!(text));
    prop_assert_eq!(&event["payload"]["_meta"]["correlation_id"], &json!(text));
    Ok(())
}

/// RabbitMQ and Redis compare names as bytes, so a text must not be read as another's name.
#[test]
fn a_routing_key_that_is_read_is_written_as_it_was() {
    fuzz(corpus("key"), |input| {
        let Ok(text) = str::from_utf8(input) else { return Ok(()) };
        if let Ok(key) = text.parse::<RoutingKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
        Ok(())
    });
}

#[test]
fn reading_a_command_takes_time_in_proportion_to_its_size() {
    let read = |body: &String| {
        let command = Command::read(body.as_bytes(), &Properties::default(), None);
        // Kept or refused, but read.
        drop(command);
    };
    let wrapped = |members: String| format!(r#"{{"command": "a", "userbot_id": 1, {members}}}"#);
    let distinct = |parts: usize| {
        let members: Vec<_> = (0..parts).map(|part| format!(r#""f{part}": {part}"#)).collect();
        wrapped(members.join(","))
    };
    grows_linearly(MEMBERS, distinct, read);
    let escaped = |parts: usize| wrapped(format!(r#""x": "{}""#, r"\u0041".repeat(parts)));
    grows_linearly(MEMBERS, escaped, read);
    let meta =
        |parts: usize| wrapped(format!(r#""_meta": {{{}"x": 1}}"#, r#""x": 1,"#.repeat(parts)));
    grows_linearly(MEMBERS, meta, read);
    let open = |parts: usize| wrapped(format!(r#""x": {}"#, "[".repeat(parts)));
    grows_linearly(MEMBERS, open, read);
}
