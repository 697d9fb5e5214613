//! No circle of files inside a crate: a file never imports one that imports it back, directly or
//! through others.
//!
//! `mod x;` is no import, nor is a re-export of what a file's own submodule defines. What is imported
//! through a re-export counts as an import of the file that defines it.

mod graph;
mod imports;
mod modules;

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::SourceFile;
use graph::{FileGraph, ImportEdge};
use imports::ImportList;
use modules::ModuleTree;

pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut packages: BTreeMap<&str, Vec<&SourceFile>> = BTreeMap::new();
    for file in files {
        packages.entry(&file.package).or_default().push(file);
    }
    packages.iter().flat_map(|(package, files)| check_package(package, files)).collect()
}

fn check_package(package: &str, files: &[&SourceFile]) -> Vec<String> {
    let graph = graph_of(files);
    let circles = graph.circles().into_iter();
    let describe = |circle: BTreeSet<usize>| {
        let imports = graph.edges_within(&circle).map(|edge| {
            let (from, to) = (&files[edge.from].path, &files[edge.to].path);
            format!("\n    {from}:{}: `{}` of {to}", edge.line, edge.path)
        });
        let imports: String = imports.collect();
        format!("{package}: a circle of {} files; its imports:{imports}", circle.len())
    };
    circles.map(describe).collect()
}

fn graph_of(files: &[&SourceFile]) -> FileGraph {
    let modules = ModuleTree::of(files);
    let mut graph = FileGraph::new(files.len());
    for (from, file) in files.iter().enumerate() {
        let imports = ImportList::of(&file.syntax, &file.module);
        let mut seen = BTreeSet::new();
        for import in &imports.paths {
            let Some(to) = modules.file_of(&import.module, &import.path) else { continue };
            let below = files[to].module.starts_with(&file.module);
            let only_re_exported = import.is_re_export && below && !imports.uses_name(import);
            if to != from && !only_re_exported && seen.insert(to) {
                let path = import.path.join("::");
                graph.add(ImportEdge { from, to, line: import.line, path });
            }
        }
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sources, tree};

    fn check_files(files: &[(&str, &str)]) -> Vec<String> {
        let paths: Vec<_> =
            files.iter().map(|(path, text)| (format!("crates/x/src/{path}"), *text)).collect();
        let files: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        check(&sources::parse(&tree::of(&files)).unwrap())
    }

    #[test]
    fn a_circle_is_listed_with_its_lines() {
        let findings = check_files(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", "\npub struct B;\nfn f() { super::c::run(); }\n"),
            ("c.rs", "pub fn run() { let _: Option<crate::A> = None; }\n"),
        ]);
        assert_eq!(
            findings,
            ["crates/x: a circle of 3 files; its imports:\n    \
              crates/x/src/a.rs:1: `crate::b::B` of crates/x/src/b.rs\n    \
              crates/x/src/b.rs:3: `super::c::run` of crates/x/src/c.rs\n    \
              crates/x/src/c.rs:1: `crate::A` of crates/x/src/a.rs"]
        );
    }

    #[test]
    fn a_parent_may_re_export_a_child_that_imports_it() {
        let child = "use super::Config;\npub struct Part(Config);\n";
        let re_exports = "mod part;\npub(crate) use part::Part;\npub struct Config;\n";
        assert!(check_files(&[("lib.rs", re_exports), ("part.rs", child)]).is_empty());
        let uses = "mod part;\npub(crate) use part::Part;\npub struct Config;\nfn f(_: Part) {}\n";
        assert_eq!(check_files(&[("lib.rs", uses), ("part.rs", child)]).len(), 1);
        let by_path = "mod part;\npub struct Config;\nfn f() { part::Part::new() }\n";
        assert_eq!(check_files(&[("lib.rs", by_path), ("part.rs", child)]).len(), 1);
    }

    #[test]
    fn imports_inside_macros_and_functions_count() {
        let child = "use super::Config;\n";
        for code in ["select! { x = part::run() => {} }", "use part::{Part as P};"] {
            let parent = format!("mod part;\npub struct Config;\nfn f() {{ {code} }}\n");
            assert_eq!(check_files(&[("lib.rs", &parent), ("part.rs", child)]).len(), 1, "{code}");
        }
    }

    #[test]
    fn tests_and_other_crates_do_not_count() {
        let findings = check_files(&[
            ("lib.rs", "mod a;\nuse serde::a;\nuse a::A;\nfn f(_: A) {}\n"),
            (
                "a.rs",
                "use std::fmt;\npub(in crate::a) struct A;\n#[cfg(test)]\nmod tests { use crate::f; }\n",
            ),
        ]);
        assert!(findings.is_empty(), "{findings:?}");
    }
}
