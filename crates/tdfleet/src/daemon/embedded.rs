//! `tdfleet run --embedded`: the whole system in one process.

use std::process::ExitCode;

use anyhow::bail;
use publisher::{FollowedItem, StartPosition};
use settings::Settings;
use tracing::warn;

use super::Daemon;
use super::command_lines::publish_stdin;
use super::deployment::Deployment;
use crate::cli::RunArgs;
use crate::installation;
use crate::output::{OutputError, print_line};

pub(crate) async fn run(settings: &Settings, args: RunArgs) -> anyhow::Result<ExitCode> {
    if !args.embedded {
        bail!("only `run --embedded` is supported; `tdfleet worker` runs on RabbitMQ and Redis");
    }
    let accounts = installation::account_ids(settings);
    let (deployment, client) = Deployment::embedded(settings)?;
    let mut daemon = Daemon::new(deployment);
    let from_start = accounts.into_iter().map(|account| (account, StartPosition::Beginning));
    let mut follower = daemon.log().follow(from_start);
    let print_events = async {
        while let Some(followed) = follower.next().await {
            match followed {
                FollowedItem::Event(event) => print_line(&event.json)?,
                FollowedItem::Gap { account, after, next } => {
                    warn!(%account, %after, %next, "events were trimmed before they were read");
                }
            }
        }
        Ok::<_, OutputError>(())
    };
    let publish_commands = async {
        publish_stdin(&client).await;
        Ok(())
    };
    // Without a reader nobody learns of what happens: the accounts are closed.
    let served =
        daemon.serve(async { tokio::try_join!(publish_commands, print_events).map(drop) }).await;
    let code = daemon.stop().await;
    served.transpose()?;
    Ok(code)
}
