//! Every library in a manifest has its line in docs/dependencies.md, and the other way round.

use std::collections::BTreeSet;

use crate::manifests::Manifests;
use crate::tree::Tree;

const PAGE: &str = "docs/dependencies.md";

pub(crate) fn check(tree: &Tree, manifests: &Manifests) -> Vec<String> {
    let named: BTreeSet<&str> = manifests
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.path.is_none())
        .map(|dependency| dependency.name.as_str())
        .collect();
    let documented: BTreeSet<&str> = tree.text(PAGE).lines().filter_map(row).collect();
    let missing = named.difference(&documented).map(|name| format!("{PAGE}: `{name}` has no line"));
    let stale =
        documented.difference(&named).map(|name| format!("{PAGE}: `{name}` is in no manifest"));
    missing.chain(stale).collect()
}

/// The library that a line of a table is about.
fn row(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::manifests::{Dependency, Package};
    use crate::tree;

    #[test]
    fn the_page_and_the_manifests_agree() {
        let dependency =
            Dependency { name: "serde".to_owned(), kind: None, optional: false, path: None };
        let package = Package {
            name: "a".to_owned(),
            manifest_path: PathBuf::default(),
            dependencies: vec![dependency],
        };
        let manifests = Manifests { packages: vec![package] };
        assert!(check(&tree::of(&[(PAGE, "| `serde` | shapes |")]), &manifests).is_empty());
        assert_eq!(
            check(&tree::of(&[(PAGE, "| `tokio` | tasks |")]), &manifests),
            [
                "docs/dependencies.md: `serde` has no line",
                "docs/dependencies.md: `tokio` is in no manifest"
            ]
        );
    }
}
