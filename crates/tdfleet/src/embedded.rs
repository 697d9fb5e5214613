//! `tdfleet run --embedded`: the whole system in one process.

use std::process::ExitCode;
use std::thread;

use anyhow::bail;
use broker::{CommandClient, CommandRequest};
use contracts::{Command, Properties};
use publisher::{FollowedItem, StartPosition};
use serde_json::{Map, Value};
use settings::Settings;
use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::cli::RunArgs;
use crate::daemon::{Daemon, Place, account_ids};
use crate::events::print;

pub(crate) async fn run(settings: Settings, args: RunArgs) -> anyhow::Result<ExitCode> {
    if !args.embedded {
        bail!("only `run --embedded` is there yet; `tdfleet worker` runs on RabbitMQ and Redis");
    }
    let accounts = account_ids(&settings.worker.accounts);
    let (mut daemon, publisher) = Daemon::start(settings, Place::Embedded)?;
    let Some(publisher) = publisher else { bail!("the embedded bus has no publisher") };
    let mut follower =
        daemon.log.follow(accounts.into_iter().map(|account| (account, StartPosition::Beginning)));
    let show = async {
        while let Some(followed) = follower.next().await {
            match followed {
                FollowedItem::Event(event) => print(&event.json),
                FollowedItem::Gap { account, after, next } => {
                    warn!(%account, %after, %next, "events are no longer kept");
                }
            }
        }
    };
    daemon.serve(async { tokio::join!(read_commands(&publisher), show) }).await;
    Ok(daemon.stop().await)
}

/// Publishes the commands on standard input, one JSON object a line, in the shape they have on the
/// bus. At its end the process goes on with what runs.
pub(crate) async fn read_commands(publisher: &CommandClient) {
    let (sender, mut lines) = mpsc::channel(16);
    // A thread of its own: a read of standard input cannot be cancelled, and must not hold up the
    // end of the process.
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
            publish(publisher, &line).await;
        }
    }
}

async fn publish(publisher: &CommandClient, line: &str) {
    let outgoing = match read(line) {
        Ok(outgoing) => outgoing,
        Err(problem) => return error!(problem, "not published"),
    };
    for outcome in publisher.publish_command(&[outgoing]).await {
        if let Err(error) = outcome {
            error!(error = runtime::error_chain(&error), "not published");
        }
    }
}

fn read(line: &str) -> Result<CommandRequest, String> {
    let command = Command::read(line.as_bytes(), &Properties::default(), None)
        .map_err(|unreadable| unreadable.error.into_owned())?;
    let mut fields = Map::new();
    for field in &command.fields {
        let value: Value = serde_json::from_str(field.value.get())
            .map_err(|_| format!("{} cannot be read", field.name))?;
        fields.insert(field.name.clone().into_owned(), value);
    }
    let mut outgoing = CommandRequest::new(command.account, command.name);
    outgoing.fields = fields;
    outgoing.command_id = command.id;
    outgoing.correlation_id = command.meta.correlation_id.as_deref().map(str::to_owned);
    outgoing.deadline = command.meta.deadline;
    outgoing.expected_owner_epoch = command.meta.expected_owner_epoch;
    Ok(outgoing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_as_on_the_bus() {
        let outgoing = read(
            r#"{"action": "terminate_session", "userbot_id": 1, "session_id": 9223372036854775807,
                "_meta": {"correlation_id": "k"}}"#,
        )
        .unwrap();
        assert_eq!((outgoing.command.as_str(), outgoing.account.get()), ("terminate_session", 1));
        assert_eq!(outgoing.fields["session_id"], 9_223_372_036_854_775_807_i64);
        assert_eq!(outgoing.correlation_id.as_deref(), Some("k"));
        assert_eq!(read("{}").unwrap_err(), "command is required");
    }
}
