//! The repository's own checks and figures: `cargo xtask`.
//!
//! Each check returns its findings as lines; the exit code is 1 if there are any. `manifests.rs`,
//! `tree.rs` and `sources.rs` read; everything else judges.

#[cfg(feature = "compat")]
mod compat;
mod count;
mod edges;
mod figures;
mod inventory;
mod manifests;
mod sources;
mod tidy;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use manifests::Manifests;
use tree::Tree;

const USAGE: &str = "usage: cargo xtask TASK
  edges              who imports whom, against the table in xtask/src/edges.rs
  tidy               everything else that no compiler checks
  compat             the wire format, against the last release's schemas (see `make compat`)
  count [DIRECTORY]  sizes and names of the sources, here or in another checkout
  figures            write docs/figures.md from the newest run in docs/figures
  homonyms           type names that the crates of a request define more than once";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = arguments.first().map(String::as_str).unwrap_or_default();
    match run(task, arguments.get(1).map(Path::new)) {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            say(&findings.join("\n"));
            say(&format!("{task}: {} findings", findings.len()));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: &str, directory: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let tree = || Tree::read(directory.unwrap_or_else(|| tree::root()));
    match task {
        "edges" => Ok(edges::check(&Manifests::read()?)),
        "tidy" => tidy::check(&tree()?, &Manifests::read()?),
        #[cfg(feature = "compat")]
        "compat" => {
            if let Some(tag) = compat::last_release()? {
                return compat::check(&compat::schemas_of(&tag)?, &tree()?);
            }
            say("compat: no release tag yet: nothing to compare with");
            Ok(Vec::new())
        }
        "count" => {
            let tree = tree()?;
            print(&count::table(&tree, &sources::parse(&tree)?));
            Ok(Vec::new())
        }
        "figures" => {
            let page = figures::page(&tree()?)?.context("docs/figures has no data")?;
            std::fs::write(tree::root().join(figures::PAGE), page)?;
            Ok(Vec::new())
        }
        "homonyms" => {
            for (name, places) in tidy::names::homonyms(&sources::parse(&tree()?)?) {
                print(&format!("{name}: {}\n", places.join(", ")));
            }
            Ok(Vec::new())
        }
        _ => bail!(USAGE),
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the findings")]
fn say(text: &str) {
    eprintln!("{text}");
}
