//! `tdfleet shards`: which worker owns which shard, and where the operator wants them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use contracts::{Shard, ShardCount};
use ownership::{FleetClient, FleetView, ShardView};
use serde::Serialize;
use settings::Settings;
use tokio::time::Instant;

use crate::cli::{ListArgs, MoveArgs, ShardsCommand, UnpinArgs};
use crate::send::EX_TEMPFAIL;
use crate::table::{cell, print_json, print_table};
use crate::workers::fleet;

/// Pause between two looks at a move.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(settings: Settings, command: ShardsCommand) -> anyhow::Result<ExitCode> {
    let count = ShardCount::new(settings.shard_count).context("shard_count is out of range")?;
    let mut fleet = fleet(&settings)?;
    match command {
        ShardsCommand::List(args) => list(&mut fleet, count, &args).await,
        ShardsCommand::Move(args) => move_to(&mut fleet, count, &args).await,
        ShardsCommand::Unpin(UnpinArgs { shard }) => {
            check(count, shard)?;
            fleet.pin(shard, None).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    shard: String,
    state: &'static str,
    owner: Option<&'a str>,
    epoch: Option<u64>,
    pin: Option<&'a str>,
    moving_to: Option<&'a str>,
    store: Option<&'a str>,
}

async fn list(
    fleet: &mut FleetClient,
    count: ShardCount,
    args: &ListArgs,
) -> anyhow::Result<ExitCode> {
    let view = fleet.view().await?;
    let rows: Vec<_> = count.shards().map(|shard| row(&view, shard)).collect();
    if args.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                row.shard.clone(),
                row.state.to_owned(),
                cell(row.owner),
                cell(row.epoch),
                cell(row.pin),
                cell(row.moving_to),
                cell(row.store),
            ]
        })
        .collect();
    print_table(["SHARD", "STATE", "OWNER", "EPOCH", "PIN", "MOVES TO", "STORE"], &cells);
    Ok(ExitCode::SUCCESS)
}

fn row(view: &FleetView, shard: Shard) -> Row<'_> {
    let seen = find(view, shard);
    let moving = view.moving.as_ref().filter(|(moving, _)| *moving == shard);
    Row {
        shard: shard.to_string(),
        state: seen.map_or("new", state),
        owner: seen.and_then(|seen| seen.owner.as_deref()),
        epoch: seen.map(|seen| seen.epoch.0).filter(|epoch| *epoch > 0),
        pin: seen.and_then(|seen| seen.pin.as_deref()),
        moving_to: moving.map(|(_, to)| to.as_str()),
        store: seen.and_then(|seen| seen.store.as_deref()),
    }
}

/// What the list calls the shard's state; the command's help explains the words.
fn state(shard: &ShardView) -> &'static str {
    match shard {
        ShardView { owner: Some(_), live: true, .. } => "owned",
        ShardView { owner: Some(_), .. } => "dead",
        ShardView { epoch, .. } if epoch.0 == 0 => "new",
        ShardView { clean: true, .. } => "free",
        _ => "free, unclean",
    }
}

async fn move_to(
    fleet: &mut FleetClient,
    count: ShardCount,
    args: &MoveArgs,
) -> anyhow::Result<ExitCode> {
    let MoveArgs { shard, to, no_wait, timeout_s } = args;
    check(count, *shard)?;
    can_have(&fleet.view().await?, *shard, to)?;
    fleet.pin(*shard, Some(to)).await?;
    if *no_wait {
        return Ok(ExitCode::SUCCESS);
    }
    let until = Instant::now() + Duration::from_secs(*timeout_s);
    let mut told = String::new();
    loop {
        let view = fleet.view().await?;
        let seen = find(&view, *shard);
        if seen.is_some_and(|seen| seen.live && seen.owner.as_deref() == Some(to)) {
            say(&format!("{shard} is on {to}"));
            return Ok(ExitCode::SUCCESS);
        }
        let now = progress(&view, *shard, to);
        if now != told {
            say(&now);
            told = now;
        }
        if until < Instant::now() {
            say("it has not moved in time; it stays pinned, and may still move");
            return Ok(ExitCode::from(EX_TEMPFAIL));
        }
        // Nobody can say when it dies whether it comes back: the operator decides.
        can_have(&view, *shard, to)?;
        tokio::time::sleep(LOOK).await;
    }
}

fn progress(view: &FleetView, shard: Shard, to: &str) -> String {
    let owner = find(view, shard).and_then(|seen| seen.owner.as_deref());
    match (&view.moving, owner) {
        (Some((moving, _)), Some(owner)) if *moving == shard => {
            format!("{shard} is being handed over by {owner}")
        }
        (Some((moving, to)), _) if *moving != shard => {
            format!("{shard} waits: {moving} is moving to {to}, one moves at a time")
        }
        (_, Some(owner)) => format!("{shard} is on {owner}"),
        (_, None) => format!("{shard} is free; {to} is to take it"),
    }
}

/// Whether the worker can ever own the shard as things stand.
fn can_have(view: &FleetView, shard: Shard, to: &str) -> anyhow::Result<()> {
    let Some(worker) = view.workers.iter().find(|worker| worker.name == to) else {
        bail!("there is no worker {to}; `tdfleet workers list` shows them");
    };
    if !worker.live {
        bail!("the worker {to} does not live");
    }
    if worker.leaving {
        bail!("the worker {to} is about to end");
    }
    let store = find(view, shard).and_then(|seen| seen.store.as_deref());
    if store.is_some_and(|store| store != worker.store) {
        bail!(
            "the databases of {shard} are in another store than {to} has; a worker opens its own store's alone"
        );
    }
    Ok(())
}

fn find(view: &FleetView, shard: Shard) -> Option<&ShardView> {
    view.shards.iter().find(|seen| seen.shard == shard)
}

fn check(count: ShardCount, shard: Shard) -> anyhow::Result<()> {
    if count.get() <= shard.0 {
        bail!("there is no shard {shard}: shard_count is {}", count.get());
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress of a command that people wait for")]
fn say(what: &str) {
    eprintln!("{what}");
}

#[cfg(test)]
mod tests {
    use contracts::Epoch;
    use ownership::WorkerView;

    use super::*;

    fn view() -> FleetView {
        let shard = |n: u16, owner: Option<&str>, live| ShardView {
            shard: Shard(n),
            epoch: Epoch(7),
            owner: owner.map(str::to_owned),
            live,
            store: Some("one".to_owned()),
            clean: owner.is_none(),
            pin: None,
        };
        let worker = |name: &str, store: &str, live, leaving| WorkerView {
            name: name.to_owned(),
            store: store.to_owned(),
            live,
            bus: true,
            leaving,
            accounts: 0,
            shards: 0,
        };
        FleetView {
            shards: vec![
                shard(0, Some("a"), true),
                shard(1, Some("b"), false),
                shard(2, None, false),
            ],
            workers: vec![
                worker("a", "one", true, false),
                worker("b", "one", false, false),
                worker("c", "two", true, false),
                worker("d", "one", true, true),
            ],
            moving: Some((Shard(0), "a".to_owned())),
        }
    }

    #[test]
    fn each_state_of_a_shard_has_a_word() {
        let view = view();
        let states: Vec<_> = (0..4).map(|n| row(&view, Shard(n)).state).collect();
        assert_eq!(states, ["owned", "dead", "free", "new"]);
        assert_eq!(row(&view, Shard(0)).moving_to, Some("a"));
    }

    #[test]
    fn a_worker_that_cannot_have_a_shard_is_refused_with_the_reason() {
        let view = view();
        let refused = |shard, to| can_have(&view, Shard(shard), to).unwrap_err().to_string();
        assert!(can_have(&view, Shard(2), "a").is_ok());
        assert!(can_have(&view, Shard(3), "c").is_ok(), "a new shard may be on any store");
        assert!(refused(0, "nobody").contains("there is no worker nobody"));
        assert!(refused(0, "b").contains("does not live"));
        assert!(refused(0, "c").contains("another store"));
        assert!(refused(0, "d").contains("about to end"));
    }

    #[test]
    fn progress_says_what_a_move_waits_for() {
        let mut view = view();
        assert_eq!(progress(&view, Shard(0), "a"), "s000 is being handed over by a");
        let waits = "s002 waits: s000 is moving to a, one moves at a time";
        assert_eq!(progress(&view, Shard(2), "a"), waits);
        view.moving = None;
        assert_eq!(progress(&view, Shard(1), "a"), "s001 is on b");
        assert_eq!(progress(&view, Shard(2), "a"), "s002 is free; a is to take it");
    }
}
