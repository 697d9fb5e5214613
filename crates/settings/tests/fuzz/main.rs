//! Any file and any environment give settings or faults, and no fault shows a secret.

use std::collections::HashMap;
use std::fs;

use fuzzing::{allocated, fuzz, fuzz_values};
use proptest::prelude::*;
use proptest::sample::select;
use settings::{SettingFaults, SettingSources, Settings};
use tempfile::TempDir;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");
/// Between the file and the environment in a file of the corpus.
const SEPARATOR: &str = "\n---\n";
/// Largest description of one fault, in bytes beyond the input's.
const MAX_FAULT: usize = 400;
/// What no fault may show.
const SECRET: &str = "hush-4711-hush";

/// The settings that are secrets, with the shapes in which a value may be given.
const SECRETS: [(&str, &str); 5] = [
    ("telegram", "api_hash"),
    ("telegram", "master_key"),
    ("telegram", "proxy.secret"),
    ("broker", "uri"),
    ("publisher", "uri"),
];

fn load(toml: &str, environment: HashMap<String, String>) -> Result<Settings, SettingFaults> {
    let directory = TempDir::new().unwrap_or_else(|error| panic!("no directory: {error}"));
    let file = directory.path().join("tdfleet.toml");
    fs::write(&file, toml).unwrap_or_else(|error| panic!("no file: {error}"));
    let sources = SettingSources {
        file: Some(file),
        environment: Some(environment),
        ..SettingSources::default()
    };
    settings::load(sources)
}

#[test]
fn any_file_and_environment_are_settings_or_faults() {
    fuzz(CORPUS, |input| {
        let text = String::from_utf8_lossy(input);
        let (toml, lines) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
        let pair = |line: &str| {
            line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let environment: HashMap<_, _> = lines.lines().filter_map(pair).collect();
        let (loaded, bytes) = allocated(|| load(toml, environment));
        prop_assert!(bytes <= 4000 * input.len() + (1 << 20), "{bytes} bytes are allocated");
        if let Err(faults) = loaded {
            prop_assert!(faults.iter().count() > 0);
            for fault in faults.iter() {
                prop_assert!(fault.problem.len() <= MAX_FAULT + input.len());
                prop_assert!(!fault.problem.contains('\n'), "{}", fault.problem);
            }
        }
        Ok(())
    });
}

/// A value of the secret in any type, sound or not, with anything around it.
fn value() -> impl Strategy<Value = String> {
    let quoted = |text: String| format!("{text:?}");
    prop_oneof![
        ("[ -~]{0,8}", "[ -~\\n]{0,8}")
            .prop_map(move |(before, after)| quoted(format!("{before}{SECRET}{after}"))),
        Just(format!("[\"{SECRET}\"]")),
        Just(format!("{{ \"x\" = \"{SECRET}\" }}")),
        Just(SECRET.to_owned()),
        Just(format!("\"{SECRET}")),
        Just(format!("amqp://user:{SECRET}@[::1")),
        Just(format!("\"redis://user:{SECRET}@host:port/x\"")),
        Just(format!("\"amqp://user:{SECRET}@host:99999/%zz\"")),
    ]
}

#[test]
fn no_fault_shows_a_secret() {
    let given = (select(&SECRETS[..]), value(), any::<bool>(), any::<bool>());
    fuzz_values(1_000, &given, |((section, field), value, in_file, more)| {
        let more = if more { "\nprefetch = \"x\"\nunknown = 1" } else { "" };
        let (toml, environment) = if in_file {
            (format!("[{section}]\n{field} = {value}{more}"), HashMap::new())
        } else {
            let name = format!("TDFLEET__{section}__{}", field.replace('.', "__")).to_uppercase();
            (String::new(), HashMap::from([(name, value)]))
        };
        if let Err(faults) = load(&toml, environment) {
            let shown = format!("{faults}\n{faults:?}");
            prop_assert!(!shown.contains(SECRET), "{shown}");
        }
        Ok(())
    });
}
