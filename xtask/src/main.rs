//! The repository's own checks: `cargo xtask edges` and `cargo xtask tidy`.
//!
//! Each check returns its findings as lines; any finding is exit code 1. `manifests.rs` and
//! `tree.rs` read, everything else judges.

mod edges;
mod manifests;
mod tidy;
mod tree;

use std::process::ExitCode;

use anyhow::bail;

use manifests::Manifests;
use tree::Tree;

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    match run(&task) {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            say(&findings.join("\n"));
            say(&format!("{task}: {} found", findings.len()));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: &str) -> anyhow::Result<Vec<String>> {
    match task {
        "edges" => Ok(edges::check(&Manifests::read()?)),
        "tidy" => tidy::check(&Tree::read()?, &Manifests::read()?),
        _ => bail!("usage: cargo xtask edges|tidy"),
    }
}

#[expect(clippy::print_stderr, reason = "the findings")]
fn say(text: &str) {
    eprintln!("{text}");
}
