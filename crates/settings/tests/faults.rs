//! What is wrong with settings is found before anything uses them, and all of it at once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;

use settings::{ExposeSecret, SettingSources, Settings};

/// A secret that TDLib takes: 16 bytes.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f";

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tdfleet.toml");
    fs::write(&file, toml).unwrap();
    let environment: HashMap<String, String> =
        environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let sources = SettingSources {
        file: Some(file),
        environment: Some(environment),
        ..SettingSources::default()
    };
    settings::load(sources).map_err(|faults| {
        let mut lines: Vec<_> = faults.to_string().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    })
}

/// The faults of one environment variable.
fn faults_of(name: &str, value: &str) -> Vec<String> {
    load("", &[(name, value)]).err().unwrap_or_default()
}

fn proxy(server: &str, port: &str, secret: &str) -> Result<Settings, Vec<String>> {
    load(
        "",
        &[
            ("TDFLEET__TELEGRAM__PROXY__SERVER", server),
            ("TDFLEET__TELEGRAM__PROXY__PORT", port),
            ("TDFLEET__TELEGRAM__PROXY__SECRET", secret),
        ],
    )
}

#[test]
fn a_proxy_that_tdlib_would_refuse_is_refused_here() {
    let long = "ee".repeat(17 + 183);
    let (dd, tls) = (format!("dd{SECRET}"), format!("ee{SECRET}6578616d706c652e6f7267"));
    for secret in [SECRET, &dd, &tls, "AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODw=="] {
        assert!(proxy("127.0.0.1", "443", secret).is_ok(), "{secret}");
    }
    for server in ["proxy.example.org", "10.0.0.1", "fd00::1"] {
        assert!(proxy(server, "443", SECRET).is_ok(), "{server}");
    }
    for secret in ["nothex", "", &SECRET[2..], &format!("aa{SECRET}"), &long, &tls[..34]] {
        let faults = proxy("127.0.0.1", "443", secret).unwrap_err();
        assert_eq!(faults.len(), 1, "{secret}: {faults:?}");
        assert!(faults[0].starts_with("telegram.proxy.secret: "), "{faults:?}");
        assert!(secret.is_empty() || !faults[0].contains(secret), "{faults:?}");
    }
    for server in ["", "[fd00::1]", "http://proxy", "a b", "proxy:443", "."] {
        let faults = proxy(server, "443", SECRET).unwrap_err();
        assert!(faults[0].starts_with("telegram.proxy.server: "), "{server}: {faults:?}");
    }
    for port in ["0", "", "70000", "-1"] {
        let faults = proxy("127.0.0.1", port, SECRET).unwrap_err();
        assert!(faults[0].starts_with("telegram.proxy.port: "), "{port}: {faults:?}");
    }
}

#[test]
fn every_part_of_a_proxy_is_required() {
    let faults = load("[telegram.proxy]\n", &[]).unwrap_err();
    let names: Vec<_> = faults.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(
        names,
        ["telegram.proxy.port", "telegram.proxy.secret", "telegram.proxy.server"],
        "{faults:?}"
    );
}

#[test]
fn an_empty_text_does_not_count_as_set() {
    for name in [
        "WORKER__DATA_DIR",
        "TELEGRAM__API_HASH",
        "TELEGRAM__MASTER_KEY",
        "TELEGRAM__API_ID",
        "TELEGRAM__DEVICE_MODEL",
        "TDLIB__LIBRARY",
        "BROKER__URI",
        "LOG__FILTER",
        "OWNERSHIP__NAME",
        "BROKER__PREFETCH",
    ] {
        for value in ["", " ", "\n"] {
            let faults = faults_of(&format!("TDFLEET__{name}"), value);
            assert_eq!(faults.len(), 1, "{name} {value:?}: {faults:?}");
        }
    }
    let lists = [("TDFLEET__WORKER__ACCOUNTS", ""), ("TDFLEET__WORKER__CALL_TDLIB_METHODS", "")];
    assert!(load("", &lists).unwrap().worker.accounts.is_empty(), "an empty list is a list");
}

#[test]
fn a_line_break_at_the_end_is_removed_and_other_blanks_at_the_ends_are_refused() {
    for end in ["", "\n", "\r\n"] {
        let key = format!("0123456789abcdef{end}");
        let settings = load("", &[("TDFLEET__TELEGRAM__MASTER_KEY", &key)]).unwrap();
        assert_eq!(settings.telegram.master_key.unwrap().expose_secret(), "0123456789abcdef");
        let secret = format!("{SECRET}{end}");
        let settings = proxy("127.0.0.1", "443", &secret).unwrap();
        assert_eq!(settings.telegram.proxy.unwrap().secret.expose_secret(), SECRET);
    }
    for key in
        [" 0123456789abcdef", "0123456789abcdef ", "0123456789abcdef\n\n", "0123456789abc\0def"]
    {
        let faults = faults_of("TDFLEET__TELEGRAM__MASTER_KEY", key);
        assert_eq!(faults.len(), 1, "{key:?}: {faults:?}");
        assert!(!faults[0].contains("0123456789abc"), "{faults:?}");
    }
}

#[test]
fn faults_of_all_kinds_are_reported_together() {
    let faults = load(
        "shard_count = 4000\ncolour = 'red'\n\
         [broker]\nprefetch = true\nuri = 'amqp://[fd00::1'\ntimeout_ms = 1\n\
         [ownership]\nlease_s = 15.7\nname = ''\n\
         [telegram]\napi_id = '12'\napi_hash = 12\nmaster_key = 'short'\nuse_test_dc = 1\n\
         [telegram.proxy]\nserver = ' x'\nport = 0\nsecret = 'hush'\n\
         [log]\nformat = 'xml'\n",
        &[
            ("TDFLEET_TELEGRAM__API_ID", "12"),
            ("TDFLEET__BROKER_URI", "amqp://user:hush@host"),
            ("TDFLEET__WORKER__GRACE_S", "yes"),
            ("TDFLEET__WORKER__SPOOL_MB", "70000"),
        ],
    )
    .unwrap_err();
    insta::assert_snapshot!(faults.join("\n"), @r"
    TDFLEET_TELEGRAM__API_ID: is not a setting; did you mean TDFLEET__TELEGRAM__API_ID?
    TDFLEET__BROKER_URI: is not a setting; did you mean TDFLEET__BROKER__URI?
    broker.prefetch: must be an integer from 0 to 65535
    broker.timeout_ms: must be between 100 and 600000
    broker.uri: is not a valid amqp:// URI
    colour: there is no such setting
    log.format: must be `text` or `json`
    ownership.lease_s: must be an integer of 0 or more
    ownership.name: must not be empty
    shard_count: must be between 1 and 1000
    telegram.api_hash: must be a text
    telegram.api_id: must be an integer below 2147483648
    telegram.master_key: must have at least 16 bytes
    telegram.proxy.port: is required, from 1 to 65535
    telegram.proxy.secret: is required: hexadecimal or base64 of 16 bytes, of `dd` and 16 bytes, or of `ee`, 16 bytes and a domain
    telegram.proxy.server: must not begin or end with white space
    telegram.use_test_dc: must be true or false
    worker.grace_s: must be an integer of 0 or more
    worker.spool_mb: must be an integer from 0 to 65535
    ");
}

#[test]
fn an_integer_is_neither_a_boolean_nor_a_fraction_nor_a_text() {
    for value in ["true", "15.7", "15.0", "1e2", "'15'", "2020-01-01", "[15]"] {
        let faults = load(&format!("[ownership]\nlease_s = {value}"), &[]).unwrap_err();
        assert_eq!(faults, ["ownership.lease_s: must be an integer of 0 or more"], "{value}");
    }
    for value in ["true", "15.7", "15.0", "on", "0x10", "15 "] {
        let faults = faults_of("TDFLEET__OWNERSHIP__LEASE_S", value);
        assert_eq!(faults.len(), 1, "{value}: {faults:?}");
    }
    assert_eq!(load("", &[("TDFLEET__OWNERSHIP__LEASE_S", "20")]).unwrap().ownership.lease_s, 20);
    for value in ["1", "'true'", "0.0"] {
        let faults = load(&format!("[telegram]\nuse_test_dc = {value}"), &[]).unwrap_err();
        assert_eq!(faults, ["telegram.use_test_dc: must be true or false"], "{value}");
    }
    assert!(load("", &[("TDFLEET__TELEGRAM__USE_TEST_DC", "true")]).unwrap().telegram.use_test_dc);
    for value in ["5", "true", "2020-01-01"] {
        let faults = load(&format!("[telegram]\napi_hash = {value}"), &[]).unwrap_err();
        assert_eq!(faults, ["telegram.api_hash: must be a text"], "{value}");
    }
}

#[test]
fn a_uri_names_a_host_that_is_understood() {
    for (setting, scheme) in [("BROKER__URI", "amqp"), ("PUBLISHER__URI", "redis")] {
        let name = format!("TDFLEET__{setting}");
        for rest in
            [":", "://", ":///0", "://[fd00::1", "://user:hush@/0", "://host:0/0", "://h o/0"]
        {
            let faults = faults_of(&name, &format!("{scheme}{rest}"));
            assert_eq!(faults.len(), 1, "{scheme}{rest}: {faults:?}");
            assert!(!faults[0].contains("hush"), "{faults:?}");
        }
        for rest in ["://host", "://127.0.0.1:5690", "://[fd00::1]:5690", "://user:p%40ss@host:1"] {
            assert_eq!(faults_of(&name, &format!("{scheme}{rest}")), [""; 0], "{scheme}{rest}");
        }
    }
    for database in ["x", "1/2", "-1"] {
        let uri = format!("redis://host/{database}");
        assert_eq!(faults_of("TDFLEET__PUBLISHER__URI", &uri).len(), 1, "{uri}");
    }
}

#[test]
fn a_variable_that_is_almost_a_setting_is_refused_with_the_right_name() {
    for name in [
        "TDFLEET_TELEGRAM__API_ID",
        "TDFLEET_TELEGRAM_API_ID",
        "TDFLEET__TELEGRAM_API_ID",
        "TDFLEET___TELEGRAM__API_ID",
        "tdfleet_telegram__api_id",
    ] {
        let faults = faults_of(name, "12");
        assert_eq!(faults.len(), 1, "{name}: {faults:?}");
        assert!(faults[0].contains("TDFLEET__TELEGRAM__API_ID"), "{name}: {faults:?}");
    }
    assert_eq!(faults_of("TDFLEET_NO__SUCH", "1").len(), 1);
    for other in ["TDFLEET_PORT", "TDFLEET_SERVICE_HOST", "TDFLEET_AMQP", "TDFLEETS__X", "OTHER"] {
        assert_eq!(faults_of(other, "tcp://10.0.0.1:80"), [""; 0], "{other}");
    }
}
