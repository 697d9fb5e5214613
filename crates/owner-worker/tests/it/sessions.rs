use serde_json::{Value, json};
use testkit::Reply;

use crate::support::World;
use crate::support::objects::{recorded, session, session_with, sessions};

fn list(sessions_of: &[Value]) -> Reply {
    Reply::object(sessions(sessions_of))
}

#[tokio::test]
async fn active_sessions_are_listed_with_the_current_one_apart() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", list(&[session(0), session(i64::MIN)]));
    let result = world.result("get_active_sessions", &json!({})).await;
    assert_eq!(result["current_session_id"], "0");
    assert_eq!(result["inactive_session_ttl_days"], 180);
    assert_eq!(result["other_sessions"], json!([result["sessions"][1]]));
    let other = json!({
        "id": "-9223372036854775808", "is_current": false, "is_password_pending": false,
        "is_unconfirmed": false, "can_accept_calls": false, "can_accept_secret_chats": true,
        "type": "sessionTypeAndroid", "api_id": 6, "application_name": "App",
        "application_version": "1.0", "is_official_application": true, "device_model": "Phone",
        "platform": "Android", "system_version": "14", "log_in_date": 1_790_000_000,
        "last_active_date": 1_795_000_000, "ip_address": "127.0.0.1", "location": "Nowhere",
    });
    assert_eq!(result["sessions"][1], other);
}

#[tokio::test]
async fn a_session_is_terminated_and_the_list_read_back() {
    let world = World::ready().await;
    world.tdlib.answer("terminateSession", Reply::ok());
    world
        .tdlib
        .answers("getActiveSessions", vec![list(&[session(0), session(5)]), list(&[session(0)])]);
    let result = world.result("terminate_session", &json!({"session_id": "5"})).await;
    assert_eq!(result, json!({"session_id": "5", "terminated": true, "confirmed": true}));
    assert_eq!(world.sent("terminateSession"), [json!({"session_id": "5"})]);
    assert_eq!(world.methods(), ["getActiveSessions", "terminateSession", "getActiveSessions"]);
}

#[tokio::test]
async fn the_current_session_is_not_terminated() {
    let world = World::ready().await;
    let error = "current session can't be terminated via terminate_session";
    for zero in [json!(0), json!("0"), json!("-0")] {
        world.refused("terminate_session", &json!({"session_id": zero}), error).await;
    }
    assert_eq!(world.methods(), Vec::<String>::new(), "0 is refused without asking");
    let current = session_with(7, "is_current", json!(true));
    world.tdlib.answer("getActiveSessions", list(&[current]));
    world.refused("terminate_session", &json!({"session_id": 7}), error).await;
    assert_eq!(world.methods(), ["getActiveSessions"]);
}

#[tokio::test]
async fn a_session_id_is_an_integer_or_a_decimal_string() {
    let world = World::ready().await;
    let cases = [
        (json!({}), "session_id is required"),
        (json!({"session_id": null}), "session_id is required"),
        (json!({"session_id": ""}), "session_id must be an integer"),
        (json!({"session_id": 1.5}), "session_id must be an integer"),
        (json!({"session_id": [5]}), "session_id must be an integer"),
        (
            json!({"session_id": "9223372036854775808"}),
            "session_id must be between -9223372036854775808 and 9223372036854775807",
        ),
        (json!({"session_id": 5, "sesion_id": 5}), "unknown field: sesion_id"),
    ];
    for (fields, error) in cases {
        world.refused("terminate_session", &fields, error).await;
    }
    world.refused("confirm_session", &json!({}), "session_id is required").await;
}

#[tokio::test]
async fn a_session_that_stays_was_not_terminated() {
    let world = World::ready().await;
    world.tdlib.answer("terminateSession", Reply::ok());
    world.tdlib.answer("terminateAllOtherSessions", Reply::ok());
    world.tdlib.answer("getActiveSessions", list(&[session(0), session(5)]));
    let payload = world.failure("terminate_session", &json!({"session_id": 5})).await;
    assert_eq!(payload["error"], "session was not terminated");
    let info = json!({"code": "tdlib_error", "source": "tdlib", "retriable": true});
    assert_eq!(payload["error_info"], info);
    let payload = world.failure("terminate_all_other_sessions", &json!({})).await;
    assert_eq!(payload["error"], "sessions were not terminated");
}

#[tokio::test]
async fn an_unlisted_session_goes_to_tdlib_and_what_cannot_be_read_back_is_null() {
    let world = World::ready().await;
    world.tdlib.answers("terminateSession", vec![Reply::error(400, "HASH_INVALID"), Reply::ok()]);
    world.tdlib.answers(
        "getActiveSessions",
        vec![list(&[session(0)]), list(&[session(0)]), Reply::error(500, "Internal Server Error")],
    );
    let payload = world.failure("terminate_session", &json!({"session_id": 5})).await;
    assert_eq!(payload["error"], "HASH_INVALID");
    let result = world.result("terminate_session", &json!({"session_id": 6})).await;
    assert_eq!(result, json!({"session_id": "6", "terminated": true, "confirmed": null}));
}

#[tokio::test]
async fn all_other_sessions_are_terminated() {
    let world = World::ready().await;
    world.tdlib.answer("terminateAllOtherSessions", Reply::ok());
    world.tdlib.answer("getActiveSessions", list(&[session(0)]));
    let result = world.result("terminate_all_other_sessions", &json!({})).await;
    assert_eq!(result, json!({"terminated": true, "confirmed": true}));
}

#[tokio::test]
async fn both_flags_of_a_session_are_set_and_read_back() {
    let world = World::ready().await;
    world.tdlib.answer("toggleSessionCanAcceptCalls", Reply::ok());
    world.tdlib.answer("toggleSessionCanAcceptSecretChats", Reply::ok());
    world.tdlib.answer("getActiveSessions", list(&[session(0), session(5)]));
    let flags =
        json!({"session_id": 0, "can_accept_secret_chats": true, "can_accept_calls": false});
    let result = world.result("set_session_settings", &flags).await;
    let expected = json!({
        "session_id": "0", "updated_fields": ["can_accept_calls", "can_accept_secret_chats"],
        "can_accept_calls": false, "can_accept_secret_chats": true, "confirmed": true,
    });
    assert_eq!(result, expected);
    let toggles = ["toggleSessionCanAcceptCalls", "toggleSessionCanAcceptSecretChats"];
    assert_eq!(world.methods()[..2], toggles);
    let sent = json!({"session_id": "0", "can_accept_calls": false});
    assert_eq!(world.sent("toggleSessionCanAcceptCalls"), [sent]);

    let result = world
        .result("set_session_settings", &json!({"session_id": 5, "can_accept_calls": true}))
        .await;
    let expected = json!({"session_id": "5", "updated_fields": ["can_accept_calls"],
        "can_accept_calls": true, "confirmed": false});
    assert_eq!(result, expected);
    let result = world
        .result("set_session_settings", &json!({"session_id": 6, "can_accept_calls": true}))
        .await;
    assert_eq!(result["confirmed"], json!(null), "a session that is not listed tells nothing");
}

#[tokio::test]
async fn the_first_flag_that_fails_stops_and_tells_what_was_set() {
    let world = World::ready().await;
    world.tdlib.answers(
        "toggleSessionCanAcceptCalls",
        vec![Reply::ok(), Reply::error(406, "HASH_INVALID")],
    );
    world.tdlib.answer("toggleSessionCanAcceptSecretChats", Reply::error(400, "HASH_INVALID"));
    let flags = json!({"session_id": 5, "can_accept_calls": true, "can_accept_secret_chats": true});
    let payload = world.failure("set_session_settings", &flags).await;
    assert_eq!(payload["error"], "HASH_INVALID");
    assert_eq!(payload["error_info"]["details"], json!({"updated_fields": ["can_accept_calls"]}));
    let payload = world.failure("set_session_settings", &flags).await;
    let details = json!({"do_not_display": true, "updated_fields": []});
    assert_eq!(payload["error_info"]["details"], details);
    assert_eq!(world.sent("toggleSessionCanAcceptSecretChats").len(), 1);
}

#[tokio::test]
async fn a_session_is_confirmed_and_the_inactive_ttl_set() {
    let world = World::ready().await;
    world.tdlib.answer("confirmSession", Reply::ok());
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    let result = world.result("confirm_session", &json!({"session_id": i64::MAX})).await;
    assert_eq!(result, json!({"session_id": "9223372036854775807"}));
    let ttl = json!({"inactive_session_ttl_days": 366});
    assert_eq!(world.result("set_inactive_session_ttl", &ttl).await, ttl);
    for days in [json!(0), json!(367)] {
        let error = "inactive_session_ttl_days must be between 1 and 366";
        let fields = json!({"inactive_session_ttl_days": days});
        world.refused("set_inactive_session_ttl", &fields, error).await;
    }
    let error = "inactive_session_ttl_days is required";
    world.refused("set_inactive_session_ttl", &json!({}), error).await;
}

#[tokio::test]
async fn connected_websites_are_listed_and_disconnected() {
    let world = World::ready().await;
    let website = recorded("connectedWebsite");
    let websites = json!({"@type": "connectedWebsites", "websites": [website]});
    world.tdlib.answer("getConnectedWebsites", Reply::object(websites));
    world.tdlib.answer("disconnectWebsite", Reply::ok());
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    let mut expected = website;
    expected.as_object_mut().unwrap().remove("@type");
    let result = world.result("get_connected_websites", &json!({})).await;
    assert_eq!(result, json!({"websites": [expected]}));
    let result =
        world.result("disconnect_website", &json!({"website_id": "9007199254740993"})).await;
    assert_eq!(result, json!({"website_id": "9007199254740993", "disconnected": true}));
    assert_eq!(world.sent("disconnectWebsite"), [json!({"website_id": "9007199254740993"})]);
    let result = world.result("disconnect_all_websites", &json!({})).await;
    assert_eq!(result, json!({"disconnected": true}));
    world.refused("disconnect_website", &json!({}), "website_id is required").await;
}
