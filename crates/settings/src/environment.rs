//! The settings among the environment's variables.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::ffi::OsString;

use toml::Value;

use crate::faults::SettingFaults;
use crate::leaf::{SettingPath, typed};

const PREFIX: &str = "TDFLEET__";
/// What a name begins with that has an underscore too few.
const NEAR_PREFIX: &str = "TDFLEET_";

/// Variables of this repository's tests, which look like settings.
const OF_TESTS: [&str; 1] = ["TDFLEET_TDLIB_LIBRARY"];

/// Longest name whose parts are searched for a setting.
const MAX_WORDS: usize = 8;

/// The settings by their paths. Names are not case-sensitive. A variable that was probably meant as a
/// setting is a fault: ignoring it would leave a default in force.
pub(crate) fn read(
    given: Option<HashMap<String, String>>,
    faults: &mut SettingFaults,
) -> BTreeMap<SettingPath, Value> {
    let mut values = BTreeMap::new();
    for (name, value) in variables(given) {
        let upper = name.to_ascii_uppercase();
        if !upper.starts_with(NEAR_PREFIX) || OF_TESTS.contains(&upper.as_str()) {
            continue;
        }
        let path = upper.strip_prefix(PREFIX).map(path);
        let Some(path) = path.filter(SettingPath::is_known) else {
            report_unknown(&name, &upper, faults);
            continue;
        };
        let Ok(text) = value.into_string() else {
            faults.add(path.to_string(), "must be UTF-8");
            continue;
        };
        let value = typed(&path, text);
        if values.insert(path.clone(), value).is_some() {
            faults.add(path.to_string(), "is set by two variables");
        }
    }
    values
}

fn variables(given: Option<HashMap<String, String>>) -> Vec<(String, OsString)> {
    // A name that is not UTF-8 is none of ours.
    let of_process =
        || env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut all: Vec<(String, OsString)> = match given {
        Some(given) => given.into_iter().map(|(name, value)| (name, value.into())).collect(),
        None => of_process().collect(),
    };
    all.sort();
    all
}

fn path(rest: &str) -> SettingPath {
    SettingPath::new(rest.to_ascii_lowercase().split("__").map(str::to_owned).collect())
}

/// Other programs may have variables that begin with `TDFLEET_`: Kubernetes makes some for a service
/// of that name. Those that are the name of a setting but for underscores are meant as one.
fn report_unknown(name: &str, upper: &str, faults: &mut SettingFaults) {
    let meant = meant(upper).map(|path| {
        let words = path.words().join("__").to_ascii_uppercase();
        format!("{PREFIX}{words}")
    });
    if let Some(meant) = meant {
        faults.add(name, format!("is not a setting; did you mean {meant}?"));
    } else if let Some(rest) = upper.strip_prefix(PREFIX) {
        faults.add(path(rest).to_string(), "there is no such setting");
    } else if upper.trim_start_matches(NEAR_PREFIX).contains("__") {
        faults.add(name, format!("is not a setting: their names begin with {PREFIX}"));
    }
}

/// The setting with the same words as this name, whatever the underscores between them.
fn meant(upper: &str) -> Option<SettingPath> {
    let lower = upper.strip_prefix(NEAR_PREFIX)?.to_ascii_lowercase();
    let words: Vec<_> = lower.split('_').filter(|word| !word.is_empty()).collect();
    let (first, rest) = words.split_first().filter(|_| words.len() <= MAX_WORDS)?;
    // Each bit says whether a part of the path begins at a word.
    (0..1_u32 << rest.len())
        .map(|starts| {
            let mut parts = vec![(*first).to_owned()];
            for (index, word) in rest.iter().enumerate() {
                match parts.last_mut().filter(|_| starts >> index & 1 == 0) {
                    Some(part) => *part = format!("{part}_{word}"),
                    None => parts.push((*word).to_owned()),
                }
            }
            SettingPath::new(parts)
        })
        .find(SettingPath::is_known)
}
