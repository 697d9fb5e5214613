//! `tdfleet send`: one command, and its answer.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use broker::{CommandClient, CommandRequest, PublishError};
use contracts::{EventEnvelope, Flow, Names, ShardCount};
use runtime::{CancellationToken, Stage};
use serde_json::{Map, Value};
use settings::Settings;

use crate::cli::SendArgs;
use crate::events::print;

/// Exit code when no answer came in time (`EX_TEMPFAIL`).
pub(crate) const EX_TEMPFAIL: u8 = 75;

pub(crate) async fn run(settings: Settings, args: SendArgs) -> anyhow::Result<ExitCode> {
    let count = ShardCount::new(settings.shard_count).context("shard_count is out of range")?;
    let mut outgoing = CommandRequest::new(args.account, args.command);
    outgoing.fields = fields(&args.fields, &mut std::io::stdin())?;
    outgoing.flow = if args.bulk { Flow::Lo } else { Flow::Hi };
    let stage = Stage::new("send", &CancellationToken::new());
    let names = Names::new(&settings.namespace);
    let publisher = CommandClient::start(&stage, &settings.broker, names, count)?;
    if args.no_wait {
        for outcome in publisher.publish_command(&[outgoing]).await {
            let id = outcome?;
            print(id.as_str().as_bytes());
        }
        return Ok(ExitCode::SUCCESS);
    }
    match publisher.call(&outgoing, Duration::from_secs(args.timeout_s)).await {
        Ok(event) => {
            print(&event);
            Ok(if failed(&event) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(error @ PublishError::NoAnswer) => {
            tracing::error!(error = runtime::error_chain(&error), "the command may still be run");
            Ok(ExitCode::from(EX_TEMPFAIL))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether an answer is a failure: it has an `error` where a result would be.
pub(crate) fn failed(event: &[u8]) -> bool {
    EventEnvelope::read(event).is_none_or(|envelope| envelope.failed)
}

/// `name=text`, `name:=json`, and `name=-` for what standard input holds.
fn fields(given: &[String], input: &mut impl Read) -> anyhow::Result<Map<String, Value>> {
    let mut fields = Map::new();
    for field in given {
        let Some((name, text)) = field.split_once('=') else {
            bail!("a field is `name=text` or `name:=json`");
        };
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                let value = serde_json::from_str(text)
                    .with_context(|| format!("the field {name} is not JSON"))?;
                (name, value)
            }
            None if text == "-" => {
                let mut text = String::new();
                input.read_to_string(&mut text).context("cannot read standard input")?;
                (name, Value::String(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            None => (name, Value::String(text.to_owned())),
        };
        if fields.insert(name.to_owned(), value).is_some() {
            bail!("the field {name} is given twice");
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_text_json_or_standard_input() {
        let given = ["code=-", "a=1", "b:=1", "c:={\"x\":[]}"].map(str::to_owned);
        let fields = fields(&given, &mut "12345\n".as_bytes()).unwrap();
        assert_eq!(
            Value::Object(fields),
            json!({"code": "12345", "a": "1", "b": 1, "c": {"x": []}})
        );
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let error = |given: &[&str]| {
            let given: Vec<_> = given.iter().map(|&field| field.to_owned()).collect();
            fields(&given, &mut std::io::empty()).unwrap_err().to_string()
        };
        assert_eq!(error(&["x"]), "a field is `name=text` or `name:=json`");
        assert_eq!(error(&["x:={"]), "the field x is not JSON");
        assert_eq!(error(&["x=1", "x=2"]), "the field x is given twice");
    }

    #[test]
    fn an_answer_with_an_error_is_a_failure() {
        assert!(!failed(br#"{"payload": {"result": {}, "_meta": {}}}"#));
        assert!(failed(br#"{"payload": {"error": "no", "_meta": {}}}"#));
        assert!(failed(b"?"));
    }
}
