//! Any message has exactly one outcome, and nothing breaks.

use std::cell::Cell;

use fuzzing::{fuzz, fuzz_values};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Options, World};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fuzz/corpus");
/// Stands for a code, a number or a text: no error may show it.
const SECRET: &str = "hush-4711-hush";
/// Longest error string, in bytes.
const MAX_ERROR: usize = 500;

/// A worker and its runtime.
fn world() -> (Runtime, World) {
    let runtime = Runtime::new().unwrap();
    let options = Options { call_tdlib_methods: &["getMe"], ..Options::default() };
    let world = runtime.block_on(World::with(options));
    (runtime, world)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2..5_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é\\u{1F600}]{0,12}".prop_map(Value::from),
        Just(json!("blockListMain")),
        Just(json!("show_bio")),
        Just(json!("all")),
        Just(json!(SECRET)),
        Just(json!([SECRET])),
        Just(json!({"@type": "userPrivacySettingRuleAllowUsers", "user_ids": [1]})),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            hash_map("(@type|rules|user_ids|[a-z@]{0,6})", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Almost valid requests: a command's own name and fields, with any values.
fn request() -> impl Strategy<Value = Value> {
    let commands = owner_worker::catalog().filter(|command| command.name != "start");
    let commands: Vec<_> = commands
        .map(|command| {
            let schema = command.arguments.to_value();
            let fields = schema["properties"].as_object().unwrap().keys().cloned();
            (command.name, fields.collect::<Vec<_>>())
        })
        .collect();
    prop::sample::select(commands).prop_flat_map(|(name, fields)| {
        let values = vec(prop::option::weighted(0.7, json_value()), fields.len());
        (values, prop::option::weighted(0.1, ("[a-z_]{1,9}", json_value()))).prop_map(
            move |(values, more)| {
                let mut body = json!({"command": name, "userbot_id": 1});
                for (field, value) in fields.iter().zip(values) {
                    if let Some(value) = value {
                        body[field] = value;
                    }
                }
                if let Some((field, value)) = more {
                    body[field] = value;
                }
                body
            },
        )
    })
}

/// An error is short and shows no value.
fn discreet(payload: &Value) -> TestCaseResult {
    if let Some(error) = payload["error"].as_str() {
        prop_assert!(error.len() <= MAX_ERROR && !error.contains(SECRET), "{error}");
    }
    Ok(())
}

#[test]
fn a_request_with_any_values_has_one_answer() {
    let (runtime, world) = world();
    let number = Cell::new(0);
    fuzz_values(2_000, &request(), |mut body| {
        number.set(number.get() + 1);
        let id = format!("fuzz-{}", number.get());
        body["command_id"] = json!(id);
        let payload = runtime.block_on(world.submit(&body).payload());
        let kind = payload["type"].as_str().unwrap();
        prop_assert!(
            kind.strip_suffix("_error").unwrap_or(kind) == body["command"].as_str().unwrap()
        );
        prop_assert!(payload.get("result").is_some() != payload.get("error").is_some());
        prop_assert_ne!(&payload["error_info"]["code"], "internal");
        discreet(&payload)
    });
    let answers = world.log.events(1).into_iter();
    let fuzzed = answers.filter(|event| {
        event["_meta"]["command_id"].as_str().is_some_and(|id| id.starts_with("fuzz-"))
    });
    assert_eq!(fuzzed.count(), number.get(), "one event per request");
}

#[test]
fn any_bytes_have_at_most_one_outcome_and_break_nothing() {
    let (runtime, world) = world();
    fuzz(CORPUS, |bytes| {
        let answer = world.submit_bytes(bytes, None, false);
        runtime.block_on(answer.outcome());
        Ok(())
    });
    runtime.block_on(async {
        let error = world.failure("get_active_sessions", &json!({"x": 1})).await;
        assert_eq!(error["error"], "unknown field: x");
    });
}
