//! `tdfleet send`: publishes one command and prints its answer.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use broker::{CommandClient, CommandRequest, PublishError};
use contracts::Flow;
use runtime::{CancellationToken, Stage};
use serde_json::{Map, Value};
use settings::Settings;

use crate::answer::is_failure;
use crate::cli::SendArgs;
use crate::exit::{EX_TEMPFAIL, success_if};
use crate::installation;
use crate::output::print_line;

pub(crate) async fn run(settings: Settings, args: SendArgs) -> anyhow::Result<ExitCode> {
    let shard_count = installation::shard_count(&settings)?;
    let mut request = CommandRequest::new(args.account, args.command);
    request.fields = read_fields(&args.fields, &mut std::io::stdin())?;
    request.flow = if args.bulk { Flow::Lo } else { Flow::Hi };
    let stage = Stage::new("send", &CancellationToken::new());
    let names = installation::names(&settings);
    let client = CommandClient::start(&stage, &settings.broker, names, shard_count)?;
    if args.no_wait {
        for outcome in client.publish_command(&[request]).await {
            match outcome {
                Ok(id) => {
                    print_line(id.as_str()).context("the command is published; its id is lost")?
                }
                Err(error) => return failed(error),
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    match client.call(&request, Duration::from_secs(args.timeout_s)).await {
        Ok(event) => {
            let printed = print_line(&event);
            printed.context("the answer is lost; look for it with `tdfleet events`")?;
            Ok(success_if(!is_failure(&event)))
        }
        Err(error) => failed(error),
    }
}

/// Whether the command may still run decides what the caller does next.
fn failed(error: PublishError) -> anyhow::Result<ExitCode> {
    match error {
        PublishError::NoAnswer | PublishError::Unconfirmed => {
            let error = runtime::error_chain(&error);
            tracing::error!(error, "no answer in time; the command may still run");
            Ok(ExitCode::from(EX_TEMPFAIL))
        }
        PublishError::Invalid(_)
        | PublishError::Unavailable
        | PublishError::Unroutable
        | PublishError::Refused => Err(error.into()),
    }
}

/// Reads fields given as `name=text`, `name:=json`, or `name=-` for the text on standard input.
fn read_fields(given: &[String], input: &mut impl Read) -> anyhow::Result<Map<String, Value>> {
    let mut fields = Map::new();
    for field in given {
        let Some((name, text)) = field.split_once('=') else {
            bail!("a field must be `name=text` or `name:=json`");
        };
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                let value = serde_json::from_str(text)
                    .with_context(|| format!("the value of field {name} is not valid JSON"))?;
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
            bail!("field {name} is given twice");
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
        let fields = read_fields(&given, &mut "12345\n".as_bytes()).unwrap();
        assert_eq!(
            Value::Object(fields),
            json!({"code": "12345", "a": "1", "b": 1, "c": {"x": []}})
        );
    }

    #[test]
    fn malformed_fields_are_refused() {
        let error = |given: &[&str]| {
            let given: Vec<_> = given.iter().map(|&field| field.to_owned()).collect();
            read_fields(&given, &mut std::io::empty()).unwrap_err().to_string()
        };
        assert_eq!(error(&["x"]), "a field must be `name=text` or `name:=json`");
        assert_eq!(error(&["x:={"]), "the value of field x is not valid JSON");
        assert_eq!(error(&["x=1", "x=2"]), "field x is given twice");
    }
}
