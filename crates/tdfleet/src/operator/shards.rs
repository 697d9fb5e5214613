//! `tdfleet shards`: lists which worker owns which shard, and pins shards to workers.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use contracts::{Shard, ShardCount};
use ownership::{FleetClient, FleetView, ShardView};
use serde::Serialize;
use settings::Settings;
use tokio::time::Instant;

use super::fleet::fleet;
use crate::cli::{ListArgs, MoveArgs, ShardsCommand, UnpinArgs};
use crate::exit::EX_TEMPFAIL;
use crate::installation;
use crate::output::{optional_cell, print_json, print_progress, print_table};

/// How often a move's progress is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) async fn run(settings: Settings, command: ShardsCommand) -> anyhow::Result<ExitCode> {
    let count = installation::shard_count(&settings)?;
    let mut fleet = fleet(&settings)?;
    match command {
        ShardsCommand::List(args) => list(&mut fleet, count, &args).await,
        ShardsCommand::Move(args) => move_shard(&mut fleet, count, &args).await,
        ShardsCommand::Unpin(UnpinArgs { shard }) => {
            check_shard(count, shard)?;
            fleet.pin(shard, None).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Serialize)]
struct ShardRow<'a> {
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
                optional_cell(row.owner),
                optional_cell(row.epoch),
                optional_cell(row.pin),
                optional_cell(row.moving_to),
                optional_cell(row.store),
            ]
        })
        .collect();
    print_table(["SHARD", "STATE", "OWNER", "EPOCH", "PIN", "MOVES TO", "STORE"], &cells)?;
    Ok(ExitCode::SUCCESS)
}

fn row(view: &FleetView, shard: Shard) -> ShardRow<'_> {
    let seen = find(view, shard);
    let moving = view.moving.as_ref().filter(|(moving, _)| *moving == shard);
    ShardRow {
        shard: shard.to_string(),
        state: seen.map_or("new", state_name),
        owner: seen.and_then(|seen| seen.owner.as_deref()),
        epoch: seen.map(|seen| seen.epoch.0).filter(|epoch| *epoch > 0),
        pin: seen.and_then(|seen| seen.pin.as_deref()),
        moving_to: moving.map(|(_, to)| to.as_str()),
        store: seen.and_then(|seen| seen.store.as_deref()),
    }
}

/// The shard's state as listed; the command's help explains the words.
fn state_name(shard: &ShardView) -> &'static str {
    match shard {
        ShardView { owner: Some(_), live: true, .. } => "owned",
        ShardView { owner: Some(_), .. } => "dead",
        ShardView { epoch, .. } if epoch.0 == 0 => "new",
        ShardView { clean: true, .. } => "free",
        _ => "free, unclean",
    }
}

async fn move_shard(
    fleet: &mut FleetClient,
    count: ShardCount,
    args: &MoveArgs,
) -> anyhow::Result<ExitCode> {
    let MoveArgs { shard, to, no_wait, timeout_s } = args;
    check_shard(count, *shard)?;
    check_can_own(&fleet.view().await?, *shard, to)?;
    fleet.pin(*shard, Some(to)).await?;
    if *no_wait {
        return Ok(ExitCode::SUCCESS);
    }
    let deadline = Instant::now() + Duration::from_secs(*timeout_s);
    let mut printed = String::new();
    loop {
        let view = fleet.view().await?;
        let seen = find(&view, *shard);
        if seen.is_some_and(|seen| seen.live && seen.owner.as_deref() == Some(to)) {
            print_progress(&format!("{shard} is on {to}"));
            return Ok(ExitCode::SUCCESS);
        }
        let progress = progress(&view, *shard, to);
        if progress != printed {
            print_progress(&progress);
            printed = progress;
        }
        if deadline < Instant::now() {
            print_progress("the shard did not move in time; it stays pinned and may still move");
            return Ok(ExitCode::from(EX_TEMPFAIL));
        }
        // A worker that has died may or may not come back: the operator decides.
        check_can_own(&view, *shard, to)?;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn progress(view: &FleetView, shard: Shard, to: &str) -> String {
    let owner = find(view, shard).and_then(|seen| seen.owner.as_deref());
    match (&view.moving, owner) {
        (Some((moving, _)), Some(owner)) if *moving == shard => {
            format!("{shard} is being handed over by {owner}")
        }
        (Some((moving, to)), _) if *moving != shard => {
            format!("{shard} is waiting: {moving} is moving to {to}, and shards move one at a time")
        }
        (_, Some(owner)) => format!("{shard} is on {owner}"),
        (_, None) => format!("{shard} is free; waiting for {to} to acquire it"),
    }
}

/// Refuses a worker that cannot own the shard, with the reason.
fn check_can_own(view: &FleetView, shard: Shard, to: &str) -> anyhow::Result<()> {
    let Some(worker) = view.workers.iter().find(|worker| worker.name == to) else {
        bail!("there is no worker {to}; see `tdfleet workers list`");
    };
    if !worker.live {
        bail!("worker {to} is not alive");
    }
    if worker.leaving {
        bail!("worker {to} is shutting down");
    }
    let store = find(view, shard).and_then(|seen| seen.store.as_deref());
    if store.is_some_and(|store| store != worker.store) {
        bail!("{shard} belongs to another store than worker {to}, which can only open its own");
    }
    Ok(())
}

fn find(view: &FleetView, shard: Shard) -> Option<&ShardView> {
    view.shards.iter().find(|seen| seen.shard == shard)
}

fn check_shard(count: ShardCount, shard: Shard) -> anyhow::Result<()> {
    if count.get() <= shard.0 {
        bail!("there is no shard {shard}: shard_count is {}", count.get());
    }
    Ok(())
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
    fn a_worker_that_cannot_own_a_shard_is_refused_with_the_reason() {
        let view = view();
        let refused = |shard, to| check_can_own(&view, Shard(shard), to).unwrap_err().to_string();
        assert!(check_can_own(&view, Shard(2), "a").is_ok());
        assert!(check_can_own(&view, Shard(3), "c").is_ok(), "a new shard may be on any store");
        assert!(refused(0, "nobody").contains("there is no worker nobody"));
        assert!(refused(0, "b").contains("is not alive"));
        assert!(refused(0, "c").contains("another store"));
        assert!(refused(0, "d").contains("is shutting down"));
    }

    #[test]
    fn progress_says_what_a_move_waits_for() {
        let mut view = view();
        assert_eq!(progress(&view, Shard(0), "a"), "s000 is being handed over by a");
        let waits = "s002 is waiting: s000 is moving to a, and shards move one at a time";
        assert_eq!(progress(&view, Shard(2), "a"), waits);
        view.moving = None;
        assert_eq!(progress(&view, Shard(1), "a"), "s001 is on b");
        assert_eq!(progress(&view, Shard(2), "a"), "s002 is free; waiting for a to acquire it");
    }
}
