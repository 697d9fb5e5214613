use serde_json::json;

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_methods_can_be_called() {
    let mut scene = Scene::logged_in().await;
    let me = scene.tdlib("getMe", json!({})).await;
    assert_eq!((&me["@type"], &me["id"]), (&json!("user"), &json!(scene.account.user().0)));
    assert_eq!(me["usernames"]["active_usernames"], json!(["account_1"]), "as TDLib has it");
    let bare = scene.result("call_tdlib", json!({"method": "getMe"})).await;
    assert_eq!(bare["id"], me["id"]);
    assert!(bare.get("@extra").is_none() && bare.get("@client_id").is_none(), "{bare}");

    let (text, info) = scene.failure("call_tdlib", json!({"method": "logOut"})).await;
    assert_eq!(text, "logOut is not allowed");
    let expected = json!({"code": "not_allowed", "source": "validation", "retriable": false});
    assert_eq!(info, expected);
    assert_eq!(scene.calls("auth.logOut"), 0);
    let cases = [
        (json!({}), "method is required"),
        (json!({"method": 5}), "method must be a string"),
        (json!({"method": "getMe", "params": []}), "params must be an object"),
        (json!({"method": "getMe", "params": {"@type": "logOut"}}), "unknown field: @type"),
        (json!({"method": "getMe", "params": {"@extra": 1}}), "unknown field: @extra"),
        (json!({"method": "getMe", "parameters": {}}), "unknown field: parameters"),
    ];
    scene.refused("call_tdlib", &cases).await;
    let nobody = json!({"method": "getUserFullInfo", "params": {"user_id": 987_654_321}});
    let info = scene.passed_on("call_tdlib", nobody, "User not found").await;
    assert_eq!(info["tdlib_code"], 400);
    scene.end().await;
}
