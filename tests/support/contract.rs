use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

/// The published schemas; every event a test sees is held against its own.
#[derive(Default)]
pub(crate) struct Contract {
    validators: HashMap<PathBuf, Validator>,
}

impl Contract {
    /// Panics unless the event is what `schemas/events` says of its type.
    pub(crate) fn check(&mut self, event: &Value) {
        let path = path_of(event["payload"]["type"].as_str().expect("an event has a type"));
        let validator = self.validators.entry(path).or_insert_with_key(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap()
        });
        let faults: Vec<_> = validator.iter_errors(event).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "the schema says otherwise: {faults:#?}\n{event}");
        if let Some(folder) = std::env::var_os("TDFLEET_RECORD_EXAMPLES") {
            record(Path::new(&folder), event);
        }
    }
}

/// Longest example, in bytes: about a screen.
const SCREEN: usize = 3_000;

/// Keeps a command's answer as its example, if it tells more than the one that is kept already.
fn record(folder: &Path, event: &Value) {
    let kind = event["payload"]["type"].as_str().unwrap_or_default();
    let command = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/commands");
    if !command.join(format!("{kind}.json")).is_file() {
        return;
    }
    let path = folder.join(format!("{kind}.json"));
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let text = serde_json::to_string_pretty(event).unwrap() + "\n";
    if (kept.len() + 1..SCREEN).contains(&text.len()) {
        std::fs::write(&path, text).unwrap();
    }
}

fn path_of(kind: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events");
    let own = folder.join(format!("{kind}.json"));
    if own.is_file() {
        return own;
    }
    folder.join(if kind.ends_with("_error") { "error.json" } else { "update.json" })
}
