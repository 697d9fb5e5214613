//! An inherent `impl` is in the file of its type.

use std::collections::BTreeSet;

use crate::sources::SourceFile;

/// Most inherent `impl` blocks in another file than their type, in percent.
const MOST_APART: usize = 2;

pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let apart = apart(files);
    let all: usize = files.iter().map(|file| file.inventory.inherent_impls.len()).sum();
    if apart.len() * 100 <= all * MOST_APART {
        return Vec::new();
    }
    let count = apart.len();
    let places = apart.join("\n    ");
    vec![format!(
        "{count} of {all} inherent impls are in another file than their type, {MOST_APART} % at \
         most:\n    {places}"
    )]
}

/// Inherent `impl` blocks whose type another file of the same crate defines.
pub(crate) fn apart(files: &[SourceFile]) -> Vec<String> {
    let mut apart = Vec::new();
    for file in files {
        let here: BTreeSet<&str> = names(file).collect();
        let crate_defines = |name: &str| {
            files
                .iter()
                .any(|other| other.package == file.package && names(other).any(|n| n == name))
        };
        for block in &file.inventory.inherent_impls {
            if !here.contains(block.name.as_str()) && crate_defines(&block.name) {
                apart.push(format!("{}:{}: impl {}", file.path, block.line, block.name));
            }
        }
    }
    apart
}

fn names(file: &SourceFile) -> impl Iterator<Item = &str> {
    file.inventory.types.iter().map(|found| found.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sources, tree};

    #[test]
    fn an_impl_is_in_the_file_of_its_type() {
        let files = sources::parse(&tree::of(&[
            ("crates/x/src/lib.rs", "struct A;\nimpl A {}\nimpl str {}\n"),
            ("crates/x/src/b.rs", "\nimpl super::A {}\nimpl Clone for super::A {}\n"),
            ("crates/y/src/lib.rs", "impl A {}\n"),
        ]))
        .unwrap();
        assert_eq!(apart(&files), ["crates/x/src/b.rs:2: impl A"]);
        assert_eq!(check(&files).len(), 1);
        assert!(check(&files[1..]).is_empty());
    }
}
