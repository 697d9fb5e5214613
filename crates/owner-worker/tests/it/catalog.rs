//! What the documents are made of.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{Options, World, request};

#[tokio::test]
async fn every_example_passes_every_check_but_readiness_and_permission() {
    let options = Options { state: "authorizationStateWaitPhoneNumber", ..Options::default() };
    let world = World::with(options).await;
    for command in owner_worker::catalog() {
        let error = world.submit(&request(command.name, &command.example)).error().await;
        let fine = error == "account is not ready: wait_phone"
            || error == "getUserFullInfo is not allowed"
            || error.starts_with("the test has no answer");
        assert!(fine, "{}: {error}", command.name);
    }
}

#[test]
fn every_command_is_described_and_has_a_name_of_its_own() {
    let mut names = HashSet::new();
    for command in owner_worker::catalog() {
        assert!(names.insert(command.name), "{}", command.name);
        assert!(command.about.ends_with('.'), "{}: {}", command.name, command.about);
        let schema = command.arguments.to_value();
        assert_eq!(schema["additionalProperties"], false);
        let properties = schema["properties"].as_object().unwrap();
        for (field, property) in properties {
            assert!(property["description"].is_string(), "{} {field}", command.name);
        }
        described(command.name, &command.reply.to_value());
    }
    for name in [
        "get_active_sessions",
        "terminate_session",
        "set_session_settings",
        "terminate_all_other_sessions",
        "block_user",
        "unblock_user",
        "get_blocked_users",
        "get_privacy_setting",
        "get_privacy_settings",
        "set_privacy_setting",
    ] {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn every_event_with_a_form_of_its_own_is_described() {
    for (event, about, schema) in owner_worker::event_schemas() {
        assert!(about.ends_with('.'), "{event}: {about}");
        described(event, &schema.to_value());
    }
}

/// Every property of every object in a schema has a description.
fn described(name: &str, schema: &Value) {
    for (field, property) in schema["properties"].as_object().into_iter().flatten() {
        let told = property["description"].is_string() || property["$ref"].is_string();
        assert!(told, "{name} {field}: {property}");
    }
    match schema {
        Value::Object(members) => members.values().for_each(|inner| described(name, inner)),
        Value::Array(items) => items.iter().for_each(|inner| described(name, inner)),
        _ => {}
    }
}

#[test]
fn the_error_strings_of_a_command_stand_in_the_order_of_the_checks() {
    let command = owner_worker::catalog().find(|one| one.name == "set_session_settings").unwrap();
    let expected = [
        "session_id is required",
        "session_id must be an integer",
        "session_id must be between -9223372036854775808 and 9223372036854775807",
        "can_accept_calls must be a boolean",
        "can_accept_secret_chats must be a boolean",
        "at least one of can_accept_calls or can_accept_secret_chats is required",
    ];
    assert_eq!(command.errors, expected);
    let schema = command.arguments.to_value();
    assert_eq!(schema["required"], json!(["session_id"]));
    assert_eq!(schema["properties"]["can_accept_calls"]["type"], json!(["boolean", "null"]));
}
