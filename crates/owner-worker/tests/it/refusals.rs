//! The contract's rules for every command: the order of the checks, the error strings, one answer.

use std::time::Duration;

use contracts::{Flow, RoutingKey, ShardCount};
use owner_worker::{CommandOutcome, WorkerRequest};
use serde_json::{Value, json};
use testkit::Reply;

use crate::support::objects::{session, sessions};
use crate::support::{NOW_MS, Options, World, request};

#[tokio::test]
async fn a_result_is_one_event_with_the_name_of_its_command() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    let mut body = request("get_active_sessions", &json!({}));
    body["command_id"] = "c-1".into();
    body["_meta"] = json!({"correlation_id": "k-1", "trace_id": "t-1", "unknown": true});
    let payload = world.submit(&body).payload().await;
    assert_eq!(
        (&payload["type"], &payload["userbot_id"]),
        (&json!("get_active_sessions"), &json!(1))
    );
    assert_eq!(payload["_meta"]["command_id"], "c-1");
    assert_eq!(payload["_meta"]["correlation_id"], "k-1");
    assert_eq!(payload["_meta"]["trace_id"], "t-1");
    let answers = world.log.events(1);
    assert_eq!(answers.iter().filter(|event| event["_meta"]["command_id"] == "c-1").count(), 1);
}

#[tokio::test]
async fn the_first_check_that_fails_determines_the_error() {
    let world =
        World::with(Options { state: "authorizationStateWaitPhoneNumber", ..Options::default() })
            .await;
    let cases = [
        (
            json!({"command": "nope", "userbot_id": 1, "x": 1}),
            "nope_error",
            "Unsupported command: nope",
        ),
        (
            json!({"command": "terminate_session", "userbot_id": 2, "x": 1, "y": 2}),
            "terminate_session_error",
            "unknown field: x",
        ),
        (
            json!({"y": 2, "command": "terminate_session", "x": 1, "userbot_id": 1, "session_id": true}),
            "terminate_session_error",
            "unknown field: y",
        ),
        (
            json!({"command": "set_session_settings", "userbot_id": 1, "can_accept_calls": 1}),
            "set_session_settings_error",
            "session_id is required",
        ),
        (
            json!({"command": "set_session_settings", "userbot_id": 1, "session_id": 5,
                "can_accept_secret_chats": "yes", "can_accept_calls": 1}),
            "set_session_settings_error",
            "can_accept_calls must be a boolean",
        ),
        (
            json!({"command": "set_session_settings", "userbot_id": 1, "session_id": 5,
                "can_accept_calls": null}),
            "set_session_settings_error",
            "at least one of can_accept_calls or can_accept_secret_chats is required",
        ),
        (
            json!({"command": "set_session_settings", "userbot_id": 1, "session_id": 5,
                "can_accept_calls": false}),
            "set_session_settings_error",
            "account is not ready: wait_phone",
        ),
    ];
    for (body, kind, error) in cases {
        let payload = world.submit(&body).payload().await;
        assert_eq!((&payload["type"], &payload["error"]), (&json!(kind), &json!(error)), "{body}");
    }
    assert_eq!(world.methods(), Vec::<String>::new(), "TDLib was asked nothing");
}

#[tokio::test]
async fn each_failure_has_its_code() {
    let world =
        World::with(Options { state: "authorizationStateWaitPhoneNumber", ..Options::default() })
            .await;
    let info = async |body: Value| world.submit(&body).payload().await["error_info"].clone();
    let expected = |code: &str, source: &str, retriable: bool| json!({"code": code, "source": source, "retriable": retriable});
    let unknown = json!({"command": "nope", "userbot_id": 1});
    assert_eq!(info(unknown).await, expected("unknown_command", "validation", false));
    let field = json!({"command": "get_active_sessions", "userbot_id": 1, "x": 1});
    assert_eq!(info(field).await, expected("invalid_request", "validation", false));
    let not_ready = json!({"command": "get_active_sessions", "userbot_id": 1});
    assert_eq!(info(not_ready).await, expected("not_ready", "ownership", true));
    let past = "2026-11-18T11:06:40Z";
    let expired =
        json!({"command": "get_active_sessions", "userbot_id": 1, "_meta": {"deadline": past}});
    assert_eq!(info(expired).await, expected("expired", "transport", false));
    let epoch = json!({"command": "get_active_sessions", "userbot_id": 1,
        "_meta": {"expected_owner_epoch": 41}});
    assert_eq!(info(epoch).await, expected("not_owner", "ownership", true));
}

#[tokio::test]
async fn a_name_that_no_command_can_have_is_in_the_details() {
    let world = World::ready().await;
    let long = "x".repeat(65);
    for name in ["a/b/c", "", "é", &long] {
        let payload = world.submit(&json!({"command": name, "userbot_id": 1})).payload().await;
        assert_eq!(payload["type"], "command_error", "{payload}");
        let shown: String = name.chars().take(64).collect();
        assert_eq!(payload["error"], format!("Unsupported command: {shown}"));
        let info = json!({"code": "unknown_command", "source": "validation", "retriable": false,
            "details": {"command": shown}});
        assert_eq!(payload["error_info"], info);
    }
}

#[tokio::test]
async fn an_unknown_account_has_no_log_and_is_refused_only_if_its_shard_is_owned_here() {
    let world = World::ready().await;
    let count = ShardCount::new(64).unwrap();
    let shard = |id: i64| count.shard_of(contracts::AccountId::new(id).unwrap());
    let unknown = (3..10_000).find(|id| shard(*id) == shard(1)).unwrap();
    let body = json!({"command": "get_active_sessions", "userbot_id": unknown, "command_id": "c-1",
        "_meta": {"correlation_id": "k"}, "x": 1});
    let outcome = world.submit(&body).outcome().await;
    let Some(CommandOutcome::DeadLetter { reason, event: Some(event) }) = outcome else {
        panic!("not a dead letter but {outcome:?}");
    };
    assert_eq!(reason, format!("unknown account: {unknown}"));
    let event: Value = serde_json::from_slice(&event).unwrap();
    let payload = &event["payload"];
    assert_eq!((&event["userbot_id"], &payload["error"]), (&json!(unknown), &json!(reason)));
    assert_eq!(payload["type"], "get_active_sessions_error");
    assert_eq!(payload["error_info"]["code"], "unknown_account");
    assert_eq!(payload["_meta"]["command_id"], "c-1");
    assert_eq!(payload["_meta"]["correlation_id"], "k");
    assert_eq!(payload["_meta"].get("event_id"), None);
    assert_eq!(world.log.events(unknown), Vec::<Value>::new(), "nothing is logged");
    let foreign = (3..10_000).find(|id| ![shard(1), shard(2)].contains(&shard(*id))).unwrap();
    let answer = world.submit(&json!({"command": "get_active_sessions", "userbot_id": foreign}));
    assert_eq!(answer.outcome().await, None);
}

#[tokio::test]
async fn a_deadline_lies_at_most_a_day_ahead() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    let with_deadline = |deadline: &str| {
        let mut body = request("get_active_sessions", &json!({}));
        body["_meta"] = json!({"deadline": deadline});
        world.submit(&body)
    };
    let answer = with_deadline("2026-11-19T11:06:40Z").payload().await;
    assert!(answer["result"].is_object(), "{answer}");
    for deadline in ["2026-11-19T11:06:41Z", "9999-12-31T23:59:59Z"] {
        let answer = with_deadline(deadline).payload().await;
        assert_eq!(answer["error"], "_meta.deadline must be at most 24 hours ahead", "{deadline}");
        assert_eq!(answer["error_info"]["code"], "invalid_request");
    }
}

#[tokio::test]
async fn a_field_that_is_null_is_absent_even_if_it_is_unknown() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world.result("get_active_sessions", &json!({"x": null})).await;
    let long = "x".repeat(1000);
    let error = world.failure("get_active_sessions", &json!({long: 1})).await;
    assert_eq!(error["error"], format!("unknown field: {}", "x".repeat(64)));
}

#[tokio::test]
async fn what_the_bus_refuses_is_answered_without_being_parsed() {
    let world = World::ready().await;
    let count = ShardCount::new(64).unwrap();
    let key = RoutingKey::new(Flow::Hi, count, contracts::AccountId::new(1).unwrap(), "block_user");
    let refuse = |garbled| {
        world.request(WorkerRequest {
            // Would be answered differently if it were read.
            body: bytes::Bytes::from_static(br#"{"command": "block_user", "userbot_id": 2}"#),
            key: key.clone(),
            properties: contracts::Properties::default(),
            refusal: Some(contracts::UnreadableCommand {
                error: "command is larger than 64 KiB".into(),
                name: Some("block_user".to_owned()),
                account: Some(key.account),
                id: None,
                garbled,
            }),
            redelivered: false,
            expired: false,
        })
    };
    let answer = refuse(false).payload().await;
    assert_eq!(answer["error"], "command is larger than 64 KiB");
    assert_eq!((&answer["type"], &answer["userbot_id"]), (&json!("block_user_error"), &json!(1)));
    let outcome = refuse(true).outcome().await;
    assert!(
        matches!(&outcome, Some(CommandOutcome::DeadLetter { event: Some(_), reason }) if reason == "command is larger than 64 KiB"),
        "{outcome:?}"
    );
    assert_eq!(world.log.events(2).iter().filter(|event| event["error"].is_string()).count(), 0);
}

#[tokio::test]
async fn a_message_that_is_not_a_command_is_answered_in_the_log_of_its_routing_key() {
    let world = World::ready().await;
    let bytes = |body: &[u8]| world.submit_bytes(body, None, false);
    let error = bytes(br#"{"userbot_id": 1}"#).payload().await;
    assert_eq!(
        (&error["type"], &error["error"]),
        (&json!("command_error"), &json!("command is required"))
    );
    let account = contracts::AccountId::new(1).unwrap();
    let key = RoutingKey::new(Flow::Hi, ShardCount::new(64).unwrap(), account, "block_user");
    let outcome = world.submit_bytes(b"hello", Some(&key), false).outcome().await;
    let Some(CommandOutcome::DeadLetter { reason, event: Some(event) }) = outcome else {
        panic!("not a dead letter but {outcome:?}");
    };
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["payload"]["type"], "block_user_error");
    assert_eq!(event["payload"]["error"], reason);
}

#[tokio::test]
async fn tdlib_errors_are_passed_on_unchanged() {
    let world = World::ready().await;
    world.tdlib.answers(
        "getActiveSessions",
        vec![
            Reply::error(429, "Too Many Requests: retry after 31"),
            Reply::error(406, "UPDATE_APP_TO_LOGIN"),
            Reply::error(500, "Internal Server Error"),
            Reply::error(400, "PEER_ID_INVALID"),
        ],
    );
    let expected = [
        (
            "Too Many Requests: retry after 31",
            json!({"code": "flood_wait", "source": "tdlib",
            "retriable": true, "tdlib_code": 429, "retry_after": 31}),
        ),
        (
            "UPDATE_APP_TO_LOGIN",
            json!({"code": "tdlib_error", "source": "tdlib",
            "retriable": false, "tdlib_code": 406, "details": {"do_not_display": true}}),
        ),
        (
            "Internal Server Error",
            json!({"code": "tdlib_error", "source": "tdlib",
            "retriable": true, "tdlib_code": 500}),
        ),
        (
            "PEER_ID_INVALID",
            json!({"code": "tdlib_error", "source": "tdlib",
            "retriable": false, "tdlib_code": 400}),
        ),
    ];
    for (error, info) in expected {
        let payload = world.failure("get_active_sessions", &json!({})).await;
        assert_eq!((&payload["error"], &payload["error_info"]), (&json!(error), &info));
    }
}

#[tokio::test]
async fn an_unreadable_tdlib_answer_and_a_panic_are_internal_errors() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", Reply::object(json!({"@type": "sessions"})));
    let expected = json!({"code": "internal", "source": "internal", "retriable": false});
    let payload = world.failure("get_active_sessions", &json!({})).await;
    assert_eq!((&payload["error"], &payload["error_info"]), (&json!("internal error"), &expected));
    world.tdlib.on("getActiveSessions", |_| panic!("on purpose"));
    let payload = world.failure("get_active_sessions", &json!({})).await;
    assert_eq!((&payload["error"], &payload["error_info"]), (&json!("internal error"), &expected));
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[])));
    world.result("get_active_sessions", &json!({})).await;
}

#[tokio::test]
async fn a_read_that_times_out_is_retriable_and_the_outcome_of_a_change_is_unknown() {
    let timeout = Duration::from_millis(50);
    let world = World::with(Options { timeout, ..Options::default() }).await;
    world.tdlib.answer("getActiveSessions", Reply::silent());
    let payload = world.failure("get_active_sessions", &json!({})).await;
    let read = json!({"code": "timeout", "source": "transport", "retriable": true});
    assert_eq!(payload["error_info"], read);
    world.tdlib.answer("confirmSession", Reply::silent());
    let payload = world.failure("confirm_session", &json!({"session_id": 5})).await;
    let change = json!({"code": "outcome_unknown", "source": "transport", "retriable": false});
    assert_eq!(payload["error_info"], change);
    assert_eq!(payload["error"], "outcome unknown: TDLib did not answer in time");
}

#[tokio::test]
async fn a_write_whose_first_read_times_out_has_changed_nothing() {
    let timeout = Duration::from_millis(50);
    let world = World::with(Options { timeout, ..Options::default() }).await;
    world.tdlib.answer("getActiveSessions", Reply::silent());
    let payload = world.failure("terminate_session", &json!({"session_id": 5})).await;
    assert_eq!(payload["error_info"]["code"], "timeout");
    assert_eq!(world.methods(), ["getActiveSessions"]);
}

#[tokio::test]
async fn a_redelivered_command_runs_again_only_if_that_is_harmless() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    let again = |command: &str| {
        world.submit_bytes(request(command, &json!({})).to_string().as_bytes(), None, true)
    };
    assert_eq!(again("get_active_sessions").payload().await["type"], "get_active_sessions");
    let payload = again("terminate_all_other_sessions").payload().await;
    assert_eq!(payload["error_info"]["code"], "outcome_unknown");
    assert_eq!(world.methods(), ["getActiveSessions"]);
}

#[tokio::test]
async fn errors_contain_no_secrets() {
    let world =
        World::with(Options { state: "authorizationStateWaitCode", ..Options::default() }).await;
    let payload = world.failure("send_code", &json!({"code": 98_765})).await;
    assert_eq!(payload["error"], "code must be a string");
    world.tdlib.answer("checkAuthenticationCode", Reply::error(400, "PHONE_CODE_INVALID"));
    let payload = world.failure("send_code", &json!({"code": "98765"})).await;
    assert_eq!(payload["error"], "PHONE_CODE_INVALID");
    assert!(!format!("{:?}", world.log.events(1)).contains("98765"));
    assert_eq!(payload["_meta"]["occurred_at"], "2026-11-18T11:06:40.000Z");
    assert_eq!(NOW_MS, 1_795_000_000_000);
}
