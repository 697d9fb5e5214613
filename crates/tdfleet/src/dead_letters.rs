//! `tdfleet dead-letters`: what nobody could carry out.

use std::process::ExitCode;

use anyhow::bail;
use broker::{DeadLetter, DeadLetterSelector, DeadLetters};
use contracts::Names;
use serde::Serialize;
use settings::Settings;

use crate::cli::{ChosenLetters, DeadLettersCommand, ListLettersArgs, ShowLetterArgs};
use crate::events::print;
use crate::table::{cell, print_json, print_table};

/// Letters of one id that are shown; a command has one, as a rule.
const SHOWN: usize = 100;

pub(crate) async fn run(
    settings: Settings,
    command: DeadLettersCommand,
) -> anyhow::Result<ExitCode> {
    let names = Names::new(&settings.namespace);
    let letters = DeadLetters::connect(&settings.broker, names).await?;
    match command {
        DeadLettersCommand::List(args) => list(&letters, &args).await,
        DeadLettersCommand::Show(args) => show(&letters, args).await,
        DeadLettersCommand::Redrive(chosen) => {
            let which = which(&chosen);
            done(&which, letters.redrive(&which).await?, "published again")
        }
        DeadLettersCommand::Purge(chosen) => {
            let which = which(&chosen);
            done(&which, letters.purge(&which).await?, "thrown away")
        }
    }
}

#[derive(Serialize)]
struct Row {
    position: u64,
    id: Option<String>,
    command_id: Option<String>,
    routing_key: Option<String>,
    reason: Option<String>,
    since: Option<String>,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Row {
    fn new(letter: DeadLetter, body: Option<&[u8]>) -> Self {
        let DeadLetter { position, id, command_id, routing_key, reason, since, bytes } = letter;
        let since = since.map(|since| since.to_string());
        let body = body.map(|body| String::from_utf8_lossy(body).into_owned());
        Self { position, id, command_id, routing_key, reason, since, bytes, body }
    }
}

async fn list(letters: &DeadLetters, args: &ListLettersArgs) -> anyhow::Result<ExitCode> {
    let (found, total) = letters.list(args.limit).await?;
    let rows: Vec<_> = found.into_iter().map(|letter| Row::new(letter, None)).collect();
    if args.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                cell(row.id.as_ref()),
                cell(row.since.as_ref()),
                cell(row.routing_key.as_ref()),
                cell(row.command_id.as_ref()),
                row.bytes.to_string(),
                cell(row.reason.as_ref()),
            ]
        })
        .collect();
    print_table(["LETTER", "SINCE", "ROUTING KEY", "COMMAND ID", "BYTES", "REASON"], &cells);
    let shown = rows.len() as u64;
    if shown < total {
        print(format!("({shown} of {total}; --limit shows more)").as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(letters: &DeadLetters, args: ShowLetterArgs) -> anyhow::Result<ExitCode> {
    let found = letters.show(&DeadLetterSelector::Id(args.id.clone()), SHOWN).await?;
    if found.is_empty() {
        bail!("there is no dead letter of the id {}", args.id);
    }
    let rows: Vec<_> = found
        .into_iter()
        .map(|(letter, body)| Row::new(letter, args.body.then_some(&body[..])))
        .collect();
    if args.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    for row in rows {
        let lines = [
            ("letter", cell(row.id)),
            ("command id", cell(row.command_id)),
            ("routing key", cell(row.routing_key)),
            ("reason", cell(row.reason)),
            ("since", cell(row.since)),
            ("position", row.position.to_string()),
            ("bytes", row.bytes.to_string()),
        ];
        for (name, value) in lines {
            print(format!("{name:12} {value}").as_bytes());
        }
        if let Some(body) = row.body {
            print(format!("{:12} {body}", "body").as_bytes());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line has either an id or `--all`.
fn which(chosen: &ChosenLetters) -> DeadLetterSelector {
    chosen.id.clone().map_or(DeadLetterSelector::All, DeadLetterSelector::Id)
}

fn done(which: &DeadLetterSelector, count: u64, what: &str) -> anyhow::Result<ExitCode> {
    if let (DeadLetterSelector::Id(id), 0) = (which, count) {
        bail!("there is no dead letter of the id {id}");
    }
    print(format!("{count} {what}").as_bytes());
    Ok(ExitCode::SUCCESS)
}
