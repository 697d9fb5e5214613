use std::collections::HashMap;
use std::path::PathBuf;

use config::{Config, ConfigError, Environment, File, FileFormat, Value, ValueKind};
use serde::Deserialize;

use crate::faults::{SettingFault, SettingFaults};
use crate::sections::Settings;

/// The sources of settings that override the defaults.
#[derive(Clone, Debug, Default)]
pub struct SettingSources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// `TDFLEET__SECTION__FIELD` variables; those of the process when `None`.
    pub environment: Option<HashMap<String, String>>,
}

/// Reads and checks the settings.
///
/// # Errors
///
/// All faults found: an unreadable file, unknown names, wrong types, values out of range.
pub fn load(sources: SettingSources) -> Result<Settings, SettingFaults> {
    let mut faults = SettingFaults::default();
    let merged = merge(sources).map_err(SettingFaults::from)?;
    for (name, leaf) in leaves(&merged) {
        if let Err(error) = Settings::deserialize(leaf) {
            faults.add(name, problem(&error));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let settings = Settings::deserialize(merged).map_err(|error| SettingFault {
        setting: "settings".to_owned(),
        problem: problem(&error),
    })?;
    settings.check(&mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

fn merge(sources: SettingSources) -> Result<Value, SettingFault> {
    let mut builder = Config::builder();
    let shown = sources.file.as_ref().map(|path| path.display().to_string());
    if let Some(path) = sources.file {
        builder = builder.add_source(File::from(path).format(FileFormat::Toml));
    }
    let environment = Environment::with_prefix("TDFLEET")
        .prefix_separator("__")
        .separator("__")
        .source(sources.environment);
    let fault = |error: ConfigError| SettingFault {
        setting: shown.clone().unwrap_or_else(|| "environment".to_owned()),
        problem: first_line(&error),
    };
    let merged = builder.add_source(environment).build().map_err(fault)?;
    merged.try_deserialize::<Value>().map_err(fault)
}

/// Each `section.field` separately, so that every invalid one is found, not only the first.
fn leaves(merged: &Value) -> Vec<(String, Value)> {
    let ValueKind::Table(sections) = &merged.kind else { return Vec::new() };
    let mut leaves = Vec::new();
    for (section, value) in sections {
        match &value.kind {
            ValueKind::Table(fields) => {
                for (field, value) in fields {
                    let leaf = table(section, table(field, value.clone()));
                    leaves.push((format!("{section}.{field}"), leaf));
                }
            }
            _ => leaves.push((section.clone(), table(section, value.clone()))),
        }
    }
    leaves.sort_by(|(a, _), (b, _)| a.cmp(b));
    leaves
}

fn table(key: &str, value: Value) -> Value {
    let map: config::Map<String, Value> = [(key.to_owned(), value)].into_iter().collect();
    Value::new(None, ValueKind::Table(map))
}

/// Describes the problem, never with the value.
fn problem(error: &ConfigError) -> String {
    match error {
        ConfigError::Type { expected, .. } => format!("must be {expected}"),
        ConfigError::At { error, .. } => problem(error),
        ConfigError::Message(message) if message.starts_with("unknown field") => {
            "there is no such setting".to_owned()
        }
        ConfigError::Message(message) if message.starts_with("enum ") => {
            "is none of its choices".to_owned()
        }
        other => first_line(other),
    }
}

/// The later lines of a parser's message quote the input, which may be a secret.
fn first_line(error: &ConfigError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tdfleet.toml");
        std::fs::write(&file, toml).unwrap();
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        super::load(SettingSources { file: Some(file), environment: Some(environment) })
            .map_err(|faults| faults.to_string())
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
                ("TDFLEET__TELEGRAM__PROXY__SECRET", "dd00"),
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
        broker.queue_type: is none of its choices
        colour: there is no such setting
        shard_count: must be an integer
        telegram.proxy: must be an unsigned 16 bit integer
        worker.accounts: `5-1` is not in ascending order
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
        broker.uri: must be an amqp:// URI
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
        let missing =
            SettingSources { file: Some("nowhere.toml".into()), environment: Some(HashMap::new()) };
        let faults = super::load(missing).unwrap_err().to_string();
        assert!(faults.starts_with("nowhere.toml: "), "{faults}");
    }
}
