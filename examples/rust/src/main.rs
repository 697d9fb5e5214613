//! The client on the command line: see README.md.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use example_client::commands::{Command, Commands};
use example_client::events::Events;

/// Sends commands to tdfleet and follows its events.
#[derive(Parser)]
#[command(name = "example-client")]
struct Arguments {
    #[arg(long, env = "TDFLEET_AMQP", default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    amqp: String,
    #[arg(long, env = "TDFLEET_REDIS", default_value = "redis://127.0.0.1:6379/0")]
    redis: String,
    #[arg(long, env = "TDFLEET_SHARDS", default_value_t = 64)]
    shards: u32,
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Publish a command, print its answer.
    Send {
        account: u64,
        command: String,
        /// The command's own fields, a JSON object.
        #[arg(default_value = "{}")]
        fields: String,
        /// Wait for the event, not the reply.
        #[arg(long)]
        by_event: bool,
    },
    /// Print an account's events as they come.
    Follow {
        account: u64,
        /// Begin after the event with this id, not now.
        #[arg(long)]
        after: Option<String>,
        /// End after this many events.
        #[arg(long)]
        count: Option<usize>,
    },
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "the error")]
async fn main() -> ExitCode {
    run(Arguments::parse()).await.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { amqp, redis, shards, program } = arguments;
    let events = Events::new(&redis)?;
    match program {
        Program::Send { account, command, fields, by_event } => {
            let fields = serde_json::from_str(&fields).context("the fields are no JSON object")?;
            let command = Command { id: new_id(), account, name: command, fields };
            let commands = Commands::connect(&amqp, shards).await?;
            send(&commands, &command, by_event.then_some(&events)).await
        }
        Program::Follow { account, after, count } => {
            let after = match after {
                Some(id) => id,
                None => events.newest(account).await?,
            };
            follow(&events, account, after, count.unwrap_or(usize::MAX)).await;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[expect(clippy::print_stdout, reason = "the answer")]
async fn send(commands: &Commands, command: &Command, events: Option<&Events>) -> Result<ExitCode> {
    let event = match events {
        Some(events) => commands.call_by_event(command, events).await?,
        None => commands.call(command).await?,
    };
    println!("{event}");
    let failed = event["payload"].get("error").is_some();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the events")]
async fn follow(events: &Events, account: u64, after: String, count: usize) {
    let mut following = events.follow(account, after);
    for _ in 0..count {
        let (event, gap) = following.next().await;
        if gap {
            eprintln!("events before the next one are gone");
        }
        println!("{event}");
    }
}
