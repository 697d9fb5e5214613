//! Which crate may import which, as data. ARCHITECTURE.md gives the reasons.

use crate::manifests::{Dependency, Manifests, Package};

/// A crate of the workspace and the ones it may import.
const CRATES: &[(&str, &[&str])] = &[
    ("contracts", &[]),
    ("log-port", &["contracts"]),
    ("runtime", &[]),
    ("settings", &["runtime"]),
    ("tdlib", &["runtime"]),
    ("broker", &["contracts", "runtime", "settings"]),
    ("publisher", &["contracts", "log-port", "runtime", "settings"]),
    ("ownership", &["contracts", "runtime", "settings"]),
    ("owner-worker", &["contracts", "log-port", "runtime", "settings", "tdlib"]),
    (
        "tdfleet",
        &[
            "broker",
            "contracts",
            "log-port",
            "owner-worker",
            "ownership",
            "publisher",
            "runtime",
            "settings",
            "tdlib",
        ],
    ),
    ("sandbox", &["contracts"]),
    ("testkit", &["contracts", "log-port", "runtime", "tdlib"]),
    ("test-servers", &[]),
    ("fuzzing", &[]),
    ("example-client", &[]),
    ("xtask", &[]),
];

/// Imports that a crate has only with a cargo feature.
const OPTIONAL: &[(&str, &str)] = &[("tdfleet", "sandbox")];

/// What tests may import in addition to their crate's imports.
const FOR_TESTS: &[&str] =
    &["contracts", "fuzzing", "log-port", "sandbox", "test-servers", "testkit"];

/// What only one crate's tests may import in addition.
const FOR_TESTS_OF: &[(&str, &str)] = &[("sandbox", "tdlib")];

/// Libraries that only these crates may use, so that the others do not depend on what is behind them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("lapin", &["broker", "example-client"]),
    ("deadpool-redis", &["publisher", "ownership"]),
    ("libc", &["tdlib"]),
    ("libloading", &["tdlib"]),
    ("tdlib-rs", &["tdlib", "owner-worker"]),
    ("grammers-tl-types", &["sandbox"]),
    ("clap", &["tdfleet", "example-client"]),
];

/// The crate with the end-to-end tests, which talk to a worker like any client.
const END_TO_END: &str = "tdfleet";

pub(crate) fn check(manifests: &Manifests) -> Vec<String> {
    let mut findings = Vec::new();
    for package in &manifests.packages {
        let Some((_, imports)) = CRATES.iter().find(|(name, _)| *name == package.name) else {
            findings.push(format!("{}: has no row in xtask/src/edges.rs", package.name));
            continue;
        };
        let refused = package.dependencies.iter().filter(|dependency| match dependency.path {
            Some(_) => !may_import(package, imports, dependency),
            None => !may_name(package, dependency),
        });
        findings.extend(
            refused
                .map(|dependency| format!("{} must not import {}", package.name, dependency.name)),
        );
    }
    findings
}

fn may_import(package: &Package, imports: &[&str], dependency: &Dependency) -> bool {
    let pair = (package.name.as_str(), dependency.name.as_str());
    imports.contains(&pair.1)
        || (dependency.optional && OPTIONAL.contains(&pair))
        || (dependency.is_for_tests()
            && (FOR_TESTS.contains(&pair.1) || FOR_TESTS_OF.contains(&pair)))
}

fn may_name(package: &Package, dependency: &Dependency) -> bool {
    let mut rules = LIBRARIES.iter().filter(|(library, _)| *library == dependency.name);
    let end_to_end = package.name == END_TO_END && dependency.is_for_tests();
    end_to_end || rules.all(|(_, crates)| crates.contains(&package.name.as_str()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::manifests::Kind;

    fn check_one(package: &str, dependency: &str, kind: Option<Kind>, ours: bool) -> Vec<String> {
        let dependency = Dependency {
            name: dependency.to_owned(),
            kind,
            optional: false,
            path: ours.then(Default::default),
        };
        let package = Package {
            name: package.to_owned(),
            manifest_path: PathBuf::default(),
            dependencies: vec![dependency],
        };
        check(&Manifests { packages: vec![package] })
    }

    #[test]
    fn an_arrow_outside_the_table_is_found() {
        assert!(check_one("broker", "contracts", None, true).is_empty());
        assert_eq!(
            check_one("broker", "publisher", None, true),
            ["broker must not import publisher"]
        );
    }

    #[test]
    fn only_tests_import_what_is_for_tests() {
        assert!(check_one("broker", "test-servers", Some(Kind::Dev), true).is_empty());
        assert_eq!(check_one("broker", "test-servers", None, true).len(), 1);
        assert_eq!(check_one("broker", "tdlib", Some(Kind::Dev), true).len(), 1);
        assert_eq!(check_one("tdfleet", "sandbox", None, true).len(), 1);
    }

    #[test]
    fn a_library_belongs_to_its_crates() {
        assert!(check_one("broker", "lapin", None, false).is_empty());
        assert!(check_one("tdfleet", "lapin", Some(Kind::Dev), false).is_empty());
        assert_eq!(check_one("tdfleet", "lapin", None, false).len(), 1);
        assert!(check_one("broker", "serde", None, false).is_empty());
        assert_eq!(
            check_one("publisher", "lapin", None, false),
            ["publisher must not import lapin"]
        );
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(
            check_one("stranger", "serde", None, false),
            ["stranger: has no row in xtask/src/edges.rs"]
        );
    }
}
