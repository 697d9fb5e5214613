//! `tdfleet events`: the log and what comes live, on standard output.

use std::process::ExitCode;

use anyhow::{Context, bail};
use contracts::Names;
use publisher::{EventLog, FollowedItem, StartPosition};
use runtime::{CancellationToken, Signals, Stage};
use settings::Settings;
use tracing::warn;

use crate::cli::EventsArgs;
use crate::daemon::account_ids;

pub(crate) async fn run(settings: Settings, args: EventsArgs) -> anyhow::Result<ExitCode> {
    let accounts = if args.accounts.is_empty() {
        account_ids(&settings.worker.accounts).into_iter().collect()
    } else {
        args.accounts
    };
    if accounts.is_empty() {
        bail!("name the accounts to follow, or set worker.accounts");
    }
    let start = match args.after {
        Some(_) if accounts.len() > 1 => bail!("--after belongs to one account: name it"),
        Some(id) => StartPosition::After(id),
        None if args.all => StartPosition::Beginning,
        None => StartPosition::Now,
    };
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let stage = Stage::new("events", &CancellationToken::new());
    let log = EventLog::redis(&stage, settings.publisher, Names::new(&settings.namespace))?;
    let mut events = log.follow(accounts.into_iter().map(|account| (account, start)));
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let next = tokio::select! {
            _ = signals.next() => return Ok(ExitCode::SUCCESS),
            next = events.next() => next.context("the event log has ended")?,
        };
        match next {
            FollowedItem::Event(event) => {
                print(&event.json);
                left -= 1;
            }
            FollowedItem::Gap { account, after, next } => {
                warn!(%account, %after, %next, "events are no longer kept");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line on standard output; whoever reads it no longer is not told anything.
pub(crate) fn print(json: &[u8]) {
    use std::io::Write;

    let mut out = std::io::stdout().lock();
    drop(out.write_all(json).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()));
}
