//! One value of the settings, checked without the others.

use std::fmt;

use serde::Deserialize;
use toml::{Table, Value};

use crate::sections::Settings;

/// The path of a setting, written `section.field`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SettingPath(Vec<String>);

impl SettingPath {
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self(words)
    }

    pub(crate) fn child(&self, key: &str) -> Self {
        Self(self.0.iter().cloned().chain([key.to_owned()]).collect())
    }

    pub(crate) fn words(&self) -> &[String] {
        &self.0
    }

    /// Whether there is such a setting.
    pub(crate) fn is_known(&self) -> bool {
        match decode(self, Value::Boolean(false)) {
            Ok(()) => true,
            Err(error) => {
                let problem = problem(&error);
                problem != UNKNOWN && problem != SECTION
            }
        }
    }

    /// Whether the setting is a list, which may be empty.
    fn is_list(&self) -> bool {
        decode(self, Value::Array(Vec::new())).is_ok()
    }
}

impl fmt::Display for SettingPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

const UNKNOWN: &str = "there is no such setting";
const SECTION: &str = "must be a section";

/// Checks a value of the file, or a text of the environment; returns it as it is to be decoded.
pub(crate) fn check(path: &SettingPath, value: Value) -> Result<Value, String> {
    let value = tidy(value, path.is_list())?;
    match decode(path, value.clone()) {
        Ok(()) => Ok(value),
        Err(error) => Err(problem(&error)),
    }
}

/// A variable's text in the type that its setting has: variables have none.
pub(crate) fn typed(path: &SettingPath, text: String) -> Value {
    let text = Value::String(text);
    let Ok(Value::String(tidied)) = tidy(text.clone(), true) else { return text };
    let number = tidied.parse().map(Value::Integer).ok();
    let boolean = tidied.parse().map(Value::Boolean).ok();
    let is_text = decode(path, text.clone()).is_ok();
    number.or(boolean).filter(|_| !is_text).unwrap_or(text)
}

/// Removes a line break at the end of a text, and refuses texts that are probably mistakes.
fn tidy(value: Value, may_be_empty: bool) -> Result<Value, String> {
    match value {
        Value::String(text) => tidy_text(&text, may_be_empty).map(Value::String),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| tidy(value, false));
            values.collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Table(table) => {
            let fields = table.into_iter().map(|(key, value)| Ok((key, tidy(value, false)?)));
            fields.collect::<Result<_, String>>().map(Value::Table)
        }
        // TOML's dates decode as texts, but no setting is a date: this decodes as nothing.
        Value::Datetime(_) => Ok(Value::Float(f64::NAN)),
        value => Ok(value),
    }
}

fn tidy_text(text: &str, may_be_empty: bool) -> Result<String, String> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() && !may_be_empty {
        return Err("must not be empty".to_owned());
    }
    if line.trim() != line {
        return Err("must not begin or end with white space".to_owned());
    }
    if line.chars().any(char::is_control) && !may_be_empty {
        return Err("must not contain control characters".to_owned());
    }
    Ok(line.to_owned())
}

/// Whether the value has the type of its setting.
fn decode(path: &SettingPath, value: Value) -> Result<(), toml::de::Error> {
    let nest = |value, key: &String| Value::Table(Table::from_iter([(key.clone(), value)]));
    Settings::deserialize(path.0.iter().rev().fold(value, nest)).map(drop)
}

/// Describes the problem, never with the value.
pub(crate) fn problem(error: &toml::de::Error) -> String {
    let message = error.message().lines().next().unwrap_or_default();
    if message.starts_with("unknown field") {
        return UNKNOWN.to_owned();
    }
    let quotes_the_value =
        ["invalid ", "unknown variant"].iter().any(|start| message.starts_with(start));
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if quotes_the_value => expectation(expected),
        _ => message.to_owned(),
    }
}

/// What serde expected, in the words of an operator.
fn expectation(expected: &str) -> String {
    match expected {
        "u8" => "must be an integer from 0 to 255".to_owned(),
        "u16" => "must be an integer from 0 to 65535".to_owned(),
        "i32" => "must be an integer below 2147483648".to_owned(),
        "u32" | "u64" => "must be an integer of 0 or more".to_owned(),
        "a boolean" => "must be true or false".to_owned(),
        "a string" => "must be a text".to_owned(),
        words if words.starts_with("struct ") => SECTION.to_owned(),
        words => format!("must be {words}"),
    }
}
