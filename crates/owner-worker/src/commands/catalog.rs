//! The commands as documents need them: schemas, reference, completion.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use super::all;
use super::args::ArgumentDescription;
use super::command::{Access, CommandEntry, Needs};

/// One command, described.
#[derive(Clone, Debug)]
pub struct CommandDescription {
    /// Its name, such as `get_active_sessions`.
    pub name: &'static str,
    /// What it does.
    pub about: String,
    /// `read` (runs beside other reads) or `write` (runs alone, in its turn).
    pub lane: &'static str,
    /// Whether running it once more has no other effect than running it once.
    pub idempotent: bool,
    /// State that the account must be in, in words.
    pub needs: &'static str,
    /// JSON Schema of its own fields: those beside `command`, `userbot_id`, `command_id`, `_meta`.
    pub arguments: Schema,
    /// JSON Schema of its event's `result`.
    pub reply: Schema,
    /// Its own error strings, in the order of the checks, with `<…>` for what varies.
    pub errors: Vec<String>,
    /// A request's own fields.
    pub example: Value,
}

/// Every command, in the order of the reference.
pub fn catalog() -> impl Iterator<Item = CommandDescription> {
    all().map(describe)
}

fn describe(entry: &CommandEntry) -> CommandDescription {
    let properties = (entry.properties)();
    let faults = properties.iter().flat_map(|property| property.faults.clone());
    let own = entry.errors.iter().map(|&error| error.to_owned());
    let mut errors = Vec::new();
    for error in faults.chain(own) {
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    CommandDescription {
        name: entry.name,
        about: prose(entry.about),
        lane: match entry.lane {
            Access::Read => "read",
            Access::Write => "write",
        },
        idempotent: entry.idempotent,
        needs: match entry.needs {
            Needs::Ready => "ready",
            Needs::LoginStart => "logging in, ready, session_lost, banned or failed",
            Needs::Code => "wait_code",
        },
        arguments: arguments(entry, properties),
        reply: (entry.reply)(),
        errors,
        example: serde_json::from_str(entry.example).unwrap_or_default(),
    }
}

fn arguments(entry: &CommandEntry, properties: Vec<ArgumentDescription>) -> Schema {
    let required: Vec<_> =
        properties.iter().filter(|property| property.required).map(|p| p.name).collect();
    let mut members = Map::new();
    for ArgumentDescription { name, about, required, mut schema, .. } in properties {
        if !required {
            allow_null(&mut schema);
        }
        schema.insert("description".to_owned(), prose(about).into());
        members.insert(name.to_owned(), schema.to_value());
    }
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": entry.name,
        "description": prose(entry.about),
        "type": "object",
        "properties": members,
        "required": required,
        "additionalProperties": false,
    })
}

/// `null` means an absent field.
fn allow_null(schema: &mut Schema) {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    } else if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
    } else if let Some(Value::Array(names)) = schema.get_mut("enum") {
        names.push(Value::Null);
    }
}

/// A doc comment as running text; an empty line parts its paragraphs.
fn prose(doc: &str) -> String {
    let paragraphs = doc.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    });
    let paragraphs = paragraphs.filter(|lines| !lines.is_empty()).map(|lines| lines.join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
