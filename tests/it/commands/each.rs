use std::collections::BTreeSet;

use serde_json::json;

use super::Scene;

/// The checks that all commands share, with the reference's own examples.
#[tokio::test(flavor = "multi_thread")]
async fn commands_are_checked_in_the_contracts_order() {
    let mut scene = Scene::start(1).await;
    let mut unknown_account = scene.mine.reply_queue().await;
    let ready = "account is not ready: wait_phone";
    let mut names = BTreeSet::new();
    for command in owner_worker::catalog().filter(|command| command.needs == "ready") {
        let name = command.name;
        assert!(names.insert(name));
        let mut example = command.example;
        if name == "call_tdlib" {
            example = json!({"method": "getMe"});
        }
        let mut unknown = example.clone();
        unknown["colour"] = json!("red");
        scene.refused(name, &[(unknown.clone(), "unknown field: colour")]).await;
        let (found, info) = scene.failure(name, example).await;
        let expected = json!({"code": "not_ready", "source": "ownership", "retriable": true});
        assert_eq!((found.as_str(), info), (ready, expected), "{name}");
        // The account is checked before the fields.
        let event = scene.mine.call_for_reply(77, name, unknown, &mut unknown_account).await;
        assert_eq!(event["payload"]["error"], "unknown account: 77", "{event}");
        assert_eq!(event["payload"]["error_info"]["code"], "unknown_account");
    }
    let contract = [
        "block_user",
        "call_tdlib",
        "can_send_messages_to_users",
        "confirm_session",
        "disconnect_all_websites",
        "disconnect_website",
        "get_active_sessions",
        "get_blocked_users",
        "get_close_friends",
        "get_connected_websites",
        "get_global_privacy_settings",
        "get_privacy_setting",
        "get_privacy_settings",
        "set_close_friends",
        "set_global_privacy_settings",
        "set_inactive_session_ttl",
        "set_privacy_setting",
        "set_session_settings",
        "terminate_all_other_sessions",
        "terminate_session",
        "unblock_user",
    ];
    assert_eq!(names, BTreeSet::from(contract));
    let (found, info) = scene.failure("make_coffee", json!({"colour": "red"})).await;
    assert_eq!(found, "Unsupported command: make_coffee");
    assert_eq!(info["code"], "unknown_command");
    assert_eq!(scene.world.sandbox.count_calls(Some(1), None), 0, "nothing was asked for");
    scene.end().await;
}
