//! `tdfleet events`: prints events from the log, then live ones as they arrive.

use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, bail};
use publisher::{EventLog, FollowedItem, StartPosition};
use runtime::{CancellationToken, Signals, Stage};
use settings::Settings;
use tracing::warn;

use crate::cli::EventsArgs;
use crate::installation;
use crate::output::{output_closed, print_line};

pub(crate) async fn run(settings: Settings, args: EventsArgs) -> anyhow::Result<ExitCode> {
    let accounts = if args.accounts.is_empty() {
        installation::account_ids(&settings).into_iter().collect()
    } else {
        args.accounts
    };
    if accounts.is_empty() {
        bail!("no accounts to follow: name them, or set worker.accounts");
    }
    let start = match args.after {
        Some(_) if accounts.len() > 1 => bail!("--after needs exactly one account"),
        Some(id) => StartPosition::After(id),
        None if args.all => StartPosition::Beginning,
        None => StartPosition::Now,
    };
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let stage = Stage::new("events", &CancellationToken::new());
    let names = installation::names(&settings);
    let log = EventLog::redis(&stage, settings.publisher, names, None)?;
    let mut events = log.follow(accounts.into_iter().map(|account| (account, start)));
    let mut closed = pin!(output_closed());
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let next = tokio::select! {
            _ = signals.next() => return Ok(ExitCode::SUCCESS),
            () = &mut closed => return Ok(ExitCode::SUCCESS),
            next = events.next() => next.context("the event log was closed")?,
        };
        match next {
            FollowedItem::Event(event) => {
                match print_line(&event.json) {
                    Err(error) if error.is_closed_pipe() => return Ok(ExitCode::SUCCESS),
                    printed => printed?,
                }
                left -= 1;
            }
            FollowedItem::Gap { account, after, next } => {
                warn!(%account, %after, %next, "events were trimmed before they were read");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
