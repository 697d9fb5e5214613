//! `tdfleet workers`: lists the workers of the fleet.

use std::process::ExitCode;

use ownership::WorkerView;
use serde::Serialize;
use settings::Settings;

use super::fleet::fleet;
use crate::cli::{ListArgs, WorkersCommand};
use crate::output::{print_json, print_table, yes_no_cell};

pub(crate) async fn run(settings: Settings, command: WorkersCommand) -> anyhow::Result<ExitCode> {
    let WorkersCommand::List(ListArgs { json }) = command;
    let workers = fleet(&settings)?.view().await?.workers;
    let workers: Vec<_> = workers.iter().map(WorkerRow::from).collect();
    if json {
        print_json(&workers)?;
    } else {
        let rows: Vec<_> = workers.iter().map(WorkerRow::cells).collect();
        print_table(
            ["WORKER", "LIVE", "RABBITMQ", "SHARDS", "ACCOUNTS", "LEAVING", "STORE"],
            &rows,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct WorkerRow<'a> {
    name: &'a str,
    live: bool,
    rabbitmq: bool,
    shards: usize,
    accounts: usize,
    leaving: bool,
    store: &'a str,
}

impl<'a> From<&'a WorkerView> for WorkerRow<'a> {
    fn from(worker: &'a WorkerView) -> Self {
        let WorkerView { name, store, live, bus, leaving, accounts, shards } = worker;
        Self {
            name,
            live: *live,
            rabbitmq: *bus,
            shards: *shards,
            accounts: *accounts,
            leaving: *leaving,
            store,
        }
    }
}

impl WorkerRow<'_> {
    fn cells(&self) -> [String; 7] {
        [
            self.name.to_owned(),
            yes_no_cell(self.live),
            yes_no_cell(self.rabbitmq),
            self.shards.to_string(),
            self.accounts.to_string(),
            yes_no_cell(self.leaving),
            self.store.to_owned(),
        ]
    }
}
