//! The files of the repository.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Files that git tracks or would track, with their text; a file that is not UTF-8 has none.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// By path from the root, `/` between its parts.
    pub(crate) files: BTreeMap<String, Option<String>>,
}

/// Where the workspace's manifest is.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

impl Tree {
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git cannot be run")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let names = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
        let mut tree = Self::default();
        for name in names.split_terminator('\0') {
            // Git still lists a file that was deleted without a commit.
            if let Ok(bytes) = std::fs::read(root.join(name)) {
                tree.files.insert(name.to_owned(), String::from_utf8(bytes).ok());
            }
        }
        Ok(tree)
    }

    /// Text files whose path ends with `end`.
    pub(crate) fn texts<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(end))
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// The text of one file; empty when there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Whether the path, or one that begins with it, exists: `docs/adr/0001` is enough.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.range(path.to_owned()..).next().is_some_and(|(found, _)| found.starts_with(path))
    }
}

#[cfg(test)]
pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
    let files = files.iter().map(|&(path, text)| (path.to_owned(), Some(text.to_owned())));
    Tree { files: files.collect() }
}
