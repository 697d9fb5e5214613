//! Whether the wire format still is what the last release promised.
//!
//! A reader of that release has its schemas: events recorded today must pass them. A caller of that
//! release sends the commands of its schemas' examples: today's schemas must accept them.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::tree::{self, Tree};

const EVENTS: &str = "schemas/events/";
const COMMANDS: &str = "schemas/commands/";
const RECORDED: &str = "docs/examples/";

/// The newest release tag before this commit; `None` if nothing has been released.
pub(crate) fn last_release() -> anyhow::Result<Option<String>> {
    // From the parent, as a release is not compared with itself.
    let describe = ["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"];
    let output = Command::new("git").args(describe).current_dir(tree::root()).output();
    let output = output.context("git cannot be run")?;
    let tag = String::from_utf8(output.stdout)?.trim().to_owned();
    Ok(output.status.success().then_some(tag))
}

/// The schemas of a release.
pub(crate) fn schemas_of(tag: &str) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    let names = git(&["ls-tree", "-r", "--name-only", tag, "--", EVENTS, COMMANDS])?;
    for name in names.lines() {
        let text = git(&["show", &format!("{tag}:{name}")])?;
        tree.files.insert(name.to_owned(), Some(text));
    }
    Ok(tree)
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(arguments).current_dir(tree::root()).output();
    let output = output.context("git cannot be run")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// `released` has the schemas of the last release, `today` everything.
pub(crate) fn check(released: &Tree, today: &Tree) -> anyhow::Result<Vec<String>> {
    let mut findings: Vec<String> = released
        .texts(".json")
        .filter(|(path, _)| !today.files.contains_key(*path))
        .map(|(path, _)| format!("{path}: is missing, but was released"))
        .collect();
    findings.extend(check_events(released, today)?);
    findings.extend(check_commands(released, today)?);
    Ok(findings)
}

/// Recorded events against the released schemas of their types.
fn check_events(released: &Tree, today: &Tree) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (path, text) in today.texts(".json").filter(|(path, _)| path.starts_with(RECORDED)) {
        let event = parse(path, text)?;
        let kind = event["payload"]["type"].as_str().unwrap_or_default();
        let own = format!("{EVENTS}{kind}.json");
        let schema = if released.files.contains_key(&own) {
            own
        } else if kind.ends_with("_error") {
            format!("{EVENTS}error.json")
        } else if kind.starts_with("update") {
            format!("{EVENTS}update.json")
        } else {
            // An event that is new since the release: nobody has a schema of it.
            continue;
        };
        findings.extend(validate(path, &event, &schema, released)?);
    }
    Ok(findings)
}

/// The examples of the released command schemas against today's.
fn check_commands(released: &Tree, today: &Tree) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (path, text) in released.texts(".json").filter(|(path, _)| path.starts_with(COMMANDS)) {
        let schema = parse(path, text)?;
        for example in schema["examples"].as_array().into_iter().flatten() {
            let name = format!("{path}: the released example");
            findings.extend(validate(&name, example, path, today)?);
        }
    }
    Ok(findings)
}

fn validate(name: &str, value: &Value, schema: &str, tree: &Tree) -> anyhow::Result<Vec<String>> {
    let text = tree.text(schema);
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let validator = jsonschema::draft202012::new(&parse(schema, text)?)
        .with_context(|| format!("{schema} is no JSON Schema"))?;
    let faults = validator.iter_errors(value);
    Ok(faults.map(|fault| format!("{name}: {fault} (at `{}`)", fault.instance_path())).collect())
}

fn parse(path: &str, text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).with_context(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT_SCHEMA: &str = r#"{"properties": {"payload": {"required": ["result"]}}}"#;
    const COMMAND_SCHEMA: &str = r#"{"required": ["a"], "examples": [{"a": 1}]}"#;

    fn released() -> Tree {
        tree::of(&[
            ("schemas/events/start.json", EVENT_SCHEMA),
            ("schemas/commands/start.json", COMMAND_SCHEMA),
        ])
    }

    fn check_today(command_schema: &str, event: &str) -> Vec<String> {
        let today = tree::of(&[
            ("schemas/events/start.json", "{}"),
            ("schemas/commands/start.json", command_schema),
            ("docs/examples/start.json", event),
        ]);
        check(&released(), &today).unwrap()
    }

    #[test]
    fn what_is_only_added_is_compatible() {
        let event = r#"{"payload": {"type": "start", "result": {}, "more": 1}}"#;
        assert!(check_today(COMMAND_SCHEMA, event).is_empty());
        let new = r#"{"payload": {"type": "brand_new"}}"#;
        assert!(check_today(COMMAND_SCHEMA, new).is_empty());
    }

    #[test]
    fn an_event_without_a_released_field_is_found() {
        assert_eq!(
            check_today(COMMAND_SCHEMA, r#"{"payload": {"type": "start"}}"#),
            ["docs/examples/start.json: \"result\" is a required property (at `/payload`)"]
        );
    }

    #[test]
    fn a_command_that_needs_more_than_before_is_found() {
        let event = r#"{"payload": {"type": "start", "result": {}}}"#;
        assert_eq!(
            check_today(r#"{"required": ["a", "b"]}"#, event),
            [
                "schemas/commands/start.json: the released example: \"b\" is a required property (at ``)"
            ]
        );
    }

    #[test]
    fn a_removed_command_is_found() {
        let findings =
            check(&released(), &tree::of(&[("schemas/events/start.json", "{}")])).unwrap();
        assert_eq!(findings, ["schemas/commands/start.json: is missing, but was released"]);
    }
}
