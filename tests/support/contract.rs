use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

/// The published schemas, against which every event that a test sees is checked.
#[derive(Default)]
pub(crate) struct Contract {
    validators: HashMap<PathBuf, Validator>,
}

impl Contract {
    /// Panics unless the event is valid by its type's schema in `schemas/events`.
    pub(crate) fn check(&mut self, event: &Value) {
        let path = schema_path(event["payload"]["type"].as_str().expect("an event has a type"));
        let validator = self.validators.entry(path).or_insert_with_key(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap()
        });
        let faults: Vec<_> = validator.iter_errors(event).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "the event violates its schema: {faults:#?}\n{event}");
        if let Some(folder) = std::env::var_os("TDFLEET_RECORD_EXAMPLES") {
            save_example(Path::new(&folder), event);
        }
    }
}

/// Longest example, in bytes: about a screen.
const MAX_EXAMPLE: usize = 3_000;

/// Saves a command's answer as its example, if it is longer than the one saved before.
fn save_example(folder: &Path, event: &Value) {
    let kind = event["payload"]["type"].as_str().unwrap_or_default();
    let command = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/commands");
    if !command.join(format!("{kind}.json")).is_file() {
        return;
    }
    let path = folder.join(format!("{kind}.json"));
    let saved = std::fs::read_to_string(&path).unwrap_or_default();
    let text = serde_json::to_string_pretty(event).unwrap() + "\n";
    if (saved.len() + 1..MAX_EXAMPLE).contains(&text.len()) {
        std::fs::write(&path, text).unwrap();
    }
}

fn schema_path(kind: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events");
    let specific = folder.join(format!("{kind}.json"));
    if specific.is_file() {
        return specific;
    }
    folder.join(if kind.ends_with("_error") { "error.json" } else { "update.json" })
}
