use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::environment;
use crate::faults::SettingFaults;
use crate::leaf::{self, SettingPath};
use crate::sections::Settings;

/// The sources of settings that override the defaults.
#[derive(Clone, Debug, Default)]
pub struct SettingSources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// `TDFLEET__SECTION__FIELD` variables; those of the process when `None`.
    pub environment: Option<HashMap<String, String>>,
    /// Whether the settings that only a worker needs must be there: Telegram's credentials.
    pub for_worker: bool,
}

/// Reads and checks the settings.
///
/// # Errors
///
/// All faults found, of every kind: an unreadable file, unknown and misspelt names, wrong types,
/// empty texts, values out of range, missing credentials.
pub fn load(sources: SettingSources) -> Result<Settings, SettingFaults> {
    let mut faults = SettingFaults::default();
    let mut values = BTreeMap::new();
    if let Some(file) = &sources.file {
        match read_file(file) {
            Ok(table) => collect(&table, &SettingPath::default(), &mut values),
            Err(problem) => faults.add(file.display().to_string(), problem),
        }
    }
    values.extend(environment::read(sources.environment, &mut faults));
    let mut sound = Table::new();
    for (path, value) in values {
        match leaf::check(&path, value) {
            Ok(value) => insert(&mut sound, path.words(), value),
            Err(problem) => faults.add(path.to_string(), problem),
        }
    }
    // What is left has been decoded before, each value for itself.
    let settings = Settings::deserialize(Value::Table(sound)).unwrap_or_else(|error| {
        faults.add("settings", leaf::problem(&error));
        Settings::default()
    });
    settings.check(&mut faults);
    if sources.for_worker
        && let Err(missing) = settings.telegram.credentials()
    {
        faults.extend(missing);
    }
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

/// The error never quotes the file: what cannot be parsed may be a secret.
fn read_file(path: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("is not valid TOML at line {}", before.matches('\n').count() + 1)
    })
}

/// Each value separately, so that every fault is found, not only the first.
fn collect(table: &Table, above: &SettingPath, values: &mut BTreeMap<SettingPath, Value>) {
    for (key, value) in table {
        let path = above.child(key);
        match value {
            Value::Table(table) if !table.is_empty() => collect(table, &path, values),
            value => drop(values.insert(path, value.clone())),
        }
    }
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.entry(first).or_insert(value);
    } else if let Value::Table(table) =
        table.entry(first).or_insert_with(|| Value::Table(Table::new()))
    {
        insert(table, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tdfleet.toml");
        fs::write(&file, toml).unwrap();
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        super::load(SettingSources {
            file: Some(file),
            environment: Some(environment),
            ..SettingSources::default()
        })
        .map_err(|faults| faults.to_string())
    }

    #[test]
    fn callers_are_entries_of_the_file_and_each_is_checked() {
        let settings = load(
            "[[callers]]\nuser = 'shop'\naccounts = '1-5'\ncommands = 'ping, get_me'\nrate = 20\n\
             [[callers]]\nuser = 'admin'\naccounts = '*'\ncommands = '*'",
            &[],
        );
        let [shop, admin] = &settings.unwrap().callers[..] else { panic!("two callers") };
        assert_eq!((&*shop.user, shop.rate, admin.rate), ("shop", Some(20), None));
        assert!(shop.accounts.contains(5) && !shop.accounts.contains(6));
        assert!(admin.accounts.contains(1 << 40));
        let entry = |fields: &str| format!("[[callers]]\nuser = 'a'\naccounts = '*'\n{fields}");
        for (toml, fault) in [
            (entry(""), "callers: missing field `commands`"),
            (entry("commands = '*'\nrate = 0"), "callers.rate: must be between 1 and 100000"),
            (entry("commands = 'a b'"), "callers.commands: must be names of commands, or `*`"),
            (format!("{0}\n{0}", entry("commands = '*'")), "callers.user: must not be given twice"),
        ] {
            assert_eq!(load(&toml, &[]).unwrap_err(), fault);
        }
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(load("", &[]).unwrap().shard_count, 64);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let settings = load(
            "shard_count = 8\n[broker]\nprefetch = 5\n[worker]\naccounts = '1-3, 7'",
            &[
                ("TDFLEET__BROKER__PREFETCH", "7"),
                ("TDFLEET__TELEGRAM__API_HASH", "0123"),
                ("TDFLEET__TELEGRAM__API_ID", "94575"),
                ("TDFLEET__TELEGRAM__PROXY__SERVER", "127.0.0.1"),
                ("TDFLEET__TELEGRAM__PROXY__PORT", "1"),
                ("TDFLEET__TELEGRAM__PROXY__SECRET", "000102030405060708090a0b0c0d0e0f"),
                ("TDFLEET__WORKER__ACCOUNTS", "9"),
            ],
        )
        .unwrap();
        assert_eq!((settings.shard_count, settings.broker.prefetch), (8, 7));
        assert_eq!(settings.telegram.api_hash.unwrap().expose_secret(), "0123");
        assert_eq!(settings.telegram.proxy.unwrap().port, 1);
        assert_eq!(settings.worker.accounts.to_string(), "9");
    }

    #[test]
    fn all_faults_are_reported_together_and_without_values() {
        let faults = load(
            "shard_count = 'many'\ncolour = 1\n[broker]\nuri = 5\nprefetc = 2\nqueue_type = 'mirrored'\n\
             [worker]\naccounts = '5-1'\n[telegram]\nproxy = { server = 'x', port = 70000, secret = 'hush' }",
            &[],
        )
        .unwrap_err();
        insta::assert_snapshot!(faults, @r"
        broker.prefetc: there is no such setting
        broker.queue_type: must be `quorum` or `classic`
        broker.uri: must be a text
        colour: there is no such setting
        shard_count: must be an integer from 0 to 65535
        telegram.proxy.port: must be an integer from 0 to 65535
        worker.accounts: `5-1` is not in ascending order
        telegram.proxy.secret: is required: hexadecimal or base64 of 16 bytes, of `dd` and 16 bytes, or of `ee`, 16 bytes and a domain
        ");
    }

    #[test]
    fn values_out_of_range_are_reported_together() {
        let faults = load(
            "namespace = 'a b'\nshard_count = 4\n[ownership]\nname = 'a b'\nlease_s = 1\n[worker]\naccounts = '0-2'\ngrace_s = 0\ncall_tdlib_methods = ['get me']\n\
             [broker]\nuri = 'http://user:hush@x'\nprefetch = 0\nreply_prefix = 'a b.'\n\
             [limits]\ncommand_kib = 0\njson_depth = 128\ndeadline_h = 9999\n[tdlib]\ntimeout_s = 5\n[log]\nfilter = 'a=b=c'",
            &[],
        )
        .unwrap_err();
        insta::assert_snapshot!(faults, @r#"
        namespace: must be letters, digits, `_` and `-`
        log.filter: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
        broker.uri: must begin with amqp://
        broker.prefetch: must be between 1 and 4096
        broker.reply_prefix: must not cover queues of tdfleet or of RabbitMQ
        limits.command_kib: must be between 1 and 16384
        limits.json_depth: must be between 4 and 100
        limits.deadline_h: must be between 1 and 720
        ownership.name: must be 1 to 64 letters, digits, `_`, `-` and `.`
        ownership.lease_s: must be between 2 and 600
        worker.accounts: must be between 1 and 9007199254740991
        worker.grace_s: must be between 1 and 600
        worker.call_tdlib_methods: must be names of TDLib methods
        tdlib.timeout_s: must be between 70 and 600
        "#);
    }

    #[test]
    fn a_missing_or_malformed_file_is_named() {
        let faults = load("[broker]\nuri = hush hush", &[]).unwrap_err();
        assert!(faults.contains("tdfleet.toml: ") && !faults.contains("hush"), "{faults}");
        let missing = SettingSources {
            file: Some("nowhere.toml".into()),
            environment: Some(HashMap::new()),
            ..SettingSources::default()
        };
        let faults = super::load(missing).unwrap_err().to_string();
        assert!(faults.starts_with("nowhere.toml: "), "{faults}");
    }
}
