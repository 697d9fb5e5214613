//! JSON Schemas of the bodies on the queues and of the events.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use owner_worker::{CommandDescription, catalog, event_schemas};
use serde_json::{Map, Value, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// All schemas, by their path below the repository's root.
pub(super) fn all() -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut documents = BTreeMap::new();
    let mut add = |folder: &str, name: &str, schema: &Value| {
        let path: PathBuf = ["schemas", folder, &format!("{name}.json")].iter().collect();
        let text = serde_json::to_string_pretty(schema).context("cannot encode a schema")?;
        documents.insert(path, text + "\n");
        anyhow::Ok(())
    };
    for command in catalog() {
        add("commands", command.name, &body(&command))?;
        let about = format!("The answer to `{}`.", command.name);
        let result = command.reply.clone().to_value();
        add("events", command.name, &event(&json!({"const": command.name}), &about, result))?;
    }
    for (name, about, result) in event_schemas() {
        add("events", name, &event(&json!({"const": name}), about, result.to_value()))?;
    }
    add("events", "update", &any_update())?;
    add("events", "error", &any_failure())?;
    Ok(documents)
}

/// The body of a command as it is published.
fn body(command: &CommandDescription) -> Value {
    let mut schema = command.arguments.clone().to_value();
    let name = json!({"const": command.name, "description": "The command's name."});
    let account = json!({
        "type": "integer", "minimum": 1, "maximum": contracts::ids::MAX_SAFE_INTEGER,
        "description": "The account.",
    });
    let id = json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": 128,
        "description": "The publisher's id of the command; it stays the same when the command is published again. AMQP's message_id if absent, else generated.",
    });
    let own = schema["properties"].as_object().cloned().unwrap_or_default();
    let mut properties = Map::new();
    properties.insert("command".to_owned(), name.clone());
    properties.insert(
        "action".to_owned(),
        json!({"const": command.name, "description": "The same as `command`."}),
    );
    properties.insert("userbot_id".to_owned(), account);
    properties.insert("command_id".to_owned(), id);
    properties.insert("_meta".to_owned(), command_meta());
    properties.extend(own);
    schema["properties"] = properties.into();
    if let Some(required) = schema["required"].as_array_mut() {
        required.insert(0, "userbot_id".into());
    }
    schema["anyOf"] = json!([{"required": ["command"]}, {"required": ["action"]}]);
    schema["examples"] = json!([example(command)]);
    schema
}

/// A whole body, from the example of the command's own fields.
pub(super) fn example(command: &CommandDescription) -> Value {
    let mut body = Map::new();
    body.insert("command".to_owned(), command.name.into());
    body.insert("userbot_id".to_owned(), 1.into());
    body.extend(command.example.as_object().cloned().unwrap_or_default());
    body.into()
}

fn command_meta() -> Value {
    json!({
        "type": ["object", "null"],
        "description": "About the command. Every member is optional; unknown members are ignored.",
        "properties": {
            "correlation_id": {"type": ["string", "null"], "description": "Echoed in the answer; AMQP's correlation_id."},
            "trace_id": {"type": ["string", "null"], "description": "Echoed in the answer; the trace id of the header traceparent."},
            "deadline": {"type": ["string", "null"], "format": "date-time", "description": "The command is not run after this time. One hour after the delivery unless given."},
            "expected_owner_epoch": {"type": ["integer", "null"], "minimum": 0, "description": "Refuses the command unless this is the owner's epoch."},
        },
    })
}

/// The envelope with `payload.type` and `payload.result` as given.
fn event(kind: &Value, about: &str, mut result: Value) -> Value {
    let definitions = take_definitions(&mut result);
    let payload = json!({
        "type": "object",
        "properties": {
            "userbot_id": {"type": "integer", "description": "The account."},
            "type": kind,
            "result": result,
            "_meta": event_meta(),
        },
        "required": ["userbot_id", "type", "result", "_meta"],
    });
    envelope(about, &payload, definitions)
}

fn any_update() -> Value {
    let about = "Any other TDLib update: TDLib's object, unchanged.";
    let kind = json!({"type": "string", "pattern": "^update"});
    let object = json!({
        "type": "object",
        "properties": {"@type": {"type": "string", "pattern": "^update"}},
        "required": ["@type"],
    });
    event(&kind, about, object)
}

fn any_failure() -> Value {
    let payload = json!({
        "type": "object",
        "properties": {
            "userbot_id": {"type": "integer", "description": "The account."},
            "type": {"type": "string", "pattern": "_error$", "description": "`<command>_error`."},
            "error": {"type": "string", "description": "What is wrong, in the contract's words or TDLib's."},
            "error_info": error_info(),
            "_meta": event_meta(),
        },
        "required": ["userbot_id", "type", "error", "error_info", "_meta"],
    });
    envelope("The answer to a command that failed.", &payload, None)
}

fn error_info() -> Value {
    json!({
        "type": "object",
        "description": "The same for programs.",
        "properties": {
            "code": {"enum": CODES, "description": "Append-only."},
            "source": {"enum": ["validation", "tdlib", "transport", "ownership", "internal"]},
            "retriable": {"type": "boolean", "description": "Whether the same command, sent again later, may succeed."},
            "tdlib_code": {"type": "integer", "description": "TDLib's error code."},
            "retry_after": {"type": "integer", "minimum": 0, "description": "Seconds to wait, where Telegram said so."},
            "details": {"type": "object"},
        },
        "required": ["code", "source", "retriable"],
    })
}

/// The names of [`contracts::ErrorCode`]; a test compares them.
pub(super) const CODES: &[&str] = &[
    "invalid_request",
    "unknown_command",
    "unknown_account",
    "not_ready",
    "busy",
    "not_owner",
    "expired",
    "outcome_unknown",
    "poison",
    "timeout",
    "flood_wait",
    "tdlib_error",
    "not_allowed",
    "internal",
];

fn event_meta() -> Value {
    let id = json!({"type": "string", "pattern": "^[0-9]+-[0-9]+$"});
    json!({
        "type": "object",
        "properties": {
            "event_id": id,
            "prev": id,
            "command_id": {"type": "string"},
            "correlation_id": {"type": "string"},
            "trace_id": {"type": "string"},
            "occurred_at": {"type": "string", "format": "date-time"},
            "schema_version": {"const": contracts::SCHEMA_VERSION},
        },
        "required": ["event_id", "occurred_at", "schema_version"],
    })
}

fn envelope(about: &str, payload: &Value, definitions: Option<Value>) -> Value {
    let mut schema = json!({
        "$schema": DIALECT,
        "description": about,
        "type": "object",
        "properties": {
            "type": {"const": "chat_update"},
            "userbot_id": {"type": "integer"},
            "payload": payload,
        },
        "required": ["type", "userbot_id", "payload"],
    });
    if let Some(definitions) = definitions {
        schema["$defs"] = definitions;
    }
    schema
}

/// References start at the document's root, so the definitions are moved there.
fn take_definitions(schema: &mut Value) -> Option<Value> {
    let members = schema.as_object_mut()?;
    members.shift_remove("$schema");
    members.shift_remove("title");
    members.shift_remove("$defs")
}

#[cfg(test)]
mod tests {
    use contracts::ErrorCode;

    use super::*;

    #[test]
    fn every_example_is_valid_by_its_own_schema() {
        for command in catalog() {
            let schema = body(&command);
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let example = example(&command);
            let faults: Vec<_> =
                validator.iter_errors(&example).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:?}", command.name);
        }
    }

    #[test]
    fn a_schema_rejects_what_the_worker_rejects() {
        let command = catalog().find(|command| command.name == "terminate_session").unwrap();
        let validator = jsonschema::draft202012::new(&body(&command)).unwrap();
        for (valid, request) in [
            (
                true,
                json!({"action": "terminate_session", "userbot_id": 1, "session_id": 987_654_321}),
            ),
            (true, json!({"command": "terminate_session", "userbot_id": 1, "session_id": "-5"})),
            (false, json!({"command": "terminate_session", "userbot_id": 1})),
            (false, json!({"command": "terminate_session", "userbot_id": 0, "session_id": 5})),
            (false, json!({"userbot_id": 1, "session_id": 5})),
            (
                false,
                json!({"command": "terminate_session", "userbot_id": 1, "session_id": 5, "x": 1}),
            ),
        ] {
            assert_eq!(validator.is_valid(&request), valid, "{request}");
        }
    }

    #[test]
    fn every_error_code_is_listed() {
        let named = |code: &str| serde_json::from_value::<ErrorCode>(code.into()).is_ok();
        assert!(CODES.iter().all(|code| named(code)));
        let unknown = serde_json::from_str::<ErrorCode>("\"?\"").unwrap_err().to_string();
        assert!(CODES.iter().all(|code| unknown.contains(&format!("`{code}`"))));
        assert_eq!(unknown.matches('`').count(), 2 * (CODES.len() + 1), "{unknown}");
    }

    #[test]
    fn every_event_schema_is_a_valid_schema() {
        for (path, text) in all().unwrap() {
            let schema = serde_json::from_str(&text).unwrap();
            assert!(jsonschema::draft202012::new(&schema).is_ok(), "{}", path.display());
        }
    }
}
