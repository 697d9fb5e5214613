//! `tdfleet dead-letters`: lists, shows, redrives and purges messages that could not be processed.

use std::process::ExitCode;

use anyhow::bail;
use broker::{DeadLetter, DeadLetterSelector, DeadLetters, RedriveCount};
use serde::Serialize;
use settings::Settings;

use crate::cli::{
    DeadLetterSelection, DeadLettersCommand, ListDeadLettersArgs, ShowDeadLetterArgs,
};
use crate::installation;
use crate::output::{
    optional_cell, print_json, print_line, print_progress, print_table, printable, yes_no_cell,
};

/// Most letters shown for one id; a command usually has one.
const MAX_SHOWN: usize = 100;

pub(crate) async fn run(
    settings: Settings,
    command: DeadLettersCommand,
) -> anyhow::Result<ExitCode> {
    let names = installation::names(&settings);
    let key = installation::mac_keys(&settings).map(|keys| keys.bus);
    let letters = DeadLetters::connect(&settings.broker, names, key).await?;
    match command {
        DeadLettersCommand::List(args) => list(&letters, &args).await,
        DeadLettersCommand::Show(args) => show(&letters, args).await,
        DeadLettersCommand::Redrive(selection) => {
            let selector = selector(&selection);
            report_redriven(&selector, letters.redrive(&selector).await?)
        }
        DeadLettersCommand::Purge(selection) => {
            let selector = selector(&selection);
            report_count(&selector, letters.purge(&selector).await?, "purged")
        }
    }
}

#[derive(Serialize)]
struct DeadLetterRow {
    position: u64,
    id: Option<String>,
    command_id: Option<String>,
    routing_key: Option<String>,
    reason: Option<String>,
    since: Option<String>,
    bytes: usize,
    signed: Option<bool>,
    body_removed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl DeadLetterRow {
    fn new(letter: DeadLetter, body: Option<&[u8]>) -> Self {
        let DeadLetter {
            position,
            id,
            command_id,
            routing_key,
            reason,
            since,
            bytes,
            signed,
            body_removed,
        } = letter;
        let since = since.map(|since| since.to_string());
        let body = body.map(|body| String::from_utf8_lossy(body).into_owned());
        Self {
            position,
            id,
            command_id,
            routing_key,
            reason,
            since,
            bytes,
            signed,
            body_removed,
            body,
        }
    }
}

async fn list(letters: &DeadLetters, args: &ListDeadLettersArgs) -> anyhow::Result<ExitCode> {
    let (found, total) = letters.list(args.limit).await?;
    let rows: Vec<_> = found.into_iter().map(|letter| DeadLetterRow::new(letter, None)).collect();
    if args.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                optional_cell(row.id.as_ref()),
                optional_cell(row.since.as_ref()),
                optional_cell(row.routing_key.as_ref()),
                optional_cell(row.command_id.as_ref()),
                bytes_cell(row),
                optional_cell(row.signed.map(yes_no_cell)),
                optional_cell(row.reason.as_ref()),
            ]
        })
        .collect();
    let header = ["LETTER", "SINCE", "ROUTING KEY", "COMMAND ID", "BYTES", "SIGNED", "REASON"];
    print_table(header, &cells)?;
    let shown = rows.len() as u64;
    if shown < total {
        print_line(format!("({shown} of {total} shown; use --limit for more)"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(letters: &DeadLetters, args: ShowDeadLetterArgs) -> anyhow::Result<ExitCode> {
    let found = letters.show(&DeadLetterSelector::Id(args.id.clone()), MAX_SHOWN).await?;
    if found.is_empty() {
        bail!("no dead letter has the id {}", args.id);
    }
    let rows: Vec<_> = found
        .into_iter()
        .map(|(letter, body)| DeadLetterRow::new(letter, args.body.then_some(&body[..])))
        .collect();
    if args.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    for row in rows {
        let bytes = bytes_cell(&row);
        let lines = [
            ("letter", optional_cell(row.id)),
            ("command id", optional_cell(row.command_id)),
            ("routing key", optional_cell(row.routing_key)),
            ("reason", optional_cell(row.reason)),
            ("since", optional_cell(row.since)),
            ("position", row.position.to_string()),
            ("bytes", bytes),
            ("signed", optional_cell(row.signed.map(yes_no_cell))),
        ];
        for (name, value) in lines {
            print_line(format!("{name:12} {}", printable(&value)))?;
        }
        if let Some(body) = row.body {
            print_line(format!("{:12} {}", "body", printable(&body)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The body's length, or that it is gone.
fn bytes_cell(row: &DeadLetterRow) -> String {
    if row.body_removed { "removed".to_owned() } else { row.bytes.to_string() }
}

/// The command line has either an id or `--all`.
fn selector(selection: &DeadLetterSelection) -> DeadLetterSelector {
    selection.id.clone().map_or(DeadLetterSelector::All, DeadLetterSelector::Id)
}

fn report_count(selector: &DeadLetterSelector, count: u64, done: &str) -> anyhow::Result<ExitCode> {
    if let (DeadLetterSelector::Id(id), 0) = (selector, count) {
        bail!("no dead letter has the id {id}");
    }
    print_line(format!("{count} {done}"))?;
    Ok(ExitCode::SUCCESS)
}

fn report_redriven(selector: &DeadLetterSelector, count: RedriveCount) -> anyhow::Result<ExitCode> {
    let RedriveCount { republished, left } = count;
    if let (DeadLetterSelector::Id(id), 0, 1..) = (selector, republished, left) {
        bail!("the dead letter with the id {id} has no body any more");
    }
    if left > 0 {
        print_progress(&format!(
            "{left} left: without a body, or not written by a worker; redrive the latter by their ids"
        ));
    }
    report_count(selector, republished, "republished")
}
