use std::time::Duration;

use sandbox::Fault;
use serde_json::{Value, json};

use super::Scene;

const DEVICES: [&str; 3] = ["Old Phone", "tdfleet", "tdfleet"];
const LIMITS: &str = "between -9223372036854775808 and 9223372036854775807";

fn by_id<'a>(sessions: &'a Value, id: &str) -> &'a Value {
    let mut sessions = sessions["sessions"].as_array().unwrap().iter();
    sessions.find(|session| session["id"] == id).expect("it is listed")
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_confirmed_set_and_ended() {
    let mut scene = Scene::two_sessions().await;
    let held = scene.account.sessions();
    assert_eq!(held.iter().map(|session| &session.device_model).collect::<Vec<_>>(), DEVICES);
    let [old, second] = [0, 2].map(|place: usize| held[place].hash.to_string());

    // This session is notified of a login elsewhere, and confirms it.
    let update = &scene.results("updateUnconfirmedSession", 1).await[0];
    assert_eq!(update["session"]["id"], second);
    assert_eq!(update["session"]["device_model"], "tdfleet");
    let listed = scene.result("get_active_sessions", json!({})).await;
    assert_eq!(by_id(&listed, &second)["is_unconfirmed"], true);
    let confirmed = scene.result("confirm_session", json!({"session_id": second})).await;
    assert_eq!(confirmed, json!({"session_id": second}));
    assert!(!scene.account.sessions()[2].is_unconfirmed);
    let updates = scene.results("updateUnconfirmedSession", 2).await;
    assert_eq!(updates[1], json!({"session": null}));

    let listed = scene.result("get_active_sessions", json!({})).await;
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 3);
    assert_eq!(listed["current_session_id"], "0");
    assert_eq!(by_id(&listed, "0")["is_current"], true);
    let others: Vec<_> = listed["other_sessions"].as_array().unwrap().iter().collect();
    assert_eq!(others, [by_id(&listed, &second), by_id(&listed, &old)], "the last active first");
    assert_eq!(listed["inactive_session_ttl_days"], 180);
    let mut phone = by_id(&listed, &old).clone();
    for date in ["log_in_date", "last_active_date"] {
        let date = phone.as_object_mut().unwrap().remove(date);
        assert!(date.unwrap().as_i64().unwrap() > 1_700_000_000);
    }
    let expected = json!({
        "id": old, "is_current": false, "is_password_pending": false, "is_unconfirmed": false,
        "can_accept_calls": true, "can_accept_secret_chats": true, "type": "sessionTypeAndroid",
        "api_id": 6, "application_name": "Telegram Android", "application_version": "11.4.2",
        "is_official_application": false, "device_model": "Old Phone", "platform": "Android",
        "system_version": "SDK 34", "ip_address": "203.0.113.7", "location": "Iceland",
    });
    assert_eq!(phone, expected);

    let ttl = json!({"inactive_session_ttl_days": 366});
    assert_eq!(scene.result("set_inactive_session_ttl", ttl.clone()).await, ttl);
    assert_eq!(scene.account.session_ttl_days(), 366);

    // Ending a session logs its device out; its id may also be given as a number.
    let id = held[2].hash;
    let ended = scene.result("terminate_session", json!({"session_id": id})).await;
    assert_eq!(ended, json!({"session_id": second, "terminated": true, "confirmed": true}));
    let left: Vec<_> = scene.account.sessions().iter().map(|session| session.hash).collect();
    assert_eq!(left, [held[0].hash, held[1].hash]);
    scene.lost_in_other().await;

    // It logs in again, then all other sessions are ended together.
    scene.log_in_other().await;
    let ended = scene.result("terminate_all_other_sessions", json!({})).await;
    assert_eq!(ended, json!({"terminated": true, "confirmed": true}));
    let left: Vec<_> = scene.account.sessions().iter().map(|session| session.hash).collect();
    assert_eq!(left, [held[1].hash]);
    scene.lost_in_other().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_accepts_calls_and_secret_chats_as_set() {
    const CHANGE: &str = "account.changeAuthorizationSettings";
    let mut scene = Scene::logged_in().await;
    let takes = |scene: &Scene, place: usize| {
        let session = &scene.account.sessions()[place];
        (session.accepts_calls, session.accepts_secret_chats)
    };
    let old = scene.account.sessions()[0].hash.to_string();
    let own = json!({"session_id": 0, "can_accept_secret_chats": false});
    let set = scene.result("set_session_settings", own).await;
    let expected = json!({"session_id": "0", "updated_fields": ["can_accept_secret_chats"],
        "can_accept_secret_chats": false, "confirmed": true});
    assert_eq!(set, expected);
    assert_eq!((takes(&scene, 0), takes(&scene, 1)), ((true, true), (true, false)));
    let both =
        json!({"session_id": old, "can_accept_secret_chats": false, "can_accept_calls": false});
    let set = scene.result("set_session_settings", both).await;
    let expected = json!({"session_id": old,
        "updated_fields": ["can_accept_calls", "can_accept_secret_chats"],
        "can_accept_calls": false, "can_accept_secret_chats": false, "confirmed": true});
    assert_eq!(set, expected);
    assert_eq!(takes(&scene, 0), (false, false));

    // The first flag that fails ends the command; the error lists the flags set before.
    let both =
        json!({"session_id": old, "can_accept_calls": true, "can_accept_secret_chats": true});
    let second = Fault::error(400, "SOMETHING_INVALID").method(CHANGE).skip(1).times(1);
    scene.world.sandbox.inject(second);
    let info = scene.passed_on("set_session_settings", both, "SOMETHING_INVALID").await;
    assert_eq!(info["details"], json!({"updated_fields": ["can_accept_calls"]}));
    assert_eq!(takes(&scene, 0), (true, false));
    let unlisted = json!({"session_id": "99", "can_accept_calls": true});
    let info = scene.passed_on("set_session_settings", unlisted, "HASH_INVALID").await;
    assert_eq!(info["details"], json!({"updated_fields": []}));

    // Telegram reports success, but the list of sessions disagrees.
    scene.world.sandbox.inject(Fault::pretend().method(CHANGE).times(1));
    let calls = json!({"session_id": old, "can_accept_calls": false});
    let set = scene.result("set_session_settings", calls).await;
    assert_eq!(set["confirmed"], false);
    assert_eq!(takes(&scene, 0), (true, false));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_ended_is_reported() {
    const END: &str = "account.resetAuthorization";
    const END_ALL: &str = "auth.resetAuthorizations";
    const CURRENT: &str = "current session can't be terminated via terminate_session";
    let mut scene = Scene::logged_in().await;
    let old = scene.account.sessions()[0].hash.to_string();
    let wrong_id = |id: Value| json!({"session_id": id});
    let missing = "session_id is required";
    let (integer, range) =
        ("session_id must be an integer", format!("session_id must be {LIMITS}"));
    let ids = [
        (json!({}), missing),
        (wrong_id(json!(null)), missing),
        (wrong_id(json!("")), integer),
        (wrong_id(json!(1.5)), integer),
        (wrong_id(json!([5])), integer),
        (wrong_id(json!("9223372036854775808")), &range),
        (json!({"session_id": 5, "sesion_id": 5}), "unknown field: sesion_id"),
    ];
    for command in ["terminate_session", "set_session_settings", "confirm_session"] {
        scene.refused(command, &ids).await;
    }
    scene
        .refused(
            "terminate_session",
            &[(wrong_id(json!(0)), CURRENT), (wrong_id(json!("0")), CURRENT)],
        )
        .await;
    let nothing = "at least one of can_accept_calls or can_accept_secret_chats is required";
    let flags = [
        (json!({"session_id": old}), nothing),
        (json!({"session_id": old, "can_accept_calls": null}), nothing),
        (json!({"session_id": old, "can_accept_calls": 1}), "can_accept_calls must be a boolean"),
        (
            json!({"session_id": old, "can_accept_secret_chats": "yes"}),
            "can_accept_secret_chats must be a boolean",
        ),
    ];
    scene.refused("set_session_settings", &flags).await;
    let days = |days: Value| json!({"inactive_session_ttl_days": days});
    let range = "inactive_session_ttl_days must be between 1 and 366";
    let days = [
        (json!({}), "inactive_session_ttl_days is required"),
        (days(json!("5")), "inactive_session_ttl_days must be an integer"),
        (days(json!(0)), range),
        (days(json!(367)), range),
    ];
    scene.refused("set_inactive_session_ttl", &days).await;
    assert_eq!(scene.calls("account.getAuthorizations"), 0, "nothing was asked for");

    // Telegram's error for an unknown id is passed on.
    scene.passed_on("terminate_session", wrong_id(json!(99)), "HASH_INVALID").await;
    scene.passed_on("confirm_session", wrong_id(json!(99)), "HASH_INVALID").await;
    scene.account.protect_from_fresh_sessions(Duration::from_hours(24));
    let fresh = "FRESH_RESET_AUTHORISATION_FORBIDDEN";
    for (command, fields) in
        [("terminate_session", wrong_id(json!(old))), ("terminate_all_other_sessions", json!({}))]
    {
        let info = scene.passed_on(command, fields, fresh).await;
        assert_eq!(info["tdlib_code"], 406);
        assert_eq!(info["details"], json!({"do_not_display": true}), "as TDLib asks");
    }
    scene.account.protect_from_fresh_sessions(Duration::ZERO);

    // Telegram reports success, but the list of sessions disagrees.
    for (command, method, fields, error) in [
        ("terminate_session", END, wrong_id(json!(old)), "session was not terminated"),
        ("terminate_all_other_sessions", END_ALL, json!({}), "sessions were not terminated"),
    ] {
        scene.world.sandbox.inject(Fault::pretend().method(method).times(1));
        let (text, info) = scene.failure(command, fields).await;
        assert_eq!(text, error);
        let expected = json!({"code": "tdlib_error", "source": "tdlib", "retriable": true});
        assert_eq!(info, expected);
    }
    assert_eq!(scene.account.sessions().len(), 2, "nothing has ended");

    // A flood wait that is too long for TDLib to wait out by itself.
    let flood = Fault::flood_wait(300).method("account.getAuthorizations").times(1);
    scene.world.sandbox.inject(flood);
    let (text, info) = scene.failure("get_active_sessions", json!({})).await;
    assert!(text.starts_with("Too Many Requests: retry after "), "{text}");
    assert_eq!((&info["code"], &info["tdlib_code"]), (&json!("flood_wait"), &json!(429)));
    assert_eq!(info["retriable"], true);
    assert!((299..=301).contains(&info["retry_after"].as_i64().unwrap()), "{info}");
    scene.end().await;
}
