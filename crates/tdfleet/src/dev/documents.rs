//! `tdfleet documents`: the contract as documents, generated from the types that implement it.
//!
//! `make schemas` writes them into the repository; `make check` fails when they are out of date.

mod asyncapi;
mod reference;
mod schemas;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::DocumentsArgs;

/// Files by their path below the repository's root.
type DocumentSet = BTreeMap<PathBuf, String>;

pub(crate) fn run(args: &DocumentsArgs) -> anyhow::Result<ExitCode> {
    let documents = generate()?;
    for (path, text) in &documents {
        let path = args.directory.join(path);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, text)
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    remove_stale(&args.directory, &documents).context("cannot remove stale schemas")?;
    Ok(ExitCode::SUCCESS)
}

fn generate() -> anyhow::Result<DocumentSet> {
    let mut documents = schemas::all()?;
    let asyncapi = yaml::block(&asyncapi::document());
    documents.insert("schemas/asyncapi.yaml".into(), asyncapi);
    documents.insert("docs/commands.md".into(), reference::page()?);
    Ok(documents)
}

/// Removes the schemas of commands that no longer exist.
fn remove_stale(directory: &Path, documents: &DocumentSet) -> io::Result<()> {
    let current: BTreeSet<_> = documents.keys().map(|path| directory.join(path)).collect();
    for folder in ["schemas/commands", "schemas/events"] {
        for entry in fs::read_dir(directory.join(folder))? {
            let path = entry?.path();
            if !current.contains(&path) {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}
