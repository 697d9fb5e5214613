//! `tdfleet workers`: who is in the fleet.

use std::process::ExitCode;

use contracts::Names;
use ownership::{FleetClient, WorkerView};
use serde::Serialize;
use settings::Settings;

use crate::cli::{ListArgs, WorkersCommand};
use crate::table::{print_json, print_table, yes_no};

pub(crate) async fn run(settings: Settings, command: WorkersCommand) -> anyhow::Result<ExitCode> {
    let WorkersCommand::List(ListArgs { json }) = command;
    let workers = fleet(&settings)?.view().await?.workers;
    let workers: Vec<_> = workers.iter().map(Row::from).collect();
    if json {
        print_json(&workers)?;
    } else {
        let rows: Vec<_> = workers.iter().map(Row::cells).collect();
        print_table(
            ["WORKER", "LIVE", "RABBITMQ", "SHARDS", "ACCOUNTS", "LEAVING", "STORE"],
            &rows,
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The fleet behind the settings' Redis.
pub(crate) fn fleet(settings: &Settings) -> anyhow::Result<FleetClient> {
    let publisher = &settings.publisher;
    let names = Names::new(&settings.namespace);
    Ok(FleetClient::new(&publisher.uri, publisher.timeout(), names)?)
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    live: bool,
    rabbitmq: bool,
    shards: usize,
    accounts: usize,
    leaving: bool,
    store: &'a str,
}

impl<'a> From<&'a WorkerView> for Row<'a> {
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

impl Row<'_> {
    fn cells(&self) -> [String; 7] {
        [
            self.name.to_owned(),
            yes_no(self.live),
            yes_no(self.rabbitmq),
            self.shards.to_string(),
            self.accounts.to_string(),
            yes_no(self.leaving),
            self.store.to_owned(),
        ]
    }
}
