//! docs/figures.md, from the data of the newest run in docs/figures.

use std::fmt::Write as _;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::tree::Tree;

pub(crate) const PAGE: &str = "docs/figures.md";
const FOLDER: &str = "docs/figures/";

/// What `make figures` has written; tests/figures/report.rs has the other side.
#[derive(Deserialize)]
struct RunData {
    /// RFC 3339, in UTC.
    time: String,
    commit: String,
    cpu: String,
    cores: u32,
    /// The load average before the run.
    load: f64,
    system: String,
    kernel: String,
    redis: String,
    tables: Vec<FigureTable>,
}

#[derive(Deserialize)]
struct FigureTable {
    question: String,
    notes: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// The page as the data says; `None` when there is no data.
pub(crate) fn page(tree: &Tree) -> anyhow::Result<Option<String>> {
    let mut runs = Vec::new();
    for (path, text) in tree.texts(".json").filter(|(path, _)| path.starts_with(FOLDER)) {
        let run: RunData = serde_json::from_str(text).with_context(|| path.to_owned())?;
        runs.push((path, run));
    }
    let Some((newest, run)) = runs.iter().max_by_key(|(_, run)| &run.time) else { return Ok(None) };
    let mut page = head(newest, run);
    for table in &run.tables {
        page.push_str(&section(table)?);
    }
    page.push_str(&links(tree, newest));
    Ok(Some(page))
}

/// Whether the page is what the data says.
pub(crate) fn check(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let is_stale = page(tree)?.is_some_and(|page| page != tree.text(PAGE));
    let finding = format!("{PAGE}: is not what {FOLDER} says: run `cargo xtask figures`");
    Ok(is_stale.then_some(finding).into_iter().collect())
}

fn head(path: &str, run: &RunData) -> String {
    let RunData { time, commit, cpu, cores, load, system, kernel, redis, .. } = run;
    let date = time.split('T').next().unwrap_or_default();
    let link = path.trim_start_matches("docs/");
    format!(
        "# Figures\n\n\
         `make figures` measures these on real RabbitMQ, Redis and libtdjson, with the sandbox and a \
         release build, and writes this page: do not edit it.\n\
         Driver, servers, worker and sandbox share the machine's cores, so compare rows of this run \
         only.\n\n\
         Run of {date} at commit `{commit}` ([data]({link})): {cpu}, {cores} cores, {system}, kernel \
         {kernel}, Redis {redis}; load average before the run {load}.\n"
    )
}

fn section(table: &FigureTable) -> anyhow::Result<String> {
    let mut text = format!("\n## {}\n\n", table.question);
    writeln!(text, "| {} |", table.columns.join(" | "))?;
    writeln!(text, "|{}", " --- |".repeat(table.columns.len()))?;
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    text.push('\n');
    for note in &table.notes {
        writeln!(text, "- {note}")?;
    }
    Ok(text)
}

/// A number without a fraction that says nothing: 865.0 is 865.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        number => number.to_string().trim_end_matches(".0").to_owned(),
    }
}

fn links(tree: &Tree, newest: &str) -> String {
    let others = tree.texts("").map(|(path, _)| path);
    let others = others.filter(|path| path.starts_with(FOLDER) && *path != newest);
    let others = others.map(|path| path.trim_start_matches(FOLDER));
    let others: Vec<_> = others.map(|name| format!("- [{name}](figures/{name})\n")).collect();
    format!(
        "\n## More figures\n\n\
         - [Routing of updates](tdlib.md), [a thousand accounts in the sandbox](sandbox.md)\n{}",
        others.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    fn run(time: &str, figure: &str) -> String {
        format!(
            r#"{{"time": "{time}", "commit": "abc", "cpu": "Z80", "cores": 1, "load": 0.1, "system": "CP/M",
            "kernel": "2.2", "redis": "7", "tables": [{{"question": "How fast?", "notes": ["Very."],
            "columns": ["command", "p50 (ms)"], "rows": [["start", {figure}]]}}]}}"#
        )
    }

    #[test]
    fn the_page_shows_the_newest_run_and_links_the_others() {
        let (old, new) = (run("2026-01-01T00:00:00Z", "1"), run("2026-01-02T00:00:00Z", "2.50"));
        let tree =
            tree::of(&[("docs/figures/b-old.json", &old), ("docs/figures/a-new.json", &new)]);
        let page = page(&tree).unwrap().unwrap();
        for text in [
            "Run of 2026-01-02 at commit `abc` ([data](figures/a-new.json)): Z80, 1 cores,",
            "## How fast?\n\n| command | p50 (ms) |\n| --- | --- |\n| start | 2.5 |\n\n- Very.\n",
            "- [b-old.json](figures/b-old.json)\n",
        ] {
            assert!(page.contains(text), "{text} is not in\n{page}");
        }
    }

    #[test]
    fn a_stale_page_is_found() {
        let data = run("2026-01-02T00:00:00Z", "2");
        let path = "docs/figures/a.json";
        let page = page(&tree::of(&[(path, &data)])).unwrap().unwrap();
        assert!(check(&tree::of(&[(path, &data), (PAGE, &page)])).unwrap().is_empty());
        let stale = page.replace("| 2 |", "| 1 |");
        assert_eq!(check(&tree::of(&[(path, &data), (PAGE, &stale)])).unwrap().len(), 1);
        assert!(check(&tree::of(&[(PAGE, "by hand")])).unwrap().is_empty());
    }
}
