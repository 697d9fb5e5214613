//! Commands as JSON lines on standard input, in the form they have on the bus.

use std::thread;

use broker::{CommandClient, CommandRequest};
use contracts::{Command, Properties};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tracing::error;

/// Publishes each line of standard input as a command, until the input ends.
pub(crate) async fn publish_stdin(client: &CommandClient) {
    let (sender, mut lines) = mpsc::channel(16);
    // A separate thread, because a blocking read of standard input cannot be cancelled and must not
    // delay the shutdown.
    thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        if !line.trim().is_empty() {
            publish_line(client, &line).await;
        }
    }
}

async fn publish_line(client: &CommandClient, line: &str) {
    let request = match read_line(line) {
        Ok(request) => request,
        Err(problem) => return error!(problem, "not published"),
    };
    for outcome in client.publish_command(&[request]).await {
        if let Err(error) = outcome {
            error!(error = runtime::error_chain(&error), "not published");
        }
    }
}

fn read_line(line: &str) -> Result<CommandRequest, String> {
    let command = Command::read(line.as_bytes(), &Properties::default(), None)
        .map_err(|unreadable| unreadable.error.into_owned())?;
    let mut fields = Map::new();
    for field in &command.fields {
        let value: Value = serde_json::from_str(field.value.get())
            .map_err(|_| format!("{} cannot be read", field.name))?;
        fields.insert(field.name.clone().into_owned(), value);
    }
    let mut request = CommandRequest::new(command.account, command.name);
    request.fields = fields;
    request.command_id = command.id;
    request.correlation_id = command.meta.correlation_id.as_deref().map(str::to_owned);
    request.deadline = command.meta.deadline;
    request.expected_owner_epoch = command.meta.expected_owner_epoch;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_as_on_the_bus() {
        let request = read_line(
            r#"{"action": "terminate_session", "userbot_id": 1, "session_id": 9223372036854775807,
                "_meta": {"correlation_id": "k"}}"#,
        )
        .unwrap();
        assert_eq!((request.command.as_str(), request.account.get()), ("terminate_session", 1));
        assert_eq!(request.fields["session_id"], 9_223_372_036_854_775_807_i64);
        assert_eq!(request.correlation_id.as_deref(), Some("k"));
        assert_eq!(read_line("{}").unwrap_err(), "command is required");
    }
}
