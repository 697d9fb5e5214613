//! A type is guessable without its module: most type names have two words or more, and among the
//! crates that one request passes a name is defined once.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::words_in;
use crate::sources::SourceFile;

/// The crates that a command and its answer pass through.
const CRATES_OF_A_REQUEST: &[&str] = &[
    "broker",
    "contracts",
    "log-port",
    "owner-worker",
    "ownership",
    "publisher",
    "runtime",
    "settings",
    "tdfleet",
    "tdlib",
];

/// Names that these crates may define more than once, each with the reason.
const ALLOWED: &[(&str, &str)] = &[];

/// Most type names of one word, in percent.
const MOST_ONE_WORD_NAMES: usize = 30;

pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut findings = check_homonyms(files, ALLOWED);
    findings.extend(check_one_word_names(files));
    findings
}

/// Type names that several files of the crates of a request define, with the place of each.
pub(crate) fn homonyms(files: &[SourceFile]) -> BTreeMap<&str, Vec<String>> {
    let of_a_request = |file: &&SourceFile| {
        file.path.starts_with("crates/") && CRATES_OF_A_REQUEST.contains(&file.crate_name())
    };
    defined_twice(files.iter().filter(of_a_request))
}

/// Type names that several files define, with the place of each. Types inside functions do not count.
pub(crate) fn defined_twice<'a>(
    files: impl Iterator<Item = &'a SourceFile>,
) -> BTreeMap<&'a str, Vec<String>> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in files {
        // A file may define a name once for each of two `cfg`s.
        let mut seen = BTreeSet::new();
        for found in file.inventory.types.iter().filter(|found| !found.is_local) {
            if seen.insert(&found.name) {
                let place = format!("{}:{}", file.path, found.line);
                places.entry(&found.name).or_default().push(place);
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    places
}

fn check_homonyms(files: &[SourceFile], allowed: &[(&str, &str)]) -> Vec<String> {
    let homonyms = homonyms(files);
    let is_allowed = |name: &str| allowed.iter().any(|(known, _)| *known == name);
    let unexpected = homonyms.iter().filter(|(name, _)| !is_allowed(name));
    let stale = allowed.iter().filter(|(name, _)| !homonyms.contains_key(name));
    unexpected
        .map(|(name, places)| format!("`{name}` is defined more than once: {}", places.join(", ")))
        .chain(stale.map(|(name, _)| {
            format!("xtask/src/tidy/names.rs: `{name}` is no longer defined more than once")
        }))
        .collect()
}

fn check_one_word_names(files: &[SourceFile]) -> Vec<String> {
    let in_crates = files.iter().filter(|file| file.path.starts_with("crates/"));
    let (one_word, all) = one_word_names(in_crates);
    if one_word * 100 <= all * MOST_ONE_WORD_NAMES {
        return Vec::new();
    }
    let share = one_word * 100 / all;
    vec![format!(
        "{one_word} of {all} type names ({share} %) are a single word, {MOST_ONE_WORD_NAMES} % at \
         most: `cargo xtask count` shows each crate's share"
    )]
}

/// How many type definitions have a name of one word, and how many there are.
pub(crate) fn one_word_names<'a>(files: impl Iterator<Item = &'a SourceFile>) -> (usize, usize) {
    let words: Vec<_> =
        files.flat_map(|file| &file.inventory.types).map(|found| words_in(&found.name)).collect();
    (words.iter().filter(|words| **words == 1).count(), words.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sources, tree};

    const TWICE: &[(&str, &str)] = &[
        ("crates/broker/src/lib.rs", "pub struct Lease;\nfn f() { struct Local; }\n"),
        ("crates/ownership/src/lib.rs", "fn f() { struct Local; }\nenum Lease {}\n"),
        ("crates/sandbox/src/lib.rs", "struct Lease;\n"),
    ];

    #[test]
    fn a_name_is_defined_once_among_the_crates_of_a_request() {
        let files = sources::parse(&tree::of(TWICE)).unwrap();
        assert_eq!(
            check_homonyms(&files, &[]),
            ["`Lease` is defined more than once: crates/broker/src/lib.rs:1, \
              crates/ownership/src/lib.rs:2"]
        );
        assert!(check_homonyms(&files, &[("Lease", "two views of one thing")]).is_empty());
        assert!(check_homonyms(&files[1..], &[]).is_empty());
    }

    #[test]
    fn a_stale_exception_is_found() {
        let files = sources::parse(&tree::of(&TWICE[1..])).unwrap();
        assert_eq!(
            check_homonyms(&files, &[("Lease", "two views of one thing")]),
            ["xtask/src/tidy/names.rs: `Lease` is no longer defined more than once"]
        );
    }

    #[test]
    fn most_names_have_two_words() {
        let text = "struct A;\nstruct TwoWords;\nenum ThreeWholeWords {}\n";
        let files = [("crates/x/src/lib.rs", text), ("xtask/src/main.rs", "struct B;")];
        let findings = check_one_word_names(&sources::parse(&tree::of(&files)).unwrap());
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("1 of 3 type names (33 %)"), "{findings:?}");
        let text = format!("{text}type FourthName = A;\n");
        let files = [("crates/x/src/lib.rs", text.as_str())];
        assert!(check_one_word_names(&sources::parse(&tree::of(&files)).unwrap()).is_empty());
    }
}
